"""A sheet loads whole, or tells every fault at once with line and remedy."""

import dataclasses
import pickle

import numpy as np
import pytest

from vtrial.cohort.draw import sample
from vtrial.cohort.sheet import cohort_of, load_cohort
from vtrial.errors import CohortError, SheetError
from vtrial.sheets.sheet import parse_sheet

WRONG = """\
cohort: wrong
titel: A key that nobody knows
covariates:
  FEMALE: {categorical: {0: 0.5, 1: 0.6}}
  AGE: {unit: yaer, normal: {mean: 45, sd: 15}, within: [80, 18]}
  WT: {unit: kg, lognormal: {median: 75, sd: 15}}
  HT: {unit: cm, normal: {mean: 170, sd: -9}}
  ALB: {normal: {mean: 40, sd: 4}, uniform: [3, 5]}
  AAG: {unit: g/L, lognormal: {median: 1.34, cv: 35 %}, within: [90, 100]}
  2X: {constant: 1}
  SCR: {unit: kg, by: SEX, each: {0: {constant: 1}, 1: {constant: 2}}}
  IGG: {by: FEMALE, each: {0: {constant: 1}, 2: {constant: 2}}}
  A: {normal: {mean: 0, sd: 1}}
  B: {normal: {mean: 0, sd: 1}}
  C: {uniform: [1, 0]}
  D: {}
correlation:
  - {of: [A, B], is: 0.9}
  - {of: [B, AGE], is: 0.9}
  - {of: [A, AGE], is: -0.9}
  - {of: [A, WTT], is: 0.2}
derive:
  BMI: Quetelett
  IBW: {equals: "50 + 0.91*(HTT - 152.4)", unit: kgg}
  CRCL:
  X: "A + Y"
  Y: "X + 1"
  Z: "A +"
eligibility: "BMI < 30 and AGEE > 18"
"""
TOLD = {  # line: what is said there
    2: ["unknown key `titel`", "Write `title`"],
    4: ["add up to 1.1"],
    5: ["`yaer`", "80 to 18", "Write `[18, 80]`"],
    6: ["median and sd", "median and log-sd, or by mean and sd"],
    7: ["`-9`"],
    8: ["normal and uniform"],
    9: ["almost nobody"],
    10: ["named `2X`"],
    11: ["`SEX`", "FEMALE", "converts to `mg/dL` for CRCL"],
    12: ["without 1 and with 2"],
    15: ["1 to 0", "Write `[0, 1]`"],
    16: ["without a distribution"],
    17: ["not positive semi-definite"],
    21: ["`WTT`, which is not drawn"],
    23: ["`Quetelett`", "Write `Quetelet`"],
    24: ["`HTT`", "Write `HT`", "`kgg`"],
    26: ["X and Y, of which none can be computed first"],
    28: ["the end"],
    29: ["`AGEE`", "Write `AGE`"],
}


def test_every_fault_is_told_at_once_with_line_and_remedy():
    with pytest.raises(CohortError) as caught:
        cohort_of(parse_sheet(WRONG))
    faults = caught.value.faults
    for line, words in TOLD.items():
        said = " ".join(str(fault) for fault in faults if fault.line == line)
        for word in words:
            assert word in said, f"line {line}: {said}"
    assert {fault.line for fault in faults} == set(TOLD)


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("", "without covariates"),
        ("derive: [BMI]", "BMI without WT and HT"),
        ("derive: [GFR]", "no known formula"),
        ("derive: 3", "a list of formulas"),
        ("covariates: {t: {constant: 1}}", "a word of the language"),
        ("covariates: {WT: {constant: 1}}\nderive: {WT: 2*WT}", "which is drawn"),
        ("covariates: {WT: {constant: 1}}\nderive: {X: eta.CL}", "`eta.CL`"),
        ("covariates: {WT: {constant: 1}}\nderive: {X: t + 1}", "`t`"),
        ("covariates: {WT: {constant: 1}}\nderive: {X: {unit: kg}}", "missing"),
        ("covariates: {WT: {constant: 1}}\neligibility: WT <", "eligibility"),
        ("covariates: {WT: {by: FEMALE, constant: 1}}", "`by` without `each`"),
        ("covariates: {WT: {categorical: {low: 0.5, 1: 0.5}}}", "`low`"),
        ("covariates: {WT: {categorical: {0: 1.5, 1: -0.5}}}", "a share of 1.5"),
        ("covariates: {WT: {uniform: [1, 2], within: [1, 2]}}", "no tails"),
        ("covariates: {WT: {lognormal: {median: 3, cv: lots}}}", "a percentage"),
        (
            "covariates: {WT: {normal: {mean: 3, sd: 0}, within: [4, 5]}}",
            "almost nobody",
        ),
        (
            "covariates: {WT: {lognormal: {median: 3, cv: 1}, within: [-2, -1]}}",
            "above 0 for a log-normal",
        ),
        (
            "covariates: {A: {normal: {mean: 0, sd: 1}}}\n"
            "correlation: [{of: [A, A], is: 0.2}]",
            "of one with itself",
        ),
    ],
)
def test_single_faults(rest, words):
    with pytest.raises(CohortError) as caught:
        cohort_of(parse_sheet(f"cohort: c\n{rest}\n"))
    assert words in str(caught.value)


def test_a_block_of_equations_points_at_its_lines():
    text = (
        "cohort: c\ncovariates: {WT: {constant: 70}}\nderive: |\n  A = WT\n  B = WTX\n"
    )
    with pytest.raises(CohortError) as caught:
        cohort_of(parse_sheet(text))
    (fault,) = caught.value.faults
    assert (fault.line, fault.write) == (5, "WT")


def test_derived_covariates_may_stand_in_any_order():
    text = """
cohort: c
covariates: {WT: {unit: kg, constant: 70}, HT: {unit: m, constant: 1.7}}
derive:
  LEAN: {equals: "0.8 * IDEAL", unit: kg}
  IDEAL: {equals: "22 * HT^2", unit: kg, title: ideal weight}
  BSA: Mosteller
"""
    cohort = cohort_of(parse_sheet(text))
    assert cohort.unit("IDEAL") == "kg"
    drawn = sample(
        cohort, None, seed=0, replicate=np.zeros(1, int), subject=np.zeros(1, int)
    )
    values = {name: float(value[0]) for name, value in drawn.covariates.items()}
    assert values["LEAN"] == pytest.approx(0.8 * 22 * 1.7**2)
    assert values["BSA"] == pytest.approx((70 * 170 / 3600) ** 0.5)


def test_a_condition_that_nobody_meets_is_refused_when_loaded():
    text = "cohort: c\ncovariates:\n  AGE: {uniform: [18, 80]}\neligibility: AGE > 99"
    with pytest.raises(
        CohortError, match=r"met by 0 of 5120 people screened"
    ) as caught:
        cohort_of(parse_sheet(text))
    assert caught.value.faults[0].line == 4


def test_an_unknown_cohort_names_the_nearest():
    with pytest.raises(CohortError, match="Write `adults`"):
        load_cohort("adult")


def test_a_folder_is_no_sheet(tmp_path):
    with pytest.raises((CohortError, SheetError)):
        load_cohort(tmp_path)


def test_content_makes_the_digest_and_comments_do_not():
    text = "cohort: c\ncovariates: {WT: {unit: kg, constant: 70}}\nderive: {X: WT*2}\n"
    cohort = cohort_of(parse_sheet(text))
    same = cohort_of(parse_sheet(f"# said\n{text.replace('WT*2', ' WT * 2')}"))
    assert same == cohort
    assert hash(same) == hash(cohort)
    other = cohort_of(parse_sheet(text.replace("WT*2", "WT*3")))
    assert other != cohort
    assert pickle.loads(pickle.dumps(cohort)) == cohort
    assert dataclasses.replace(cohort, text="") == cohort


VIRTUAL = (
    "WT EGPB GB IB KABS KMAX KMIN B D VG VI VMX KM0 K1 K2 P2U M1 M2 KI KP2 KP3 KD "
    "KA1 KA2 KSC U2SS CR CF AGE"
)


@pytest.mark.parametrize(
    ("name", "gives"),
    [
        ("adults", "FEMALE AGE WT HT BMI BSA FFM"),
        ("breast-cancer-second-line", "FEMALE PRIOR AGE BSA AAG ALB HEP12 ECOG1"),
        ("theophylline-twelve", "WT DOSE DOSE_MG"),
        ("t1d-virtual-patients", VIRTUAL),
        ("t1d-from-14-years", VIRTUAL),
    ],
)
def test_shipped_cohorts_give(name, gives):
    assert load_cohort(name).names == tuple(gives.split())

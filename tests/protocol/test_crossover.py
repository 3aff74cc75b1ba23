"""Crossovers in a sheet: what they become, and what is refused, with its line."""

import functools

import pytest

from tests.changed_sheet import load_changed, told_at
from vtrial.model.tree import Name
from vtrial.protocol.stored import read_protocol, write_protocol

SHEET = """
protocol: tablets
model: one-compartment-oral
cohort: adults
subjects: 24
arms:
  test: {dose: 100 mg, set: {tvKA: 0.7 * tvKA}}
  reference: {dose: "50 mg every 12 h x 2"}
design:
  crossover: {period: 2 d, washout: 5 d}
visits:
  before: {at: day -1, measure: [conc]}
  blood: {at: "0 h, 1 h, 8 h, 48 h", measure: [conc]}
endpoints:
  peak: {of: conc, take: maximum}
  area: {of: conc, take: AUC last, within: day 0 to day 1}
  ratio: {equals: area / peak, unit: h}
analysis:
  - {compare: test with reference, on: peak, by: ratio of geometric means}
"""
PERIOD = "{period: 2 d, washout: 5 d}"


load = functools.partial(load_changed, SHEET)


def test_a_sheet_of_one_period_becomes_a_trial_of_several():
    made = load()
    assert [arm.name for arm in made.arms] == [
        "test then reference",
        "reference then test",
    ]
    first, second = (arm.regimen for arm in made.arms)
    assert [t for s in first.steps for t in s.times()] == [0, 168, 180]
    assert [t for s in second.steps for t in s.times()] == [0, 12, 168]
    assert made.occasions == (0.0, 168.0)
    sets = [[dict(one)["tvKA"] for one in arm.by_occasion] for arm in made.arms]
    assert [one == Name("tvKA") for one in sets[0]] == [False, True]
    assert [one == Name("tvKA") for one in sets[1]] == [True, False]
    before, blood = made.visits
    assert before.times == (-24.0, 144.0)
    assert blood.times == (0.0, 1.0, 8.0, 48.0, 168.0, 169.0, 176.0, 216.0)
    spans = {one.name: (one.start, one.end) for one in made.endpoints}
    assert spans["peak in period 1"] == (0.0, 48.0)
    assert spans["area in period 2"] == (168.0, 192.0)
    ratio = made.endpoint("ratio in period 2").equals
    assert [a.name for a in ratio.arguments] == ["area_in_period_2", "peak_in_period_2"]
    again = read_protocol(write_protocol(made))
    assert (again.crossover, again.arms) == (made.crossover, made.arms)
    made = load(("c means}", "c means, random: subjects, freedom: Satterthwaite}"))
    (one,) = read_protocol(write_protocol(made)).analysis.comparisons
    assert (one.random, one.freedom) == ("subjects", "Satterthwaite")


def test_orders_are_those_of_williams_or_as_the_sheet_has_them():
    third = ("design:", "  placebo: {}\ndesign:")
    made = load(third)
    assert len(made.arms) == 6
    names = {one.name for one in made.arms}
    assert "test then reference then placebo" in names
    named = "{sequences: {TRR: [test, reference, reference], RRT: [reference, "
    named += "reference, test]}, period: 2 d}"
    made = load((PERIOD, named), ("day -1", "day 1"))
    assert [arm.name for arm in made.arms] == ["TRR", "RRT"]
    assert made.crossover.starts == (0.0, 48.0, 96.0)
    made = load((PERIOD, "{pairs: 3, period: 2 d, washout: 2 d}"), ("24\n", "1\n"))
    assert len(made.arms) == 8
    assert made.crossover.paired
    assert made.arms[0].name == "sequence 1"


def test_pairs_and_separate_arms_have_no_random_subjects():
    asked = ("c means}", "c means, random: subjects}")
    pairs = SHEET.replace(*asked).replace("day -1", "day 0")
    pairs = (pairs, (PERIOD, "{pairs: 2, period: 2 d}"), lambda at: "random" in at)
    assert "each pair is compared with itself" in told_at(*pairs)[0]
    apart = SHEET.replace(*asked).replace("day -1", "day 0")
    apart = (
        apart,
        (f"design:\n  crossover: {PERIOD}\n", ""),
        lambda at: "random" in at,
    )
    assert "each of whom has one arm" in told_at(*apart)[0]


@pytest.mark.parametrize(
    ("old", "new", "at", "message"),
    [
        (PERIOD, "{washout: 5 d}", "crossover.period", "missing"),
        (PERIOD, "{period: two}", "crossover.period", "a duration"),
        (
            PERIOD,
            "{period: 2 d, washout: 5 d, sequences: [[test, referense]]}",
            "sequences.0.1",
            "Write `reference`",
        ),
        (
            PERIOD,
            "{period: 2 d, washout: 5 d, sequences: [[test, test], [test, test]]}",
            "sequences",
            "without reference",
        ),
        (
            PERIOD,
            "{period: 2 d, washout: 5 d, sequences: balanced}",
            "sequences",
            "Williams",
        ),
        (PERIOD, "{period: 12 h, washout: 5 d}", "arms.reference.dose", "12 h after"),
        (PERIOD, "{period: 2 d}", "visits.before.at", "the washout of 0 h before it"),
        ("0 h, 1 h, 8 h, 48 h", "0 h, 1 h, 3 d", "visits.blood.at", "a period of 48"),
        ("day 0 to day 1", "day 0 to day 9", "endpoints.area", "a period of 48 h"),
        (
            "{of: conc, take: maximum}",
            "{of: conc, take: time to, low: 1}",
            "endpoints.peak.take",
            "a number that each period has",
        ),
        ("by: ratio of geometric means", "by: difference by ranks", "by", "within"),
        ("c means}", "c means, random: sites}", "0.random", "Write `subjects`"),
        ("c means}", "c means, random: person}", "0.random", "sites or subjects"),
        ("c means}", "c means, freedom: Satterthwaite}", "0.freedom", "`random: "),
        ("design:", "design:\n  accrual: 5 / month", "design.accrual", "left out"),
        ("subjects: 24", "subjects: 1", "subjects", "1, for 2 sequences"),
    ],
)
def test_what_is_no_crossover_is_refused(old, new, at, message):
    told = told_at(SHEET, (old, new), lambda place: at in place)
    assert message in told[0]

"""What is no dose or no number for somebody fails that subject, and is said."""

import numpy as np
import pytest

import vtrial as vt
from vtrial.conduct.check import check_sheet
from vtrial.conduct.task import rows_of
from vtrial.errors import ModelError, ProtocolError
from vtrial.observe.block_program import Trial
from vtrial.types import Status

ADDED = "  d/dt(depot)   = -KA * depot\n"


def low(sheets):
    """Simulate the first arm; return weights, status and outcomes of its subjects."""
    planned = vt.plan(sheets.load(replicates=1, block=30))
    found = rows_of(Trial(planned.protocol, planned.cohort), 0)
    own = found["subjects/arm"] == 0
    weight = found["subjects/WT"][own]
    status = found["arms/low/status"][own]
    return weight, status, found["arms/low/outcomes/outcome"][own]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("lag(depot) = (75 - WT)/100", Status.BAD_DOSE),
        ("F(depot) = if(WT > 75, log(70 - WT), 1)", Status.BAD_DOSE),
        ("F(depot) = if(WT > 75, -0.1, 1)", Status.BAD_DOSE),
        ("ratio = conc/if(WT > 75, 0, 1)", Status.OUTPUT_NOT_FINITE),
        ("ratio = log(75 - WT) + 0*conc", Status.OUTPUT_NOT_FINITE),
    ],
)
def test_who_cannot_be_given_or_seen_is_failed_and_nobody_else(sheets, line, status):
    if line.startswith("ratio"):
        conc = "  conc = central / V\n"
        sheets.change("body", conc, f"{conc}  {line}\n")
        sheets.change(
            "body", "  effect: {unit: 1,", "  effect: {equals: ratio, unit: 1,"
        )
        sheets.change("small", "measure: [conc]", "measure: [conc, effect]")
    else:
        sheets.change("body", ADDED, f"{ADDED}  {line}\n")
    weight, found, outcome = low(sheets)
    heavy = weight > 75
    assert heavy.any()
    assert not heavy.all()
    np.testing.assert_array_equal(found, np.where(heavy, status, Status.SOLVED))
    assert np.isnan(outcome[heavy]).all()
    assert np.isfinite(outcome[~heavy]).all()


@pytest.mark.slow
def test_an_output_that_nobody_looks_at_may_be_no_number(sheets):
    sheets.change("body", "effect = conc / (conc + 1)", "effect = log(-conc)")
    _, found, outcome = low(sheets)
    assert (found == Status.SOLVED).all()
    assert np.isfinite(outcome).all()


@pytest.mark.slow
def test_true_values_count_within_the_span_of_their_endpoint(sheets):
    """The logarithm of nothing, before the first dose, is looked at by the second."""
    sheets.change("body", "effect = conc / (conc + 1)", "effect = log(conc)")
    sheets.change(
        "small",
        "endpoints:\n",
        "endpoints:\n  late: {of: effect, take: mean, values: true, "
        "within: 12 h to 24 h}\n",
    )
    assert (low(sheets)[1] == Status.SOLVED).all()
    sheets.change("small", "within: 12 h to 24 h", "within: 0 h to 24 h")
    assert (low(sheets)[1] == Status.OUTPUT_NOT_FINITE).all()


@pytest.mark.parametrize("size", ["1e-300", "-1e-300", "1e-400", "5e-324"])
def test_a_volume_that_is_next_to_nothing_is_refused(sheets, size):
    """Nothing can be seen of a drug that such a volume clears at once."""
    sheets.change("body", "tvV: {value: 50.0", f"tvV: {{value: {size}")
    path = sheets.write()
    with pytest.raises(ProtocolError) as caught:
        check_sheet(path)
    words = ["above 1e-100 in size", "a division by `V`, which is 0"]
    for fault in caught.value.faults:
        assert any(said in str(fault) for said in words)
        assert fault.line


@pytest.mark.slow
def test_an_equation_may_make_small_volumes_and_numbers_stay_right(sheets):
    """The drug is cleared as it is absorbed: KA times what is left, over clearance."""
    sheets.change(
        "body", "V  = tvV * (WT/70) * exp(eta.V)", "V = tvV*1e-200*exp(eta.V)"
    )
    sheets.change("body", "exp(eta.CL)", "exp(0*eta.CL)")
    sheets.change("body", ", rse: 8 %", "")
    sheets.change("body", "error: {proportional: 0.15}", "error: {proportional: 0}")
    weight, found, outcome = low(sheets)
    assert (found == Status.SOLVED).all()
    left = 50 * (np.exp(-25) + np.exp(-1))
    np.testing.assert_allclose(outcome[:, 0], left / (5 * (weight / 70) ** 0.75))


@pytest.mark.parametrize(
    ("sheet", "old", "new", "at", "words"),
    [
        (
            *("body", "tvV: {value: 50.0", "tvV: {value: 0"),
            *("model", "a division by `V`, which is 0 for the typical subject (line"),
        ),
        (
            *("body", ADDED, f"{ADDED}  lag(depot) = -tvKA\n"),
            *("arms.low.dose", "into `depot`, whose lag(depot) is -1"),
        ),
        (
            *("body", ADDED, f"{ADDED}  F(depot) = 1 - 2*tvKA\n"),
            *("arms.high.dose", "into `depot`, whose F(depot) is -1"),
        ),
        (
            *("small", '"50 mg every 24 h x 2"', '"-WT mg every 24 h x 2"'),
            *("arms.low.dose", ""),
        ),
        (
            *("small", "low: {dose:", "low: {set: {tvCL: 1/(WT - 70)}, dose:"),
            *("arms.low.set", "a division by `WT - 70`, which is 0"),
        ),
    ],
)
def test_what_the_typical_subject_cannot_have_is_refused(
    sheets, sheet, old, new, at, words
):
    sheets.change(sheet, old, new)
    path = sheets.write()
    with pytest.raises(ProtocolError) as caught:
        check_sheet(path)
    faults = caught.value.faults
    assert any(fault.at == at and words in fault.found for fault in faults)
    assert all(fault.line and fault.source == str(path) for fault in faults)


def test_a_lag_that_an_arm_sets_right_is_no_fault(sheets):
    sheets.change("body", ADDED, f"{ADDED}  lag(depot) = -tvKA\n")
    sheets.change("small", "low: {dose:", "low: {set: {tvKA: 0}, dose:")
    sheets.change("small", "high: {dose:", "high: {set: {tvKA: 0}, dose:")
    assert check_sheet(sheets.write())[0] == "protocol"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("F(depot) = 0.9*exp(eta.V)", "`F(depot)`, 1.48 for a subject 2 standard"),
        ("F(depot) = 1 + 0*WT + 0*eta.V", ""),
        ("F(depot) = expit(5 + eta.V)", ""),
        ("F(depot) = 0.5*exp(eta.V)", ""),
        ("lag(depot) = 0.4 + eta.V", "`lag(depot)`, -0.1 for a subject 2 standard"),
        ("lag(depot) = 0.6 + eta.V", ""),
    ],
)
def test_doses_that_some_subjects_cannot_have_are_warned_of(sheets, line, words):
    """The standard deviation of eta.V is 0.25."""
    sheets.change("body", ADDED, f"{ADDED}  {line}\n")
    sheets.change("body", "outputs:", "time: h\noutputs:")
    path = sheets.write()
    for one in (path, sheets.folder / "body.yaml"):
        told = [one for one in check_sheet(one)[1] if "a subject 2" in one]
        assert len(told) == bool(words)
        assert all(words in one and ":16" in one for one in told), told


def test_a_model_by_itself_is_refused_by_its_own_line(tmp_path):
    path = tmp_path / "m.yaml"
    path.write_text(
        "model: m\nparameters: {V: {value: 0}, K: {value: 1}}\nequations: |\n"
        "  lag(x) = -K\n  F(x) = 2*K\n  d/dt(x) = -K*x\n  conc = x/V\n"
        "outputs: {conc: {}}\n"
    )
    with pytest.raises(ModelError) as caught:
        check_sheet(path)
    assert [fault.line for fault in caught.value.faults] == [4, 7]
    text = path.read_text().replace("V: {value: 0}", "V: {value: 3}")
    path.write_text(text.replace("lag(x) = -K", "lag(x) = K"))
    (warning,) = check_sheet(path)[1]
    assert "`F(x)`, 2" in warning
    assert f"{path}:5" in warning

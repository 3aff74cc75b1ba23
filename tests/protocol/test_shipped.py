"""The shipped protocols say what their sources say, and the page names every key."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from vtrial.dosing import expand
from vtrial.model.grammar import parse_expression
from vtrial.model.tree import Number
from vtrial.protocol import load_protocol
from vtrial.protocol import shape as shape_module
from vtrial.protocol.shape import ProtocolShape, RandomisationShape
from vtrial.sheets.sheet import parse_sheet

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "protocol.md").read_text()
DESIGN = "".join(
    (ROOT / "docs" / page).read_text() for page in ("design.md", "design_borrowing.md")
)


@pytest.fixture(scope="module")
def theophylline():
    """Return each subject's times and concentrations."""
    path = ROOT / "protocols" / "theophylline-single-dose.csv"
    with path.open(newline="") as lines:
        rows = [
            (int(r["ID"]), float(r["TIME"]), float(r["DV"]))
            for r in csv.DictReader(lines)
        ]
    numbers = np.array(rows)
    return [numbers[numbers[:, 0] == who, 1:].T for who in range(1, 13)]


def test_theophylline_is_compared_with_its_own_data(theophylline):
    protocol = load_protocol("theophylline-single-dose")
    computed = {
        "peak": [value.max() for _, value in theophylline],
        "area": [np.trapezoid(value, time) for time, value in theophylline],
        "at 24 h": [value[-1] for _, value in theophylline],
    }
    assert {point.endpoint for point in protocol.evidence.published} == set(computed)
    for point in protocol.evidence.published:
        values = np.array(computed[point.endpoint])
        error = values.std(ddof=1) / np.sqrt(values.size)
        assert point.value == pytest.approx(values.mean(), rel=5e-3)
        assert point.high - point.value == pytest.approx(2 * error, rel=0.02)
        assert point.statistic == "mean"


def test_theophylline_is_observed_near_its_visits(theophylline):
    protocol = load_protocol("theophylline-single-dose")
    (observed,) = protocol.evidence.observed
    assert len(observed.time) == 12 * 11
    nominal = np.array(protocol.visits[0].times)
    for time, _ in theophylline:
        assert np.abs(time - nominal).max() < 0.7


def test_docetaxel_is_the_trial_as_published():
    protocol = load_protocol("docetaxel-dose")
    assert protocol.subjects == 527
    assert [a.regimen.steps[0].words for a in protocol.arms] == [
        f"{dose} mg/m2 over 1 h every 21 d x 6" for dose in (60, 75, 100)
    ]
    assert not any(point.verified for point in protocol.evidence.published)
    assert [point.value for point in protocol.evidence.published] == pytest.approx(
        [0.764, 0.837, 0.934, 0.754, 0.844, 0.047, 0.074, 0.141]
    )
    for point in [*protocol.evidence.published[:3], *protocol.evidence.published[5:]]:
        women = protocol.subjects / 3
        error = np.sqrt(point.value * (1 - point.value) / women)
        assert point.high - point.value == pytest.approx(1.96 * error, abs=1e-3)
    limits = {point.name: point.below for point in protocol.endpoints}
    assert limits["grade 3 or 4"] == 1.0
    assert limits["grade 4"] == 0.5


@pytest.mark.slow
def test_diabetes_arms_differ_by_errors_only_and_hold_what_was_published():
    protocol = load_protocol("t1d-basal-bolus")
    usual, perfect = protocol.arms
    assert [s.words for s in usual.regimen.steps] == [
        s.words for s in perfect.regimen.steps
    ]
    assert not usual.set
    eaten = [s.words for s in usual.regimen.steps if "plate" in s.words]
    boluses = [s.words for s in usual.regimen.steps if "bolus" in s.words]
    assert len(eaten) == len(boluses) == 5
    for meal, bolus in zip(eaten, boluses, strict=True):
        grams, when = meal.split(" g into plate ")
        assert bolus.startswith(f"({grams}/CR*6) nmol into bolus")
        assert bolus.endswith(when)
    assert len(protocol.occasions) == 15
    mean, spread = protocol.evidence.published
    people, error = 56, spread.value / np.sqrt(56)
    assert (mean.value, spread.value) == (59, 14)
    assert mean.high - mean.value == pytest.approx(1.96 * error, rel=0.02)
    spread_error = 1.96 * spread.value / np.sqrt(2 * (people - 1))
    assert spread.high - spread.value == pytest.approx(spread_error, rel=0.02)
    assert not mean.verified
    assert not spread.verified


@pytest.mark.slow
def test_tirzepatide_rises_by_a_step_every_four_weeks_to_each_arms_dose():
    protocol, other = map(load_protocol, ("surmount-1", "surmount-1-composition"))
    assert protocol.subjects == 2539
    for arm, top in zip(protocol.arms[1:], (5.0, 10.0, 15.0), strict=True):
        doses = expand(arm.regimen, {})
        rising = np.minimum(2.5 * (1 + np.arange(72) // 4), top)
        assert np.asarray(doses.amount)[0] == pytest.approx(rising)
        weeks = np.asarray(doses.time)[0]
        assert weeks == pytest.approx(np.arange(72.0) * weeks[1])
    assert protocol.arms[0].regimen is None
    for typical, drawn in zip(other.arms[:4], other.arms[4:], strict=True):
        assert typical.regimen == drawn.regimen
        assert {name for name, _ in typical.set} == set(other.model.etas)
        assert all(value == Number(0.0) for _, value in typical.set)
        assert not drawn.set


def test_motesanib_is_imposed_on_one_pair_of_arms_only():
    protocol = load_protocol("monet-1")
    value = protocol.model.typical()
    assert not protocol.arms[0].set
    assert not protocol.arms[1].set
    for arm, days in ((protocol.arms[3], 125), (protocol.arms[2], 93)):
        ((name, factor),) = arm.set
        assert name == "KDEARM"
        ratio = factor.value * value["tvKDE"] / value["tvKL"]
        assert np.log(ratio) / value["tvLAMBDA"] == pytest.approx(days, rel=2e-3)


def test_rifampicin_is_told_the_dose_that_is_given():
    for arm in load_protocol("highrif").arms:
        words = arm.regimen.steps[0].words
        amount, unit = words.split()[:2]
        assert unit in {"mg", "mg/kg"}
        said = f"{amount}*WT" if unit == "mg/kg" else amount
        assert dict(arm.set) == {"DOSE": parse_expression(said)}


def _keys(shape):
    for name, field in shape.model_fields.items():
        yield field.alias or name


def test_page_names_every_key():
    shapes = [
        thing
        for name, thing in vars(shape_module).items()
        if name.endswith("Shape") and name != "_Shape"
    ]
    assert len(shapes) > 10
    for shape in shapes:
        for key in _keys(shape):
            if (shape, key) != (RandomisationShape, "simple"):
                assert re.search(rf"\b{re.escape(key)}\b", PAGE + DESIGN), key


@pytest.mark.parametrize(
    "fragment", re.findall(r"^```yaml\n(?!protocol:)(.*?)^```", PAGE, re.M | re.S)
)
def test_fragments_of_the_page_have_the_right_shape(fragment):
    data = parse_sheet(fragment).data
    head = {
        "protocol": "a",
        "model": "theophylline",
        "cohort": "adults",
        "subjects": 9,
        "arms": {"a": {}},
    }
    if "at" in data:
        data = {"visits": {"a": {**data, "measure": ["conc"]}}}
    assert ProtocolShape.model_validate(head | data)


@pytest.mark.parametrize(
    ("name", "block"), [("t1d-basal-bolus", 1000), ("theophylline-single-dose", 16_000)]
)
def test_blocks_hold_more_where_subjects_have_fewer_values(name, block):
    """1,441 times of 5 outputs, or 82 of one; a sheet's own block stands."""
    assert load_protocol(name).block == block
    assert load_protocol(name, changes={"block": 25}).block == 25

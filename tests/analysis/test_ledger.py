"""What rules did and what was given, in numbers that can be counted by hand."""

import numpy as np
import pytest
import xarray as xr

from vtrial.analysis.ledger import Ratio, ledger_of
from vtrial.dosing.words import parse_regimen
from vtrial.model.grammar import parse_model
from vtrial.model.model import Model
from vtrial.protocol.protocol import Arm, Protocol
from vtrial.types import Given, Status

MODEL = Model("m", statements=parse_model("d/dt(central) = -central"))
SOME = np.nan


def tree_of(reason, amount, time, acted, *, arm=0, status=Status.SOLVED):
    """Make a record of one arm with a ledger, as `record.tree()` opens it."""
    size = len(reason)
    rows, dose = ("subject",), ("subject", "dose")
    into = {"flag_values": [-1, 0], "flag_meanings": ["none", "central"]}
    rules = {"flag_masks": [1, 2], "flag_meanings": ["less", "wait"]}
    units = {"units": "mg"}
    doses = {
        "time": (dose, np.array(time, float)),
        "amount": (dose, np.array(amount, float), units),
        "into": (dose, np.where(np.array(reason) < 0, -1, 0), into),
        "reason": (dose, np.array(reason)),
    }
    decisions = {"acted": (("subject", "moment"), np.array(acted), rules)}
    return xr.DataTree.from_dict(
        {
            "/": xr.Dataset(attrs={"arms": ["a"]}),
            "/subjects": xr.Dataset({"arm": (rows, np.full(size, arm))}),
            "/arms/a": xr.Dataset({"status": (rows, np.full(size, status))}),
            "/arms/a/doses": xr.Dataset(doses),
            "/arms/a/decisions": xr.Dataset(decisions),
        }
    )


def protocol_of(subjects, words="100 mg every 24 h x 3"):
    arm = Arm("a", regimen=parse_regimen(words, model=MODEL))
    return Protocol("p", MODEL, "c", subjects, (arm,))


@pytest.fixture
def small():
    """Two trials of two subjects; a dose comes an hour late, one was added."""
    late = [[0, 24, 48, SOME], [0, 25, 48, SOME], [0, 24, 48, 60], [0, 24, 48, SOME]]
    planned, held = Given.PLANNED, Given.HELD
    reason = [
        [planned, planned, planned, -1],
        [planned, held, planned, -1],
        [planned, Given.CHANGED, Given.CHANGED, Given.EXTRA],
        [planned, planned, planned, -1],
    ]
    amount = [[100, 100, 100, 0], [100, 0, 100, 0], [100, 50, 50, 10], [100] * 3 + [0]]
    acted = [[0, 0], [2, 0], [1, 1], [0, 3]]
    return tree_of(reason, amount, late, acted)


def test_rules_are_counted_by_subject_and_by_time(small):
    rules = ledger_of(small, protocol_of(2)).rules
    assert rules["rule"].tolist() == ["less", "wait"]
    assert rules["n"].tolist() == [4, 4]
    assert rules["acted"].tolist() == [0.5, 0.5]
    assert rules["times"].tolist() == [0.75, 0.5]
    # Between trials: 0 and 1 of the subjects (1 and 1), and 0 and 1.5 times (0.5 each).
    np.testing.assert_allclose(rules["acted_error"], [0.5, 0.0], atol=1e-12)
    np.testing.assert_allclose(rules["times_error"], [0.75, 0.0], atol=1e-12)


def test_doses_are_counted_by_reason(small):
    doses = ledger_of(small, protocol_of(2)).doses
    found = dict(zip(doses["reason"], doses["count"], strict=True))
    told = (Given.PLANNED, Given.CHANGED, Given.HELD, Given.EXTRA)
    assert found == dict(zip([r.words for r in told], [9, 2, 1, 1], strict=True))
    assert set(doses["n"]) == {13}
    np.testing.assert_allclose(doses["share"], np.array([9, 2, 1, 1]) / 13)


def test_doses_over_time_stand_at_the_planned_times(small):
    given = ledger_of(small, protocol_of(2)).given
    assert given["time"].tolist() == [0.0, 24.0, 48.0]
    assert given["n"].tolist() == [4, 4, 4]
    assert given["given"].tolist() == [1.0, 0.75, 1.0]
    assert given["median"].tolist() == pytest.approx([100.0, 75.0, 100.0])
    assert given["low"].tolist() == pytest.approx([100.0, 0.0, 50.0])
    assert given["unit"].tolist() == ["mg"] * 3


def test_subjects_of_other_arms_and_failed_ones_do_not_count(small):
    ones = [[Given.PLANNED]] * 2
    for changes in ({"arm": 1}, {"status": Status.STEP_LIMIT}):
        made = tree_of(ones, [[100.0]] * 2, [[0.0]] * 2, [[1], [1]], **changes)
        found = ledger_of(made, protocol_of(2))
        assert found.rules["n"].tolist() == [0, 0]
        assert not np.isfinite(found.rules["acted"]).any()
        assert not len(found.doses)
        assert not len(found.given)


def test_delays_go_on_behind_the_plan_with_its_step(small):
    reason, amount = [[Given.PLANNED] * 3], [[100.0] * 3]
    made = tree_of(reason, amount, [[0.0, 24.0, 96.0]], [[0]])
    given = ledger_of(made, protocol_of(1)).given
    assert given["time"].tolist() == [0.0, 24.0, 96.0]
    single = tree_of([[Given.PLANNED]], [[100.0]], [[0.0]], [[0]])
    given = ledger_of(single, protocol_of(1, "100 mg")).given
    assert given["time"].tolist() == [0.0]


def test_parts_of_one_dose_at_one_time_are_one():
    reason, amount = [[Given.PLANNED] * 2], [[60.0, 70.0]]
    made = tree_of(reason, amount, [[0.0, 0.0]], [[0]])
    given = ledger_of(made, protocol_of(1)).given
    assert given["median"].tolist() == [130.0]
    assert given["given"].tolist() == [1.0]


def test_many_doses_are_put_together():
    count = 200
    reason, amount = [[Given.PLANNED] * count], [[10.0] * count]
    made = tree_of(reason, amount, [[6.0 * k for k in range(count)]], [[0]])
    given = ledger_of(made, protocol_of(1, f"10 mg every 6 h x {count}")).given
    assert len(given) <= 60
    assert set(given["median"]) == {10.0}


def test_memory_is_bounded_and_parts_add_up(small, monkeypatch):
    whole = ledger_of(small, protocol_of(2))
    monkeypatch.setattr("vtrial.analysis.ledger.VALUES_AT_ONCE", 4)  # a subject each
    parts = ledger_of(small, protocol_of(2))
    for name in ("rules", "doses"):
        assert getattr(whole, name).equals(getattr(parts, name))
    assert whole.given["given"].tolist() == parts.given["given"].tolist()


def test_one_trial_has_the_error_of_independent_subjects():
    draws = np.random.default_rng(3).random(400) < 0.3
    ratio = Ratio(np.zeros((1, 1)), np.zeros(1))
    ratio.add(np.zeros(400, int), draws[:, None].astype(float), np.ones(400))
    share = draws.mean()
    np.testing.assert_allclose(ratio.value(), [share])
    np.testing.assert_allclose(ratio.error(400), [np.sqrt(share * (1 - share) / 399)])


def test_no_ledger_no_rows():
    tree = xr.DataTree.from_dict({"/": xr.Dataset(attrs={"arms": ["a"]})})
    found = ledger_of(tree, protocol_of(2))
    assert [len(frame) for frame in found] == [0, 0, 0]

"""Remote monitoring in heart failure: what was decided, and what the sheet says."""

import numpy as np
import pytest

import vtrial as vt
from vtrial.protocol.load import load_protocol

RULES = ("usual pressure", "weight alert", "averages alert", "pressure alert")


def test_every_arm_watches_and_only_usual_care_does_not_act():
    protocol = load_protocol("hf-remote")
    acting = {
        arm.name: [rule.name for rule in arm.rules if rule.after]
        for arm in protocol.arms
    }
    assert acting == {
        "usual": [],
        "weight": ["weight call"],
        "averages": ["averages call"],
        "pressure": ["pressure call"],
    }
    for arm in protocol.arms:
        assert arm.adherence.visits == pytest.approx(0.85)
        by_name = {rule.name: rule for rule in arm.rules}
        for name in acting[arm.name]:
            alert = by_name[name.replace("call", "alert")]
            call = by_name[name]
            assert (call.after, call.success, call.lockout) == (24.0, 0.4, 336.0)
            assert (alert.when, alert.lockout) == (call.when, call.lockout)
    assert protocol.endpoint("cost").unit == "USD"
    # What a saving of 12,000 USD by 40 % fewer admissions asks of the control arm.
    asked = 12_000 / (0.4 * 13_807)
    assert asked == pytest.approx(2.2, abs=0.05)


def _followed(days, weight, pressure):
    """Return the days of alerts of one person, by what was measured on some days."""
    last = dict.fromkeys(RULES[1:], -np.inf)
    found, total, usual = {name: [] for name in last}, 0.0, None
    for place, day in enumerate(days):
        old = np.flatnonzero(days <= day - 3)
        short, long = (
            weight[(days >= day - back) & (days <= day)].mean() for back in (3, 32)
        )
        more = 0.0 if usual is None else total + pressure[place] - usual - 2.5
        wanted = {
            "weight alert": bool(old.size) and weight[place] - weight[old[-1]] >= 2,
            "averages alert": short - long > 1.1,
            "pressure alert": more > 12,
        }
        first = usual is None
        usual = pressure[place] if first else usual + (pressure[place] - usual) / 25
        total = max(0.0, more)
        for name, holds in wanted.items():
            if holds and day >= last[name] + 14:
                last[name] = day
                found[name].append(day)
                total = 0.0 if name == "pressure alert" else total
    return found


@pytest.mark.slow
def test_alerts_are_made_of_what_was_measured_alone(tmp_path):
    protocol = load_protocol("hf-remote", changes={"subjects": 96, "replicates": 1})
    record = vt.run(protocol, out=tmp_path, workers=0)
    decisions = record.tree()["arms/usual/decisions"]
    time, acted = decisions["time"].values / 24, decisions["acted"].values
    known = decisions["known"].to_numpy()
    names = list(decisions["output"].values)
    weight, pressure = (known[..., names.index(n)] for n in ("weight", "pressure"))
    seen = np.isfinite(time)
    mine = np.flatnonzero(seen.any(axis=1))
    assert mine.size == 24
    assert seen[mine].mean() == pytest.approx(0.85, abs=0.03)
    some = 0
    for one in mine:
        here = seen[one]
        alerts = _followed(time[one, here], weight[one, here], pressure[one, here])
        for place, name in enumerate(RULES[1:], start=1):
            bits = (acted[one, here] >> place) & 1
            np.testing.assert_array_equal(time[one, here][bits == 1], alerts[name])
            some += len(alerts[name])
    assert some > 50

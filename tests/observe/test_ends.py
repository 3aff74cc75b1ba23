"""Intercurrent events by cause: leaving, and stopping treatment by rule or by habit."""

import numpy as np
import pytest

import vtrial as vt
from tests.observe.ruled import trial_of
from vtrial.conduct.task import rows_of
from vtrial.errors import ProtocolError

BODY = """
arms:
  a: {dose: "1 mg every 24 h x 10", adherence: {stop: 0.15 / d}}
visits: {v: {at: "day 1, day 3, day 5, day 9", measure: [level]}}
rules:
  out: {at: v, when: WT > 90 and day > 4, do: leave}
  high: {at: v, when: WT > 75, do: stop, confirmed: 2}
design: {dropout: {causes: {moved: {hazard: 0.1 / d}}}}
endpoints:
  end: {of: level, take: value, at: day 9}
  whole: {of: level, take: value, at: day 9, failure: -1,
          intercurrent: {stop: composite}}
  parted: {of: level, take: value, at: day 9, failure: -1,
           intercurrent: {stop: {rule high: composite, other: hypothetical}}}
  gone: {of: level, take: value, at: day 9, failure: -2,
         intercurrent: {dropout: {rule out: composite}}}
  stood: {of: level, take: value, at: day 9,
          intercurrent: {dropout: {other: while on treatment}, stop: treatment policy}}
"""


def test_each_cause_has_a_strategy_of_its_own(tmp_path):
    trial = trial_of(tmp_path, BODY, subjects=300)
    found = rows_of(trial, 0)
    left, cause, stopped, why = (
        found[f"arms/a/{name}"] for name in ("left", "cause", "stopped", "stop_cause")
    )
    names = [point.name for point in trial.protocol.endpoints]
    number = dict(zip(names, found["arms/a/outcomes/outcome"].T, strict=True))
    stays, day = ~(left <= 216), 24.0
    assert set(cause) == {0, 1, 2}  # stayed, moved, rule out
    assert set(why) == {0, 1, 2}  # went on, adherence, rule high
    heavy = found["subjects/WT"] > 75
    assert heavy[why == 2].all()
    assert set(stopped[why == 2]) == {3 * day}, "two visits in a row"
    assert (stopped[why == 1] < 9 * day).all(), "a dose is missed by it"
    assert not (stopped > left).any(), "of who has left it is not seen"

    # Whoever stops for a habit takes doses until then, and none behind.
    time, amount = (found[f"arms/a/doses/{name}"] for name in ("time", "amount"))
    by_habit = why == 1
    late = time[by_habit] > stopped[by_habit, None]
    assert not amount[by_habit][late].any()
    assert (amount[by_habit][~late] == 1).all()

    wanted = np.where(why > 0, -1.0, number["end"])
    np.testing.assert_array_equal(number["whole"], wanted)
    wanted = np.select([why == 2, why == 1], [-1.0, np.nan], number["end"])
    np.testing.assert_array_equal(number["parted"], wanted)
    wanted = np.where(cause == 2, -2.0, number["end"])
    np.testing.assert_array_equal(number["gone"], wanted)
    np.testing.assert_array_equal(number["stood"][stays], number["end"][stays])
    seen = ~stays & (left >= day)
    assert np.isfinite(number["stood"][seen]).all()
    assert np.isnan(number["end"][~stays]).all()


def test_shares_who_stop_are_those_of_the_hazard(tmp_path):
    body = BODY.replace("WT > 75", "WT > 999").replace("0.1 / d", "0 / d")
    stopped = rows_of(trial_of(tmp_path, body, subjects=4000), 0)["arms/a/stopped"]
    share = 1 - np.exp(-0.15 * 9)  # the last dose is due on day 9
    error = np.sqrt(share * (1 - share) / 4000)
    # A false alarm in 2000; who weighs above 90 kg leaves on day 5.
    light = rows_of(trial_of(tmp_path, body, subjects=4000), 0)["subjects/WT"] <= 90
    assert abs(np.isfinite(stopped[light]).mean() - share) < 3.5 * error / 0.8**0.5


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("{dropout: {movd: composite}}", "movd.*moved, rule out"),
        ("{dropout: {out: composite}}", "Write `rule out`"),
        ("{dropout: {moved: LOCF}}", "LOCF"),
        (
            "{dropout: {moved: composite, rule out: composite, other: composite}}",
            "left out",
        ),
        ("{stop: {habit: composite}}", "adherence, rule high"),
        ("{end: {moved: composite}}", "only `dropout` and `stop` have causes"),
    ],
)
def test_causes_that_are_not_there_are_refused(tmp_path, given, says):
    body = BODY.replace("{stop: composite}", given)
    with pytest.raises(ProtocolError, match=says) as told:
        trial_of(tmp_path, body)
    assert "ruled.yaml:19:" in str(told.value)


def test_a_stop_that_nobody_makes_is_refused(tmp_path):
    body = BODY.replace("adherence: {stop: 0.15 / d}", "title: A")
    body = body.replace("do: stop", "do: hold")
    with pytest.raises(ProtocolError, match="nobody stops treatment without a rule"):
        trial_of(tmp_path, body)


def test_the_report_says_which_strategy_is_for_which_cause(tmp_path):
    from vtrial.report.design import endpoint_in_words

    protocol = trial_of(tmp_path, BODY).protocol
    words = endpoint_in_words(protocol, protocol.endpoint("parted"))
    assert "; stop of treatment (rule high): composite" in words
    assert "; stop of treatment (adherence): hypothetical" in words


@pytest.mark.slow
def test_the_report_counts_who_stopped(tmp_path):
    protocol = trial_of(tmp_path, BODY, subjects=60).protocol
    record = vt.run(protocol, out=tmp_path / "record", workers=0)
    table = vt.evaluate(record.tree(), protocol).stopped.set_index("cause")
    tree = record.tree()["arms/a"]
    code = np.asarray(tree["stop_cause"])
    assert list(table.index) == ["adherence", "rule high"]
    assert list(table["count"]) == [(code == 1).sum(), (code == 2).sum()]
    assert (table.n == 60).all()

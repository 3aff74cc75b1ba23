"""Times to events, confirmed, told and drawn; tumours; intercurrent events; grades."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.outcome import Interruption, outcomes

DAY = 24.0
NEVER = jnp.full(1, jnp.inf)


def seen(take, time, value, **fields):
    """Return outcome and event of one subject."""
    defaults = {"start": 0.0, "end": np.inf}
    how = {k: fields.pop(k) for k in ("interruption", "keys") if k in fields}
    endpoint = Endpoint("x", of="y", take=take, **(defaults | fields))
    time, value = (jnp.asarray(part, float)[None] for part in (time, value))
    found = outcomes(endpoint, time, value, **how)
    return float(found.outcome[0]), float(found.event[0])


@pytest.mark.parametrize(
    ("confirmed", "by", "time"),
    [
        (0.0, "hours", 1.0),  # the first over 2
        (2.0, "values", 3.0),
        (3.0, "values", 6.0),
        (4.0, "values", None),
        (1.0, "hours", 3.0),
        (2.0, "hours", 6.0),
        (2.5, "hours", None),
    ],
)
def test_a_crossing_counts_once_it_is_confirmed(confirmed, by, time):
    values = [0, 3, 1, 3, 3, 1, 3, 3, 3]
    how = {"low": 2.0, "confirmed": confirmed, "confirmed_by": by}
    found = seen("time to", np.arange(9.0), values, **how)
    assert found == ((8.0, 0.0) if time is None else (time, 1.0))


def test_missing_values_break_no_run():
    values = [0, 3, np.nan, 3, 1]
    how = {"low": 2.0, "confirmed": 2.0, "confirmed_by": "values"}
    assert seen("time to", np.arange(5.0), values, **how) == (1.0, 1.0)


def test_events_are_drawn_by_their_hazard():
    """Of a hazard that doubles on the way, against its exact distribution."""
    time = jnp.linspace(0.0, 10.0, 41)
    hazard = jnp.where(time <= 5, 0.1 * time, 0.5 + 0.2 * (time - 5))
    count = 4000
    keys = jax.random.split(jax.random.key(5), count)
    endpoint = Endpoint("x", of="h", take="event by hazard", start=0.0, end=10.0)
    found = outcomes(
        endpoint, time[None], jnp.broadcast_to(hazard, (count, 41)), keys=keys
    )
    times, event = np.asarray(found.outcome), np.asarray(found.event)
    assert (times[event == 0] == 10.0).all()
    survival = np.exp(-1.5)
    assert abs((event == 0).mean() - survival) < 3 * np.sqrt(survival / count)

    def share(t):
        grown = np.where(t <= 5, 0.1 * t, 0.5 + 0.2 * (t - 5))
        return (1 - np.exp(-grown)) / (1 - survival)

    assert stats.kstest(times[event == 1], share).pvalue > 0.001


def test_recurrent_events_are_a_poisson_process():
    time = jnp.linspace(0.0, 10.0, 11)
    count = 4000
    keys = jax.random.split(jax.random.key(5), count)
    endpoint = Endpoint("x", of="h", take="number of events", start=2.0, end=8.0)
    values = jnp.broadcast_to(0.5 * time, (count, 11))
    found = np.asarray(outcomes(endpoint, time[None], values, keys=keys).outcome)
    assert abs(found.mean() - 3.0) < 3 * np.sqrt(3.0 / count)
    assert abs(found.var() / 3.0 - 1) < 0.1


def test_a_time_that_the_output_says_is_censored_at_the_end():
    how = {"factor": DAY, "end": 100 * DAY}
    assert seen("event time", [0.0, 1.0], [50.0, 50.0], **how) == (50 * DAY, 1.0)
    assert seen("event time", [0.0, 1.0], [150.0, 150.0], **how) == (100 * DAY, 0.0)
    left = Interruption(jnp.array([30 * DAY]), NEVER, NEVER)
    found = seen("event time", [0.0, 1.0], [50.0, 50.0], interruption=left, **how)
    assert found == (30 * DAY, 0.0)


@pytest.mark.parametrize(
    ("sizes", "best", "progression"),
    [
        ([100, 90, 80, 75], 1, (3.0, 0.0)),
        ([100, 70, 72, 60], 2, (3.0, 0.0)),
        ([100, 60, 71, 71], 2, (3.0, 0.0)),  # 20 % over the least is 72
        ([100, 60, 72, 50], 2, (2.0, 1.0)),
        ([100, 120, 60, 60], 0, (1.0, 1.0)),
        ([20, 10, 13, 14], 2, (3.0, 0.0)),  # less than 5 mm over the least
        ([20, 10, 15, 14], 2, (2.0, 1.0)),
        ([100, 0, 0, 0], 3, (3.0, 0.0)),
        ([100, 0, 3, 0], 3, (2.0, 1.0)),  # it was gone, and appears again
    ],
)
def test_tumours_respond_and_progress_by_recist(sizes, best, progression):
    time = np.arange(len(sizes))
    how = {"start": 0.5}
    assert seen("best response", time, sizes, **how) == (best, 1.0)
    assert seen("time to progression", time, sizes, **how) == progression
    inches = np.array(sizes) / 10  # in cm
    assert seen("best response", time, inches, factor=10.0, **how) == (best, 1.0)
    found = seen("time to progression", time, inches, factor=10.0, **how)
    assert found == progression


def test_a_response_is_confirmed_by_a_later_one():
    time = np.array([0.0, 2.0, 4.0, 6.0])
    how = {"start": 0.5, "confirmed": 4.0}
    assert seen("best response", time, [100, 60, 60, 60], **how)[0] == 2
    assert seen("best response", time, [100, 90, 60, 60], **how)[0] == 1
    assert seen("best response", time, [100, 0, 50, 0], **how)[0] == 1  # progression
    assert seen("best response", time, [100, 0, 0, 0], **how)[0] == 3


@pytest.mark.parametrize(
    ("take", "wanted"),
    [("minimum", 3.0), ("maximum", 1.0), ("mean", 2.0)],
)
def test_grades_count_the_limits_that_are_passed(take, wanted):
    grades = (2.0, 1.5, 1.0, 0.5)
    found = seen(take, [0.0, 1.0, 2.0], [1.9, 0.5, 1.2], grades=grades)[0]
    assert found == wanted
    rising = seen(take, [0.0, 1.0, 2.0], [1.9, 0.5, 3.3], grades=(1.0, 2.0, 3.0))[0]
    assert rising == {"minimum": 0.0, "maximum": 3.0, "mean": 1.0}[take]


def test_times_of_extremes_and_shares_of_values():
    time, value = [0.0, 1.0, 2.0, 3.0], [4.0, 9.0, 1.0, 9.0]
    assert seen("time of maximum", time, value, start=0.5)[0] == 0.5
    assert seen("time of minimum", time, value)[0] == 2.0
    assert seen("share above", time, value, low=4.0)[0] == 75.0
    assert seen("share below", time, value, high=4.0)[0] == 25.0
    assert seen("share in range", time, value, low=2.0, high=8.0)[0] == 25.0


def test_intercurrent_events_by_strategy():
    time, value = [0.0, 1.0, 2.0, 3.0], [10.0, 8.0, 6.0, 4.0]
    at = {"start": 3.0, "end": 3.0}
    after_one = jnp.array([1.5])
    policy = seen("value", time, value, **at)
    hypothetical = Interruption(after_one, NEVER, NEVER)
    on_treatment = Interruption(after_one, after_one, NEVER)
    composite = Interruption(NEVER, NEVER, after_one)
    assert policy == (4.0, 1.0)
    missing = seen("value", time, value, interruption=hypothetical, **at)
    assert np.isnan(missing).all()
    assert seen("value", time, value, interruption=on_treatment, **at)[0] == 8.0
    failed = seen("value", time, value, interruption=composite, failure=99.0, **at)
    assert failed == (99.0, 1.0)
    late = Interruption(NEVER, NEVER, jnp.array([3.5]))
    assert seen("value", time, value, interruption=late, failure=99.0, **at)[0] == 4.0
    least = seen("minimum", time, value, interruption=on_treatment)
    assert least == (8.0, 1.0)

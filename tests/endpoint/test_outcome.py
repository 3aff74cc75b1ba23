import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.outcome import outcomes
from vtrial.types import Missing

NAN, INF = np.nan, np.inf
TIME = [0.0, 1.0, 2.0, 4.0, 8.0]
VALUE = [2.0, 6.0, 4.0, 1.0, 3.0]
PROFILE = settings(max_examples=30, deadline=None)


def point(take, start=0.0, end=8.0, **limits):
    return Endpoint("x", of="conc", take=take, start=start, end=end, **limits)


def one(endpoint, time=TIME, value=VALUE, **more):
    out = outcomes(endpoint, jnp.array([time]), jnp.array([value]), **more)
    return tuple(float(field[0]) for field in out[:3])


BY_HAND = [
    (point("value"), 3.0),
    (point("value", end=4.0), 1.0),
    (point("change"), 1.0),
    (point("change", baseline=1.5), -3.0),
    (point("percent change"), 50.0),
    (point("increase"), 1.0),
    (point("increase", start=1.0, end=4.0), -5.0),
    (point("minimum"), 1.0),
    (point("minimum", start=0.5, end=3.0), 4.0),
    (point("maximum"), 6.0),
    (point("maximum", start=2.0), 4.0),
    (point("mean"), 16 / 5),
    (point("area"), 4 + 5 + 5 + 8.0),
    (point("area", start=1.0, end=4.0), 10.0),
    # Above 3: half an hour after 0.25 h to 1 h, 1 h, then 2/3 h of the fall to 1.
    (point("time above", low=3.0), 0.75 + 1 + 2 / 3),
    (point("time below", high=3.0), 8 - (0.75 + 1 + 2 / 3)),
    # Between 3 and 5: 0.5 of the rise, 0.5 of the first fall, 2/3 of the second.
    (point("time in range", low=3.0, high=5.0), 0.5 + 0.5 + 2 / 3),
    (point("time to", low=6.0), 1.0),
    (point("time to", high=1.0), 4.0),
    (point("time to", low=4.0, start=2.0), 2.0),
    (point("minimum", below=1.5), 1.0),
    (point("minimum", below=1.0), 0.0),
    (point("maximum", above=5.9), 1.0),
    (point("percent change", above=50.0), 0.0),
]


@pytest.mark.parametrize(("endpoint", "expected"), BY_HAND)
def test_every_take_by_hand(endpoint, expected):
    outcome, _, event = one(endpoint)
    assert outcome == pytest.approx(expected, abs=1e-12)
    assert event == 1


def test_baseline_is_the_last_value_at_or_before_its_time():
    assert one(point("value", baseline=1.0))[1] == 6.0
    assert one(point("value", baseline=0.99))[1] == 2.0
    assert np.isnan(one(point("change", baseline=-1.0))[0])
    assert one(point("change"), value=[NAN, 6.0, 4.0, 1.0, 3.0])[0] != 1.0


def test_a_change_from_nothing_has_no_percentage():
    assert np.isnan(one(point("percent change"), value=[0.0, 1, 2, 3, 4])[0])


@pytest.mark.parametrize(
    ("endpoint", "value", "reason"),
    [
        (point("maximum"), VALUE, Missing.NOT),
        (point("maximum"), [NAN] * 5, Missing.NO_VALUE),
        (point("maximum", start=5.0), [2.0, 6.0, 4.0, 1.0, NAN], Missing.NO_VALUE),
        (point("change", start=1.0), [NAN, 6.0, 4.0, 1.0, 3.0], Missing.NO_BASELINE),
        (point("percent change"), [0.0, 6.0, 4.0, 1.0, 3.0], Missing.ZERO_BASELINE),
        (point("area"), [NAN, NAN, 4.0, NAN, NAN], Missing.TOO_FEW),
        (point("AUC last"), [NAN, NAN, 4.0, NAN, NAN], Missing.TOO_FEW),
        (point("half-life"), [1.0, 2.0, 3.0, 4.0, 5.0], Missing.NO_SLOPE),
        (point("AUC infinity"), [1.0, 2.0, 3.0, 4.0, 5.0], Missing.NO_SLOPE),
        (
            point("AUC last", lloq=1.0, below_quantification="zero before first"),
            [0.5] * 5,
            Missing.NOT_QUANTIFIED,
        ),
        (
            point("maximum", lloq=1.0, below_quantification="drop"),
            [0.5] * 5,
            Missing.NOT_QUANTIFIED,
        ),
    ],
)
def test_a_number_that_lacks_has_a_reason(endpoint, value, reason):
    out = outcomes(endpoint, jnp.array([TIME]), jnp.array([value]))
    assert int(out.reason[0]) == reason
    assert bool(jnp.isfinite(out.outcome[0])) == (reason == Missing.NOT)


def test_an_event_not_seen_is_censored_at_the_last_value():
    assert one(point("time to", low=7.0)) == (8.0, 2.0, 0.0)
    late = one(point("time to", low=7.0), value=[2.0, 6.0, 4.0, 1.0, NAN])
    assert late == (4.0, 2.0, 0.0)
    never = [2.0, NAN, NAN, NAN, NAN]
    assert one(point("time to", low=7.0, below=100.0))[0] == 0.0
    assert one(point("time to", low=7.0, above=100.0))[0] == 1.0
    assert one(point("time to", low=5.0, below=2.0))[0] == 1.0
    assert one(point("time to", low=7.0), value=never) == (0.0, 2.0, 0.0)


TAKES = [
    point("value"),
    point("change"),
    point("percent change"),
    point("minimum"),
    point("maximum"),
    point("mean"),
    point("area"),
    point("time above", low=3.0),
    point("time below", high=3.0),
    point("time in range", low=3.0, high=5.0),
    point("time to", low=5.5),
    point("maximum", above=5.0),
]


@pytest.mark.parametrize("endpoint", TAKES, ids=lambda e: e.take)
def test_missing_visits_and_padding_are_skipped(endpoint):
    plain = one(endpoint)
    time = [0.0, 0.5, *TIME[1:], 9.0, INF, INF]
    value = [2.0, NAN, *VALUE[1:], NAN, NAN, 5.0]
    np.testing.assert_allclose(one(endpoint, time, value), plain, rtol=1e-14)


@pytest.mark.parametrize("endpoint", TAKES, ids=lambda e: e.take)
def test_nothing_seen_is_nan_and_the_neighbour_is_unharmed(endpoint):
    value = jnp.array([VALUE, [NAN] * 5, VALUE])
    out = outcomes(endpoint, jnp.array([TIME]), value)
    assert np.isnan(out.outcome[1])
    assert np.isnan(out.event[1])
    assert out.outcome[0] == out.outcome[2] == one(endpoint)[0]


@pytest.mark.parametrize("take", ["area", "time above", "time below"])
def test_lines_need_two_values(take):
    endpoint = point(take, low=3.0, high=3.0)
    assert np.isnan(one(endpoint, value=[NAN, NAN, 4.0, NAN, NAN])[0])


def test_a_level_line_on_the_limit_is_inside():
    flat = [3.0] * 5
    assert one(point("time above", low=3.0), value=flat)[0] == 8
    assert one(point("time below", high=3.0), value=flat)[0] == 8
    assert one(point("time in range", low=3.0, high=3.0), value=flat)[0] == 8
    assert one(point("time in range", low=3.1, high=4.0), value=flat)[0] == 0


def test_ends_and_limits_hold_through_rounding():
    time = [0.1 + 0.2, 0.7]
    assert one(point("value", end=0.3), time, [5.0, 9.0])[0] == 5.0
    limit = 0.1 + 0.2
    assert one(point("time to", low=limit, end=1.0), time, [0.1, 0.3])[2] == 1


def test_scheduled_times_decide_what_is_in_the_span():
    endpoint = point("value", start=8.0, end=8.0)
    late = [0.0, 1.0, 2.0, 4.0, 8.7]
    assert np.isnan(one(endpoint, late)[0])
    assert one(endpoint, late, scheduled=jnp.array([TIME]))[0] == 3.0
    to = point("time to", low=3.0, start=8.0)
    assert one(to, late, scheduled=jnp.array([TIME]))[0] == 8.7


@pytest.mark.parametrize("endpoint", TAKES, ids=lambda e: e.take)
def test_own_times_under_jit_equal_shared_times(endpoint):
    rng = np.random.default_rng(5)
    time, value = jnp.array([TIME]), jnp.array(rng.lognormal(1, 0.5, (7, 5)))
    verb = jax.jit(outcomes, static_argnums=0)
    shared = verb(endpoint, time, value)
    own = verb(endpoint, jnp.broadcast_to(time, value.shape), value)
    for left, right in zip(shared, own, strict=True):
        np.testing.assert_array_equal(left, right)


def test_single_precision_stays_single():
    time = jnp.array([TIME], jnp.float32)
    for endpoint in TAKES:
        out = outcomes(endpoint, time, jnp.array([VALUE], jnp.float32))
        assert {field.dtype for field in out[:3]} == {jnp.dtype("float32")}
        assert out.reason.dtype == jnp.dtype("int8")


VALUES = st.lists(st.floats(0.01, 100), min_size=5, max_size=5)


@pytest.mark.slow
@given(value=VALUES, limit=st.floats(0.1, 90))
@PROFILE
def test_time_above_and_below_fill_the_span(value, limit):
    above = one(point("time above", low=limit), value=value)[0]
    below = one(point("time below", high=limit), value=value)[0]
    level = sum(
        t1 - t0
        for t0, t1, a, b in zip(TIME, TIME[1:], value, value[1:], strict=False)
        if a == b == limit
    )
    assert above + below == pytest.approx(8 + level, abs=1e-9)
    inside = one(point("time in range", low=limit, high=limit + 5), value=value)[0]
    beyond = one(point("time above", low=limit + 5), value=value)[0]
    assert inside == pytest.approx(above - beyond, abs=1e-9) or value.count(limit + 5)


@pytest.mark.slow
@given(value=VALUES, scale=st.floats(0.1, 10), shift=st.floats(-50, 50))
@PROFILE
def test_laws_of_scale_and_shift(value, scale, shift):
    scaled = [scale * v for v in value]
    for take in ("value", "change", "minimum", "maximum", "mean", "area"):
        expected = scale * one(point(take), value=value)[0]
        assert one(point(take), value=scaled)[0] == pytest.approx(
            expected, rel=1e-9, abs=1e-9
        )
    later = [t + shift for t in TIME]
    moved = point("area", start=shift, end=shift + 8)
    area = one(point("area"), value=value)[0]
    assert one(moved, later, value)[0] == pytest.approx(area, rel=1e-9)


@pytest.mark.slow
@given(value=VALUES, cut=st.integers(1, 3))
@PROFILE
def test_areas_add_and_points_on_a_line_change_nothing(value, cut):
    whole = one(point("area"), value=value)[0]
    parts = one(point("area", end=TIME[cut]), value=value)[0]
    parts += one(point("area", start=TIME[cut]), value=value)[0]
    assert parts == pytest.approx(whole, rel=1e-12)
    time = [*TIME[:4], 6.0, 8.0]
    longer = [*value[:4], (value[3] + value[4]) / 2, value[4]]
    assert one(point("area"), time, longer)[0] == pytest.approx(whole, rel=1e-12)
    for take in ("time above", "time below", "time in range"):
        endpoint = point(take, low=3.0, high=20.0)
        got = one(endpoint, time, longer)[0]
        assert got == pytest.approx(one(endpoint, value=value)[0], abs=1e-9)

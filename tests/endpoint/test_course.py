"""True courses between the times of a grid, held to closed forms."""

import jax.numpy as jnp
import numpy as np
import pytest

from vtrial.endpoint.course import course_of
from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.outcome import outcomes

NONE = np.zeros(0)
NO = np.zeros(0, bool)


def taken(take, time, value, *, knots=NONE, dose=None, end=None, **span):
    """Return an endpoint of one subject's course without doses after any time."""
    dose = np.zeros(len(knots), bool) if dose is None else dose
    course = course_of(
        time,
        np.zeros(time.size, bool),
        knots=np.asarray(knots, float),
        dose=np.asarray(dose, bool),
        occasion=np.zeros(len(knots), bool),
    )
    end = float(time[-1]) if end is None else end
    start = span.get("start", float(time[0]))
    endpoint = Endpoint("x", of="conc", take=take, start=start, end=end, values="true")
    seen = outcomes(endpoint, jnp.asarray(time)[None], value[None], course=course)
    return float(seen.outcome[0])


def oral(time):
    return np.exp(-0.1 * time) - np.exp(-time)


@pytest.mark.slow
@pytest.mark.parametrize("step", [0.25, 0.5])
def test_an_error_is_bounded_by_the_fourth_power_of_the_step(step):
    time = np.arange(0, 24 + step / 2, step)
    peak = np.log(10) / 0.9
    exact = {
        "maximum": oral(peak),
        "area": (1 - np.exp(-2.4)) / 0.1 - (1 - np.exp(-24)),
    }
    for take, wanted in exact.items():
        found = taken(take, time, jnp.asarray(oral(time)))
        assert found == pytest.approx(wanted, rel=4e-3 * step**4)
    when = taken("time of maximum", time, jnp.asarray(oral(time)))
    assert when == pytest.approx(peak, abs=0.1 * step)


@pytest.mark.slow
def test_a_cubic_is_met_exactly():
    time = np.array([0.0, 1.0, 2.5, 3.0, 4.5, 6.0, 7.0])
    cubic = np.poly([-3.0, 1.0, 2.0])
    value = jnp.asarray(np.polyval(cubic, time))
    low = np.polyval(cubic, np.sqrt(7 / 3))
    assert taken("minimum", time, value) == pytest.approx(low, rel=1e-12)
    area = np.polyval(np.polyint(cubic), 7.0)
    assert taken("area", time, value) == pytest.approx(area, rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_jump_that_nobody_knows_of_makes_no_peak(sign):
    for value in (
        [0.0, 0, 0, 10, 9, 8.1, 7.29, 6.56],
        [0.0, 0, 0, 0, 1, 1, 1, 1],
        [1.0, 2, 3, 4, 3.6, 3.3, 3.0, 2.7],
        [1.0, 0.1, 0.01, 0.001, 1e-4, 1e-5, 1e-6, 1e-7],
    ):
        course = sign * jnp.asarray(value)
        time = np.arange(8.0)
        assert taken("maximum", time, course) == course.max()
        assert taken("minimum", time, course) == course.min()


@pytest.mark.slow
def test_lines_cross_no_knot():
    """Decay after a dose at 4 h that rises: the line to it is straight."""
    time = np.arange(0, 8.25, 0.25)
    value = np.where(time <= 4, np.exp(-time), 3 * np.exp(-(time - 4)))
    plain = taken("area", time, jnp.asarray(value), knots=[4.0], dose=[True])
    line = 0.125 * (np.exp(-4) + 3 * np.exp(-0.25))
    decay = 1 - np.exp(-4), 3 * (np.exp(-0.25) - np.exp(-4))
    assert plain == pytest.approx(sum(decay) + line, rel=5e-4)
    bent = taken("area", time, jnp.asarray(value), knots=[4.0], dose=[False])
    assert bent != plain


@pytest.mark.slow
def test_what_is_flat_stays_flat_and_what_is_missing_is_passed_over():
    time = np.arange(0.0, 3.0, 0.1)
    flat = jnp.full(time.size, 0.1)
    for take, wanted in {"maximum": 0.1, "minimum": 0.1, "area": 0.29}.items():
        assert taken(take, time, flat) == pytest.approx(wanted, rel=1e-12)
    assert taken("maximum", time, flat) == 0.1
    course = jnp.asarray(oral(time)).at[12].set(jnp.nan)
    assert np.isfinite(taken("maximum", time, course))
    near = taken("area", time, jnp.asarray(oral(time)))
    assert taken("area", time, course) == pytest.approx(near, rel=1e-3)
    assert np.isnan(taken("maximum", time, jnp.full(time.size, jnp.nan)))


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_values_are_joined_by_straight_lines(count):
    time, value = np.arange(float(count)), jnp.asarray([1.0, 4.0, 3.0][:count])
    assert taken("maximum", time, value) == value.max()
    area = taken("area", time, value)
    assert area == pytest.approx([np.nan, 2.5, 6.0][count - 1], nan_ok=True)

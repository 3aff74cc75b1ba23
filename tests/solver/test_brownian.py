"""States with noise: exact moments, order along the same path, and one path for all."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.solver.chance_models import course_of, keys_of, model_of
from tests.solver.conftest import make_doses
from vtrial.solver.brownian import path

OU = """
step: {step} d
equations: |
  d/dt(x) = -0.5*(x - 3)
  init(x) = 1
  noise(x) = 0.8
  y = x
"""
GROWTH = """
step: {step} d
equations: |
  d/dt(x) = 0.3*x
  init(x) = 1
  noise(x) = 0.5*x
  y = x
"""
MANY = 1000


def near(found, exact, error):
    """Return whether a mean is within three standard errors."""
    return abs(found - exact) < 3 * error


@pytest.mark.slow
def test_an_ornstein_uhlenbeck_process_has_its_moments():
    y = course_of(model_of(OU.format(step=0.02)), [1, 4], count=MANY)["y"]
    for place, day in enumerate((1, 4)):
        mean = 3 - 2 * np.exp(-0.5 * day)
        variance = 0.8**2 / (2 * 0.5) * (1 - np.exp(-day))
        # Steps of 0.02 d bias both by less than 1 %, a third of a standard error.
        assert near(y[:, place].mean(), mean, np.sqrt(variance / MANY) + 0.003)
        assert near(y[:, place].var(), variance, variance * np.sqrt(2 / MANY) * 1.2)


@pytest.mark.slow
def test_milsteins_method_is_of_strong_order_one():
    """Geometric growth is x(T) = exp((0.3 - 0.5^2/2) T + 0.5 W(T)) along the path."""
    steps, count = (0.1, 0.05, 0.025), 200
    ends = [
        path(keys_of(count), "x", jnp.full(count, t), step=0.1) for t in (0.0, 48.0)
    ]
    wiener = np.asarray(ends[1] - ends[0]) / np.sqrt(24)  # per root of a day
    exact = np.exp((0.3 - 0.5**2 / 2) * 2 + 0.5 * wiener)
    errors = [
        np.abs(
            course_of(model_of(GROWTH.format(step=step)), [2], count=count)["y"][:, 0]
            - exact
        ).mean()
        for step in steps
    ]
    order = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert 0.85 < order < 1.2, errors
    assert errors[0] > errors[1] > errors[2]


def test_paths_are_brownian_and_finer_ones_the_same():
    keys = keys_of(MANY)
    at = [
        np.asarray(path(keys, "x", jnp.full(MANY, t), step=2.4))
        for t in (0.0, 7.0, 40.3)
    ]
    first, second = at[1] - at[0], at[2] - at[1]
    for moved, length in ((first, 7), (second, 33.3)):
        assert near(moved.mean(), 0, np.sqrt(length / MANY))
        assert near(moved.var(), length, length * np.sqrt(2 / MANY))
    assert near(np.corrcoef(first, second)[0, 1], 0, 1 / np.sqrt(MANY))
    finer = np.asarray(path(keys, "x", jnp.full(MANY, 40.3), step=0.01))
    assert np.abs(finer - at[2]).max() < 5 * np.sqrt(2.4 / 1024)
    other = np.asarray(path(keys, "z", jnp.full(MANY, 40.3), step=0.01))
    assert near(np.corrcoef(finer, other)[0, 1], 0, 1 / np.sqrt(MANY))


@pytest.mark.slow
def test_what_is_looked_at_follows_the_same_path():
    """Looks between the steps, events and doses into another state change no path."""
    model = model_of(OU.format(step=0.05))
    few = course_of(model, [2], count=20)["y"][:, 0]
    many = course_of(model, np.linspace(0, 2, 31), count=20)["y"][:, -1]
    assert np.abs(few - many).max() < 0.05
    alone = course_of(model, [2], count=3)["y"][:, 0]
    np.testing.assert_allclose(alone, few[:3], rtol=1e-12)
    other = OU.format(step=0.05) + (
        "events:\n  high: {when: x > 2.5, recurrent: true}\n"
        "  hit: {hazard: 0.5*abs(x), recurrent: true}\n"
    )
    found = course_of(
        model_of(other.replace("  y = x", "  d/dt(z) = -z\n  y = x")),
        [2],
        count=20,
        doses=make_doses([12.0], [5.0], compartment=1),
    )
    assert np.abs(found["y"][:, 0] - few).max() < 0.05


@pytest.mark.slow
def test_a_first_passage_is_located_on_the_path():
    """By drift 4 and size 2 a Wiener process reaches 20 after 5 (variance 1.25)."""
    model = model_of(
        """
step: 0.05 d
equations: |
  d/dt(x) = 4
  noise(x) = 2
  at = last(fails)
  init(reached) = 0
every 0.25 d: |
  ticks <- ticks + 1
events:
  fails: {when: x >= 20, then: ["reached <- x"]}
""",
        outputs="at: {}, reached: {}, ticks: {}",
    )
    count = 100
    found = course_of(model, [10], count=count)
    at, reached = found["at"][:, 0], found["reached"][:, 0]
    np.testing.assert_allclose(reached, 20, atol=0.1)
    # Looks are 1/128 d apart: a passage and return between two steps is not seen, which
    # makes it late by 0.58 * 2 * sqrt(0.05) / 4 at most.
    assert near(at.mean(), 5, np.sqrt(1.25 / count) + 0.02)

"""Weights that meet targets: what is known of them on paper, and what cannot be."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from vtrial.cohort.balanced import choose
from vtrial.cohort.conflict import conflict, reach
from vtrial.cohort.tilt import bounds_of, effective_size, tilt

POOL = np.random.default_rng(7).normal(size=(500, 3)) @ np.array(
    [[1.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 1.0]]
)


def exact(feature, aims):
    return bounds_of(np.asarray(feature, float), np.array(aims), np.array(aims))


def test_weights_are_those_of_a_die_on_paper():
    """Jaynes's die of mean 4.5: weights x^i, with x the root of a polynomial."""
    sides = np.arange(1.0, 7.0)
    roots = np.roots((sides - 4.5)[::-1])
    (x,) = roots[(abs(roots.imag) < 1e-12) & (roots.real > 0)].real
    found = tilt(exact(sides[:, None], [4.5]))
    np.testing.assert_allclose(found.weights, x**sides / (x**sides).sum(), rtol=1e-7)


@pytest.mark.parametrize("shift", [0.25, 0.5, 1.0])
def test_a_shifted_normal_pool_counts_as_many_as_on_paper(shift, note):
    """Weights exp(shift x), so that Kish's size is n exp(-shift²), Kullback's shift²/2.

    The pool is the normal distribution's midpoints: no chance, only their spacing.
    """
    count = 200_000
    pool = ndtri((np.arange(count) + 0.5) / count)
    found = tilt(exact(pool[:, None], [shift]))
    ratio = effective_size(found.weights) / count / np.exp(-(shift**2))
    note("effective size of a shifted normal pool", abs(ratio - 1))
    assert ratio == pytest.approx(1, rel=2e-3)
    assert found.divergence == pytest.approx(shift**2 / 2, rel=2e-3)
    slope = np.polyfit(pool, np.log(found.weights), 1)[0]
    assert slope == pytest.approx(shift, rel=1e-3)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1.2, 1.2), min_size=3, max_size=3),
    st.lists(st.floats(0, 0.4), min_size=3, max_size=3),
)
def test_what_is_wanted_holds_and_room_is_used(aims, room):
    aims, room = np.array(aims), np.array(room)
    found = tilt(bounds_of(POOL, aims - room, aims + room))
    if found.weights is None:  # then a linear programme finds none, either
        assert conflict(bounds_of(POOL, aims - room, aims + room))
        return
    means = found.weights @ POOL
    assert (np.abs(means - aims) <= room + 1e-7).all()
    inside = np.abs(means - aims) < room - 1e-6
    assert (found.slopes[inside] == 0).all(), "a bound that is not met costs nothing"
    assert (found.slopes * (aims - means) >= -1e-6).all()


def test_less_room_needs_weights_further_from_even():
    aims = np.array([0.8, -0.5, 0.3])
    far = [
        tilt(bounds_of(POOL, aims - room, aims + room)).divergence
        for room in (0.0, 0.2, 0.5)
    ]
    assert far[0] > far[1] > far[2] >= 0


def test_a_target_that_others_imply_is_no_harm():
    """Shares of all categories add up to 1: one of them says nothing new."""
    codes = np.repeat([0, 1, 2], [50, 30, 20])
    shares = (codes[:, None] == [0, 1, 2]).astype(float)
    found = tilt(exact(shares, [0.2, 0.3, 0.5]))
    np.testing.assert_allclose(found.weights @ shares, [0.2, 0.3, 0.5], atol=1e-9)
    assert tilt(exact(shares, [0.2, 0.3, 0.4])).weights is None


def test_what_cannot_be_is_told_with_what_can():
    feature = np.stack([POOL[:, 0], POOL[:, 0] ** 2, POOL[:, 2]], axis=1)
    bounds = exact(feature, [1.0, 0.5, 0.1])
    assert tilt(bounds).weights is None
    assert conflict(bounds) == [0, 1], "no mean is above the root of the mean square"
    low, high = reach(bounds, 0, [1])
    assert -np.sqrt(0.5) - 1e-5 < low < -0.7
    assert 0.7 < high < np.sqrt(0.5) + 1e-5
    assert conflict(exact(feature, [99.0, 0.5, 0.1])) == [0]
    assert reach(bounds, 0, []) == pytest.approx((POOL[:, 0].min(), POOL[:, 0].max()))


def test_people_are_chosen_so_that_what_is_wanted_holds(note):
    """Balanced as far as whole people can be: by rows over people, not by their root.

    A hundred independent people would be off by a tenth of a standard deviation.
    """
    bounds = exact(POOL, [0.4, 0.3, -0.2])
    weights = tilt(bounds).weights
    times = choose(jax.random.key(3), 100 * weights, bounds.feature)
    assert times.sum() == 100
    assert (np.abs(times - 100 * weights) < 1).all()
    off = np.abs(times @ bounds.feature / 100 - weights @ bounds.feature).max()
    note("imbalance of 100 chosen people [sd]", off)
    assert off < 0.05


@pytest.mark.slow
def test_everybody_has_the_chance_that_is_theirs():
    """Of 400 draws; a mean is off by 4.5 errors once in 5,000 sets of ten people."""
    expected = np.array([0.2, 0.7, 1.5, 0.4, 0.9, 0.3, 2.0, 0.6, 0.8, 0.6])
    keys = jax.random.split(jax.random.key(1), 400)
    feature = POOL[:10, :1]
    every = np.stack([choose(key, expected, feature) for key in keys])
    assert (every.sum(axis=1) == 8).all()
    part = expected % 1
    error = np.sqrt(part * (1 - part) / len(keys))
    assert (np.abs(every.mean(axis=0) - expected) <= 4.5 * error).all()

"""The tilt bound against its closed form, and against probabilities that are known."""

import numpy as np
import pytest
from scipy import special, stats

from vtrial.design.tilt import tilt_bound


def test_of_normal_values_it_has_a_closed_form():
    chance = np.array([0.001, 0.025, 0.2])[:, None]
    offset = np.array([-0.1, -0.02, 0.0, 0.03, 0.08])
    count = 50
    found = tilt_bound(chance, 0.0, offset, normaliser=lambda t: count * t**2 / 2)
    root = np.sqrt(-np.log(chance)) - np.abs(offset) * np.sqrt(count / 2)
    exact = np.exp(-(np.maximum(root, 0.0) ** 2))
    # Orders are tried on a grid, which leaves the bound a little above the least one.
    assert found == pytest.approx(exact, rel=2e-3)
    assert (found >= exact * (1 - 1e-9)).all()


@pytest.mark.parametrize("critical", [12, 25])
def test_no_test_of_responses_exceeds_it(critical):
    count, theta = 40, special.logit(0.3)
    offset = np.linspace(-0.6, 0.6, 41)
    start = stats.binom.sf(critical - 1, count, 0.3)
    true = stats.binom.sf(critical - 1, count, special.expit(theta + offset))
    found = tilt_bound(
        start, theta, offset, normaliser=lambda t: count * np.logaddexp(0.0, t)
    )
    assert (found >= true).all()
    assert found[20] == pytest.approx(start, rel=1e-3)
    # Within one standard error of the parameter it is not far above the worst of tests.
    near = np.abs(offset) < 0.1
    assert (found[near] < 2.0 * start + 0.05).all()
    assert (np.diff(found[20:]) >= -1e-15).all()


def test_what_is_known_of_nothing_is_one():
    found = tilt_bound(1.0, 0.0, np.array([0.0, 0.2]), normaliser=lambda t: t**2)
    assert found.tolist() == [1.0, 1.0]

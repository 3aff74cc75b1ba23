"""Marginals have the moments, quantiles and shares that the sheet says."""

import jax
import numpy as np
import pytest
import scipy.stats
from jax import numpy as jnp

from vtrial.cohort.cohort import Marginal
from vtrial.cohort.distribution import read_marginal
from vtrial.cohort.marginal import inside, quantile
from vtrial.cohort.shape import MarginalShape
from vtrial.sheets.sheet import parse_sheet

GRID = scipy.stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)


def marginal(**words) -> Marginal:
    """Read a marginal from words, which must be without fault."""
    sheet = parse_sheet("covariates: {X: {}}")
    shape = MarginalShape.model_validate(words)
    made, faults = read_marginal(sheet, ("covariates", "X"), shape, within=None)
    assert not faults
    return made


def values(**words):
    """Return the quantiles of a marginal on an even grid of probabilities."""
    made = marginal(**words)
    found = jax.vmap(lambda score: quantile(made, score))(jnp.asarray(GRID))
    assert (np.diff(found) >= 0).all(), "quantiles ascend with the score"
    return np.asarray(found)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"normal": {"mean": 50, "sd": 8}}, scipy.stats.norm(50, 8)),
        (
            {"normal": {"mean": 50, "sd": 8}, "within": [55, 70]},
            scipy.stats.truncnorm(0.625, 2.5, 50, 8),
        ),
        (
            {"normal": {"mean": 50, "sd": 8}, "within": [-np.inf, 42]},
            scipy.stats.truncnorm(-np.inf, -1, 50, 8),
        ),
        (
            {"normal": {"mean": 50, "sd": 8}, "within": [74, np.inf]},
            scipy.stats.truncnorm(3, np.inf, 50, 8),
        ),
        (
            {"lognormal": {"median": 75, "cv": 0.3}},
            scipy.stats.lognorm(np.sqrt(np.log(1.09)), scale=75),
        ),
        ({"uniform": [3, 7]}, scipy.stats.uniform(3, 4)),
    ],
)
def test_quantiles_are_those_of_scipy(words, expected):
    probabilities = scipy.stats.norm.cdf(GRID)
    np.testing.assert_allclose(values(**words), expected.ppf(probabilities), rtol=1e-9)


def test_lognormal_by_mean_and_sd_has_them():
    found = values(lognormal={"mean": 80, "sd": 20})
    assert found.mean() == pytest.approx(80, rel=1e-3)
    assert found.std() == pytest.approx(20, rel=1e-2)


def test_lognormal_within_a_range_is_truncated_not_clipped():
    found = values(lognormal={"median": 75, "cv": 0.2}, within=[60, 80])
    assert found.min() > 60
    assert found.max() < 80
    sigma = np.sqrt(np.log(1.04))
    low, high = np.log(np.array([60, 80]) / 75) / sigma
    middle = 75 * np.exp(sigma * scipy.stats.truncnorm(low, high).median())
    assert np.median(found) == pytest.approx(middle, rel=1e-4)


def test_far_tails_are_reached_without_infinities():
    for within in ([90, 91], [9, 10]):
        found = values(normal={"mean": 50, "sd": 10}, within=within)
        assert np.isfinite(found).all()
        assert (found >= within[0]).all()
        assert (found <= within[1]).all()
        assert len(np.unique(found)) > 19_000


def test_categories_have_their_shares():
    found = values(categorical={"2": 0.2, "0": 0.5, "1": "30 %"})
    codes, counts = np.unique(found, return_counts=True)
    np.testing.assert_array_equal(codes, [0, 1, 2])
    np.testing.assert_allclose(counts / len(found), [0.5, 0.3, 0.2], atol=1e-4)


def test_empirical_values_are_equally_likely():
    found = values(empirical={"values": [9, 1, 4, 4]})
    codes, counts = np.unique(found, return_counts=True)
    np.testing.assert_array_equal(codes, [1, 4, 9])
    np.testing.assert_allclose(counts / len(found), [0.25, 0.5, 0.25])


def test_constants_and_degenerate_spread():
    assert set(values(constant=3)) == {3.0}
    assert set(values(normal={"mean": 5, "sd": 0})) == {5.0}
    assert set(np.round(values(lognormal={"median": 5, "cv": 0}), 12)) == {5.0}


def test_what_a_truncation_leaves():
    assert inside(marginal(normal={"mean": 0, "sd": 1}, within=[0, 9])) == 0.5
    assert inside(marginal(uniform=[0, 1])) == 1.0
    assert inside(Marginal("normal", 0.0, 1.0, low=50.0, high=51.0)) == 0.0

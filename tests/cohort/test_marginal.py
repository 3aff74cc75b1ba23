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
        (
            {"lognormal": {"median": 75, "log-sd": 0.3}},
            scipy.stats.lognorm(0.3, scale=75),
        ),
        ({"gamma": {"shape": 0.4, "scale": 3.0}}, scipy.stats.gamma(0.4, scale=3)),
        ({"gamma": {"mean": 20, "cv": 0.1}}, scipy.stats.gamma(100, scale=0.2)),
        ({"gamma": {"mean": 20, "sd": 40}}, scipy.stats.gamma(0.25, scale=80)),
        (
            {"weibull": {"shape": 1.5, "scale": 9}},
            scipy.stats.weibull_min(1.5, scale=9),
        ),
        ({"beta": {"alpha": 0.5, "beta": 30}}, scipy.stats.beta(0.5, 30)),
        (
            {"beta": {"mean": 85, "sd": 10, "between": [0, 100]}},
            scipy.stats.beta(9.9875, 1.7625, 0, 100),
        ),
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


@pytest.mark.parametrize(
    ("words", "law", "low", "high"),
    [
        ({"gamma": {"shape": 2.5, "scale": 4}}, scipy.stats.gamma(2.5, scale=4), 3, 9),
        (
            {"gamma": {"shape": 2.5, "scale": 4}},
            scipy.stats.gamma(2.5, scale=4),
            30,
            60,
        ),
        ({"beta": {"alpha": 2, "beta": 5}}, scipy.stats.beta(2, 5), 0.2, 0.9),
        (
            {"weibull": {"shape": 2, "scale": 9}},
            scipy.stats.weibull_min(2, scale=9),
            0,
            5,
        ),
    ],
)
def test_laws_of_other_shapes_are_truncated_too(words, law, low, high):
    found = values(**words, within=[low, high])
    share = law.cdf(low) + (law.cdf(high) - law.cdf(low)) * scipy.stats.norm.cdf(GRID)
    np.testing.assert_allclose(found, law.ppf(share), rtol=2e-8)


@pytest.mark.parametrize(
    ("words", "law"),
    [
        ({"poisson": {"mean": 3.2}}, scipy.stats.poisson(3.2)),
        ({"poisson": {"mean": 2000}}, scipy.stats.poisson(2000)),
        ({"binomial": {"n": 10, "p": "30 %"}}, scipy.stats.binom(10, 0.3)),
        ({"binomial": {"n": 3, "p": 0}}, scipy.stats.binom(3, 0.0)),
        ({"bernoulli": "22 %"}, scipy.stats.bernoulli(0.22)),
    ],
)
def test_whole_numbers_have_their_probabilities(words, law):
    made = marginal(**words)
    np.testing.assert_allclose(made.shares, law.pmf(made.values), rtol=1e-9)
    assert sum(made.shares) == pytest.approx(1, abs=1e-12)
    found = values(**words)
    assert found.mean() == pytest.approx(law.mean(), rel=1e-3, abs=1e-9)


def test_what_is_clipped_lies_at_the_ends():
    found = values(normal={"mean": 50, "sd": 10}, clip=[45, 60])
    assert (found.min(), found.max()) == (45, 60)
    law = scipy.stats.norm(50, 10)
    assert np.mean(found == 45) == pytest.approx(law.cdf(45), abs=1e-4)
    assert np.mean(found == 60) == pytest.approx(law.sf(60), abs=1e-4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"gamma": {"shape": 2}}, "given by shape"),
        ({"gamma": {"mean": 2, "sd": 1, "scale": 3}}, "given by mean and scale and sd"),
        ({"gamma": {"shape": 0.01, "scale": 1}}, "of shape 0.01"),
        ({"beta": {"mean": 0.5, "sd": 0.6}}, "that it can have there"),
        ({"beta": {"alpha": 2, "beta": 3, "between": [1, 0]}}, "between the ends"),
        ({"gamma": {"shape": 2, "scale": 1}, "within": [-3, -1]}, "above 0"),
        ({"normal": {"mean": 2, "sd": 1}, "clip": [3, 1]}, "3 to 1, of normal"),
        ({"bernoulli": 0.4, "clip": [0, 1]}, "of bernoulli"),
    ],
)
def test_numbers_that_give_no_law_are_told(words, message):
    sheet = parse_sheet("covariates: {X: {}}")
    shape = MarginalShape.model_validate(words)
    _, faults = read_marginal(sheet, ("covariates", "X"), shape, within=None)
    assert message in " ".join(map(str, faults))

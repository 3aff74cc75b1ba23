"""Comparisons of whole sites, and how alike their subjects are."""

import numpy as np
import pytest
from scipy import stats

from vtrial.measure.cluster import agreement, cluster_effect
from vtrial.measure.groups import Groups


def drawn(rng, sites, size, *, between, trials=1):
    site = np.tile(np.repeat(np.arange(sites), size), (trials, 1))
    treated = site % 2 == 0
    level = rng.normal(0, between, (trials, sites))
    value = np.take_along_axis(level, site, axis=1) + rng.normal(size=site.shape)
    return Groups(value, treated, site=site)


def test_sites_are_compared_by_their_means():
    rng = np.random.default_rng(6)
    groups = drawn(rng, 10, 7, between=1.0)
    value = groups.value.copy()
    value[0, :4] = np.nan
    value[0, 7:14] = np.nan  # a site without anybody
    groups = groups._replace(value=value)
    means = {k: np.nanmean(value[0][groups.site[0] == k]) for k in range(10) if k != 1}
    sides = [[m for k, m in means.items() if k % 2 == one] for one in (0, 1)]
    expected = stats.ttest_ind(*sides)
    made = cluster_effect(groups)
    assert made.freedom[0] == 7
    assert made.estimate[0] / made.error[0] == pytest.approx(expected.statistic)
    assert agreement(groups).sites[0] == 9


def test_correlation_is_that_of_the_analysis_of_variance():
    """One arm of equal sites: (MSB - MSW) / (MSB + (m - 1) MSW) by hand."""
    rng = np.random.default_rng(7)
    groups = drawn(rng, 8, 5, between=0.7)
    groups = groups._replace(treated=np.zeros_like(groups.treated))
    rows = groups.value.reshape(8, 5)
    between = 5 * rows.mean(axis=1).var(ddof=1)
    within = rows.var(axis=1, ddof=1).mean()
    rho = (between - within) / (between + 4 * within)
    made = agreement(groups)
    np.testing.assert_allclose(made.correlation, rho)
    np.testing.assert_allclose(made.inflation, 1 + 4 * rho)


def test_correlation_is_found_and_the_test_keeps_its_level():
    """A false alarm once in 10,000 at these limits (4 standard errors)."""
    rng = np.random.default_rng(8)
    groups = drawn(rng, 20, 10, between=0.5, trials=4000)
    made = agreement(groups)
    assert made.correlation.mean() == pytest.approx(0.2, abs=0.01)
    effect = cluster_effect(groups)
    p = 2 * stats.t.sf(np.abs(effect.estimate / effect.error), effect.freedom)
    share = (p < 0.05).mean()
    assert abs(share - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 4000)

"""Ranks, as others count them."""

import numpy as np
import pytest
from scipy import stats

from vtrial.analysis.explain import _rank_correlation, _ranks


@pytest.mark.parametrize("values", [9, 3], ids=["few ties", "many ties"])
def test_ranks_are_those_of_scipy(values):
    drawn = np.random.default_rng(4).integers(0, values, 40) / 8
    np.testing.assert_array_equal(_ranks(drawn), stats.rankdata(drawn))


def test_the_correlation_is_spearmans():
    x, y = np.random.default_rng(5).integers(0, 12, (2, 60)).astype(float)
    wanted = stats.spearmanr(x, y).statistic
    assert _rank_correlation(x, y) == pytest.approx(wanted, rel=1e-12)
    assert np.isnan(_rank_correlation(x, np.zeros(60)))

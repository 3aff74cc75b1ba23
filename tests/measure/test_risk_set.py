import numpy as np
import pytest

from vtrial.measure.risk_set import by_stratum, order_of, sides_of


@pytest.fixture
def drawn():
    rng = np.random.default_rng(1)
    value = rng.integers(0, 8, (5, 30)) * 1.0
    value[rng.uniform(size=value.shape) < 0.2] = np.nan
    return value, rng.integers(-1, 3, value.shape), rng.normal(size=value.shape)


@pytest.mark.parametrize("split", [False, True])
def test_sums_are_those_of_ties_and_of_who_comes_later_or_earlier(drawn, split):
    value, strata, weight = drawn
    order = order_of(value, strata if split else None)
    placed, ordered = order.arrange(weight), order.arrange(value, np.nan)
    got = [order.tied(placed), order.from_here(placed), order.until_here(placed)]
    for i in range(len(value)):
        inside = np.isfinite(value[i]) & ((strata[i] >= 0) | (not split))
        assert order.here[i].sum() == inside.sum()
        for place in np.flatnonzero(order.here[i]):
            who = order.subject[i, place]
            mates = inside & ((strata[i] == strata[i, who]) | (not split))
            at = ordered[i, place]
            expected = [
                weight[i][mates & (value[i] == at)].sum(),
                weight[i][mates & (value[i] >= at)].sum(),
                weight[i][mates & (value[i] < at)].sum(),
            ]
            np.testing.assert_allclose([g[i, place] for g in got], expected, atol=1e-13)


def test_leads_are_the_first_of_their_ties(drawn):
    value, strata, _ = drawn
    order = order_of(value, strata)
    for i in range(len(value)):
        inside = np.isfinite(value[i]) & (strata[i] >= 0)
        pairs = set(zip(value[i][inside], strata[i][inside], strict=True))
        assert order.leads[i].sum() == len(pairs)


def test_sides_keep_everybody_once(drawn):
    value, strata, _ = drawn
    arm, other = sides_of(np.isfinite(value), strata > 0)
    for side, chosen in ((arm, strata > 0), (other, strata <= 0)):
        placed = side.arrange(value)
        for i in range(len(value)):
            expected = value[i][np.isfinite(value[i]) & chosen[i]]
            np.testing.assert_array_equal(placed[i][side.here[i]], expected)
            assert side.size[i] == len(expected)


def test_strata_are_summed_apart(drawn):
    _, strata, weight = drawn
    summed = by_stratum(weight, strata)
    for k in range(3):
        expected = np.where(strata == k, weight, 0).sum(axis=1)
        np.testing.assert_allclose(summed[:, k], expected, atol=1e-13)
    np.testing.assert_allclose(by_stratum(weight, None)[:, 0], weight.sum(axis=1))


def test_nobody_at_all():
    order = order_of(np.full((2, 3), np.nan))
    assert not order.here.any()
    arm, other = sides_of(np.zeros((2, 3), bool), np.zeros((2, 3), bool))
    assert arm.size.sum() == other.size.sum() == 0

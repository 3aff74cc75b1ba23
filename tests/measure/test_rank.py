import numpy as np
import pytest
from scipy import special, stats

from vtrial.measure import rank
from vtrial.measure.rank import shift_contrast

EXACT = {"rtol": 1e-10, "atol": 1e-12}
Z = special.ndtri(0.975)


def draw(replicates=10, subjects=50, seed=1, digits=1):
    rng = np.random.default_rng(seed)
    treated = rng.uniform(size=(replicates, subjects)) < 0.4
    value = np.round(rng.normal(0.5 * treated, 1), digits)
    value[rng.uniform(size=value.shape) < 0.1] = np.nan
    return value, treated, rng.integers(0, 3, value.shape)


def sides(value, treated, i):
    seen = np.isfinite(value[i])
    return value[i][seen & treated[i]], value[i][seen & ~treated[i]]


@pytest.mark.parametrize("at_once", [2_000_000, 1500])
def test_agrees_with_scipy_and_all_differences(at_once, monkeypatch):
    monkeypatch.setattr(rank, "PAIRS_AT_ONCE", at_once)
    value, treated, _ = draw()
    made = shift_contrast(value, treated)
    for i in range(len(value)):
        arm, other = sides(value, treated, i)
        test = stats.mannwhitneyu(arm, other, method="asymptotic", use_continuity=False)
        gaps = np.sort((arm[:, None] - other).ravel())
        got = [made.p[i], made.estimate[i]]
        np.testing.assert_allclose(got, [test.pvalue, np.median(gaps)], **EXACT)
        assert made.low[i] in gaps
        assert made.high[i] in gaps


def test_the_interval_holds_just_the_shifts_that_are_not_rejected():
    value, treated, _ = draw(digits=12, seed=2)  # without ties
    made = shift_contrast(value, treated)
    for i in range(len(value)):
        arm, other = sides(value, treated, i)
        for end, out in ((made.low[i], -1e-9), (made.high[i], 1e-9)):
            for step, held in ((out, False), (-out, True)):
                moved = arm - end - step
                test = stats.mannwhitneyu(
                    moved, other, method="asymptotic", use_continuity=False
                )
                assert (test.pvalue >= 0.05) == held


def elteren(value, treated, strata, i):
    """Add up van Elteren's statistic stratum by stratum."""
    off = spread = 0.0
    for k in np.unique(strata[i]):
        inside = np.isfinite(value[i]) & (strata[i] == k)
        x, g = value[i][inside], treated[i][inside]
        n, m = len(x), g.sum()
        ranks = stats.rankdata(x)
        ties = sum(t**3 - t for t in np.unique(x, return_counts=True)[1])
        off += (ranks[g].sum() - m * (n + 1) / 2) / (n + 1)
        variance = m * (n - m) / 12 * (n + 1 - ties / (n * (n - 1)))
        spread += variance / (n + 1) ** 2
    return off / np.sqrt(spread)


@pytest.mark.parametrize("digits", [1, 12])
def test_strata_are_weighted_as_van_elteren_did(digits):
    value, treated, strata = draw(seed=3, digits=digits)
    made = shift_contrast(value, treated, strata=strata)
    for i in range(len(value)):
        z = elteren(value, treated, strata, i)
        np.testing.assert_allclose(made.p[i], 2 * stats.norm.sf(abs(z)), **EXACT)
        if digits == 1:
            continue
        for end, out in ((made.low[i], -1e-9), (made.high[i], 1e-9)):
            for step, held in ((out, False), (-out, True)):
                moved = np.where(treated, value - end - step, value)
                assert (abs(elteren(moved, treated, strata, i)) <= Z) == held
        assert made.low[i] < made.estimate[i] < made.high[i]


def test_one_stratum_is_none():
    value, treated, strata = draw(seed=4)
    np.testing.assert_allclose(
        shift_contrast(value, treated, strata=0 * strata),
        shift_contrast(value, treated),
        **EXACT,
    )
    out = np.where(strata == 1, np.nan, value)
    np.testing.assert_allclose(
        shift_contrast(value, treated, strata=np.where(strata == 1, -1, strata)),
        shift_contrast(out, treated, strata=strata),
        **EXACT,
    )


def test_few_and_none():
    value = np.array([[1.0, 2.0, 5.0, np.nan], [1.0, np.nan, np.nan, np.nan]])
    treated = np.array([[True, True, False, False]] * 2)
    for strata in (None, np.zeros((2, 4), int)):
        made = shift_contrast(value, treated, strata=strata)
        assert made.estimate[0] == pytest.approx(-3.5)
        assert np.isnan([made.low[0], made.high[0]]).all()  # two pairs bound nothing
        assert np.isnan([field[1] for field in made]).all()

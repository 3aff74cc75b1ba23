import numpy as np
import statsmodels.api as sm
from scipy import stats

from vtrial.measure.contrast import contrast_of
from vtrial.measure.mean import crossover_effect, paired_effect, welch

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def draw(replicates=12, subjects=40, seed=1):
    rng = np.random.default_rng(seed)
    treated = rng.uniform(size=(replicates, subjects)) < 0.4
    value = rng.normal(0.5 * treated, np.where(treated, 2.0, 1.0))
    value[rng.uniform(size=value.shape) < 0.1] = np.nan
    return value, treated


def test_welch_agrees_with_scipy():
    value, treated = draw()
    made = contrast_of(welch(value, treated), level=0.9)
    for i in range(len(value)):
        seen = np.isfinite(value[i])
        sides = (value[i][seen & g] for g in (treated[i], ~treated[i]))
        test = stats.ttest_ind(*sides, equal_var=False)
        low, high = test.confidence_interval(0.9)
        got = [made.low[i], made.high[i], made.p[i]]
        np.testing.assert_allclose(got, [low, high, test.pvalue], **EXACT)


def test_pairs_agree_with_scipy():
    value, _ = draw(seed=2)
    other, _ = draw(seed=3)
    made = contrast_of(paired_effect(value, other))
    for i in range(len(value)):
        both = np.isfinite(value[i]) & np.isfinite(other[i])
        test = stats.ttest_rel(value[i][both], other[i][both])
        low, high = test.confidence_interval()
        got = [made.low[i], made.high[i], made.p[i]]
        np.testing.assert_allclose(got, [low, high, test.pvalue], **EXACT)


def test_a_crossover_agrees_with_fixed_subjects_and_periods():
    value, first = draw(seed=4)
    other, _ = draw(seed=5)
    made = contrast_of(crossover_effect(value, other, first))
    for i in range(len(value)):
        both = np.isfinite(value[i]) & np.isfinite(other[i])
        size = both.sum()
        people = np.tile(np.eye(size), (2, 1))
        treatment = np.repeat([1.0, 0.0], size)
        second = np.concatenate([~first[i][both], first[i][both]]) * 1.0
        design = np.column_stack([treatment, second, people])
        fit = sm.OLS(np.concatenate([value[i][both], other[i][both]]), design).fit()
        low, high = fit.conf_int()[0]
        expected = [fit.params[0], low, high, fit.pvalues[0], fit.bse[0]]
        np.testing.assert_allclose([field[i] for field in made], expected, **EXACT)


def test_one_alone_has_no_error():
    value = np.array([[1.0, np.nan, 2.0, 3.0], [1.0, 5.0, 2.0, 4.0]])
    treated = np.array([[True, True, False, False]] * 2)
    for effect in (
        welch(value, treated),
        paired_effect(value[:, :2], value[:, 2:]),
        crossover_effect(value[:, :2], value[:, 2:], treated[:, 1:3]),
    ):
        made = contrast_of(effect)
        assert np.isnan([made.low[0], made.p[0], made.error[0]]).all()

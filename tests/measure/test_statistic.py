import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from vtrial.measure.statistic import binomial_quantile, summarise, wilson
from vtrial.measure.survival import kaplan_meier

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def draw(replicates=6, subjects=40, seed=1):
    rng = np.random.default_rng(seed)
    value = rng.lognormal(1, 0.6, (replicates, subjects))
    value[rng.uniform(size=value.shape) < 0.2] = np.nan
    return value


def each(value):
    return [row[np.isfinite(row)] for row in value]


def test_mean_and_geometric_mean_have_students_interval():
    value = draw()
    mean, middle = summarise("mean", value), summarise("geometric mean", value)
    for i, row in enumerate(each(value)):
        for got, sample, back in ((mean, row, np.array), (middle, np.log(row), np.exp)):
            ends = stats.ttest_1samp(sample, 0).confidence_interval(0.95)
            expected = [back(sample.mean()), back(ends.low), back(ends.high)]
            np.testing.assert_allclose([f[i] for f in got[:3]], expected, **EXACT)


def test_median_has_the_interval_of_order_statistics():
    value = draw()
    made = summarise("median", value)
    for i, row in enumerate(each(value)):
        ends = stats.quantile_test(row, p=0.5).confidence_interval(0.95)
        expected = [np.median(row), ends.low, ends.high]
        np.testing.assert_allclose([f[i] for f in made[:3]], expected, **EXACT)
    assert np.isnan(summarise("median", value[:, :4]).low).all()


def test_deviation_and_its_error():
    value = draw()
    made = summarise("sd", value)
    expected = [row.std(ddof=1) for row in each(value)]
    np.testing.assert_allclose(made.estimate, expected, **EXACT)
    many = np.random.default_rng(2).exponential(size=(500, 400))
    made = summarise("sd", many)
    # The spread of 500 deviations is known within 3 %; 15 % is far beyond.
    assert np.mean(made.error) == pytest.approx(made.estimate.std(), rel=0.15)


@given(events=st.integers(0, 30), count=st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_wilson_agrees_with_statsmodels(events, count):
    events = min(events, count)
    got = wilson(np.array([events * 1.0]), np.array([count * 1.0]), level=0.9)
    expected = proportion_confint(events, count, alpha=0.1, method="wilson")
    np.testing.assert_allclose(np.ravel(got), expected, rtol=1e-9, atol=1e-9)


def test_share_counts_only_those_with_a_response():
    value = np.array([[1.0, 0.0, np.nan, 1.0, 1.0], [np.nan] * 5])
    made = summarise("share", value)
    assert made.estimate[0] == 0.75
    assert np.isnan([field[1] for field in made]).all()


@pytest.mark.parametrize("statistic", ["mean", "sd", "median", "geometric mean"])
def test_nobody_and_one_alone(statistic):
    value = np.array([[np.nan, np.nan], [np.nan, 2.0], [1.0, 3.0]])
    made = summarise(statistic, value)
    assert np.isnan([field[0] for field in made]).all()
    assert np.isnan([made.low[1], made.high[1], made.error[1]]).all()
    assert np.isfinite(made.estimate[2])


def test_a_value_that_is_not_positive_leaves_no_geometric_mean():
    made = summarise("geometric mean", np.array([[1.0, 0.0], [1.0, 4.0]]))
    assert np.isnan(made.estimate[0])
    assert made.estimate[1] == pytest.approx(2)


def survival(replicates=8, subjects=60, seed=3):
    """Draw times on a grid (so that there are ties), with censoring and NaN."""
    rng = np.random.default_rng(seed)
    time = np.ceil(rng.exponential(10, (replicates, subjects)))
    stop = np.ceil(rng.uniform(5, 30, time.shape))
    event = (time <= stop) * 1.0
    time = np.minimum(time, stop)
    time[:, :3] = np.nan
    return time, np.where(np.isnan(time), np.nan, event)


def test_kaplan_meier_agrees_with_statsmodels():
    time, event = survival()
    made = kaplan_meier(time, event)
    for i in range(len(time)):
        seen = np.isfinite(time[i])
        curve = sm.SurvfuncRight(time[i][seen], event[i][seen])
        assert made["median"].estimate[i] == curve.quantile(0.5)
        with np.errstate(all="ignore"):
            low, high = curve.quantile_ci(0.5, method="cloglog")
        steps = np.concatenate([[1.0], curve.surv_prob])
        ends = np.concatenate([[0.0], curve.surv_times, [time[i][seen].max()]])
        mean = (steps * np.diff(ends)).sum()
        np.testing.assert_allclose(made["mean"].estimate[i], mean, **EXACT)
        assert (made["median"].low[i], made["median"].high[i]) == (low, high)


@pytest.mark.parametrize(
    ("time", "event", "median"),
    [
        # R's `quantile(survfit(Surv(1:4, c(1, 1, 1, 1)) ~ 1), 0.5)`.
        ([1.0, 2.0, 3.0, 4.0], [1, 1, 1, 1], 2.5),
        # On one half from 2 to the last time: the middle of that, as R has it.
        ([1.0, 2.0, 3.0, 6.0], [1, 1, 0, 0], 4.0),
        # Someone who is censored on the way ends no step.
        ([1.0, 2.0, 3.0, 8.0], [1, 1, 0, 1], 5.0),
        ([1.0, 2.0, 3.0], [1, 1, 1], 2.0),
        ([5.0, 5.0, 7.0, 9.0], [1, 1, 1, 0], 6.0),
    ],
)
def test_a_median_is_the_middle_of_a_curve_that_lies_on_one_half(time, event, median):
    made = kaplan_meier(np.array([time]), np.array([event], float))["median"]
    assert made.estimate[0] == median


def test_a_limit_of_the_median_is_not_known_where_the_curve_is_zero():
    """As in R: `survfit(Surv(1:4) ~ 1, conf.type = "log-log")` has NA above.

    The upper curve is 0.665 at the last step but one: 0.25 to the power of
    exp(-1.96 sqrt(0.75) / log 4).
    """
    made = kaplan_meier(np.arange(1.0, 5)[None], np.ones((1, 4)))["median"]
    assert made.low[0] == 1.0
    assert np.isnan(made.high[0])


def test_without_censoring_the_restricted_mean_is_the_mean():
    time = draw(subjects=50)
    made = kaplan_meier(time, np.where(np.isnan(time), np.nan, 1.0))
    plain = summarise("mean", time)
    count = np.isfinite(time).sum(axis=1)
    np.testing.assert_allclose(made["mean"].estimate, plain.estimate, rtol=1e-12)
    shrunk = plain.error * np.sqrt((count - 1) / count)
    np.testing.assert_allclose(made["mean"].error, shrunk, rtol=1e-9)


def test_a_median_that_is_not_reached_and_an_empty_trial_are_nan():
    time = np.array([[1.0, 2.0, 9.0, 9.0, 9.0], [np.nan] * 5])
    event = np.array([[1.0, 1.0, 0.0, 0.0, 0.0], [np.nan] * 5])
    made = kaplan_meier(time, event)
    assert np.isnan(made["median"].estimate).all()
    assert np.isnan(made["mean"].estimate[1])
    assert made["mean"].estimate[0] == pytest.approx(1 + 0.8 + 7 * 0.6)


def test_intervals_of_one_arm_cover():
    # 2,000 trials of 80: 4 errors of a coverage of 95 % are 1.95 % (a false alarm in
    # 16,000); the rest is for intervals that are approximate or conservative.
    rng = np.random.default_rng(4)
    value = rng.lognormal(0, 0.5, (2000, 80))
    truths = {
        "mean": np.exp(0.125),
        "median": 1.0,
        "geometric mean": 1.0,
        "sd": np.sqrt((np.exp(0.25) - 1) * np.exp(0.25)),
    }
    for statistic, truth in truths.items():
        made = summarise(statistic, value)
        covered = ((made.low <= truth) & (truth <= made.high)).mean()
        least = 0.80 if statistic == "sd" else 0.92
        assert least < covered < 0.985, (statistic, covered)
    share = summarise("share", (rng.uniform(size=(2000, 80)) < 0.3) * 1.0)
    assert abs(((share.low <= 0.3) & (share.high >= 0.3)).mean() - 0.95) < 0.025
    time = rng.exponential(1, (2000, 80))
    stop = rng.uniform(0.5, 3, time.shape)
    made = kaplan_meier(np.minimum(time, stop), (time <= stop) * 1.0)["median"]
    covered = (made.low <= np.log(2)) & ~(made.high < np.log(2))
    assert abs(covered.mean() - 0.95) < 0.03


@pytest.mark.parametrize("level", [0.005, 0.025, 0.1])
def test_binomial_quantiles_are_those_of_scipy(level):
    count = np.arange(1.0, 3000.0)
    wanted = stats.binom.ppf(level, count, 0.5)
    np.testing.assert_array_equal(binomial_quantile(level, count, 0.5), wanted)

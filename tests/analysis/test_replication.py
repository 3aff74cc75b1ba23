import numpy as np
import pytest

from vtrial.analysis.replication import across, average, monte_carlo_margin
from vtrial.measure.statistic import summarise


def over(values, **more):
    values = np.asarray(values, float)
    none = np.full(len(values), np.nan)
    return across(values, none, none, none, **more)


def test_many_trials_are_counted_and_few_are_modelled():
    values = np.random.default_rng(1).normal(5, 2, 400)
    many = over(values)
    assert many.interval == "between trials"
    np.testing.assert_allclose(
        [many.low, many.high], np.quantile(values, [0.025, 0.975], method="hazen")
    )
    assert many.mc_error == pytest.approx(values.std(ddof=1) / 20)
    few = over([1.0, 2.0, 3.0])
    # Student's 0.975 quantile with two degrees of freedom is 4.3027.
    assert few.high == pytest.approx(2 + 4.3027 * np.sqrt(4 / 3), abs=1e-3)


def test_prediction_interval_holds_the_next_trial():
    # 4,000 draws: 4 errors of a share of 95 % are 1.4 %, a false alarm in 16,000.
    values = np.random.default_rng(2).normal(size=(4000, 11))
    held = [over(row[:10]) for row in values]
    share = np.mean(
        [h.low <= v <= h.high for h, v in zip(held, values[:, 10], strict=True)]
    )
    assert abs(share - 0.95) < 0.014


def test_ratios_are_averaged_on_the_logarithm():
    made = over([0.5, 2.0], scale="ratio")
    assert made.estimate == pytest.approx(1)
    assert made.low * made.high == pytest.approx(1)
    assert average(np.array([0.5, 2.0, np.nan]), scale="ratio") == pytest.approx(1)


def test_shares_stay_between_nothing_and_all():
    made = over([0.0, 0.01, 0.2], scale="share")
    assert (made.low, made.high < 1) == (0, True)


def test_undefined_trials_are_counted():
    made = over([1.0, np.nan, 3.0, np.nan])
    assert (made.estimate, made.replicates, made.undefined) == (2, 2, 2)
    none = over([np.nan, np.nan])
    assert (none.interval, none.replicates, none.undefined) == ("none", 0, 2)
    assert np.isnan(average(np.array([np.nan])))


def test_one_trial_has_its_own_interval_and_error():
    one = [np.array([x]) for x in (2.0, 1.5, 2.7, 0.1)]
    assert across(*one) == (2.0, 1.5, 2.7, "confidence", 0.1, 1, 0)
    assert across(*one, scale="ratio").mc_error == pytest.approx(0.2)


def test_an_interval_ends_where_the_number_does():
    wide = over([95.0, 99.0, 97.0], support=(0.0, 100.0))
    assert (wide.high, wide.estimate) == (100.0, 97.0)
    assert over([95.0, 99.0, 97.0]).high > 100
    alone = across(*(np.array([x]) for x in (98.0, 94.0, 102.0, 2.0)),
                   support=(0.0, 100.0))  # fmt: skip
    assert (alone.low, alone.high) == (94.0, 100.0)


def test_all_of_every_trial_is_no_certainty():
    """Three trials of 30 in which all responded: near Wilson's error of 90 of 90."""
    summary = summarise("share", np.ones((3, 30)))
    made = across(*summary, scale="share")
    whole = 1 - 90 / (90 + 1.959964**2)
    assert made.estimate == 1.0
    assert made.mc_error == pytest.approx(whole / (2 * 1.959964), rel=0.1)
    one = across(*summarise("share", np.zeros((1, 30))), scale="share")
    assert one.mc_error > 0.02


def test_the_margin_of_few_trials_is_students():
    assert monte_carlo_margin(1.0, 3) == pytest.approx(4.302653, rel=1e-6)
    assert monte_carlo_margin(1.0, 1) == pytest.approx(1.959964, rel=1e-6)
    assert monte_carlo_margin(float("nan"), 3) == 0


def test_medians_that_agree_in_three_trials_are_no_certainty():
    agreed, error = np.full(3, 4032.0), np.array([300.0, 400.0, 500.0])
    made = across(agreed, agreed - 700, agreed + 700, error)
    assert made.mc_error == pytest.approx(np.sqrt((9 + 16 + 25) / 9) * 100)
    exact = across(agreed, agreed, agreed, np.zeros(3))
    assert exact.mc_error == 0

import time as clock

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from statsmodels.duration.survfunc import survdiff

from vtrial.measure.hazard import hazard_ratio
from vtrial.measure.survival import (
    area_under_curve,
    log_rank,
    milestone,
    restricted_mean,
    survival_curve,
)

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def draw(replicates=8, subjects=70, seed=1, *, ties=True, hazards=(1.0, 1.6)):
    """Draw two arms in four strata, with censoring and some who take no part."""
    rng = np.random.default_rng(seed)
    treated = rng.uniform(size=(replicates, subjects)) < 0.45
    time = rng.exponential(10, treated.shape) / np.where(treated, *hazards)
    stop = rng.uniform(4, 25, time.shape)
    event = (time <= stop) * 1.0
    time = np.minimum(time, stop)
    time = np.ceil(time) if ties else time
    time[rng.uniform(size=time.shape) < 0.1] = np.nan
    event[np.isnan(time)] = np.nan
    return time, event, treated, rng.integers(0, 4, time.shape)


def each(time, *more):
    """Give each trial's subjects that take part."""
    for i in range(len(time)):
        seen = np.isfinite(time[i])
        yield i, *(part[i][seen] for part in (time, *more))


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("rho", [0.0, 1.0, 0.5])
def test_log_rank_agrees_with_statsmodels(rho, split):
    time, event, treated, strata = draw()
    made = log_rank(time, event, treated, rho=rho, strata=strata if split else None)
    for i, t, e, g, s in each(time, event, treated, strata):
        with np.errstate(divide="ignore"):  # statsmodels' own, behind the last event
            square, p = survdiff(
                t, e, g, weight_type="fh", fh_p=rho, strata=s if split else None
            )
        score = np.log(made.estimate[i]) / made.error[i]
        np.testing.assert_allclose([score**2, made.p[i]], [square, p], **EXACT)


def by_hand(time, event, treated, rho, gamma):
    """Add up the weighted log-rank statistic time after time."""
    alive, sums = 1.0, np.zeros(3)
    for t in np.unique(time[event == 1]):
        risk, dead = time >= t, (time == t) & (event == 1)
        n, d, n1 = risk.sum(), dead.sum(), (risk & treated).sum()
        weight = alive**rho * (1 - alive) ** gamma
        spread = d * n1 / n * (1 - n1 / n) * (n - d) / max(n - 1, 1)
        surplus = (dead & treated).sum() - d * n1 / n
        sums += [weight * surplus, weight * spread, weight**2 * spread]
        alive *= 1 - d / n
    return sums


@pytest.mark.parametrize(("rho", "gamma"), [(0.0, 1.0), (1.0, 1.0), (0.5, 2.0)])
def test_late_weights_agree_with_sums_by_hand(rho, gamma):
    time, event, treated, _ = draw(seed=2)
    made = log_rank(time, event, treated, rho=rho, gamma=gamma)
    for i, t, e, g in each(time, event, treated):
        surplus, first, second = by_hand(t, e, g, rho, gamma)
        expected = [np.exp(surplus / first), np.sqrt(second) / first]
        got = [made.estimate[i], made.error[i]]
        np.testing.assert_allclose(got, expected, **EXACT)
        p = special.chdtrc(1, surplus**2 / second)
        np.testing.assert_allclose(made.p[i], p, **EXACT)


def test_one_stratum_is_none_and_negative_ones_are_left_out():
    time, event, treated, strata = draw(seed=3)
    plain = log_rank(time, event, treated, rho=1.0, gamma=0.5)
    one = log_rank(time, event, treated, rho=1.0, gamma=0.5, strata=0 * strata)
    np.testing.assert_allclose(one, plain, **EXACT)
    out = log_rank(time, event, treated, strata=np.where(strata == 1, -1, strata))
    left = np.where(strata == 1, np.nan, time)
    np.testing.assert_allclose(
        out, log_rank(left, event, treated, strata=strata), **EXACT
    )


def test_curve_agrees_with_statsmodels():
    time, event, _, _ = draw(seed=4)
    grid = np.array([0.0, 1.0, 2.5, 7.0, 12.0])
    made = survival_curve(time, event, grid)
    for i, t, e in each(time, event):
        curve = sm.SurvfuncRight(t, e)
        z = special.ndtri(0.975)
        for k, at in enumerate(grid):
            place = np.searchsorted(curve.surv_times, at, side="right") - 1
            share = curve.surv_prob[place] if place >= 0 else 1.0
            error = curve.surv_prob_se[place] if place >= 0 else 0.0
            np.testing.assert_allclose(made.survival[i, k], share, **EXACT)
            np.testing.assert_allclose(made.error[i, k], error, **EXACT)
            assert made.at_risk[i, k] == (t >= at).sum()
            if place < 0:
                assert made.low[i, k] == made.high[i, k] == 1
                continue
            swing = np.exp(z * error / share / abs(np.log(share)))
            ends = [share**swing, share ** (1 / swing)]
            np.testing.assert_allclose([made.low[i, k], made.high[i, k]], ends, **EXACT)


def test_behind_the_last_time_the_curve_is_zero_or_unknown():
    time = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [np.nan] * 3])
    event = np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 0.0], [np.nan] * 3])
    made = survival_curve(time, event, np.array([3.0, 4.0]))
    np.testing.assert_array_equal(made.survival[0], [0, 0])
    np.testing.assert_allclose(made.survival[1], [1 / 3, np.nan])
    assert np.isnan(made.survival[2]).all()
    assert np.isnan(made.low[0]).all()
    np.testing.assert_array_equal(made.at_risk, [[1, 0], [1, 0], [0, 0]])
    area = area_under_curve(time, event, np.full(3, 4.0))
    np.testing.assert_allclose(area.area, [1 + 2 / 3 * 2, np.nan, np.nan])


def test_restricted_means_and_milestones_are_contrasts_of_two_curves():
    time, event, treated, _ = draw(seed=5)
    until = 8.0
    horizon = np.full(len(time), until)
    sides = [np.where(g, time, np.nan) for g in (treated, ~treated)]
    arm, other = (area_under_curve(side, event, horizon) for side in sides)
    gap = restricted_mean(time, event, treated, until=until)
    over = restricted_mean(time, event, treated, until=until, ratio=True)
    np.testing.assert_allclose(gap.estimate, arm.area - other.area, **EXACT)
    np.testing.assert_allclose(over.estimate, arm.area / other.area, **EXACT)
    relative = np.hypot(arm.error / arm.area, other.error / other.area)
    np.testing.assert_allclose(over.error, relative, **EXACT)
    for i, t, e in each(sides[0], event):
        # The area is the mean of times cut at the horizon where none is censored.
        curve = sm.SurvfuncRight(t, e)
        steps = np.concatenate([[1.0], curve.surv_prob])
        ends = np.minimum(np.concatenate([[0.0], curve.surv_times, [until]]), until)
        ends = np.maximum.accumulate(ends)
        np.testing.assert_allclose(arm.area[i], (steps * np.diff(ends)).sum(), **EXACT)
    made = milestone(time, event, treated, at=until)
    shares = [survival_curve(s, event, np.array([until])) for s in sides]
    expected = (shares[0].survival - shares[1].survival)[:, 0]
    np.testing.assert_allclose(made.estimate, expected, **EXACT)
    error = np.hypot(shares[0].error, shares[1].error)[:, 0]
    np.testing.assert_allclose(made.error, error, **EXACT)


def test_without_a_horizon_it_is_the_last_time_that_both_arms_have():
    time, event, treated, _ = draw(seed=6)
    last = [np.nanmax(np.where(g, time, np.nan), axis=1) for g in (treated, ~treated)]
    made = restricted_mean(time, event, treated)
    for i, until in enumerate(np.minimum(*last)):
        row = slice(i, i + 1)
        one = restricted_mean(time[row], event[row], treated[row], until=until)
        np.testing.assert_allclose(made.estimate[i], one.estimate[0], **EXACT)


@pytest.mark.parametrize("corrected", [False, True])
def test_error_of_a_mean_without_censoring(corrected):
    # Greenwood's error is then that of the mean with n; Kaplan and Meier's factor
    # makes it that with n - 1.
    time = np.random.default_rng(7).exponential(size=(5, 40))
    horizon = np.full(5, 1e6)
    made = area_under_curve(time, np.ones_like(time), horizon, corrected=corrected)
    expected = time.std(axis=1, ddof=int(corrected)) / np.sqrt(40)
    np.testing.assert_allclose(made.area, time.mean(axis=1), **EXACT)
    np.testing.assert_allclose(made.error, expected, rtol=1e-9)


@pytest.mark.parametrize("empty", ["arm", "both", "events"])
def test_what_cannot_be_compared_is_nan_without_a_warning(empty):
    time, event, treated, strata = draw(seed=8)
    if empty == "events":
        event[1] = 0.0 * time[1]
    elif empty == "arm":
        time[1, treated[1]] = np.nan
    else:
        time[1] = np.nan
    others = [
        log_rank(time, event, treated, strata=strata),
        log_rank(time, event, treated, rho=1.0),
    ]
    if empty != "events":
        others += [
            restricted_mean(time, event, treated, until=4.0),
            restricted_mean(time, event, treated),
            milestone(time, event, treated, at=2.0),
        ]
    for made in others:
        assert np.isnan([field[1] for field in made]).all()
        assert np.isfinite(made.p[0])


@given(seed=st.integers(0, 10**6), scale=st.floats(0.1, 50))
@settings(max_examples=15, deadline=None)
def test_laws_of_scale_order_and_exchange(seed, scale):
    time, event, treated, strata = draw(replicates=2, subjects=40, seed=seed)
    order = np.random.default_rng(seed).permutation(40)
    for rho in (0.0, 1.0):
        plain = log_rank(time, event, treated, rho=rho, strata=strata)
        moved = log_rank(
            scale * time[:, order],
            event[:, order],
            treated[:, order],
            rho=rho,
            strata=strata[:, order],
        )
        np.testing.assert_allclose(moved, plain, rtol=1e-8, atol=1e-10)
        turned = log_rank(time, event, ~treated, rho=rho, strata=strata)
        np.testing.assert_allclose(turned.p, plain.p, rtol=1e-8)
        np.testing.assert_allclose(turned.low, 1 / plain.high, rtol=1e-8)


@pytest.mark.slow
def test_a_thousand_trials_of_600_are_quick():
    rng = np.random.default_rng(9)
    arm = np.tile(np.arange(600) % 3, (1000, 1))
    time, stop = rng.exponential(10, arm.shape), rng.uniform(5, 30, arm.shape)
    event, time = (time <= stop) * 1.0, np.minimum(time, stop)
    begun = clock.process_time()
    for number in (1, 2):
        both = np.where((arm == 0) | (arm == number), time, np.nan)
        treated = arm == number
        log_rank(both, event, treated)
        hazard_ratio(both, event, treated)
        restricted_mean(both, event, treated, until=20.0)
    assert clock.process_time() - begun < 10, "the aim is 2 s on a quiet core"

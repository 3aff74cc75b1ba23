"""Survival analysis of many trials: Kaplan-Meier curves, log-rank, restricted means.

Every function takes (replicate, subject) times, NaN for whoever is in neither arm, and
`event`, 1 where the time is that of the event and 0 where nothing was seen until then
(censored). Times and areas keep the unit of `time`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from vtrial.measure.contrast import Contrast, contrast_of, normal_effect
from vtrial.measure.risk_set import Order, Strata, order_of
from vtrial.measure.statistic import Numbers, Summary, Values, normal_limit

Grid = Float[np.ndarray, " time"]
OnGrid = Float[np.ndarray, "replicate time"]
ROUNDING = 1e-9  # so near to one half a curve is on it


class SurvivalCurve(NamedTuple):
    """A product-limit curve at some times in each trial.

    `error` is Greenwood's; `low` and `high` are the log-log interval; `at_risk` counts
    those whose time is not before.
    """

    survival: OnGrid
    low: OnGrid
    high: OnGrid
    error: OnGrid
    at_risk: OnGrid


class Area(NamedTuple):
    """The area under each trial's curve, and its standard error."""

    area: Numbers
    error: Numbers


def log_rank(
    time: Values,
    event: Values,
    treated: Bool[np.ndarray, "replicate subject"],
    *,
    rho: float = 0.0,
    gamma: float = 0.0,
    strata: Strata | None = None,
    level: float = 0.95,
) -> Contrast:
    r"""Compare two arms by the (weighted, stratified) log-rank test.

    $$ U = \sum_t w_t (d_{1t} - d_t n_{1t}/n_t), \quad
       V = \sum_t w_t^2 v_t, \quad
       v_t = d_t \frac{n_{1t} n_{0t}}{n_t^2} \frac{n_t - d_t}{n_t - 1}, \quad
       w_t = S(t^-)^\rho (1 - S(t^-))^\gamma $$

    with S the product-limit curve of both arms (of the stratum). The p-value is that of
    $U^2/V$. The estimate is the hazard ratio after one step from 1,
    $\exp(U / \sum w_t v_t)$ (Peto's, without weights), with error
    $\sqrt V / \sum w_t v_t$; it is near the ratio only where that is near 1.

    Parameters
    ----------
    rho, gamma
        Fleming and Harrington's weights: 0 and 0 give the log-rank test, 1 and 0
        weigh early, 0 and 1 late differences.
    strata
        A subject's stratum from 0; whoever has a negative one is left out.

    Returns
    -------
    The hazard ratio of the treated to the others; NaN without events that tell.

    References
    ----------
    Peto R, Peto J (1972) J R Stat Soc A 135:185-207.
    Fleming TR, Harrington DP (1991) Counting Processes and Survival Analysis, ch. 7.
    """
    order = order_of(time, strata)
    happened = order.arrange(event)
    in_arm = order.arrange(treated.astype(float))
    at_risk = np.maximum(order.from_here(order.here), 1.0)
    deaths = order.tied(happened)
    share = order.from_here(in_arm) / at_risk
    spread = deaths * share * (1 - share)
    # The hypergeometric factor of tied times.
    spread *= (at_risk - deaths) / np.maximum(at_risk - 1, 1.0)
    weight = _weights(order, deaths / at_risk, rho, gamma)
    surplus = order.tied(happened * in_arm) - deaths * share
    surplus, first, second = (
        np.where(order.leads, part, 0.0).sum(axis=1)
        for part in (weight * surplus, weight * spread, weight**2 * spread)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        first = np.where(first > 0, first, np.nan)
        effect = normal_effect(surplus / first, np.sqrt(second) / first)
    return contrast_of(effect, ratio=True, level=level)


def _weights(
    order: Order, hazard: np.ndarray, rho: float, gamma: float
) -> np.ndarray | float:
    """Return Fleming and Harrington's weights by place."""
    if rho == 0 and gamma == 0:
        return 1.0
    # The curve reaches 0 behind a stratum's last place, where no weight is asked for.
    factor = np.where(order.leads & (hazard < 1), hazard, 0.0)
    before = np.exp(order.until_here(np.log1p(-factor)))
    return before**rho * np.maximum(1 - before, 0.0) ** gamma


def survival_curve(
    time: Values, event: Values, grid: Grid, *, level: float = 0.95
) -> SurvivalCurve:
    """Return the Kaplan-Meier curve of each trial at some times.

    The interval is that of log(-log S) with Greenwood's error: [1, 1] before the first
    event, and none where the curve is 0. Behind a last time that is censored the curve
    is not known: NaN.

    References
    ----------
    Kaplan EL, Meier P (1958) J Am Stat Assoc 53:457-481.
    Kalbfleisch JD, Prentice RL (2002) The Statistical Analysis of Failure Time Data,
    ch. 1.4.
    """
    steps = _Steps.of(time, event)
    until = np.stack([(time <= t).sum(axis=1) for t in grid], axis=1)
    before = np.stack([(time < t).sum(axis=1) for t in grid], axis=1)
    count = np.isfinite(time).sum(axis=1)[:, None]
    place = np.clip(until - 1, 0, steps.alive.shape[1] - 1)
    alive, greenwood = (
        np.where(until > 0, np.take_along_axis(part, place, axis=1), at_start)
        for part, at_start in ((steps.alive, 1.0), (steps.greenwood, 0.0))
    )
    known = (count > 0) & ((until < count) | (alive == 0) | (before < until))
    alive = np.where(known, alive, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        swing = normal_limit(level) * np.sqrt(greenwood) / np.abs(np.log(alive))
        low, high = (
            np.where(alive == 1, 1.0, np.where(alive > 0, alive**power, np.nan))
            for power in (np.exp(swing), np.exp(-swing))
        )
    error = alive * np.sqrt(greenwood)
    return SurvivalCurve(alive, low, high, error, (count - before).astype(float))


class _Steps(NamedTuple):
    """The steps of each trial's curve, by place."""

    time: np.ndarray  # behind the last place: the last time
    here: np.ndarray
    alive: np.ndarray  # the curve at the place's time
    hazard: np.ndarray  # Greenwood's term of a place
    greenwood: np.ndarray  # their sum; the curve's variance over its square

    @classmethod
    def of(cls, time: Values, event: Values) -> "_Steps":
        """Build the product-limit curve of each trial."""
        order = order_of(time)
        at_risk = np.maximum(order.from_here(order.here), 1.0)
        deaths = np.where(order.leads, order.tied(order.arrange(event)), 0.0)
        left = at_risk - deaths
        # Where the curve falls to 0, Greenwood's term would divide by 0.
        hazard = deaths / np.where(left > 0, at_risk * left, np.inf)
        alive = np.cumprod(left / at_risk, axis=1)
        placed = order.arrange(time, np.nan)
        last = np.max(placed, axis=1, initial=0.0, where=order.here)
        placed = np.where(order.here, placed, last[:, None])
        return cls(placed, order.here, alive, hazard, np.cumsum(hazard, axis=1))


def area_under_curve(
    time: Values, event: Values, until: Numbers, *, corrected: bool = False
) -> Area:
    """Return the restricted mean time to an event, and Greenwood's error of it.

    It is NaN in a trial whose last time is censored and before `until`. With
    `corrected` the variance is multiplied by m/(m - 1) for m events until then, as
    Kaplan and Meier did.

    References
    ----------
    Kaplan EL, Meier P (1958) J Am Stat Assoc 53:457-481, section 6.
    Royston P, Parmar MK (2013) BMC Med Res Methodol 13:152.
    """
    steps = _Steps.of(time, event)
    empty = ~steps.here[:, 0]
    last, alive = steps.time[:, -1], steps.alive[:, -1]
    clipped = np.minimum(steps.time, until[:, None])
    ends = np.concatenate([clipped[:, 1:], until[:, None]], axis=1)
    pieces = steps.alive * np.maximum(ends - clipped, 0.0)
    area = np.where(empty, 0.0, clipped[:, 0]) + pieces.sum(axis=1)
    # The variance of an area weighs each event by the squared area still to come.
    beyond = np.cumsum(pieces[:, ::-1], axis=1)[:, ::-1]
    error = np.sqrt((beyond**2 * steps.hazard).sum(axis=1))
    if corrected:
        events = (event * (time <= until[:, None])).sum(axis=1, where=np.isfinite(time))
        error *= np.sqrt(events / np.maximum(events - 1, 1.0))
    unknown = empty | np.isnan(until) | ((last < until) & (alive > 0))
    return Area(np.where(unknown, np.nan, area), np.where(unknown, np.nan, error))


def kaplan_meier(
    time: Values, event: Values, *, level: float = 0.95
) -> dict[str, Summary]:
    """Return the median and the restricted mean time to an event in each trial.

    The restricted mean is the area under the curve up to the trial's last time, with
    Greenwood's error. The median is the first time at which the curve is below one
    half, NaN if it never is; where the curve lies on one half, the middle of the time
    that it does (until the last time, if it ends there), as in R and SAS. Its interval
    inverts that of log(-log S), which is not known where the curve is 0.

    References
    ----------
    Brookmeyer R, Crowley J (1982) Biometrics 38:29-41.
    Therneau TM (2024) survival, a package for R: `quantile.survfit`.
    SAS/STAT User's Guide, the LIFETEST procedure: quartiles.
    """
    steps = _Steps.of(time, event)
    z = normal_limit(level)
    with np.errstate(invalid="ignore", divide="ignore"):
        alive = np.where(steps.alive > 0, steps.alive, np.nan)
        swing = z * np.sqrt(steps.greenwood) / np.abs(np.log(alive))
        bounds = [steps.alive, *(alive ** np.exp(s) for s in (swing, -swing))]
    median, low, high = (_half_time(steps, curve) for curve in bounds)
    mean, error = area_under_curve(time, event, _latest(time))
    return {
        "median": Summary(median, low, high, (high - low) / (2 * z)),
        "mean": Summary(mean, mean - z * error, mean + z * error, error),
    }


def _half_time(steps: _Steps, curve: OnGrid) -> Numbers:
    """Return when a curve falls below one half; the middle of its time on it."""
    reached = _first(steps, curve <= 0.5 + ROUNDING)
    passed = _first(steps, curve < 0.5 - ROUNDING)
    passed = np.where(np.isnan(passed), steps.time[:, -1], passed)
    return (reached + passed) / 2


def _first(steps: _Steps, chosen: Bool[np.ndarray, "replicate place"]) -> Numbers:
    """Return the time of the first place that is chosen; NaN if none is."""
    chosen = steps.here & chosen
    first = np.take_along_axis(steps.time, chosen.argmax(axis=1)[:, None], axis=1)
    return np.where(chosen.any(axis=1), first[:, 0], np.nan)


def restricted_mean(
    time: Values,
    event: Values,
    treated: Bool[np.ndarray, "replicate subject"],
    *,
    until: float | None = None,
    ratio: bool = False,
    corrected: bool = False,
    level: float = 0.95,
) -> Contrast:
    """Compare restricted mean survival times of two arms by difference or ratio.

    Parameters
    ----------
    until
        The horizon; without one, the earlier of the arms' last times in each trial.
        A trial in which an arm's last time is censored and before it has no estimate.
    ratio
        Whether the ratio is asked for, whose interval is normal on the logarithm.
    corrected
        Whether variances bear Kaplan and Meier's factor; see `area_under_curve`.

    References
    ----------
    Royston P, Parmar MK (2013) BMC Med Res Methodol 13:152.
    Uno H et al. (2014) J Clin Oncol 32:2380-2385.
    """
    sides = [np.where(side, time, np.nan) for side in (treated, ~treated)]
    if until is None:
        ends = [_latest(side) for side in sides]
        horizon = np.minimum(*ends)
    else:
        horizon = np.full(len(time), until)
    arm, other = (
        area_under_curve(side, event, horizon, corrected=corrected) for side in sides
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        if ratio:
            estimate = np.log(arm.area / other.area)
            # The delta method on the logarithm.
            error = np.hypot(arm.error / arm.area, other.error / other.area)
        else:
            estimate = arm.area - other.area
            error = np.hypot(arm.error, other.error)
    return contrast_of(normal_effect(estimate, error), ratio=ratio, level=level)


def _latest(time: Values) -> Numbers:
    """Return each trial's last time; NaN where there is none."""
    seen = np.isfinite(time)
    last = np.max(np.where(seen, time, -np.inf), axis=1, initial=-np.inf)
    return np.where(seen.any(axis=1), last, np.nan)


def milestone(
    time: Values,
    event: Values,
    treated: Bool[np.ndarray, "replicate subject"],
    *,
    at: float,
    level: float = 0.95,
) -> Contrast:
    """Compare two arms' survival at a time (a milestone) by difference.

    Shares are those of the Kaplan-Meier curve, and the interval is normal with
    Greenwood's errors. A trial in which an arm's last time is censored and before it
    has no estimate.

    References
    ----------
    Klein JP et al. (2007) Stat Med 26:4505-4519.
    """
    grid = np.array([at])
    arm, other = (
        survival_curve(np.where(side, time, np.nan), event, grid)
        for side in (treated, ~treated)
    )
    difference = (arm.survival - other.survival)[:, 0]
    error = np.hypot(arm.error, other.error)[:, 0]
    return contrast_of(normal_effect(difference, error), level=level)

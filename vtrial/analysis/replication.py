"""From the numbers of many trials to one estimate with its interval."""

from typing import Literal, NamedTuple

import numpy as np
from scipy import special

from vtrial.measure.statistic import Numbers, normal_limit

MANY = 100  # trials from which the ends of 95 % can be counted instead of modelled
WHOLE = (-np.inf, np.inf)
Scale = Literal["plain", "ratio", "share"]


class Estimate(NamedTuple):
    """One number over all trials.

    `low` and `high` are where one trial's number lies (`between trials`), or one
    trial's own limits (`confidence`), as `interval` says. `mc_error` is the error of
    `estimate` for being simulated a finite number of times. `replicates` trials gave
    a number, `undefined` did not.
    """

    estimate: float
    low: float
    high: float
    interval: str
    mc_error: float
    replicates: int
    undefined: int


def across(
    estimate: Numbers,
    low: Numbers,
    high: Numbers,
    error: Numbers,
    *,
    scale: Scale = "plain",
    level: float = 0.95,
    support: tuple[float, float] = WHOLE,
) -> Estimate:
    """Return the mean over trials and the interval in which one trial's number lies.

    Ratios are averaged and spread on the logarithm. From 100 trials on the interval is
    counted (quantiles of the trials' numbers); below that it is Student's prediction
    interval for one more trial. With one trial it is that trial's confidence interval,
    and the Monte Carlo error is its standard error. An interval ends where `support`,
    the range of what the number can be, does: nothing can lie beyond.

    Where no trial differs from another, as medians of times at visits and shares of 0
    or 1 may, the Monte Carlo error is that of the trials' own errors, or of Wilson's
    interval: three that agree are no certainty.
    """
    support = (0.0, 1.0) if scale == "share" else support
    known = np.isfinite(estimate)
    count, undefined = int(known.sum()), int((~known).sum())
    if count == 0:
        none = float("nan")
        return Estimate(none, none, none, "none", none, 0, undefined)
    if len(estimate) == 1:
        only = float(estimate[0])
        spread = float(error[0]) * (only if scale == "ratio" else 1.0)
        if scale == "share" and spread == 0:
            spread = _unvaried(low, high, error)
        ends = np.clip([low[0], high[0]], *support)
        return Estimate(
            only, float(ends[0]), float(ends[1]), "confidence", spread, 1, 0
        )
    values = np.log(estimate[known]) if scale == "ratio" else estimate[known]
    mean = values.mean()
    sd = values.std(ddof=1) if count > 1 else np.nan
    if count >= MANY:
        tails = [(1 - level) / 2, (1 + level) / 2]
        ends = np.quantile(values, tails, method="hazen")
    else:
        half = special.stdtrit(max(count - 1, 1), (1 + level) / 2) * sd
        half *= np.sqrt(1 + 1 / count)
        ends = np.array([mean - half, mean + half])
    mc_error = sd / np.sqrt(count)
    if mc_error == 0 and (scale == "share" or (error[known] > 0).any()):
        mc_error = _unvaried(low[known], high[known], error[known])
    if scale == "ratio":
        mean, ends = np.exp(mean), np.exp(ends)
        mc_error *= mean
    ends = np.clip(ends, *support)
    numbers = (float(mean), float(ends[0]), float(ends[1]))
    return Estimate(*numbers, "between trials", float(mc_error), count, undefined)


def _unvaried(low: Numbers, high: Numbers, error: Numbers) -> float:
    """Return the Monte Carlo error of a number that is the same in every trial.

    Where trials say that they have none (shares of 0 and 1), it is the half width of
    their Wilson interval over the normal quantile, which falls with their number.
    """
    own = error[np.isfinite(error)]
    if own.any():
        return float(np.sqrt(np.mean(own**2) / len(error)))
    width = float(np.mean(high - low)) / (2 * normal_limit(0.95))
    return float(width / len(low))


def monte_carlo_margin(error: float, trials: int) -> float:
    """Return how far an estimate may be from its value for being simulated (95 %).

    `error` is its Monte Carlo error: of a mean over `trials` trials (Student's t), or,
    of one trial, its standard error.
    """
    if not np.isfinite(error):
        return 0.0
    freedom = trials - 1 if trials > 1 else np.inf
    return float(special.stdtrit(freedom, 0.975) * error)


def average(values: Numbers, *, scale: Scale = "plain") -> float:
    """Return the mean over trials that gave a number; of logarithms, for ratios."""
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan")
    if scale == "ratio":
        return float(np.exp(np.log(values[values > 0]).mean()))
    return float(values.mean())

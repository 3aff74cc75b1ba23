"""One arm's number in each of many trials, with its confidence interval.

All functions take (replicate, subject) values, NaN for whoever is not in the arm or
has no value, and work on all trials at once.
"""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Num
from scipy import special

from vtrial.measure.groups import Numbers, Values


class Summary(NamedTuple):
    """A statistic of each trial: estimate, confidence limits and standard error."""

    estimate: Numbers
    low: Numbers
    high: Numbers
    error: Numbers


def summarise(
    statistic: Literal["mean", "sd", "median", "geometric mean", "share"],
    value: Values,
    *,
    level: float = 0.95,
) -> Summary:
    """Return a statistic of each trial's values; NaN counts for nobody.

    Intervals: Student's t for the mean and, on the logarithms, for the geometric mean;
    Wilson's score interval for a share; order statistics for the median (exact, hence
    at least of the level; none below six subjects); for the standard deviation the
    normal interval of its logarithm, with the error from the fourth moment. A trial
    with a value that is not positive has no geometric mean.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        match statistic:
            case "mean":
                return _mean(value, level)
            case "geometric mean":
                mean, low, high, error = _mean(logarithms(value), level)
                middle = np.exp(mean)
                return Summary(middle, np.exp(low), np.exp(high), middle * error)
            case "sd":
                return _deviation(value, level)
            case "median":
                return _median(value, level)
            case "share":
                events, count = np.nansum(value, axis=1), _count(value)
                share = events / count
                low, high = wilson(events, count, level=level)
                return Summary(share, low, high, np.sqrt(share * (1 - share) / count))


def wilson(events: Numbers, count: Numbers, *, level: float) -> tuple[Numbers, Numbers]:
    """Return Wilson's score interval of a share (1927, J Am Stat Assoc 22:209)."""
    z = normal_limit(level)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = events / count
        middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
        spread = share * (1 - share) / count + z**2 / (4 * count**2)
        half = z / (1 + z**2 / count) * np.sqrt(spread)
    # At no events and at nothing but events the limit is 0 or 1: rounding aside.
    low = np.where(events == 0, 0.0, middle - half)
    high = np.where(events == count, 1.0, middle + half)
    return np.where(count > 0, low, np.nan), np.where(count > 0, high, np.nan)


def logarithms(value: np.ndarray) -> np.ndarray:
    """Return logarithms; a trial (row) with a value that is not positive is all NaN."""
    bad = (value <= 0).any(axis=1, keepdims=True)
    return np.log(np.where(bad | (value <= 0), np.nan, value))


def normal_limit(level: float) -> float:
    """Return the normal quantile of a two-sided level: 1.96 for 0.95."""
    return float(special.ndtri((1 + level) / 2))


def _count(value: Values) -> Numbers:
    """Count the values of each trial."""
    return np.isfinite(value).sum(axis=1).astype(float)


def _moments(value: Values) -> tuple[Numbers, Numbers, Values]:
    """Return count, mean and deviations (0 where there is no value)."""
    seen = np.isfinite(value)
    count = _count(value)
    mean = np.where(seen, value, 0.0).sum(axis=1) / count
    return count, mean, np.where(seen, value - mean[:, None], 0.0)


def _mean(value: Values, level: float) -> Summary:
    """Return the mean with Student's interval."""
    count, mean, deviation = _moments(value)
    error = np.sqrt((deviation**2).sum(axis=1) / (count - 1) / count)
    error = np.where(count > 1, error, np.nan)
    half = special.stdtrit(np.maximum(count - 1, 1), (1 + level) / 2) * error
    return Summary(mean, mean - half, mean + half, error)


def _deviation(value: Values, level: float) -> Summary:
    """Return the standard deviation with an interval from the fourth moment."""
    count, _, deviation = _moments(value)
    variance = (deviation**2).sum(axis=1) / (count - 1)
    fourth = (deviation**4).sum(axis=1) / count
    sd = np.where(count > 1, np.sqrt(variance), np.nan)
    error = np.sqrt(np.maximum(fourth - variance**2, 0.0) / count) / (2 * sd)
    swing = np.exp(normal_limit(level) * error / sd)
    return Summary(sd, sd / swing, sd * swing, error)


def binomial_quantile(
    level: float, count: Num[np.ndarray, "..."], chance: float
) -> Float[np.ndarray, "..."]:
    """Return the least number of hits that `count` draws stay within by `level`.

    `scipy.stats.binom.ppf` says the same; to load that takes a second.
    """
    found = np.ceil(special.bdtrik(level, count, chance))
    before = np.maximum(found - 1, 0)
    within = special.bdtr(before, np.asarray(count, int), chance)
    return np.where(within >= level, before, found)


def _median(value: Values, level: float) -> Summary:
    """Return the median with the interval of its order statistics."""
    ordered, count = np.sort(value, axis=1), _count(value)
    rank = binomial_quantile((1 - level) / 2, np.maximum(count, 1), 0.5)
    low, high = _ranked(ordered, rank), _ranked(ordered, count - rank + 1)
    low, high = (np.where(rank >= 1, limit, np.nan) for limit in (low, high))
    middle = _ranked(ordered, np.floor((count + 1) / 2))
    middle = (middle + _ranked(ordered, np.ceil((count + 1) / 2))) / 2
    middle = np.where(count > 0, middle, np.nan)
    return Summary(middle, low, high, (high - low) / (2 * normal_limit(level)))


def _ranked(ordered: Values, rank: Numbers) -> Numbers:
    """Return each trial's value of a rank, from 1."""
    place = np.clip(rank.astype(int) - 1, 0, ordered.shape[1] - 1)
    return np.take_along_axis(ordered, place[:, None], axis=1)[:, 0]

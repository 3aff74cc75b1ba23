"""One arm's number in each of many trials, with its confidence interval.

All functions take (replicate, subject) values, NaN for whoever is not in the arm or
has no value, and work on all trials at once.
"""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special, stats

Values = Float[np.ndarray, "replicate subject"]
Numbers = Float[np.ndarray, " replicate"]


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


def kaplan_meier(
    time: Values, event: Values, *, level: float = 0.95
) -> dict[str, Summary]:
    """Return the median and the restricted mean time to an event in each trial.

    The restricted mean is the area under the product-limit curve up to the trial's
    last time, with Greenwood's error. The median is the first time at which the curve
    is at or below one half, NaN if it never is; its interval inverts the log-log
    interval of the curve (Brookmeyer and Crowley 1982, Biometrics 38:29).
    """
    count = _count(time)[:, None]
    order = np.lexsort((-np.nan_to_num(event), np.where(np.isnan(time), np.inf, time)))
    time = np.take_along_axis(time, order, axis=1)
    happened = np.nan_to_num(np.take_along_axis(event, order, axis=1))
    here = np.arange(time.shape[1])[None, :] < count
    at_risk = np.where(here, count - np.arange(time.shape[1])[None, :], 1.0)
    alive = np.cumprod(1 - happened / at_risk, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        hazard = np.where(at_risk > 1, happened / (at_risk * (at_risk - 1)), 0.0)
        spread = np.sqrt(np.cumsum(hazard, axis=1)) / np.abs(np.log(alive))
        swing = normal_limit(level) * spread
        bounds = [alive, alive ** np.exp(swing), alive ** np.exp(-swing)]
    median, low, high = (
        _first(time, here & (curve <= 0.5 + 1e-12)) for curve in bounds
    )
    width = np.where(here[:, 1:], np.diff(time, axis=1), 0.0)
    first = np.where(count[:, 0] > 0, time[:, 0], np.nan)
    pieces = alive[:, :-1] * width
    mean = first + pieces.sum(axis=1)
    beyond = np.cumsum(pieces[:, ::-1], axis=1)[:, ::-1]
    error = np.sqrt((beyond**2 * hazard[:, :-1]).sum(axis=1))
    z = normal_limit(level)
    error = np.where(count[:, 0] > 0, error, np.nan)
    return {
        "median": Summary(median, low, high, (high - low) / (2 * z)),
        "mean": Summary(mean, mean - z * error, mean + z * error, error),
    }


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


def _median(value: Values, level: float) -> Summary:
    """Return the median with the interval of its order statistics."""
    ordered, count = np.sort(value, axis=1), _count(value)
    rank = stats.binom.ppf((1 - level) / 2, np.maximum(count, 1), 0.5)
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


def _first(time: Values, reached: np.ndarray) -> Numbers:
    """Return each trial's first time at which something holds; NaN if never."""
    first = np.take_along_axis(time, reached.argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.where(reached.any(axis=1), first, np.nan)

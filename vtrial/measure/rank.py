"""Rank tests and the shift between two arms in each of many trials."""

import numpy as np
from jaxtyping import Bool
from scipy import special

from vtrial.measure.contrast import Contrast
from vtrial.measure.risk_set import Side, Strata, by_stratum, order_of, sides_of
from vtrial.measure.statistic import Numbers, Values, normal_limit

PAIRS_AT_ONCE = 2_000_000
MANY_RANKS = 32  # beyond this a whole sort is quicker than picking ranks


def shift_contrast(
    value: Values,
    treated: Bool[np.ndarray, "replicate subject"],
    *,
    strata: Strata | None = None,
    level: float = 0.95,
) -> Contrast:
    """Compare two arms by ranks: the Hodges-Lehmann shift and Wilcoxon's test.

    Without strata the p-value is that of the Wilcoxon-Mann-Whitney test, normal with
    the variance for ties and without continuity correction; with strata that of van
    Elteren's, in which a stratum of n subjects weighs 1/(n + 1). The estimate is the
    median of the differences of all pairs (of the same stratum, weighted alike), and
    the interval holds the shifts that this test does not reject. `error` is the
    interval's width over twice the normal quantile.

    Parameters
    ----------
    strata
        A subject's stratum from 0; whoever has a negative one is left out.

    Returns
    -------
    A limit is NaN where no shift could be rejected, all NaN where an arm is empty.

    References
    ----------
    Hodges JL, Lehmann EL (1963) Ann Math Stat 34:598-611.
    van Elteren PH (1960) Bull Int Stat Inst 37:351-361.
    """
    weights, off, spread, pairs = _statistic(value, treated, strata)
    with np.errstate(invalid="ignore", divide="ignore"):
        score = np.where(off == 0, 0.0, np.abs(off) / np.sqrt(spread))
    p = np.where(pairs > 0, 2 * special.ndtr(-score), np.nan)
    z = normal_limit(level)
    tail = pairs / 2 - z * np.sqrt(spread)
    present = (
        np.isfinite(value) if strata is None else np.isfinite(value) & (strata >= 0)
    )
    arm, other = sides_of(present, treated)
    if strata is None:
        estimate, low, high = _picked(value, arm, other, tail)
    else:
        estimate, low, high = _weighed(value, strata, weights, arm, other, tail)
    return Contrast(estimate, low, high, p, (high - low) / (2 * z))


def _statistic(
    value: Values, treated: np.ndarray, strata: Strata | None
) -> tuple[np.ndarray, Numbers, Numbers, Numbers]:
    """Return strata's weights, the weighted rank sum less its mean, and its variance.

    The last number is the weighted number of pairs, which is twice the mean of the
    weighted Mann-Whitney statistic.
    """
    order = order_of(value, strata)
    tied = order.last - order.first + 1
    rank = order.first - order.start + (tied + 1) / 2
    labels = None
    if strata is not None:
        labels = np.where(order.here, np.take_along_axis(strata, order.subject, 1), -1)
        labels = labels.astype(int)
    inside = order.arrange(treated.astype(float))
    everyone = order.here.astype(float)
    ties = np.where(order.here, tied**2 - 1.0, 0.0)
    size, count, ranks, ties = (
        by_stratum(part, labels) for part in (everyone, inside, inside * rank, ties)
    )
    other = size - count
    weights = np.ones_like(size) if strata is None else 1 / (size + 1)
    off = ranks - count * (size + 1) / 2
    lost = ties / np.maximum(size * (size - 1), 1.0)
    spread = count * other / 12 * (size + 1 - lost)
    off, spread, pairs = (
        part.sum(axis=1)
        for part in (weights * off, weights**2 * spread, weights * count * other)
    )
    return weights, off, spread, pairs


def _picked(
    value: Values, arm: Side, other: Side, tail: Numbers
) -> tuple[Numbers, Numbers, Numbers]:
    """Return the median difference and the differences at the ranks of the tails."""
    first, second = arm.arrange(value), other.arrange(value)
    pairs = arm.size * other.size
    end = np.ceil(np.where(pairs > 0, tail, 0.0))
    places = np.stack([(pairs - 1) // 2, pairs // 2, end - 1, pairs - end]).astype(int)
    top = first.shape[1] * second.shape[1] - 1
    places = np.clip(places, 0, top)
    found = np.empty((4, len(value)))
    most = max(1, PAIRS_AT_ONCE // (top + 1))
    for start in range(0, len(value), most):
        rows = slice(start, start + most)
        gap = first[rows, :, None] - second[rows, None, :]
        gap = gap.reshape(len(gap), -1)
        wanted = np.unique(places[:, rows])
        if len(wanted) > MANY_RANKS:
            gap.sort(axis=1)
        else:
            gap.partition(wanted, axis=1)
        found[:, rows] = np.take_along_axis(gap, places[:, rows].T, axis=1).T
    there = pairs > 0
    bounded = there & (end >= 1)
    middle = np.where(there, (found[0] + found[1]) / 2, np.nan)
    low, high = (np.where(bounded, found[k], np.nan) for k in (2, 3))
    return middle, low, high


def _weighed(
    value: Values,
    strata: Strata,
    weights: np.ndarray,
    arm: Side,
    other: Side,
    tail: Numbers,
) -> tuple[Numbers, Numbers, Numbers]:
    """Return the weighted median difference within strata and those of the tails."""
    first, second = arm.arrange(value), other.arrange(value)
    labels = strata.astype(float)
    mine, theirs = arm.arrange(labels), other.arrange(labels)
    places = np.where(arm.here, mine, 0.0).astype(int)
    weight = np.take_along_axis(weights, places, axis=1)
    found = np.empty((3, len(value)))
    most = max(1, PAIRS_AT_ONCE // (first.shape[1] * second.shape[1]))
    for start in range(0, len(value), most):
        rows = slice(start, start + most)
        together = mine[rows, :, None] == theirs[rows, None, :]
        gap = first[rows, :, None] - second[rows, None, :]
        gap = np.where(together, gap, np.nan).reshape(len(gap), -1)
        heavy = np.where(together, weight[rows, :, None], 0.0).reshape(gap.shape)
        order = np.argsort(gap, axis=1)
        gap, heavy = (np.take_along_axis(part, order, axis=1) for part in (gap, heavy))
        found[:, rows] = _quantiles(gap, np.cumsum(heavy, axis=1), tail[rows])
    return found[0], found[1], found[2]


def _quantiles(gap: np.ndarray, weight: np.ndarray, tail: Numbers) -> np.ndarray:
    """Return the weighted median and the values that cut off a tail below and above."""
    total = weight[:, -1]
    slack = 1e-9 * total
    rows = np.arange(len(gap))

    def first_at(least: np.ndarray) -> np.ndarray:
        """Return the first value whose weight so far is at least this."""
        place = (weight < (least - slack)[:, None]).sum(axis=1)
        return gap[rows, np.minimum(place, gap.shape[1] - 1)]

    def first_beyond(most: np.ndarray) -> np.ndarray:
        """Return the first value whose weight so far is more than this."""
        place = (weight <= (most + slack)[:, None]).sum(axis=1)
        return gap[rows, np.minimum(place, gap.shape[1] - 1)]

    middle = (first_at(total / 2) + first_beyond(total / 2)) / 2
    bounded = tail > slack
    low, high = first_at(tail), first_beyond(total - tail)
    ends = (np.where(bounded, low, np.nan), np.where(bounded, high, np.nan))
    return np.where(total > 0, np.stack([middle, *ends]), np.nan)

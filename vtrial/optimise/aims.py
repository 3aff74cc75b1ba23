"""What a candidate comes to: the goal, and how far it keeps to every limit."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from vtrial.optimise.crowd import Mean, kept_in, mean_of, replicate_means
from vtrial.optimise.problem import Problem
from vtrial.protocol.optimisation import Limit


class Worth(NamedTuple):
    """What people come to under a candidate.

    Fields
    ------
    goal
        Mean of the goal.
    limits
        Of each limit the mean, or with a confidence the share of replicates that keep
        to it.
    other
        Mean of what the goal is traded against; None without a front.
    lost
        How many people lack a number of any of them.
    """

    goal: Mean
    limits: tuple[Mean, ...]
    other: Mean | None
    lost: int


def worth_of(problem: Problem, values: np.ndarray, replicate: np.ndarray) -> Worth:
    """Return what people come to, of their endpoints in the order of `needed`."""
    asked = problem.asked

    def mean(name: str) -> Mean:
        column = values[:, problem.needed.index(name)]
        binary = problem.protocol.endpoint(name).binary
        return mean_of(column, replicate, binary=binary)

    limits = tuple(
        mean(one.endpoint)
        if one.confidence is None
        else kept_in(one, values[:, problem.needed.index(one.endpoint)], replicate)
        for one in asked.limits
    )
    places = [problem.needed.index(name) for name in asked.asked]
    lost = int((~np.isfinite(values[:, places])).any(axis=1).sum())
    other = mean(asked.front.against) if asked.front else None
    return Worth(mean(asked.endpoint), limits, other, lost)


def gap(limit: Limit, mean: Mean) -> float:
    """Return by how much a limit is overstepped; at most 0 where it is kept to."""
    if limit.confidence is not None:
        return limit.confidence - mean.value
    apart = mean.value - limit.bound
    return apart if limit.side == "at most" else -apart


def holds(limits: Sequence[Limit], worth: Worth) -> bool:
    """Return whether all limits are kept to; by nobody they are not."""
    pairs = zip(limits, worth.limits, strict=True)
    return all(gap(one, mean) <= 0 for one, mean in pairs)


def settled(limit: Limit, mean: Mean) -> bool:
    """Return whether the whole interval is on one side of the limit."""
    bound = limit.bound if limit.confidence is None else limit.confidence
    return not mean.low <= bound <= mean.high


def rank(problem: Problem, worth: Worth) -> tuple[float, float]:
    """Return what candidates are sorted by: kept limits first, then the goal."""
    limits = problem.asked.limits
    pairs = zip(limits, worth.limits, strict=True)
    over = sum(
        max(gap(one, mean), 0.0) / (abs(one.bound) or 1.0) for one, mean in pairs
    )
    sign = -1.0 if problem.asked.sense == "maximise" else 1.0
    goal = worth.goal.value
    bad = not np.isfinite(goal) or not np.isfinite(over)
    return (np.inf, np.inf) if bad else (float(over), sign * goal)


def smooth_mean(
    values: Float[np.ndarray, " subject"], slope: Float[np.ndarray, "subject variable"]
) -> tuple[float, Float[np.ndarray, " variable"]]:
    """Return a mean and its slopes, of those who have both."""
    known = np.isfinite(values) & np.isfinite(slope).all(axis=1)
    if not known.any():
        return np.nan, np.full(slope.shape[1], np.nan)
    return float(values[known].mean()), slope[known].mean(axis=0)


def smooth_limit(
    limit: Limit,
    values: Float[np.ndarray, " subject"],
    slope: Float[np.ndarray, "subject variable"],
    replicate: np.ndarray,
) -> tuple[float, Float[np.ndarray, " variable"]]:
    """Return by how much a limit is kept to (at least 0 if it is), with slopes.

    With a confidence it is that of the replicate at that quantile of their means.
    """
    sign = 1.0 if limit.side == "at least" else -1.0
    if limit.confidence is None:
        mean, rise = smooth_mean(values, slope)
        return sign * (mean - limit.bound), sign * rise
    known = np.isfinite(values) & np.isfinite(slope).all(axis=1)
    kept = np.where(known, values, np.nan)
    means = replicate_means(kept, replicate)
    rises = np.stack(
        [
            replicate_means(np.where(known, column, np.nan), replicate)
            for column in slope.T
        ],
        axis=1,
    )
    order = np.argsort(sign * means)  # the worst first
    place = (1 - limit.confidence) * (means.size - 1)
    low = int(np.floor(place))
    high, part = min(low + 1, means.size - 1), place - low
    first, second = order[low], order[high]
    value = (1 - part) * means[first] + part * means[second]
    rise = (1 - part) * rises[first] + part * rises[second]
    return float(sign * (value - limit.bound)), sign * np.asarray(rise)

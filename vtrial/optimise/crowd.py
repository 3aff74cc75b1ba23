"""The people on whom candidates are compared, and what their endpoints come to."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from vtrial.cohort.subjects import Subjects
from vtrial.observe.block_program import Trial
from vtrial.optimise.problem import Problem
from vtrial.protocol.optimisation import Crowd, Limit

LEVEL = 0.95  # of intervals


class Mean(NamedTuple):
    """A mean over people (or a share of replicates) with its Monte Carlo error.

    `low` and `high` are the limits of its interval. It is of `many` who have a number.
    """

    value: float
    error: float
    low: float
    high: float
    many: int


@dataclass(frozen=True, eq=False)
class People:
    """Those on whom a search, or a verification, looks at every candidate."""

    problem: Problem
    crowd: Crowd

    @functools.cached_property
    def replicate(self) -> Int[np.ndarray, " subject"]:
        """Of which replicate each is."""
        each = self.crowd.subjects // self.crowd.replicates
        return np.repeat(np.arange(self.crowd.replicates), each)

    @functools.cached_property
    def number(self) -> Int[np.ndarray, " subject"]:
        """Which subject of the replicate each is."""
        each = self.crowd.subjects // self.crowd.replicates
        return np.tile(np.arange(each), self.crowd.replicates)

    @functools.cached_property
    def subjects(self) -> Subjects:
        """Who they are."""
        trial = Trial(self.problem.protocol, self.problem.cohort)
        return trial.drawn_as(self.replicate, self.number, seed=self.crowd.seed)

    def observe(self, point: Sequence[float]) -> Float[np.ndarray, "subject endpoint"]:
        """Return the endpoints of all as a trial would have them, without smoothing.

        In the order of `Problem.needed`; NaN where there is none.
        """
        trial, arm = self.problem.trial(point, self.crowd.seed)
        height, count = trial.protocol.block, self.number.size
        places = [
            [one.name for one in trial.protocol.endpoints].index(name)
            for name in self.problem.needed
        ]
        parts = []
        for begin in range(0, count, height):
            chosen = np.arange(begin, min(begin + height, count))
            seen = trial.observe(arm, self.subjects, chosen)
            parts.append(np.asarray(seen.outcome)[: chosen.size, places])
        return np.concatenate(parts)


def mean_of(values: np.ndarray, replicate: np.ndarray, *, binary: bool) -> Mean:
    """Return the mean of those who have a number, and how well it is known.

    Over several replicates, which differ in their parameters, the error is of the
    means of these; within one a share has Wilson's interval.
    """
    known = np.isfinite(values)
    count = int(known.sum())
    if not count:
        return Mean(math.nan, math.nan, math.nan, math.nan, 0)
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    means = replicate_means(values, replicate)
    if means.size > 1:
        value, error = float(means.mean()), float(means.std(ddof=1))
        error /= math.sqrt(means.size)
        return Mean(value, error, value - z * error, value + z * error, count)
    value = float(values[known].mean())
    if binary:
        error = math.sqrt(value * (1 - value) / count)
        return Mean(value, error, *wilson(value, count, z), count)
    error = float(values[known].std(ddof=1)) / math.sqrt(count) if count > 1 else 0.0
    return Mean(value, error, value - z * error, value + z * error, count)


def kept_in(limit: Limit, values: np.ndarray, replicate: np.ndarray) -> Mean:
    """Return in which share of the replicates a limit is kept to."""
    means = replicate_means(values, replicate)
    kept = means <= limit.bound if limit.side == "at most" else means >= limit.bound
    share, count = float(kept.mean()), int(kept.size)
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    error = math.sqrt(share * (1 - share) / count)
    return Mean(share, error, *wilson(share, count, z), count)


def replicate_means(
    values: np.ndarray, replicate: np.ndarray
) -> Float[np.ndarray, " replicate"]:
    """Return the mean of each replicate, of those who have a number."""
    known = np.isfinite(values)
    sums = np.bincount(replicate[known], weights=values[known])
    counts = np.bincount(replicate[known])
    return sums[counts > 0] / counts[counts > 0]


def wilson(share: float, count: int, z: float) -> tuple[float, float]:
    """Return Wilson's interval of a share.

    Examples
    --------
    >>> [round(end, 4) for end in wilson(0.1, 100, 1.959964)]
    [0.0552, 0.1744]
    """
    centre = share + z * z / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return (centre - half) / scale, (centre + half) / scale

"""What is believed of each arm after a look, and how probably each is the best.

Responses have a beta distribution after a uniform prior, means a normal one after a
flat prior, hazards of events a gamma one after Jeffreys' prior (events + 1/2, sum of
times). See Gelman A et al., Bayesian Data Analysis, 3rd ed. 2013, ch. 2 and 3.
"""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from vtrial.design.sight import Arms, Seen, known_in

ByArm = Float[np.ndarray, "trial arm"]
POINTS, REACH = 257, 8.0  # of the grid of an integral, and how many deviations it spans


class Belief(NamedTuple):
    """The distribution of each arm's value: its law and its two parameters.

    `beta`: both shapes; `normal`: mean and deviation; `gamma`: shape and rate. NaN
    where nothing is known of an arm.
    """

    law: Literal["beta", "normal", "gamma"]
    first: ByArm
    second: ByArm

    @property
    def mean(self) -> ByArm:
        """The mean."""
        with np.errstate(invalid="ignore", divide="ignore"):
            if self.law == "beta":
                return self.first / (self.first + self.second)
            return self.first / self.second if self.law == "gamma" else self.first

    @property
    def deviation(self) -> ByArm:
        """The standard deviation."""
        with np.errstate(invalid="ignore", divide="ignore"):
            if self.law == "beta":
                total = self.first + self.second
                return np.sqrt(self.first * self.second / (total + 1)) / total
            if self.law == "gamma":
                return np.sqrt(self.first) / self.second
            return self.second


def believed(seen: Seen, arm: Arms, arms: int) -> Belief:
    """Return what is believed of every arm by what is known."""
    inside = known_in(seen, arm, arms)
    value = np.where(np.isfinite(seen.value), seen.value, 0.0)
    count = inside.sum(axis=2).astype(float).T
    total = np.einsum("ats,ts->ta", inside, value)
    if seen.event is not None:
        event = np.where(np.isfinite(seen.event), seen.event, 0.0)
        events = np.einsum("ats,ts->ta", inside, event)
        return Belief("gamma", events + 0.5, np.where(total > 0, total, np.nan))
    if seen.binary:
        return Belief("beta", 1.0 + total, 1.0 + count - total)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / count
        apart = [
            (np.where(one, value - mean[:, i, None], 0.0) ** 2).sum(axis=1)
            for i, one in enumerate(inside)
        ]
        variance = np.stack(apart, axis=1) / (count - 1)
        error = np.sqrt(variance / count)
    return Belief("normal", mean, np.where(count > 1, error, np.nan))


def best(
    belief: Belief, *, higher: bool, among: Bool[np.ndarray, "trial arm"]
) -> ByArm:
    """Return how probable it is that each arm is the best of those still open.

    The integral of an arm's density by the others' distribution functions is taken on
    a grid of 257 points that spans eight standard deviations of every arm. In a trial
    in which nothing is known of an open arm all are equally probable.

    Examples
    --------
    >>> even = Belief("normal", np.array([[0.0, 1.0]]), np.array([[1.0, 1.0]]))
    >>> found = best(even, higher=True, among=np.ones((1, 2), bool))
    >>> found.round(4).tolist()
    [[0.2398, 0.7602]]
    """
    mean, deviation = belief.mean, belief.deviation
    known = np.isfinite(mean) & np.isfinite(deviation) & (deviation > 0)
    whole = np.where(among, known, True).all(axis=1)
    use = among & known
    low = np.where(use, mean - REACH * deviation, np.inf).min(axis=1)
    high = np.where(use, mean + REACH * deviation, -np.inf).max(axis=1)
    if belief.law != "normal":
        low = np.maximum(low, 0.0)
    if belief.law == "beta":
        high = np.minimum(high, 1.0)
    low, high = (np.where(whole, end, i) for i, end in enumerate((low, high)))
    step = (high - low) / (POINTS - 1)
    grid = low[:, None] + np.arange(POINTS) * step[:, None]
    chance = np.zeros_like(mean)
    density, below = zip(
        *(_on_grid(belief, one, grid, use[:, one]) for one in range(mean.shape[1])),
        strict=True,
    )
    for one in range(mean.shape[1]):
        others = np.ones_like(grid)
        for other in range(mean.shape[1]):
            if other != one:
                worse = below[other] if higher else 1.0 - below[other]
                others = others * np.where(use[:, other, None], worse, 1.0)
        chance[:, one] = np.where(use[:, one], (density[one] * others).sum(axis=1), 0)
    total = chance.sum(axis=1, keepdims=True)
    even = among / np.maximum(among.sum(axis=1, keepdims=True), 1)
    sure = whole & (total[:, 0] > 0)
    return np.where(sure[:, None], chance / np.where(total > 0, total, 1.0), even)


def _on_grid(
    belief: Belief, arm: int, grid: np.ndarray, use: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return an arm's probabilities at the points, and those of less than each."""
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = (part[:, arm, None] for part in (belief.first, belief.second))
        if belief.law == "normal":
            log = -0.5 * ((grid - a) / b) ** 2
        elif belief.law == "beta":
            log = (a - 1) * np.log(grid) + (b - 1) * np.log1p(-grid)
        else:
            log = (a - 1) * np.log(grid) - b * grid
        log = np.where(use[:, None] & ~np.isnan(log), log, -np.inf)
        top = log.max(axis=1, keepdims=True)
        weight = np.exp(log - np.where(np.isfinite(top), top, 0.0))
    total = weight.sum(axis=1, keepdims=True)
    weight = weight / np.where(total > 0, total, 1.0)
    return weight, np.cumsum(weight, axis=1) - weight / 2

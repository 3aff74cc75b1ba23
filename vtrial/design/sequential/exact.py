"""Exact tests of one proportion, at one look or at many.

References
----------
Fleming TR (1982) Biometrics 38:143-151 (several looks at one arm).
Jennison C, Turnbull BW (2000) Group Sequential Methods, chapter 12.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import binom

from vtrial.design.sequential.given import Array, ArrayLike
from vtrial.errors import ProtocolError


class ExactTest(NamedTuple):
    """One look at one proportion: the count that rejects, its level and its power."""

    critical: int
    level: float
    power: float


class ExactCrossing(NamedTuple):
    """Probabilities to stop at each look, (*proportion, look), and mean sizes."""

    upper: Array
    lower: Array
    mean_size: Array


def exact_test(
    size: int, null: float, alternative: float, *, alpha: float = 0.025
) -> ExactTest:
    """Return the exact test of a larger proportion than that of the hypothesis.

    It rejects from the least count on whose level is at most alpha; of a smaller
    alternative, up to the greatest.

    Examples
    --------
    >>> found = exact_test(25, 0.05, 0.2)
    >>> print(found.critical, round(found.power, 4))
    5 0.5793
    """
    for at, value in (("null", null), ("alternative", alternative), ("alpha", alpha)):
        if not 0 < value < 1:
            _refuse(at, value, "between 0 and 1")
    if size < 1:
        _refuse("size", size, "at least 1")
    count = np.arange(size + 1)
    if alternative >= null:
        level = binom.sf(count - 1, size, null)
        fits = np.flatnonzero(level <= alpha)
        place = int(fits[0]) if fits.size else size + 1
        if place > size:
            return ExactTest(place, 0.0, 0.0)
        power = binom.sf(place - 1, size, alternative)
        return ExactTest(place, float(level[place]), float(power))
    level = binom.cdf(count, size, null)
    fits = np.flatnonzero(level <= alpha)
    if not fits.size:
        return ExactTest(-1, 0.0, 0.0)
    place = int(fits[-1])
    power = binom.cdf(place, size, alternative)
    return ExactTest(place, float(level[place]), float(power))


def exact_crossing(
    sizes: ArrayLike, lower: ArrayLike, upper: ArrayLike, proportion: ArrayLike
) -> ExactCrossing:
    """Return the exact probabilities to stop at looks at one proportion.

    Parameters
    ----------
    sizes
        Subjects at each look, rising.
    lower, upper
        A look stops at this many responses or fewer (-1: never), or at this many or
        more (above the size: never).
    proportion
        Proportion of responses, of any shape.

    Raises
    ------
    ProtocolError
        If sizes do not rise, or if bounds meet before the last look.

    Examples
    --------
    >>> found = exact_crossing([50, 100], [-1, -1], [13, 17], [0.1, 0.2])
    >>> print(found.upper.round(4), found.mean_size.round(2))
    [[0.001  0.0198]
     [0.1861 0.6221]] [99.95 90.7 ]
    """
    sizes, lower, upper = (np.asarray(x, int) for x in (sizes, lower, upper))
    rate = np.asarray(proportion, float)[..., None]
    if sizes[0] < 1 or np.any(np.diff(sizes) < 1):
        _refuse("sizes", sizes.tolist(), "whole numbers that rise from 1")
    if np.any(lower >= upper):
        _refuse("lower", lower.tolist(), f"below {upper.tolist()}")
    going = np.ones((*rate.shape[:-1], 1))  # by the number of responses so far
    above, below = [], []
    for look, size in enumerate(sizes):
        step = int(size - (sizes[look - 1] if look else 0))
        added = binom.pmf(np.arange(step + 1), step, rate)
        made = np.zeros((*rate.shape[:-1], size + 1))
        for more in range(step + 1):
            made[..., more : more + going.shape[-1]] += added[..., more, None] * going
        count = np.arange(size + 1)
        over, under = count >= upper[look], count <= lower[look]
        above.append(made[..., over].sum(axis=-1))
        below.append(made[..., under].sum(axis=-1))
        going = np.where(over | under, 0.0, made)
    stops_up, stops_low = np.stack(above, axis=-1), np.stack(below, axis=-1)
    early = (stops_up + stops_low)[..., :-1]
    mean = (early * sizes[:-1]).sum(axis=-1) + (1 - early.sum(axis=-1)) * sizes[-1]
    return ExactCrossing(stops_up, stops_low, mean)


def _refuse(at: str, found: object, allowed: str) -> None:
    """Raise what is wrong with an exact test."""
    raise ProtocolError(at=f"exact.{at}", found=str(found), allowed=allowed, write="")

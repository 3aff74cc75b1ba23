"""New sizes at a look, for all replicates at once.

References
----------
Mehta CR, Pocock SJ (2011) Stat Med 30:3267-3284 (promising zone).
Chen YHJ, DeMets DL, Lan KKG (2004) Stat Med 23:1023-1038.
Gao P, Ware JH, Mehta CR (2008) J Biopharm Stat 18:1184-1196.
Kieser M, Friede T (2003) Stat Med 22:3571-3581 (blinded variance).
"""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from vtrial.design.sequential.given import Array, ArrayLike
from vtrial.design.sequential.root import root


class Reestimated(NamedTuple):
    """New sizes: of the whole trial, conditional power before, and where it lies.

    `zone` is 0 where the trial is unfavourable, 1 promising and 2 favourable.
    """

    size: Array
    conditional_power: Array
    zone: Array


def trend_power(
    z: ArrayLike, size: float | int, now: float | int, *, alpha: float = 0.025
) -> Array:
    """Return conditional power of the last look if the trend so far goes on.

    Parameters
    ----------
    z
        Statistic at the look, of any shape.
    size, now
        Subjects (or events) at the last look and at this one.
    alpha
        One-sided level of the last look.
    """
    z, ahead = np.asarray(z, float), size - now
    goal = -ndtri(alpha) * np.sqrt(size) - z * np.sqrt(now)
    return np.asarray(ndtr(z * np.sqrt(ahead / now) - goal / np.sqrt(ahead)))


def promising_zone(
    z: ArrayLike,
    now: float | int,
    size: float | int,
    largest: float | int,
    *,
    power: float = 0.9,
    alpha: float = 0.025,
    least: float | None = None,
) -> Reestimated:
    """Return the size that restores conditional power where the trend is promising.

    Parameters
    ----------
    z
        Statistic at the look, of any shape.
    now, size, largest
        Subjects at the look, planned at the end, and at most.
    power
        Conditional power to be restored, and from which on the trend is favourable.
    least
        Conditional power from which on the trend is promising; by default the least at
        which the conventional last test keeps its level (`promising_from`).

    Examples
    --------
    >>> found = promising_zone([0.5, 1.4, 2.5], 208, 442, 884, power=0.8)
    >>> print(found.size.round(1), found.zone)
    [442.  728.8 442. ] [0 1 2]
    """
    z = np.asarray(z, float)
    if least is None:
        least = promising_from(now, size, largest, power=power, alpha=alpha)
    reached = trend_power(z, size, now, alpha=alpha)
    promising = (reached >= least) & (reached < power) & (z > 0)
    wanted = now + _second_stage(np.where(promising, z, 1.0), now, size, power, alpha)
    new = np.where(promising, np.clip(wanted, size, largest), size)
    zone = np.where(promising, 1, np.where(reached >= power, 2, 0))
    return Reestimated(new, reached, zone)


def _second_stage(
    z: Array, now: float | int, size: float | int, power: float, alpha: float
) -> Array:
    """Return how many subjects after the look give a conditional power."""
    goal = -ndtri(alpha) * np.sqrt(size) - z * np.sqrt(now)
    return now / z**2 * (goal / np.sqrt(size - now) + ndtri(power)) ** 2


def promising_from(
    now: float | int,
    size: float | int,
    largest: float | int,
    *,
    power: float = 0.9,
    alpha: float = 0.025,
) -> float:
    """Return the conditional power from which on the last test needs no adjustment.

    There the size may be raised to what restores the power, `largest` at most, and the
    conventional critical value still keeps alpha (Mehta and Pocock, table 1).

    Examples
    --------
    >>> round(promising_from(0.5, 1.0, 1.5, power=0.8), 2)
    0.41
    >>> round(promising_from(0.5, 1.0, 2.0, power=0.9), 2)
    0.36
    """

    def slack(z: float) -> float:
        wanted = float(_second_stage(np.asarray(z), now, size, power, alpha))
        ahead = min(max(wanted, size - now), largest - now)
        goal = -ndtri(alpha) * np.sqrt(size) - z * np.sqrt(now)
        needed = np.sqrt(ahead / (size - now)) * goal + z * np.sqrt(now)
        return float(-ndtri(alpha) - needed / np.sqrt(now + ahead))

    favourable = float(
        root(lambda z: float(trend_power(z, size, now, alpha=alpha)) - power, 0.0, 12.0)
    )
    grid = np.linspace(1e-3, favourable, 400)
    unsafe = [z for z in grid if slack(z) < -1e-12]
    start = unsafe[-1] if unsafe else grid[0]
    after = min(start + grid[1] - grid[0], favourable)
    if unsafe and slack(after) > 0:
        start = float(root(slack, start, after, xtol=1e-13))
    return float(trend_power(start, size, now, alpha=alpha))


def blinded_sd(
    pooled_sd: ArrayLike, size: ArrayLike, effect: float = 0.0, *, ratio: float = 1.0
) -> Array:
    """Return the standard deviation within arms that blinded data suggest.

    Parameters
    ----------
    pooled_sd
        Standard deviation of all subjects together, of any shape.
    size
        How many these are.
    effect
        Difference of the arms that is taken off; 0 for the one-sample estimate.
    ratio
        Size of the first arm over that of the second.
    """
    pooled, size = np.asarray(pooled_sd, float), np.asarray(size, float)
    between = effect**2 * size / (size - 1) * ratio / (1 + ratio) ** 2
    return np.sqrt(np.maximum(pooled**2 - between, 0.0))


def blinded_size(
    sd: ArrayLike,
    effect: float,
    *,
    alpha: float = 0.025,
    power: float = 0.9,
    ratio: float = 1.0,
    inflation: float = 1.0,
    least: float = 0.0,
    largest: float = np.inf,
) -> Array:
    """Return the size for a difference of means at the standard deviation now known.

    (1 + r)^2 / r sd^2 (z_alpha + z_power)^2 / effect^2, times the plan's inflation,
    kept between the least and the largest size.
    """
    need = (1 + ratio) ** 2 / ratio * (np.asarray(sd, float) / effect) ** 2
    need = need * (ndtri(power) - ndtri(alpha)) ** 2 * inflation
    return np.clip(need, least, largest)

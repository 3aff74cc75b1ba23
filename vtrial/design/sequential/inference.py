"""Estimates and p-values of a trial that could stop early.

References
----------
Jennison C, Turnbull BW (1989) J R Stat Soc B 51:305-361 (repeated intervals).
Tsiatis AA, Rosner GL, Mehta CR (1984) Biometrics 40:797-803 (stage-wise ordering).
Fairbanks K, Madsen R (1982) Biometrika 69:69-74 (stage-wise p-value).
Kim K (1989) Biometrics 45:613-617 (median unbiased estimate).
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import ndtr

from vtrial.design.sequential.boundary import Boundaries, boundaries
from vtrial.design.sequential.curve import by_curve
from vtrial.design.sequential.given import Array, ArrayLike
from vtrial.design.sequential.plan import GroupSequential
from vtrial.design.sequential.recursion import Going, begin, beyond, go_on
from vtrial.design.sequential.root import root
from vtrial.design.sequential.walk import increasing_root

_FARTHEST = 12.0  # drifts that an estimate may take, in units of Z at a look
_FEW = 4
_NODES = 48


def repeated_interval(
    z: ArrayLike, look: int, bounds: Boundaries
) -> tuple[Array, Array]:
    """Return the repeated confidence interval of the drift at a look.

    It holds at every look at once, whether the trial stops or not, with the level 1 -
    alpha (of one side each where the test has one). Times se sqrt(information) it is
    that of the effect, where se is the standard error at the look.
    """
    z = np.asarray(z, float)
    root = np.sqrt(bounds.information[..., look])
    bound = bounds.upper[..., look]
    return np.asarray((z - bound) / root), np.asarray((z + bound) / root)


def repeated_p(z: ArrayLike, look: int, design: GroupSequential) -> Array:
    """Return the repeated p-value: the least alpha at which the look rejects.

    Of two sides, that of the test of both. More than a few values go through a spline
    of the bound over the probit of alpha.
    """
    z = np.asarray(z, float)
    seen = np.abs(z) if design.sides == 2 else z

    def bound(probit: float) -> float:
        alpha = float(ndtr(probit)) * design.sides
        try:
            return float(boundaries(_at(design, alpha)).upper[look])
        except ArithmeticError:
            return np.nan

    low, high = -7.5, -1e-6
    if z.size <= _FEW:
        made = [_probit(float(x), bound, low, high) for x in seen.ravel()]
        found = np.asarray(made, float).reshape(z.shape)
    else:
        grid = (low + high) / 2 - (high - low) / 2 * np.cos(
            np.pi * np.arange(_NODES) / (_NODES - 1)
        )
        curve = CubicSpline(grid, [bound(x) for x in grid])
        found = increasing_root(
            lambda x: seen - curve(x),
            np.full(z.shape, low),
            np.full(z.shape, high),
        )
    return np.asarray(np.minimum(design.sides * ndtr(found), 1.0))


def _probit(
    z: float, bound: Callable[[float], float], low: float, high: float
) -> float:
    """Return the probit of the level whose bound a statistic is on."""
    if bound(high) > z:
        return high
    if bound(low) < z:
        return low
    return float(root(lambda x: bound(x) - z, low, high, xtol=1e-12, rtol=1e-13))


def _at(design: GroupSequential, alpha: float) -> GroupSequential:
    """Return a plan at another alpha, and without futility that does not bind."""
    if not design.binding:
        design = replace(design, futility="none", futility_parameter=None)
    return replace(design, alpha=alpha)


def _routes(bounds: Boundaries, last: int) -> list[Going]:
    """Return what goes on before each look, for drifts of every size."""
    going = begin(bounds.information.shape[:-1])
    made = [going]
    lower = bounds.lower
    if bounds.sides == 1 and not bounds.binding:
        lower = np.full(lower.shape, -np.inf)
    for look in range(last):
        region = [(lower[..., look], bounds.upper[..., look])]
        now, ahead = bounds.information[..., look], bounds.information[..., look + 1]
        going = go_on(going, now, region, ahead, (-_FARTHEST, _FARTHEST))
        made.append(going)
    return made


def stagewise_p(
    z: ArrayLike,
    look: ArrayLike,
    bounds: Boundaries,
    drift: ArrayLike = 0.0,
) -> Array:
    """Return the one-sided p-value of the stage-wise ordering.

    It is the probability to have crossed an upper bound before the look at which the
    trial ended, or to be beyond z at it. Bounds of futility count where they bind.

    Parameters
    ----------
    z, look
        Statistic at the last look of each replicate, and its number from 0; of the same
        shape, that of the replicates of the bounds where these have any.
    drift
        Hypothesis, as the mean of Z at full information; broadcast with `z`.

    Examples
    --------
    >>> from vtrial.design.sequential import GroupSequential, boundaries
    >>> bounds = boundaries(GroupSequential((0.5, 1.0)))
    >>> print(stagewise_p([2.9, 2.0], [0, 1], bounds).round(5))
    [0.00187 0.02378]
    """
    z, look = np.broadcast_arrays(np.asarray(z, float), np.asarray(look, int))
    routes = _routes(bounds, int(look.max(initial=0)))
    return _ordered(z, look, bounds, routes, np.broadcast_to(drift, z.shape))


def _ordered(
    z: Array,
    look: Array,
    bounds: Boundaries,
    routes: list[Going],
    drift: Array,
) -> Array:
    """Return the stage-wise p-values along routes that have been made."""
    made = np.zeros(z.shape)
    for number, going in enumerate(routes):
        now = np.broadcast_to(bounds.information[..., number], z.shape)
        top = np.where(look == number, z, bounds.upper[..., number])
        part = beyond(_wide(going, z.ndim), now, top, drift)
        made += np.where(look >= number, part, 0.0)
    return made


def _wide(going: Going, axes: int) -> Going:
    """Return a state with an axis for every axis of the replicates."""
    missing = axes - going.information.ndim
    if missing <= 0:
        return going
    lead = (1,) * missing
    return Going(
        going.score.reshape(lead + going.score.shape),
        going.weight.reshape(lead + going.weight.shape),
        going.information.reshape(lead + going.information.shape),
    )


def final_estimate(
    z: ArrayLike, look: ArrayLike, bounds: Boundaries, *, level: float = 0.95
) -> tuple[Array, Array, Array]:
    """Return the median unbiased drift and its two-sided confidence interval.

    Parameters
    ----------
    z, look
        As of `stagewise_p`.
    level
        Level of the interval, with the same error on each side.

    Returns
    -------
    The estimate, the lower and the upper limit, as means of Z at full information;
    times se sqrt(information of the look) they are effects.
    """
    z, look = np.broadcast_arrays(np.asarray(z, float), np.asarray(look, int))
    routes = _routes(bounds, int(look.max(initial=0)))
    error = (1 - level) / 2
    made = [np.empty(z.shape) for _ in range(3)]
    for target, p in zip(made, (0.5, error, 1 - error), strict=True):
        if bounds.information.ndim > 1:
            target[...] = _drift_at(z, look, bounds, routes, p)
            continue
        for number in np.unique(look):
            here = look == number
            target[here] = by_curve(
                lambda x, number=number, p=p: _drift_at(
                    x, np.full(x.shape, number), bounds, routes, p
                ),
                z[here],
            )
    return made[0], made[1], made[2]


def _drift_at(
    z: Array, look: Array, bounds: Boundaries, routes: list[Going], p: float
) -> Array:
    """Return the drift at which the stage-wise p-value is a given one."""
    shares = np.broadcast_to(bounds.information, (*z.shape, bounds.upper.shape[-1]))
    root = np.sqrt(np.take_along_axis(shares, look[..., None], axis=-1)[..., 0])
    middle, wide = z / root, 8.0 / np.sqrt(bounds.information[..., 0])
    return increasing_root(
        lambda drift: _ordered(z, look, bounds, routes, drift) - p,
        middle - wide,
        middle + wide,
    )

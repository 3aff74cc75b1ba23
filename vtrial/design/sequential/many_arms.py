"""Several arms against one control: Dunnett's tests, in one stage and in many.

Given the control's path the arms are independent, so one integral over that path does
for any number of them. Arms are of equal size within a stage.

References
----------
Dunnett CW (1955) J Am Stat Assoc 50:1096-1121.
Stallard N, Friede T (2008) Stat Med 27:6209-6227.
Magirr D, Jaki T, Whitehead J (2012) Biometrika 99:494-501 (multi-arm multi-stage).
"""

import itertools

import numpy as np
from scipy.special import log_ndtr, ndtr

from vtrial.design.sequential.given import Array, ArrayLike
from vtrial.design.sequential.recursion import REACH, crossing
from vtrial.design.sequential.root import root

_NODES = 96
_PATH_NODES = 24


def dunnett_p(z: ArrayLike, arms: ArrayLike, *, ratio: float = 1.0) -> Array:
    """Return the one-sided p-value of the largest of several arms' statistics.

    Parameters
    ----------
    z
        The largest statistic, of any shape.
    arms
        How many arms it is the largest of; broadcast with `z`. With none it is 1.
    ratio
        Size of an arm over that of the control.

    Notes
    -----
    1 - integral of Phi((z + lambda x) / sqrt(1 - lambda^2))^arms phi(x) dx with
    lambda^2 = ratio / (1 + ratio), the correlation of two arms.

    Examples
    --------
    >>> print(dunnett_p(2.349, 3).round(4))
    0.025
    """
    z, arms = np.asarray(z, float)[..., None], np.asarray(arms, float)[..., None]
    shared = np.sqrt(ratio / (1 + ratio))
    node, weight = np.polynomial.legendre.leggauss(_NODES)
    x = REACH * node
    weight = weight * REACH * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    with np.errstate(invalid="ignore"):
        gap = (z + shared * x) / np.sqrt(1 - shared**2)
        beyond = -np.expm1(arms * log_ndtr(gap))
    found = np.where(arms > 0, beyond, 1.0) @ weight
    return np.asarray(np.clip(found, 0.0, 1.0))


def dunnett_critical(
    alpha: float, arms: int, *, ratio: float = 1.0, sides: int = 1
) -> float:
    """Return the critical value of Dunnett's test of several arms.

    Of two sides, of the largest absolute statistic.

    Examples
    --------
    >>> round(dunnett_critical(0.05, 2, sides=2), 3)
    2.212
    """
    if sides == 1:
        return float(
            root(lambda z: float(dunnett_p(z, arms, ratio=ratio)) - alpha, -3, 12)
        )
    shared = np.sqrt(ratio / (1 + ratio))
    node, weight = np.polynomial.legendre.leggauss(_NODES)
    x = REACH * node
    weight = weight * REACH * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    own = np.sqrt(1 - shared**2)

    def excess(z: float) -> float:
        inside = ndtr((z + shared * x) / own) - ndtr((-z + shared * x) / own)
        return 1 - alpha - float(weight @ inside**arms)

    return -float(root(lambda z: excess(-z), -12.0, -1e-3, xtol=1e-13))


def familywise(
    information: ArrayLike,
    upper: ArrayLike,
    arms: int,
    *,
    lower: ArrayLike = -np.inf,
    ratio: float = 1.0,
) -> float:
    """Return the probability that any of several arms without effect is rejected.

    Parameters
    ----------
    information
        Share of the information at each look, the same for every arm.
    upper, lower
        Bounds of every arm's statistic at each look; an arm below `lower` leaves.
    ratio
        Size of an arm over that of the control.

    Notes
    -----
    The control's increments are integrated by Gauss and Hermite; a path shifts the
    bounds of an arm, whose own increments are then a path like any other.
    """
    information = np.asarray(information, float)
    looks = len(information)
    upper = np.broadcast_to(np.asarray(upper, float), (looks,))
    lower = np.broadcast_to(np.asarray(lower, float), (looks,))
    shared = np.sqrt(ratio / (1 + ratio))
    node, weight = np.polynomial.hermite_e.hermegauss(_PATH_NODES)
    weight = weight / weight.sum()
    paths = np.array(list(itertools.product(node, repeat=looks)))
    likely = np.prod(list(itertools.product(weight, repeat=looks)), axis=1)
    keep = likely > 1e-14
    paths, likely = paths[keep], likely[keep]
    steps = np.sqrt(np.diff(information, prepend=0.0))
    control = np.cumsum(paths * steps, axis=1) / np.sqrt(information)
    own = np.sqrt(1 - shared**2)
    found = crossing(
        np.broadcast_to(information, control.shape),
        (upper + shared * control) / own,
        (lower + shared * control) / own,
    )
    stays = 1 - found.upper.sum(axis=-1)
    return float(1 - likely @ stays**arms)


def many_arm_bounds(
    information: ArrayLike,
    arms: int,
    alpha: float = 0.025,
    *,
    delta: float = 0.0,
    ratio: float = 1.0,
    lower: ArrayLike = -np.inf,
) -> Array:
    """Return bounds of Wang and Tsiatis that keep the family-wise error of many arms.

    Parameters
    ----------
    delta
        0 for the shape of O'Brien and Fleming, 1/2 for that of Pocock.
    lower
        Bounds of futility that bind; none by default.

    Examples
    --------
    >>> print(many_arm_bounds([0.5, 1.0], 2, alpha=0.025, delta=0.5).round(2))
    [2.42 2.42]
    """
    information = np.asarray(information, float)
    shape = (information / information[-1]) ** (delta - 0.5)

    def excess(scale: float) -> float:
        upper = scale * shape
        low = np.minimum(np.broadcast_to(lower, shape.shape), upper)
        found = familywise(information, upper, arms, lower=low, ratio=ratio)
        return found - alpha

    return float(root(excess, 0.5, 8.0, xtol=1e-10)) * shape

"""What the looks so far say of the end: conditional and predictive power.

All take statistics over replicates, of any shape, at one look.

References
----------
Lan KKG, Simon R, Halperin M (1982) Commun Stat C 1:207-219 (stochastic curtailment).
Spiegelhalter DJ, Freedman LS, Blackburn PR (1986) Control Clin Trials 7:8-17
(predictive power).
Müller HH, Schäfer H (2001) Biometrics 57:886-891 (conditional rejection probability).
"""

from dataclasses import replace

import numpy as np
from scipy.special import ndtr

from vtrial.design.sequential.boundary import Boundaries
from vtrial.design.sequential.curve import by_curve
from vtrial.design.sequential.given import Array, ArrayLike
from vtrial.design.sequential.recursion import REACH, Crossing, crossing

_MOST_NODES = 400
_AT_ONCE = 150


def _onward(z: Array, look: int, bounds: Boundaries, drift: Array) -> Crossing:
    """Return what crosses after a look, (*drift, look after it).

    What follows is a path of its own from the score that was reached, with bounds that
    are as much nearer.
    """
    now = bounds.information[..., look]
    ahead = bounds.information[..., look + 1 :] - now[..., None]
    score = (z * np.sqrt(now))[..., None]
    root = np.sqrt(bounds.information[..., look + 1 :])

    def nearer(bound: Array) -> Array:
        return (bound[..., look + 1 :] * root - score) / np.sqrt(ahead)

    lower = bounds.lower
    if bounds.sides == 1 and not bounds.binding:
        lower = np.full(lower.shape, -np.inf)
    return crossing(ahead, nearer(bounds.upper), nearer(lower), drift, aligned=True)


def conditional_power(
    z: ArrayLike,
    look: int,
    bounds: Boundaries,
    drift: ArrayLike,
    *,
    respect_futility: bool = False,
) -> Array:
    """Return the probability to reject at a later look, given Z at a look.

    Parameters
    ----------
    z
        Statistic at the look, of any shape.
    look
        Number of the look, from 0; not the last.
    drift
        Mean of Z at full information of the plan; broadcast with `z`. The trend so far
        is z / sqrt(information of the look).
    respect_futility
        Whether bounds of futility that do not bind are obeyed all the same.

    Notes
    -----
    Of two sides, it is the probability to cross the upper bounds.

    Examples
    --------
    >>> from vtrial.design.sequential import GroupSequential, boundaries
    >>> bounds = boundaries(GroupSequential((0.5, 1.0)))
    >>> print(conditional_power([1.0, 2.0], 0, bounds, 2.8).round(3))
    [0.573 0.882]
    """
    z, drift = np.broadcast_arrays(np.asarray(z, float), np.asarray(drift, float))
    if respect_futility and bounds.sides == 1:
        bounds = replace(bounds, binding=True)
    found = _onward(z, look, bounds, drift)
    return np.asarray(found.upper.sum(axis=-1))


def conditional_rejection(z: ArrayLike, look: int, bounds: Boundaries) -> Array:
    """Return the conditional rejection probability: conditional power under no drift.

    What is done after the look may be any test of this level.
    """
    return conditional_power(z, look, bounds, 0.0)


def predictive_power(
    z: ArrayLike,
    look: int,
    bounds: Boundaries,
    *,
    prior_mean: float = 0.0,
    prior_sd: float = np.inf,
) -> Array:
    """Return conditional power averaged over what is known of the drift.

    Parameters
    ----------
    prior_mean, prior_sd
        Normal prior of the drift (mean of Z at full information); flat by default.

    Notes
    -----
    With one look to go it is a normal probability; with more, the posterior is
    integrated by Gauss and Legendre.
    """
    z = np.asarray(z, float)
    now = np.broadcast_to(bounds.information[..., look], z.shape)
    mean, spread = _posterior(z, look, bounds, prior_mean, prior_sd)
    if bounds.information.shape[-1] - look == 2:
        last = bounds.information[..., look + 1]
        ahead = last - now
        goal = bounds.upper[..., look + 1] * np.sqrt(last) - z * np.sqrt(now)
        gap = ahead * mean - goal
        return np.asarray(ndtr(gap / np.sqrt(ahead + (ahead * spread) ** 2)))
    if bounds.information.ndim == 1:
        made = by_curve(
            lambda x: _predicted(x, look, bounds, prior_mean, prior_sd), z.ravel()
        )
        return np.clip(made, 0.0, 1.0).reshape(z.shape)
    return _predicted(z, look, bounds, prior_mean, prior_sd)


def _predicted(
    z: Array, look: int, bounds: Boundaries, prior_mean: float, prior_sd: float
) -> Array:
    """Return predictive power, integrated over the drift, some replicates at a time."""
    if z.shape and len(z) > _AT_ONCE:
        parts = [slice(i, i + _AT_ONCE) for i in range(0, len(z), _AT_ONCE)]
        made = [
            _predicted(z[part], look, _of(bounds, part), prior_mean, prior_sd)
            for part in parts
        ]
        return np.concatenate(made)
    mean, spread = _posterior(z, look, bounds, prior_mean, prior_sd)
    ahead = bounds.information[..., -1] - bounds.information[..., look]
    sharpest = float(np.max(np.sqrt(1 + ahead * np.max(spread, initial=0.0) ** 2)))
    node, weight = np.polynomial.legendre.leggauss(
        min(_MOST_NODES, 16 + int(3.75 * 2 * REACH * sharpest))
    )
    weight = weight * np.exp(-((REACH * node) ** 2) / 2)
    weight = weight / weight.sum()
    drift = mean + spread * REACH * node.reshape(-1, *(1,) * z.ndim)
    power = _onward(z, look, bounds, drift).upper.sum(axis=-1)
    return np.tensordot(weight, power, axes=1)


def _of(bounds: Boundaries, part: slice) -> Boundaries:
    """Return the bounds of some replicates."""
    if bounds.information.ndim == 1:
        return bounds
    names = ("information", "upper", "lower", "inner", "alpha_spent", "stage_levels")
    return replace(bounds, **{name: getattr(bounds, name)[part] for name in names})


def _posterior(
    z: Array, look: int, bounds: Boundaries, prior_mean: float, prior_sd: float
) -> tuple[Array, Array]:
    """Return mean and standard deviation of the drift, given Z at a look."""
    now = np.broadcast_to(bounds.information[..., look], z.shape)
    precision = now + prior_sd**-2.0
    mean = (z * np.sqrt(now) + prior_mean * prior_sd**-2.0) / precision
    return mean, 1 / np.sqrt(precision)


def trend(z: ArrayLike, look: int, bounds: Boundaries) -> Array:
    """Return the drift that the data of a look suggest: z / sqrt(information)."""
    return np.asarray(np.asarray(z, float) / np.sqrt(bounds.information[..., look]))

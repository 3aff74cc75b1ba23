"""Bounds found look by look, each for the error that it is to spend."""

from collections.abc import Callable

import numpy as np

from vtrial.design.sequential.given import Array
from vtrial.design.sequential.recursion import (
    REACH,
    Going,
    begin,
    beyond,
    density,
    go_on,
    mass,
)

WIDEST = 38.0  # z beyond which a double holds no tail of the normal law
_STEPS = 100
_BISECTIONS = 60


def tail_bound(
    going: Going,
    information: Array,
    error: Array,
    *,
    drift: float = 0.0,
    below: bool = False,
) -> Array:
    """Return the bound on Z beyond which the trials that go on spend an error.

    Infinite where there is nothing to spend, and minus infinite (plus, below) where the
    error is more than what has gone on.

    Notes
    -----
    The log of the tail is concave, so Newton's steps overshoot once at most and then
    close in from one side.
    """
    error = np.asarray(error, float)
    side = -1.0 if below else 1.0
    whole = mass(going, drift)
    z = np.zeros(np.broadcast_shapes(error.shape, np.shape(information)))
    nothing, all_ = error <= 0, error >= whole * (1 - 1e-14)
    log_error = np.log(np.where(nothing | all_, 0.5 * whole + 1e-300, error))
    for _ in range(_STEPS):
        tail = beyond(going, information, z, drift, below=below)
        slope = density(going, information, z, drift)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = (np.log(tail) - log_error) * tail / slope
        step = np.clip(np.nan_to_num(step, nan=0.0), -3.0, 3.0)
        z = np.clip(z + side * step, -WIDEST, WIDEST)
        if np.all(np.abs(step) < 1e-14 * (1 + np.abs(z))):
            break
    z = np.where(all_, -side * np.inf, z)
    return np.where(nothing, side * np.inf, z)


def increasing_root(
    value: Callable[[Array], Array],
    low: Array,
    high: Array,
) -> Array:
    """Return where increasing functions are zero, or the end that is nearest."""
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        above = value(middle) > 0
        high = np.where(above, middle, high)
        low = np.where(above, low, middle)
    return (low + high) / 2


def _efficacy(going: Going, information: Array, error: Array, sides: int) -> Array:
    """Return a bound of efficacy; of two sides, each spends half."""
    return np.maximum(tail_bound(going, information, error / sides), -REACH)


def _inner(going: Going, information: Array, error: Array, drift: float) -> Array:
    """Return how far from zero a two-sided test stops for futility."""

    def missing(z: Array) -> Array:
        middle = beyond(going, information, -z, drift)
        return middle - beyond(going, information, z, drift) - error

    zero = np.zeros(np.shape(information))
    found = increasing_root(missing, zero, zero + WIDEST)
    return np.where(error > 0, found, 0.0)


def walk(
    information: Array,
    alpha: Array,
    beta: Array | None = None,
    *,
    drift: float = 0.0,
    binding: bool = False,
    sides: int = 1,
    lower: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Return the bounds that spend given errors: upper, lower and inner.

    Parameters
    ----------
    information
        Shares of full information, (*replicate, look).
    alpha, beta
        Errors spent by each look. Of two sides, beta is what a drift to the upper side
        leaves between the inner bounds.
    lower
        Bounds of futility that are given.

    Notes
    -----
    Bounds that do not bind are ignored by alpha; then two densities are carried, one
    for each error.
    """
    shape = information.shape
    batch, looks = shape[:-1], shape[-1]
    upper, inner = np.empty(shape), np.zeros(shape)
    low = np.full(shape, -np.inf) if lower is None else np.array(lower, float)
    free = begin(batch)  # for alpha: futility ends nothing unless it binds
    held = begin(batch)  # for beta: futility ends the trial
    spent_alpha = np.diff(alpha, prepend=0.0, axis=-1)
    spent_beta = None if beta is None else np.diff(beta, prepend=0.0, axis=-1)
    for look in range(looks):
        now = information[..., look]
        tested = held if binding else free
        top = _efficacy(tested, now, spent_alpha[..., look], sides)
        if spent_beta is not None and sides == 1:
            error = spent_beta[..., look]
            found = tail_bound(held, now, error, drift=drift, below=True)
            low[..., look] = found
        elif spent_beta is not None:
            inner[..., look] = _inner(held, now, spent_beta[..., look], drift)
        upper[..., look] = top
        if look + 1 == looks:
            break
        bottom = -top if sides == 2 else np.minimum(low[..., look], top)
        middle = np.minimum(inner[..., look], top)
        low[..., look], inner[..., look] = bottom, middle
        ahead, reach = information[..., look + 1], _reach(drift, now)
        outer = [(-top, top)] if sides == 2 else [(-np.inf, top)]
        if not binding:
            free = go_on(free, now, outer, ahead)
        wedge = [(-top, -middle), (middle, top)] if middle.any() else [(bottom, top)]
        if binding or beta is not None:
            held = go_on(held, now, wedge, ahead, reach)
    if sides == 2:
        low = -upper
    return upper, low, inner


def _reach(drift: float, information: Array) -> tuple[float, float]:
    """Return the drifts that nodes must reach to, in units of Z."""
    top = drift * float(np.sqrt(np.max(information, initial=0.0)))
    return min(top, 0.0), max(top, 0.0)

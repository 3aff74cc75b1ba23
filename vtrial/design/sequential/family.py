"""Bounds whose shape is a formula of the information, scaled to keep the errors."""

from collections.abc import Callable

import numpy as np

from vtrial.design.sequential.given import Array
from vtrial.design.sequential.plan import (
    CRITICAL_VALUES,
    HAYBITTLE_PETO,
    NONE,
    OBRIEN_FLEMING,
    ON_Z,
    PAMPALLONA_TSIATIS,
    POCOCK,
    TRIANGULAR,
    WANG_TSIATIS,
    GroupSequential,
)
from vtrial.design.sequential.recursion import crossing
from vtrial.design.sequential.root import root
from vtrial.errors import ProtocolError

_HAYBITTLE_PETO = 3.0
_DELTA = {OBRIEN_FLEMING: 0.0, POCOCK: 0.5}

Bounds = tuple[Array, Array, Array, float]  # upper, lower, inner, drift
Curve = Callable[[float], tuple[Array, Array]]  # upper and lower by a scale


def shaped(design: GroupSequential) -> Bounds:
    """Return upper, lower and inner bounds and the drift they depend on (NaN if none).

    Raises
    ------
    ProtocolError
        If no scale of the family's shape keeps alpha.
    """
    if design.efficacy == PAMPALLONA_TSIATIS:
        return _pampallona_tsiatis(design)
    time = np.asarray(design.information, float)
    none = np.zeros(time.shape)
    if design.efficacy == CRITICAL_VALUES:
        upper = np.array(design.efficacy_parameter, float)
        lower = _lower(design, upper)
    elif design.efficacy == TRIANGULAR:
        root = np.sqrt(time)

        def curve(scale: float) -> tuple[Array, Array]:
            upper = scale * (1 + time) / (2 * root)
            return upper, np.minimum(scale * (3 * time - 1) / (2 * root), upper)

        upper, lower = _scaled(design, curve)
    else:

        def curve(scale: float) -> tuple[Array, Array]:
            upper = _upper(design, time, scale)
            return upper, _lower(design, upper)

        upper, lower = _scaled(design, curve)
    if design.sides == 2:
        lower = -upper
    return upper, lower, none, np.nan


def _upper(design: GroupSequential, time: Array, scale: float) -> Array:
    """Return the bounds of efficacy at a scale, which is the last one at time 1."""
    if design.efficacy in (NONE, HAYBITTLE_PETO):
        given = design.efficacy_parameter
        level = _HAYBITTLE_PETO if given is None else float(np.ravel(given)[0])
        early = np.inf if design.efficacy == NONE else level
        upper = np.full(time.shape, early)
        upper[-1] = scale
        return upper
    delta = _DELTA.get(design.efficacy)
    if design.efficacy == WANG_TSIATIS:
        delta = float(np.ravel(np.asarray(design.efficacy_parameter, float))[0])
    assert delta is not None  # the plan has only families that this file knows
    return scale * time ** (delta - 0.5)


def _lower(design: GroupSequential, upper: Array) -> Array:
    """Return the bounds of futility that a plan gives on Z."""
    lower = np.full(upper.shape, -np.inf)
    if design.futility == ON_Z:
        given = np.ravel(np.asarray(design.futility_parameter, float))
        lower[:-1] = np.minimum(given[: len(upper) - 1], upper[:-1])
        lower[-1] = upper[-1]
    return lower


def _error(
    design: GroupSequential,
    upper: Array,
    lower: Array,
    inner: Array | None = None,
) -> float:
    """Return the type I error of bounds."""
    if design.sides == 2:
        within = inner if design.binding else None
        found = crossing(design.information, upper, -upper, inner=within)
        return float(found.upper.sum() + found.lower.sum())
    below = lower if design.binding else np.full(upper.shape, -np.inf)
    return float(crossing(design.information, upper, below).upper.sum())


def _scaled(design: GroupSequential, curve: Curve) -> tuple[Array, Array]:
    """Return the bounds at the scale that spends alpha."""

    def excess(scale: float) -> float:
        return _error(design, *curve(scale)) - design.alpha

    low, high = -2.0, 8.0
    if excess(low) < 0 or excess(high) > 0:
        raise ProtocolError(
            at="design.alpha",
            found=f"{design.alpha:g}, which the bounds before the last look overspend"
            if excess(high) > 0
            else f"{design.alpha:g}, which these bounds cannot spend",
            allowed=f"an error that `{design.efficacy}` can spend",
            write="",
        )
    return curve(float(root(excess, low, high, xtol=1e-13, rtol=1e-13)))


def _pampallona_tsiatis(design: GroupSequential) -> Bounds:
    """Return bounds of the power family that meet at full information.

    With a drift c1 + c0, the trial stops for efficacy above c1 t^(delta1 - 1/2) and for
    futility below (c1 + c0) sqrt(t) - c0 t^(delta0 - 1/2).
    """
    time = np.asarray(design.information, float)
    first = float(np.ravel(np.asarray(design.efficacy_parameter, float))[0])
    second = float(np.ravel(np.asarray(design.futility_parameter, float))[0])

    def curve(c1: float, c0: float) -> tuple[Array, Array]:
        upper = c1 * time ** (first - 0.5)
        low = (c1 + c0) * np.sqrt(time) - c0 * time ** (second - 0.5)
        low = np.minimum(low, upper)
        low[-1] = upper[-1]
        return upper, low if design.sides == 1 else np.maximum(low, 0.0)

    def efficacy(c0: float) -> float:
        def excess(c1: float) -> float:
            upper, low = curve(c1, c0)
            return _error(design, upper, low, low) - design.alpha

        return float(root(excess, 1e-3, 8.0, xtol=1e-14, rtol=1e-14))

    fixed = None if design.binding else efficacy(0.0)

    def missing(c0: float) -> float:
        c1 = efficacy(c0) if fixed is None else fixed
        upper, low = curve(c1, c0)
        drift = c1 + c0
        if design.sides == 1:
            return float(crossing(time, upper, low, drift).lower.sum()) - design.beta
        found = crossing(time, upper, -upper, drift, inner=low)
        return float(found.inner.sum()) - design.beta

    c0 = float(root(missing, -2.0, 8.0, xtol=1e-14, rtol=1e-14))
    c1 = efficacy(c0) if fixed is None else fixed
    upper, low = curve(c1, c0)
    if design.sides == 1:
        return upper, low, np.zeros(time.shape), c1 + c0
    return upper, -upper, low, c1 + c0

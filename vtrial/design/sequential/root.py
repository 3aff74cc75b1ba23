"""Where a function of one number is zero."""

from collections.abc import Callable
from typing import Any, cast

from scipy.optimize import brentq


def root(
    function: Callable[[float], float],
    low: float | int,
    high: float | int,
    *,
    xtol: float = 1e-12,
    rtol: float = 1e-12,
) -> float:
    """Return the zero between two numbers at which a function differs in sign.

    References
    ----------
    Brent RP (1973) Algorithms for Minimization Without Derivatives, chapter 4.
    """
    found = brentq(function, low, high, xtol=xtol, rtol=cast(Any, rtol))
    return float(cast(Any, found))

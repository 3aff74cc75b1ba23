"""How much a probability can change between the points at which it is known."""

from collections.abc import Callable

import numpy as np
from jaxtyping import ArrayLike, Float

ORDERS = 1.0 + np.geomspace(1e-3, 1e5, 1200)  # Hoelder orders that are tried

Values = Float[np.ndarray, "..."]


def tilt_bound(
    chance: Float[ArrayLike, "..."],
    theta: Float[ArrayLike, "..."],
    offset: Float[ArrayLike, "..."],
    *,
    normaliser: Callable[[Values], Values],
) -> Values:
    r"""Bound the probability of an event at parameters near one where it is bounded.

    For data of an exponential family with the natural parameter theta and the
    normaliser A of all of them, any event that has at most the probability f at theta
    has, at theta + v, for any order q > 1, at most

    $$ f^{1 - 1/q} \exp\left(\frac{A(\theta + q v) - A(\theta)}{q}
       - A(\theta + v) + A(\theta)\right), $$

    which follows from Hoelder's inequality. The least of many orders is taken; each of
    them is a bound by itself. Over an interval it is highest at one of its ends.

    Parameters
    ----------
    chance
        [1] The probability f, or an upper limit of it.
    theta, offset
        The natural parameter there, and how far away the bound is asked for.
    normaliser
        The function A.

    References
    ----------
    Sklar M et al. (2022) arXiv:2212.10042.

    Examples
    --------
    >>> def normaliser(theta):
    ...     return 50 * theta**2 / 2  # 50 normal values of deviation 1
    >>> found = tilt_bound(0.025, 0.0, 0.05, normaliser=normaliser)
    >>> print(f"{float(found):.4f}")
    0.0614
    """
    f, t, v = np.broadcast_arrays(
        *(np.asarray(one, float)[..., None] for one in (chance, theta, offset))
    )
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        base = normaliser(t)
        grown = (normaliser(t + ORDERS * v) - base) / ORDERS
        log = (1 - 1 / ORDERS) * np.log(f) + grown - normaliser(t + v) + base
    log = np.where(np.isnan(log), np.inf, log)
    return np.asarray(np.exp(np.minimum(log.min(axis=-1), 0.0)))

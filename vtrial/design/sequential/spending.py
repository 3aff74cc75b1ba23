"""How much of an error probability may be spent by which share of the information.

All functions are 0 at no information and the whole error at full information; shares
above 1 count as 1.

References
----------
Lan KKG, DeMets DL (1983) Biometrika 70:659-663.
Kim K, DeMets DL (1987) Biometrika 74:149-154.
Hwang IK, Shih WJ, DeCani JS (1990) Stat Med 9:1439-1445.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import ndtr, ndtri

from vtrial.design.sequential.given import Array, ArrayLike
from vtrial.errors import ProtocolError

OBRIEN_FLEMING = "O'Brien-Fleming spending"
POCOCK = "Pocock spending"
HWANG_SHIH_DECANI = "Hwang-Shih-DeCani"
KIM_DEMETS = "Kim-DeMets"
USER = "user spending"


def _obrien_fleming(share: Array, error: float, _: float | None) -> Array:
    """Spend 2 (1 - Phi(z(error / 2) / sqrt(t)))."""
    with np.errstate(divide="ignore"):
        return 2 * ndtr(ndtri(error / 2) / np.sqrt(share))


def _pocock(share: Array, error: float, _: float | None) -> Array:
    """Spend error log(1 + (e - 1) t)."""
    return error * np.log1p(np.expm1(1.0) * share)


def _hwang_shih_decani(share: Array, error: float, gamma: float | None) -> Array:
    """Spend error (1 - exp(-gamma t)) / (1 - exp(-gamma)), error t at gamma 0."""
    if not gamma:
        return error * share
    return error * np.expm1(-gamma * share) / np.expm1(-gamma)


def _kim_demets(share: Array, error: float, rho: float | None) -> Array:
    """Spend error t^rho."""
    return error * share ** (1.0 if rho is None else rho)


SPENDING: dict[str, Callable[[Array, float, float | None], Array]] = {
    OBRIEN_FLEMING: _obrien_fleming,
    POCOCK: _pocock,
    HWANG_SHIH_DECANI: _hwang_shih_decani,
    KIM_DEMETS: _kim_demets,
}


def spend(
    family: str,
    share: ArrayLike,
    error: float,
    *,
    parameter: float | Sequence[float] | None = None,
    sides: int = 1,
    planned: ArrayLike | None = None,
) -> Array:
    """Return the error spent by a share of the information.

    Parameters
    ----------
    parameter
        gamma of Hwang, Shih and DeCani, rho of Kim and DeMets, or the errors spent by
        the looks of a plan (`user spending`).
    sides
        With 2, each side spends half of the error by the function of that half.
    planned
        Shares of the plan's looks, for `user spending`; between them, the error goes
        on a straight line.

    Raises
    ------
    ProtocolError
        If there is no such family.

    Examples
    --------
    >>> [round(float(x), 5) for x in spend("O'Brien-Fleming spending", [0.5, 1], 0.025)]
    [0.00153, 0.025]
    """
    share = np.clip(np.asarray(share, float), 0.0, 1.0)
    if family == USER:
        values = np.concatenate([[0.0], np.ravel(np.asarray(parameter, float))])
        looks = np.concatenate([[0.0], np.ravel(np.asarray(planned, float))])
        return np.interp(share, looks, values)
    if family not in SPENDING:
        raise ProtocolError(
            at="spending",
            found=f"`{family}`",
            allowed="one of " + ", ".join(f"`{word}`" for word in (*SPENDING, USER)),
            write="",
        )
    number = None if parameter is None else float(np.ravel(parameter)[0])
    return np.asarray(sides * SPENDING[family](share, error / sides, number))

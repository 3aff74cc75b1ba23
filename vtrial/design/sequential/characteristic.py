"""What a group sequential test asks of a trial: its drift, inflation and mean size.

References
----------
Jennison C, Turnbull BW (2000) Group Sequential Methods, sections 2.3 and 7.3.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from vtrial.design.sequential.boundary import Boundaries, boundaries
from vtrial.design.sequential.given import Array
from vtrial.design.sequential.plan import GroupSequential
from vtrial.design.sequential.root import root
from vtrial.errors import ProtocolError

_PRECISION = 1e-13


@dataclass(frozen=True)
class Characteristics:
    """What a plan needs to have its power.

    Parameters
    ----------
    fixed
        Mean of Z at which a trial of one look has the power.
    drift
        Mean of Z at full information at which the plan has the power.
    inflation
        Largest information over that of a trial of one look.
    rejection, futility
        Probabilities to reject, and to stop for futility, at each look under the drift.
    mean_h0, mean_h01, mean_h1
        Mean information under no drift, half of it and all of it, over that of a trial
        of one look.
    """

    fixed: float
    drift: float
    inflation: float
    rejection: Array
    futility: Array
    mean_h0: float
    mean_h01: float
    mean_h1: float


def characteristics(
    design: GroupSequential, bounds: Boundaries | None = None
) -> Characteristics:
    """Return what a plan needs to have its power.

    Raises
    ------
    ProtocolError
        If no drift gives the power.

    Examples
    --------
    >>> plan = GroupSequential((0.2, 0.4, 0.6, 0.8, 1.0), sides=2, alpha=0.05, beta=0.1,
    ...                        efficacy="Pocock")
    >>> print(round(characteristics(plan).inflation, 3))
    1.207
    """
    bounds = boundaries(design) if bounds is None else bounds
    power = 1 - design.beta
    drift = drift_for(bounds, power)
    fixed = fixed_drift(
        design.total_alpha, power, sides=design.sides, both_tails=design.both_tails
    )
    drifts = np.array([0.0, drift / 2, drift])
    inflation = (drift / fixed) ** 2
    mean = mean_information(bounds, drifts) * inflation
    return Characteristics(
        fixed=fixed,
        drift=drift,
        inflation=inflation,
        rejection=bounds.rejection(drift),
        futility=bounds.futility(drift),
        mean_h0=float(mean[0]),
        mean_h01=float(mean[1]),
        mean_h1=float(mean[2]),
    )


def drift_for(bounds: Boundaries, power: float) -> float:
    """Return the drift at which bounds reject with a probability.

    Raises
    ------
    ProtocolError
        If no drift gives the power.
    """

    def missing(drift: float) -> float:
        return float(bounds.rejection(drift).sum()) - power

    low, high = 0.0, 4.0
    while missing(high) < 0 and high < 60:
        low, high = high, 1.5 * high
    if missing(low) > 0 or missing(high) < 0:
        raise ProtocolError(
            at="design.power",
            found=f"{power:g}",
            allowed="a power that these bounds can have, above their alpha",
            write="",
        )
    return float(root(missing, low, high, xtol=_PRECISION, rtol=_PRECISION))


def fixed_drift(
    alpha: float, power: float, *, sides: int = 1, both_tails: bool = False
) -> float:
    """Return the mean of Z at which one look has a power."""
    bound = -float(ndtri(alpha / sides))
    drift = bound + float(ndtri(power))
    if sides == 1 or not both_tails:
        return drift

    def missing(mean: float) -> float:
        return float(ndtr(mean - bound) + ndtr(-mean - bound)) - power

    return float(root(missing, 0.0, drift + 1, xtol=_PRECISION, rtol=_PRECISION))


def mean_information(bounds: Boundaries, drift: Array | float) -> Array:
    """Return the mean share of information at which a trial ends, of drift's shape."""
    found = bounds.crossing(drift)
    stop = found.upper + found.lower + found.inner
    early = stop[..., :-1]
    time = bounds.information
    last = 1 - early.sum(axis=-1)
    return (early * time[..., :-1]).sum(axis=-1) + last * time[..., -1]

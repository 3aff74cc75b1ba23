r"""Assurance: power averaged over what is known of the effect before the trial.

The drift, the mean of Z at full information, has a normal prior, and

$$ A = \int \Pr(\text{rejected} \mid \theta)\, \pi(\theta)\, d\theta. $$

With one look at a bound $z$ and the prior $N(\mu, \tau^2)$ it is
$\Phi\big((\mu - z) / \sqrt{1 + \tau^2}\big)$.

References
----------
Spiegelhalter DJ, Freedman LS (1986) Stat Med 5:1-13.
O'Hagan A, Stevens JW, Campbell MJ (2005) Pharm Stat 4:187-201.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from vtrial.design.sequential.boundary import Boundaries
from vtrial.design.sequential.recursion import REACH, crossing
from vtrial.errors import ProtocolError

_NODES = 200  # of Gauss and Legendre, on each side of no effect


class Assurance(NamedTuple):
    """Assurance, and its parts by whether the treatment truly works.

    Fields
    ------
    assurance
        The probability to reject.
    conditional
        The power at the mean of the prior.
    works
        The prior's probability of a drift above 0.
    where_it_works, where_not
        The power, averaged over the drifts above 0, and over the others; NaN where the
        prior has none of them.
    """

    assurance: float
    conditional: float
    works: float
    where_it_works: float
    where_not: float


def assurance(
    bounds: Boundaries, *, prior_mean: float | int, prior_sd: float | int
) -> Assurance:
    """Return the power of a plan, averaged over a normal prior of the drift.

    Parameters
    ----------
    bounds
        Of one trial. Bounds of futility count where they are binding.
    prior_mean, prior_sd
        Of the drift: the effect over its standard error at full information. Of a
        difference of two means with n subjects an arm, that error is sd * sqrt(2 / n).

    Raises
    ------
    ProtocolError
        If the standard deviation is not positive.

    Examples
    --------
    >>> from vtrial.design.sequential import GroupSequential, boundaries
    >>> found = assurance(
    ...     boundaries(GroupSequential((1.0,))), prior_mean=3.0, prior_sd=2.0
    ... )
    >>> [round(part, 4) for part in found]
    [0.6791, 0.8508, 0.9332, 0.7272, 0.0071]
    """
    if not prior_sd > 0:
        allowed = "a positive standard deviation; where the drift is known, use `power`"
        raise ProtocolError("prior_sd", f"{prior_sd:g}", allowed, "")
    lower = bounds.lower
    if bounds.sides == 1 and not bounds.binding:
        lower = np.full(lower.shape, -np.inf)

    def power(drift: np.ndarray) -> np.ndarray:
        found = crossing(bounds.information, bounds.upper, lower, drift)
        return np.asarray(found.upper.sum(axis=-1))

    node, weight = np.polynomial.legendre.leggauss(_NODES)
    low, high = prior_mean - REACH * prior_sd, prior_mean + REACH * prior_sd
    ends = ((max(low, 0.0), max(high, 0.0)), (min(low, 0.0), min(high, 0.0)))
    parts = []
    for start, end in ends:
        drift = start + (end - start) * (node + 1) / 2
        density = np.exp(-(((drift - prior_mean) / prior_sd) ** 2) / 2)
        density = density / (prior_sd * np.sqrt(2 * np.pi)) * weight * (end - start) / 2
        parts.append(float(density @ power(drift)))
    works = float(ndtr(prior_mean / prior_sd))
    return Assurance(
        assurance=sum(parts),
        conditional=float(power(np.array(float(prior_mean)))),
        works=works,
        where_it_works=parts[0] / works if works > 0 else np.nan,
        where_not=parts[1] / (1 - works) if works < 1 else np.nan,
    )

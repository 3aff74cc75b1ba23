"""How many subjects a prior is worth."""

from typing import Literal

import numpy as np
from jaxtyping import Float

from vtrial.design.borrowing.mixture import Mixture
from vtrial.errors import ProtocolError

POINTS, REACH = 600, 12.0  # of each component's integral, and deviations it spans
_NODES, _SHARES = np.polynomial.legendre.leggauss(POINTS)


def effective_size(
    prior: Mixture, by: Literal["ELIR", "moment"] = "ELIR", *, deviation: float = 0.0
) -> float:
    r"""Return the number of subjects that a prior is worth.

    By the expected local information ratio,

    $$ \mathrm{E}\left[-\frac{d^2 \log p(\theta)}{d\theta^2} \Big/ i(\theta)\right], $$

    with i the information of one subject, 1/(x(1 - x)) of a rate and 1/sd^2 of a mean;
    or by the size of the one conjugate that has the mixture's mean and deviation.

    Parameters
    ----------
    prior
        Of one rate, or one mean.
    by
        Which of both; the first is predictively consistent, the second careful.
    deviation
        The standard deviation of one subject's value, for a mean.

    References
    ----------
    Neuenschwander B et al. (2020) Biometrics 76:578-587.

    Examples
    --------
    >>> from vtrial.design.borrowing.mixture import beta_mixture
    >>> print(round(effective_size(beta_mixture((1, 5, 15))), 6))
    20.0
    """
    if prior.law == "normal" and not deviation > 0:
        raise ProtocolError(
            at="deviation",
            found=f"{deviation:g}",
            allowed="the standard deviation of one subject's value, above 0",
            write="",
        )
    alone = (prior.weight > 1e-12).sum() == 1  # both ways agree, even if it is uniform
    if by == "moment" or alone:
        if prior.law == "normal":
            return float((deviation / prior.deviation) ** 2)
        mean = prior.mean
        return float(mean * (1 - mean) / prior.deviation**2 - 1)
    point, mass = _points(prior)
    unit = deviation**2 if prior.law == "normal" else point * (1 - point)
    return float((mass * unit * _curvature(prior, point)).sum() / mass.sum())


def _points(
    prior: Mixture,
) -> tuple[Float[np.ndarray, " point"], Float[np.ndarray, " point"]]:
    """Return points and their masses: those of each component where it lies."""
    middle, spread = prior._moments()
    low, high = middle - REACH * spread, middle + REACH * spread
    half = (high - low)[:, None] / 2
    if prior.law == "beta":
        low, high = (np.arcsin(np.sqrt(np.clip(end, 0, 1))) for end in (low, high))
        half = (high - low)[:, None] / 2
    at = low[:, None] + half * (1 + _NODES)
    stretch = np.sin(2 * at) if prior.law == "beta" else 1.0
    point = np.sin(at) ** 2 if prior.law == "beta" else at
    rows = np.arange(len(middle))
    own = np.exp(prior.log_parts(point)[rows, :, rows])
    return point.ravel(), (
        prior.weight[:, None] * half * _SHARES * stretch * own
    ).ravel()


def _curvature(
    prior: Mixture, point: Float[np.ndarray, " point"]
) -> Float[np.ndarray, " point"]:
    """Return minus the second derivative of the density's logarithm."""
    log = np.log(np.maximum(prior.weight, 1e-300)) + prior.log_parts(point)
    share = np.exp(log - log.max(axis=-1, keepdims=True))
    share = share / share.sum(axis=-1, keepdims=True)
    a, b, x = prior.first, prior.second, point[:, None]
    if prior.law == "normal":
        slope, bend = -(x - a) / b**2, np.broadcast_to(-1 / b**2, share.shape)
    else:
        slope = (a - 1) / x - (b - 1) / (1 - x)
        bend = -(a - 1) / x**2 - (b - 1) / (1 - x) ** 2
    mean = (share * slope).sum(axis=-1)
    return mean**2 - (share * (bend + slope**2)).sum(axis=-1)

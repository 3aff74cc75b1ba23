"""How probable an effect beyond a margin is, and its moments, after mixtures."""

from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy import special

from vtrial.design.borrowing.mixture import Each, Mixture

Scale = Literal["difference", "ratio", "odds"]
POINTS, REACH = 192, 9.0  # of the integral, and the deviations that it spans
_NODES, _SHARES = np.polynomial.legendre.leggauss(POINTS)


def probability_beyond(
    arm: Mixture, reference: Mixture, margin: float, *, scale: Scale = "difference"
) -> Each:
    r"""Return the probability that the effect of an arm is above a margin.

    $$ P = \int P\left(\theta_1 > g(\theta_0)\right) p(\theta_0)\, d\theta_0, $$

    where g(x) is x + margin, x times it, or what has that ratio of odds.

    Parameters
    ----------
    arm, reference
        What is believed of both, of one law, for any number of trials.
    margin
        A difference, or a ratio itself.

    Notes
    -----
    Normal mixtures have it in closed form. Rates are integrated over the angle
    asin(sqrt(x)), in which beta densities have no poles down to shapes of one half and
    are about equally wide wherever they lie.

    Examples
    --------
    >>> from vtrial.design.borrowing.mixture import normal_mixture
    >>> two = normal_mixture((1, 1, 1)), normal_mixture((1, 0, 1))
    >>> print(round(float(probability_beyond(*two, 0.0)), 4))
    0.7602
    """
    if arm.law == "normal":
        apart = arm.first[..., :, None] - reference.first[..., None, :] - margin
        wide = np.hypot(arm.second[..., :, None], reference.second[..., None, :])
        joint = arm.weight[..., :, None] * reference.weight[..., None, :]
        return (joint * special.ndtr(apart / wide)).sum(axis=(-2, -1))
    low = np.clip(reference.mean - REACH * reference.deviation, 0.0, 1.0)
    high = np.clip(reference.mean + REACH * reference.deviation, 0.0, 1.0)
    low, high = np.arcsin(np.sqrt(low)), np.arcsin(np.sqrt(high))
    half = np.asarray(high - low)[..., None] / 2
    angle = np.asarray(low)[..., None] + half * (1 + _NODES)
    x = np.sin(angle) ** 2
    mass = _SHARES * half * reference.density(x) * np.sin(2 * angle)
    above = 1.0 - arm.below(_moved(x, margin, scale))
    return (mass * above).sum(axis=-1) / mass.sum(axis=-1)


def _moved(
    x: Float[np.ndarray, "*trial point"], margin: float, scale: Scale
) -> Float[np.ndarray, "*trial point"]:
    """Return the rate that has an effect of the margin against each."""
    if scale == "difference":
        return x + margin
    return margin * x if scale == "ratio" else margin * x / (1 - x + margin * x)


def contrast_moments(
    arm: Mixture, reference: Mixture, *, scale: Scale = "difference"
) -> tuple[Each, Each]:
    """Return mean and standard deviation of an effect; of ratios, of their logarithms.

    Examples
    --------
    >>> from vtrial.design.borrowing.mixture import normal_mixture
    >>> two = normal_mixture((1, 1, 3)), normal_mixture((1, 0, 4))
    >>> [float(one) for one in contrast_moments(*two)]
    [1.0, 5.0]
    """
    (one, wide), (other, width) = (_moments(side, scale) for side in (arm, reference))
    return one - other, np.hypot(wide, width)


def _moments(side: Mixture, scale: Scale) -> tuple[Each, Each]:
    """Return mean and deviation of a rate, its logarithm, or the logarithm of odds."""
    if scale == "difference" or side.law == "normal":
        return side.mean, side.deviation
    a, b = side.first, side.second
    other = a + b if scale == "ratio" else b
    middle = special.digamma(a) - special.digamma(other)
    sign = -1.0 if scale == "ratio" else 1.0
    spread = special.polygamma(1, a) + sign * special.polygamma(1, other)
    mean = (side.weight * middle).sum(axis=-1)
    about = spread + (middle - np.asarray(mean)[..., None]) ** 2
    return mean, np.sqrt((side.weight * about).sum(axis=-1))

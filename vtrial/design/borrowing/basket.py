"""Subgroups that may be alike: EXNEX, for any number of trials at once."""

import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special

from vtrial.errors import ProtocolError

NODES, REACH, MOST = 40, 5.0, 8  # of the heterogeneity; subgroups at most
_AT, _SHARES = np.polynomial.legendre.leggauss(NODES)

Groups = Float[np.ndarray, "trial group"]


class Shared(NamedTuple):
    """What is believed of each subgroup's effect after the others.

    Fields
    ------
    mean, deviation
        Of each effect.
    beyond
        The probability that it is above the margin.
    alike
        The probability that it is one of those that are alike.
    """

    mean: Groups
    deviation: Groups
    beyond: Groups
    alike: Groups


def exchange(
    estimate: Groups,
    error: Groups,
    *,
    alike: float,
    heterogeneity: float,
    spread: float,
    centre: float = 0.0,
    margin: float = 0.0,
) -> Shared:
    r"""Share what subgroups show, as far as they are alike.

    Each effect is, with the probability `alike`, normal about a common value with a
    deviation tau between subgroups, and else by itself:

    $$ \theta_j \sim p\, N(\mu, \tau^2) + (1 - p)\, N(m, s^2), \quad
       \mu \sim N(m, s^2), \quad \tau \sim |N(0, h^2)|. $$

    With p = 1 it is the usual hierarchical model, with p = 0 each goes alone.

    Parameters
    ----------
    estimate, error
        Of each subgroup's effect; NaN where nothing is known of it.
    alike
        The probability p.
    heterogeneity
        The scale h.
    spread, centre
        Deviation s and mean m of the prior.
    margin
        Above which an effect is to be.

    Notes
    -----
    Given who is alike and tau all is normal. All of both are summed: 2^J choices at 40
    nodes of tau. A subgroup of which nothing is known says nothing of the others.

    References
    ----------
    Neuenschwander B et al. (2016) Pharm Stat 15:123-134.

    Examples
    --------
    >>> two = np.array([[1.0, 1.2]]), np.array([[0.5, 0.5]])
    >>> made = exchange(*two, alike=0.5, heterogeneity=0.5, spread=2.0)
    >>> bool(made.deviation.max() < 0.5)
    True
    """
    groups = estimate.shape[1]
    if groups > MOST or not heterogeneity > 0 or not spread > 0 or not 0 <= alike <= 1:
        raise ProtocolError(
            at="exchangeability",
            found=f"{groups} subgroups, {alike:g}, {heterogeneity:g} and {spread:g}",
            allowed=f"at most {MOST} subgroups, a share, and deviations above 0",
            write="",
        )
    seen = np.isfinite(estimate) & np.isfinite(error) & (error > 0)
    y = np.where(seen, estimate, centre)[..., None]
    told = np.where(seen, 1 / np.where(seen, error, 1.0) ** 2, 0.0)[..., None]
    tau = REACH * heterogeneity * (1 + _AT) / 2
    prior = _SHARES * np.exp(-0.5 * (tau / heterogeneity) ** 2)
    prior = prior / prior.sum()
    parts = []
    for chosen in itertools.product((False, True), repeat=groups):
        chance = np.prod(np.where(chosen, alike, 1 - alike))
        if chance > 0:
            made = _given(np.array(chosen), y, told, tau, spread, centre)
            parts.append((np.array(chosen), made, np.log(chance * prior)))
    top = np.max([(log + one[0]).max(axis=1) for _, one, log in parts], axis=0)
    total, sums = 0.0, np.zeros((4, *estimate.shape))
    for chosen, (likely, middle, wide), log in parts:
        weight = np.exp(likely + log - top[:, None])[:, None, :]
        total = total + weight.sum(axis=-1)
        beyond = special.ndtr((middle - margin) / wide)
        told_ = (
            middle,
            middle**2 + wide**2,
            beyond,
            np.broadcast_to(1.0, middle.shape),
        )
        for row, value in enumerate(told_):
            part = (weight * value).sum(axis=-1)
            sums[row] += part * chosen if row == 3 else part
    mean, square, beyond, one = sums / total
    return Shared(mean, np.sqrt(np.maximum(square - mean**2, 0.0)), beyond, one)


def _given(
    chosen: np.ndarray,
    y: np.ndarray,
    told: np.ndarray,
    tau: np.ndarray,
    spread: float,
    centre: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return likelihood, means and deviations given who is alike, at each tau.

    `told` is the information of each estimate. Shapes are (trial, tau), and (trial,
    group, tau).
    """
    own = chosen[:, None] * tau**2 + ~chosen[:, None] * spread**2
    ratio = told / (1 + told * own)  # information on the value that it is about
    apart = y - centre
    single = np.where(chosen[:, None], 0.0, ratio * apart**2)
    likely = -0.5 * (single - np.log1p(-ratio * own)).sum(axis=1)
    together = np.where(chosen[:, None], ratio, 0.0)
    precision = together.sum(axis=1) + 1 / spread**2
    middle = (together * apart).sum(axis=1) / precision
    about = (together * apart**2).sum(axis=1) - precision * middle**2
    likely = likely - 0.5 * (about + np.log(precision * spread**2))
    kept = 1 / (1 + told * own)  # the weight of the value that it is about
    before = np.where(chosen[:, None], middle[:, None, :], 0.0)
    mean = centre + kept * before + (1 - kept) * apart
    variance = kept * own + np.where(chosen[:, None], kept**2 / precision[:, None], 0)
    return likely, mean, np.sqrt(variance)

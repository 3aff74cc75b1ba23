"""Mixtures of conjugate distributions: densities, moments, and what data make of them.

All take any number of trials at once: the last axis is that of components.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Num
from scipy import special

from vtrial.errors import ProtocolError

Parts = Float[np.ndarray, "*trial component"]
Each = Float[np.ndarray, "*trial"] | float
HALVINGS = 60  # of a bracket of a quantile


class Mixture(NamedTuple):
    """A mixture of distributions of one law.

    Fields
    ------
    law
        `beta`, of a rate, or `normal`, of a mean.
    weight
        Of each component; they sum up to 1.
    first, second
        Both shapes of a beta distribution; mean and standard deviation of a normal one.
    """

    law: Literal["beta", "normal"]
    weight: Parts
    first: Parts
    second: Parts

    @property
    def mean(self) -> Each:
        """The mean."""
        return (self.weight * self._moments()[0]).sum(axis=-1)

    @property
    def deviation(self) -> Each:
        """The standard deviation."""
        middle, spread = self._moments()
        about = spread**2 + (middle - np.asarray(self.mean)[..., None]) ** 2
        return np.sqrt((self.weight * about).sum(axis=-1))

    def _moments(self) -> tuple[Parts, Parts]:
        """Return mean and deviation of each component."""
        if self.law == "normal":
            return self.first, self.second
        total = self.first + self.second
        middle = self.first / total
        return middle, np.sqrt(middle * (1 - middle) / (total + 1))

    def log_parts(
        self, at: Float[np.ndarray, "*trial point"]
    ) -> Float[np.ndarray, "*trial point component"]:
        """Return the logarithm of each component's density."""
        x = at[..., None]
        a, b = self.first[..., None, :], self.second[..., None, :]
        if self.law == "normal":
            return -0.5 * ((x - a) / b) ** 2 - np.log(b) - 0.5 * np.log(2 * np.pi)
        with np.errstate(divide="ignore"):
            power = special.xlogy(a - 1, x) + special.xlog1py(b - 1, -x)
        return power - special.betaln(a, b)

    def density(
        self, at: Float[np.ndarray, "*trial point"]
    ) -> Float[np.ndarray, "*trial point"]:
        """Return the density at points."""
        return (self.weight[..., None, :] * np.exp(self.log_parts(at))).sum(axis=-1)

    def below(
        self, at: Float[np.ndarray, "*trial point"]
    ) -> Float[np.ndarray, "*trial point"]:
        """Return the probability of less than each point."""
        x = at[..., None]
        a, b = self.first[..., None, :], self.second[..., None, :]
        if self.law == "normal":
            each = special.ndtr((x - a) / b)
        else:
            each = special.betainc(a, b, np.clip(x, 0.0, 1.0))
        return (self.weight[..., None, :] * each).sum(axis=-1)

    def quantile(self, level: float) -> Each:
        """Return the value below which it lies with a probability."""
        if self.law == "beta":
            low, high = np.zeros(np.shape(self.mean)), np.ones(np.shape(self.mean))
        else:
            reach = 40 * self.second
            low = (self.first - reach).min(axis=-1)
            high = (self.first + reach).max(axis=-1)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            under = self.below(np.asarray(middle)[..., None])[..., 0] < level
            low, high = np.where(under, middle, low), np.where(under, high, middle)
        return (low + high) / 2


def beta_mixture(*parts: Sequence[float | int]) -> Mixture:
    """Make a mixture of beta distributions of (weight, shape, shape).

    Examples
    --------
    >>> round(float(beta_mixture((0.2, 1, 1), (0.8, 10, 2)).mean), 4)
    0.7667
    """
    return _mixture("beta", parts)


def normal_mixture(*parts: Sequence[float | int]) -> Mixture:
    """Make a mixture of normal distributions of (weight, mean, standard deviation).

    Examples
    --------
    >>> float(normal_mixture((0.5, 0, 2), (0.5, 3, 4)).mean)
    1.5
    """
    return _mixture("normal", parts)


def _mixture(
    law: Literal["beta", "normal"], parts: Sequence[Sequence[float | int]]
) -> Mixture:
    """Make a mixture of rows of numbers, whose weights need not sum up to 1."""
    weight, first, second = np.asarray(parts, float).T
    bad = (weight < 0).any() or not weight.sum() > 0 or not (second > 0).all()
    if bad or (law == "beta" and not (first > 0).all()):
        raise ProtocolError(
            at="a mixture",
            found=f"{[tuple(map(float, part)) for part in parts]}",
            allowed="weights that are not negative, and shapes (or deviations) above 0",
            write="",
        )
    return Mixture(law, weight / weight.sum(), first, second)


def robust(
    prior: Mixture, share: float, *, middle: float = 0.5, spread: float = 0.0
) -> Mixture:
    """Add a vague component with a share of the weight, in case the past misleads.

    Parameters
    ----------
    prior, share
        The prior, and the weight of the vague component.
    middle
        Its mean.
    spread
        The standard deviation of a normal one; a beta one is worth two subjects
        (uniform about one half).

    References
    ----------
    Schmidli H et al. (2014) Biometrics 70:1023-1032.
    """
    if not 0 <= share <= 1:
        raise ProtocolError(
            at="share", found=f"{share:g}", allowed="a share from 0 to 1", write=""
        )
    added = (2 * middle, 2 * (1 - middle)) if prior.law == "beta" else (middle, spread)
    vague = _mixture(prior.law, ((1.0, *added),))
    return Mixture(
        prior.law,
        np.append((1 - share) * prior.weight, share),
        np.append(prior.first, vague.first),
        np.append(prior.second, vague.second),
    )


def with_responses(
    prior: Mixture, events: Num[np.ndarray, "*trial"], count: Num[np.ndarray, "*trial"]
) -> Mixture:
    """Return what is believed of a rate after `events` in `count` subjects.

    Each component is updated, and its weight multiplied by how probable it made the
    data: w B(a + r, b + n - r) / B(a, b).
    """
    r, n = (np.asarray(one, float)[..., None] for one in (events, count))
    a, b = prior.first + r, prior.second + n - r
    likely = special.betaln(a, b) - special.betaln(prior.first, prior.second)
    return Mixture("beta", _weighed(prior.weight, likely), a, b)


def with_mean(
    prior: Mixture, mean: Num[np.ndarray, "*trial"], error: Num[np.ndarray, "*trial"]
) -> Mixture:
    """Return what is believed of a mean that was estimated with an error that is known.

    Nothing is learnt where the error is not finite.
    """
    seen = np.isfinite(mean) & np.isfinite(error) & (np.asarray(error) > 0)
    y = np.where(seen, mean, 0.0)[..., None]
    s = np.where(seen, error, np.inf)[..., None]
    m, d = prior.first, prior.second
    precision = 1 / d**2 + 1 / s**2
    middle = (m / d**2 + y / s**2) / precision
    total = np.where(np.isfinite(s), d**2 + s**2, 1.0)
    likely = np.where(
        np.isfinite(s), -0.5 * ((y - m) ** 2 / total + np.log(total)), 0.0
    )
    return Mixture("normal", _weighed(prior.weight, likely), middle, precision**-0.5)


def _weighed(
    weight: Float[np.ndarray, "..."], likely: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    """Multiply weights by likelihoods that are given as logarithms."""
    with np.errstate(divide="ignore"):
        log = np.log(weight) + likely
    made = np.exp(log - log.max(axis=-1, keepdims=True))
    return made / made.sum(axis=-1, keepdims=True)

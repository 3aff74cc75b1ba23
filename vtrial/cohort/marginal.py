"""Marginals: from a standard normal score to a value, and back to words."""

import math

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import log_ndtr, ndtr, ndtri
from jaxtyping import Array, Float

from vtrial.cohort.cohort import Marginal
from vtrial.cohort.quantile_spline import score_of, splined

TAILS = ("normal", "lognormal", "gamma", "beta", "weibull")  # that can be cut
ROUNDING = 1e-12  # relative, of a value that came out of its logarithm


def normal(mean: float, sd: float, *, low: float, high: float) -> Marginal:
    """Make a normal marginal, truncated to [low, high]."""
    return Marginal("normal", mean, sd, low=low, high=high)


def lognormal_median(median: float, cv: float, *, low: float, high: float) -> Marginal:
    r"""Make a log-normal marginal from its median and coefficient of variation.

    The standard deviation of the logarithm is $\sqrt{\log(1 + cv^2)}$.
    """
    sigma = math.sqrt(math.log1p(cv**2))
    return Marginal("lognormal", math.log(median), sigma, low=low, high=high)


def lognormal_mean(mean: float, sd: float, *, low: float, high: float) -> Marginal:
    """Make a log-normal marginal from its own mean and standard deviation."""
    variance = math.log1p((sd / mean) ** 2)
    middle = math.log(mean) - variance / 2
    return Marginal("lognormal", middle, math.sqrt(variance), low=low, high=high)


def quantile(marginal: Marginal, score: Float[Array, ""]) -> Float[Array, ""]:
    """Return the value whose probability is that of a standard normal score.

    This is the inverse of the distribution function, after a truncation to
    [low, high] that spreads the lost probability over what is left, and with what lies
    beyond floor and ceiling put there.
    """
    value = _unclipped(marginal, score)
    if marginal.floor == -math.inf and marginal.ceiling == math.inf:
        return value
    return jnp.clip(value, marginal.floor, marginal.ceiling)


def _unclipped(marginal: Marginal, score: Float[Array, ""]) -> Float[Array, ""]:
    """Return the quantile before floor and ceiling."""
    if marginal.kind == "constant":
        return jnp.asarray(marginal.first, float)
    if marginal.kind == "uniform":
        span = marginal.second - marginal.first
        return marginal.first + span * ndtr(score)
    if marginal.kind in ("categorical", "empirical"):
        return _step(marginal, score)
    if marginal.kind in ("gamma", "beta"):
        value = splined(marginal, _truncated(marginal, score))
    elif marginal.kind == "weibull":
        left = -log_ndtr(-_truncated(marginal, score))
        value = marginal.second * left ** (1.0 / marginal.first)
    elif marginal.second == 0:
        value = jnp.full_like(score, marginal.first)
    else:
        value = marginal.first + marginal.second * _truncated(marginal, score)
    if marginal.kind == "lognormal":
        value = jnp.exp(value)
    return jnp.clip(value, marginal.low, marginal.high)


def inside(marginal: Marginal) -> float:
    """Return the probability that a truncation leaves (1: nothing is cut)."""
    if marginal.kind not in TAILS:
        return 1.0
    if marginal.second == 0:
        value = marginal.first
        value = math.exp(value) if marginal.kind == "lognormal" else value
        slack = ROUNDING * abs(value)
        return float(marginal.low - slack <= value <= marginal.high + slack)
    low, high = _bounds(marginal)
    return _below(high) - _below(low) if low < 0 else _below(-low) - _below(-high)


def _step(marginal: Marginal, score: Float[Array, ""]) -> Float[Array, ""]:
    """Look up the value of a stepwise distribution function."""
    values = np.asarray(marginal.values, float)
    if marginal.kind == "categorical":
        edges = np.cumsum(np.asarray(marginal.shares, float))[:-1]
        place = jnp.sum(ndtr(score) >= jnp.asarray(edges), dtype=int)
    else:
        count = len(values)
        place = jnp.floor(ndtr(score) * count).astype(int)
        place = jnp.minimum(place, count - 1)
    return jnp.asarray(values)[place]


def _truncated(marginal: Marginal, score: Float[Array, ""]) -> Float[Array, ""]:
    """Squeeze a standard normal score between the bounds, keeping its rank.

    Probabilities are counted from the tail in which the bounds lie, where they are
    small and exact.
    """
    low, high = _bounds(marginal)
    if low == -math.inf and high == math.inf:
        return score
    if low > 0 or high == math.inf:
        least, most = _below(-high), _below(-low)
        return -ndtri(least + (most - least) * ndtr(-score))
    least, most = _below(low), _below(high)
    return ndtri(least + (most - least) * ndtr(score))


def _bounds(marginal: Marginal) -> tuple[float, float]:
    """Return the truncation in standard deviations from the middle, or as scores."""
    low, high = marginal.low, marginal.high
    if marginal.kind in ("gamma", "beta", "weibull"):
        return score_of(marginal, low), score_of(marginal, high)
    if marginal.kind == "lognormal":
        low = math.log(low) if low > 0 else -math.inf
        high = math.log(high) if high > 0 else -math.inf
    middle, sd = marginal.first, marginal.second
    return (low - middle) / sd, (high - middle) / sd


def _below(score: float) -> float:
    """Return the standard normal distribution function."""
    return 0.5 * math.erfc(-score / math.sqrt(2.0))

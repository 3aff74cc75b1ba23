"""Quantiles of gamma and beta distributions, as splines of the normal score.

Neither has an inverse in closed form. The logarithm of a gamma quantile, and the logit
of a beta one, are smooth functions of the standard normal score of the same
probability; cubic pieces through their values and slopes are right to 1e-9 or better.
SciPy, from which they come, is imported where it is needed: most cohorts need none.
"""

import functools
import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vtrial.cohort.cohort import Marginal

END = 8.2  # a score that is beyond it is drawn once in 1e16
STEP = 0.02
LEAST_SHAPE = 0.05  # below it the smallest quantiles are no numbers


def splined(marginal: Marginal, score: Float[Array, ""]) -> Float[Array, ""]:
    """Return the quantile of a gamma or beta marginal at a standard normal score."""
    values, slopes = _knots(marginal)
    place = (jnp.clip(score, -END, END) + END) / STEP
    left = jnp.clip(jnp.floor(place).astype(int), 0, len(values) - 2)
    part = place - left.astype(place.dtype)
    first, last = (jnp.asarray(values)[left + i] for i in (0, 1))
    rise, fall = (jnp.asarray(slopes)[left + i] * STEP for i in (0, 1))
    gap = last - first
    curve = part * (1.0 - part)
    value = first + part * gap
    value = value + curve * ((1.0 - part) * (rise - gap) + part * (gap - fall))
    if marginal.kind == "gamma":
        return jnp.exp(value)
    low, high = marginal.values
    return low + (high - low) / (1.0 + jnp.exp(-value))


def score_of(marginal: Marginal, value: float) -> float:
    """Return the standard normal score of a value: that of the same probability."""
    from scipy.special import ndtri

    law = _law(marginal)
    below, above = float(law.cdf(value)), float(law.sf(value))
    return float(ndtri(below) if below < above else -ndtri(above))


@functools.lru_cache(256)
def _knots(marginal: Marginal) -> tuple[np.ndarray, np.ndarray]:
    """Return logarithms or logits of quantiles at the knots, and their slopes."""
    from scipy.special import betaln, ndtr

    score = np.arange(-END, END + STEP / 2, STEP)
    below, above = ndtr(score), ndtr(-score)
    bell = np.exp(-0.5 * score**2) / math.sqrt(2 * math.pi)
    law = _law(marginal)
    if marginal.kind == "gamma":
        value = np.where(score < 0, law.ppf(below), law.isf(above))
        return np.log(value), bell / np.exp(law.logpdf(value) + np.log(value))
    first, second = marginal.first, marginal.second
    unit = Marginal("beta", first, second, values=(0.0, 1.0))
    mirrored = Marginal("beta", second, first, values=(0.0, 1.0))
    value, rest = _law(unit).ppf(below), _law(mirrored).ppf(above)
    value = np.where(score < 0, value, 1.0 - rest)
    rest = np.where(score < 0, 1.0 - value, rest)
    logs = np.log(value), np.log(rest)
    density = first * logs[0] + second * logs[1]  # of the logit
    density -= betaln(first, second)
    return logs[0] - logs[1], bell / np.exp(density)


def _law(marginal: Marginal) -> Any:
    """Return the distribution, of those that SciPy has."""
    import scipy.stats

    if marginal.kind == "gamma":
        return scipy.stats.gamma(marginal.first, scale=marginal.second)
    if marginal.kind == "weibull":
        return scipy.stats.weibull_min(marginal.first, scale=marginal.second)
    low, high = marginal.values
    return scipy.stats.beta(marginal.first, marginal.second, low, high - low)

"""Read the distributions that are given by parameters of their own."""

import math

import numpy as np

from vtrial.cohort.cohort import Marginal
from vtrial.cohort.quantile_spline import LEAST_SHAPE
from vtrial.cohort.shape import BetaShape, GammaShape, MarginalShape
from vtrial.errors import Fault
from vtrial.sheets.sheet import Path_, Sheet

NOBODY = 1e-17  # a probability that no draw meets
Read = tuple[Marginal, list[Fault]]


def read_parametric(
    sheet: Sheet, path: Path_, shape: MarginalShape, low: float, high: float
) -> Read:
    """Make a gamma, beta, Weibull, Poisson, binomial or Bernoulli marginal.

    Those of whole numbers become categories, as far as anybody ever meets them.
    """
    if shape.gamma is not None:
        return _gamma(sheet, path, shape.gamma, low, high)
    if shape.beta is not None:
        return _beta(sheet, path, shape.beta, low, high)
    if shape.weibull is not None:
        given = shape.weibull
        made = Marginal("weibull", given.shape, given.scale, low=low, high=high)
        return made, []
    from scipy.special import gammaln, xlog1py, xlogy  # slow to import

    if shape.poisson is not None:
        mean = shape.poisson.mean
        count = np.arange(math.ceil(mean + 10 * math.sqrt(mean) + 20))
        return _counted(xlogy(count, mean) - mean - gammaln(count + 1)), []
    n, p = 1, shape.bernoulli or 0.0
    if shape.binomial is not None:
        n, p = shape.binomial.n, shape.binomial.p
    count = np.arange(n + 1)
    ways = gammaln(n + 1) - gammaln(count + 1) - gammaln(n - count + 1)
    return _counted(ways + xlogy(count, p) + xlog1py(n - count, -p)), []


def _counted(logs: np.ndarray) -> Marginal:
    """Make categories of 0, 1, 2, ... with the logarithms of their probabilities."""
    shares = np.exp(logs)
    there = np.flatnonzero(shares > NOBODY)
    kept = shares[there] / math.fsum(shares[there])
    values, parts = map(float, there), map(float, kept)
    return Marginal("categorical", values=tuple(values), shares=tuple(parts))


def _gamma(
    sheet: Sheet, path: Path_, given: GammaShape, low: float, high: float
) -> Read:
    """Make a gamma marginal of shape and scale, or of its mean and spread."""
    names = given.model_fields_set
    shape, scale = given.shape, given.scale
    if names == {"mean", "sd"} and given.mean and given.sd:
        shape = (given.mean / given.sd) ** 2
    elif names == {"mean", "cv"} and given.mean and given.cv:
        shape = given.cv**-2
    if shape and given.mean and scale is None:
        scale = given.mean / shape
    if not shape or not scale or len(names) != 2:
        allowed = "given by shape and scale, by mean and sd, or by mean and cv"
        return _odd(sheet, path, names, allowed, "{mean: 20, cv: 40 %}")
    if shape < LEAST_SHAPE:
        found, allowed = f"of shape {shape:g}", f"of shape {LEAST_SHAPE:g} or more"
        return Marginal("constant"), [
            sheet.fault(path, found=found, allowed=allowed, write="")
        ]
    return Marginal("gamma", shape, scale, low=low, high=high), []


def _beta(sheet: Sheet, path: Path_, given: BetaShape, low: float, high: float) -> Read:
    """Make a beta marginal of its two parameters, or of its mean and spread."""
    names = given.model_fields_set - {"between"}
    start, end = given.between
    first, second = given.alpha, given.beta
    if names == {"mean", "sd"} and given.mean is not None and given.sd and start < end:
        mean, sd = (given.mean - start) / (end - start), given.sd / (end - start)
        precision = mean * (1 - mean) / sd**2 - 1
        first, second = mean * precision, (1 - mean) * precision
        if precision <= 0:
            first = second = None
    if not first or not second or len(names) != 2 or not start < end:
        allowed = "given by alpha and beta, or by a mean between the ends and an sd "
        allowed += "that it can have there"
        return _odd(sheet, path, names, allowed, "{alpha: 2, beta: 5}")
    if min(first, second) < LEAST_SHAPE:
        found = f"of alpha {first:g} and beta {second:g}"
        allowed = f"of {LEAST_SHAPE:g} or more both"
        return Marginal("constant"), [
            sheet.fault(path, found=found, allowed=allowed, write="")
        ]
    ends = (float(start), float(end))
    return Marginal("beta", first, second, values=ends, low=low, high=high), []


def _odd(
    sheet: Sheet, path: Path_, names: set[str], allowed: str, example: str
) -> Read:
    """Refuse parameters that do not give a distribution."""
    found = f"given by {' and '.join(sorted(names))}" if names else "empty"
    fault = sheet.fault(path, found=found, allowed=f"{allowed}, as {example}", write="")
    return Marginal("constant"), [fault]

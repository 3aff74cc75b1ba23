"""Tests that combine the p-values of independent stages.

All take p-values or statistics over replicates, with the stage as the last axis.

References
----------
Bauer P, Köhne K (1994) Biometrics 50:1029-1041 (Fisher's product).
Lehmacher W, Wassmer G (1999) Biometrics 55:1286-1290 (inverse normal).
Cui L, Hung HMJ, Wang SJ (1999) Biometrics 55:853-857.
Wassmer G, Brannath W (2016) Group Sequential and Confirmatory Adaptive Designs in
Clinical Trials, chapter 6.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PPoly
from scipy.special import chdtri, ndtri

from vtrial.design.sequential.given import Array, ArrayLike
from vtrial.design.sequential.root import root
from vtrial.errors import ProtocolError

_SMALLEST = 1e-300


def inverse_normal(z: ArrayLike, weights: ArrayLike) -> Array:
    """Return the statistics of the stages combined so far, (*replicate, stage).

    Parameters
    ----------
    z
        Statistic of each stage's own data (normal score of its p-value). A stage that
        is NaN ends what can be combined.
    weights
        One for each stage, fixed in advance; the roots of the planned increments of
        information make the combination that of the plan.

    Examples
    --------
    >>> print(inverse_normal([1.0, 1.0], [1.0, 1.0]).round(4))
    [1.     1.4142]
    """
    z, weights = np.asarray(z, float), np.asarray(weights, float)
    return np.cumsum(weights * z, axis=-1) / np.sqrt(np.cumsum(weights**2, axis=-1))


def stage_weights(information: ArrayLike) -> Array:
    """Return the weights of stages that end at given shares of the information."""
    return np.sqrt(np.diff(np.asarray(information, float), prepend=0.0, axis=-1))


def stage_statistics(z: ArrayLike, information: ArrayLike) -> Array:
    """Return the statistic of each stage's own data from those of the looks."""
    information = np.asarray(information, float)
    score = np.asarray(z, float) * np.sqrt(information)
    steps = np.diff(information, prepend=0.0, axis=-1)
    return np.diff(score, prepend=0.0, axis=-1) / np.sqrt(steps)


def fisher_product(p: ArrayLike, weights: ArrayLike = 1.0) -> Array:
    """Return the products of the stages' p-values so far, each to its weight."""
    logs = np.log(np.maximum(np.asarray(p, float), _SMALLEST))
    return np.exp(np.cumsum(np.asarray(weights, float) * logs, axis=-1))


@dataclass(frozen=True)
class FisherDesign:
    """Critical values of Fisher's combination test.

    Parameters
    ----------
    critical
        The product of the p-values rejects at or below it, at each stage.
    stage_levels
        Level of each stage's critical value if it were the only test.
    alpha_spent
        Type I error spent by each stage.
    """

    critical: Array
    stage_levels: Array
    alpha_spent: Array


def fisher_design(
    stages: int,
    alpha: float = 0.025,
    *,
    futility: Sequence[float] | None = None,
    spent: Sequence[float] | None = None,
    full: bool = False,
) -> FisherDesign:
    """Return the critical values of Fisher's product at equal weights.

    Parameters
    ----------
    futility
        Stage-wise p-values above which the trial stops and alpha is saved, one for each
        stage but the last; binding.
    spent
        Type I error to be spent by each stage; without it, every stage's critical value
        has the same level.
    full
        Whether the last critical value has the full level alpha, and all the others
        the same smaller one (Bauer and Köhne).

    Raises
    ------
    ProtocolError
        If the errors to be spent do not rise.

    Examples
    --------
    >>> print(fisher_design(3).critical.round(6))
    [0.012309 0.001664 0.000291]
    """
    stops = np.ones(stages) if futility is None else np.append(futility, 1.0)
    if spent is not None:
        return _spending(np.asarray(spent, float), stops)

    def critical(level: float) -> Array:
        levels = np.full(stages, level)
        if full:
            levels[-1] = alpha
        degrees = 2 * np.arange(1, stages + 1)
        return np.exp(-chdtri(degrees, levels) / 2)

    def excess(level: float) -> float:
        return float(_reject(critical(level), stops).sum()) - alpha

    least = float(np.exp(-chdtri(2 * stages, alpha) / 2)) if full else 1e-12
    if stages == 1 or excess(least) >= -1e-13:
        found = alpha if stages == 1 else least
    else:
        found = float(root(excess, least, alpha, xtol=1e-15, rtol=1e-13))
    return _design(critical(found), stops)


def _design(critical: Array, stops: Array) -> FisherDesign:
    """Put critical values together with what they spend."""
    logs = -np.log(critical)
    term, level = np.ones(critical.shape), np.zeros(critical.shape)
    for order in range(len(critical)):  # P(product <= c): the law of chi-square
        level = level + np.where(np.arange(len(critical)) >= order, term, 0.0)
        term = term * logs / (order + 1)
    return FisherDesign(critical, critical * level, np.cumsum(_reject(critical, stops)))


def _spending(spent: Array, stops: Array) -> FisherDesign:
    """Return the critical values that spend given errors."""
    if np.any(np.diff(spent, prepend=0.0) < 0) or not 0 < spent[-1] < 1:
        raise ProtocolError(
            at="design.alpha_spent",
            found=str(spent.tolist()),
            allowed="rising errors below 1",
            write="",
        )
    made: list[float] = []
    for stage, goal in enumerate(spent):

        def excess(log_c: float, stage: int = stage, goal: float = goal) -> float:
            tried = np.array([*made, np.exp(log_c)])
            return float(_reject(tried, stops[: stage + 1]).sum()) - goal

        made.append(float(np.exp(root(excess, -700.0, 0.0, xtol=1e-13, rtol=1e-13))))
    return _design(np.array(made), stops)


def _reject(critical: Array, stops: Array) -> Array:
    """Return the probability of each stage to reject first, under no effect.

    With x = -log of the product, x grows by an exponential variable at each stage. The
    density of x among what goes on, times exp(x), is a polynomial between knots.
    """
    end = 2000.0
    bounds = -np.log(critical)
    delays = -np.log(stops)
    going = PPoly(np.array([[1.0]]), np.array([delays[0], end]))
    found = []
    for stage, bound in enumerate(bounds):
        found.append(_tail(going, bound))
        if stage + 1 == len(bounds):
            break
        going = _next(going, bound, delays[stage + 1], end)
    return np.array(found)


def _next(going: PPoly, bound: float, delay: float, end: float) -> PPoly:
    """Return the next stage's polynomial: the integral of this one up to a bound."""
    knots = going.x[(going.x > going.x[0]) & (going.x < bound)]
    knots = np.concatenate([[going.x[0]], knots, [max(bound, going.x[0] + 1e-12)]])
    places = np.searchsorted(going.x, (knots[:-1] + knots[1:]) / 2, side="right") - 1
    degree = going.c.shape[0]
    pieces = np.zeros((degree, len(knots) - 1))
    for number, place in enumerate(places):
        shift = knots[number] - going.x[place]
        pieces[:, number] = _shifted(going.c[:, place], shift)
    whole = PPoly(pieces, knots).antiderivative()
    total = float(whole(knots[-1]))
    flat = np.zeros((whole.c.shape[0], 1))
    flat[-1] = total
    return PPoly(
        np.concatenate([whole.c, flat], axis=1),
        np.concatenate([whole.x + delay, [end]]),
    )


def _shifted(coefficients: Array, shift: float) -> Array:
    """Return a polynomial around another point."""
    polynomial = np.poly1d(coefficients)
    moved = polynomial(np.poly1d([1.0, shift]))
    found = np.atleast_1d(np.asarray(getattr(moved, "coeffs", moved), float))
    return np.concatenate([np.zeros(len(coefficients) - len(found)), found])


def _tail(going: PPoly, bound: float) -> float:
    """Return the integral of exp(-x) times a piecewise polynomial beyond a bound."""
    total = 0.0
    for place in range(going.c.shape[1]):
        low, high = max(going.x[place], bound), going.x[place + 1]
        if low >= high:
            continue
        polynomial, sign = np.poly1d(going.c[:, place]), 1.0
        primitive = polynomial
        for _ in range(polynomial.order):
            polynomial = polynomial.deriv()
            primitive = primitive + polynomial
        start = going.x[place]
        total += sign * float(
            np.exp(-low) * primitive(low - start)
            - np.exp(-high) * primitive(high - start)
        )
    return total


def normal_score(p: ArrayLike) -> Array:
    """Return the statistic of a one-sided p-value, kept finite at 0 and 1."""
    p = np.clip(np.asarray(p, float), _SMALLEST, 1 - 1e-16)
    return np.asarray(-ndtri(p))

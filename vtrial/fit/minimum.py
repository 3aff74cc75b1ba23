r"""The minimum of an objective whose exact gradient is a sum of each subject's.

Steps are BFGS's; its matrix begins at half the sum of products of the subjects' scores,
which estimates the curvature of a -2 log-likelihood (Berndt and others). A step that
does not lower the objective enough is halved.

References
----------
Berndt EK, Hall BH, Hall RE, Hausman JA (1974) Ann Econ Soc Meas 3:653-665.
Nocedal J, Wright SJ (2006) Numerical Optimization, 2nd ed, ch 3, 6 and 18.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

Evaluate = Callable[[np.ndarray, Any], Any]  # of a vector and the point before
Tell = Callable[[int, float, float], None]

ENOUGH = 1e-4  # of the decrease that the gradient promises
HALVINGS = 12
LONGEST = 1.0  # of a step in any direction of the vector
DECREMENT = 1e-7  # of the objective, at which estimates are within 3e-4 of their SE
RIDGE = 1e-4


class Minimum(NamedTuple):
    """Where a search ended.

    Fields
    ------
    vector, point
        The best there was, and what `evaluate` gave there.
    course
        The objective after each step, the start first.
    converged
        Whether the gradient vanishes as far as rounding lets it.
    """

    vector: Float[np.ndarray, " estimate"]
    point: Any
    course: tuple[float, ...]
    converged: bool


def minimise(
    evaluate: Evaluate,
    start: Float[np.ndarray, " estimate"],
    *,
    most: int = 200,
    tell: Tell | None = None,
) -> Minimum:
    """Minimise `evaluate(vector, before).objective`.

    `evaluate` gives points with sums over subjects: `objective`, its `gradient`, and
    the `products` of their scores; `tell` is told the step's number, the objective, and
    by how much it may still fall.
    """
    at, point = np.array(start, float), evaluate(np.array(start, float), None)
    gradient, matrix = point.gradient, scored(point.products)
    course, anew = [point.objective], 0
    for number in range(most):
        move = -np.linalg.solve(matrix, gradient)
        left = float(-gradient @ move) / 2
        if tell is not None:
            tell(number, point.objective, left)
        if left < DECREMENT or not np.isfinite(left):
            return Minimum(at, point, tuple(course), bool(np.isfinite(left)))
        move *= min(1.0, LONGEST / np.abs(move).max())
        step, other = _shortened(evaluate, at, point, move, gradient)
        if other is None:
            if anew >= 2 or left < 1e3 * DECREMENT:
                return Minimum(at, point, tuple(course), left < 1e3 * DECREMENT)
            matrix, anew = scored(point.products), anew + 1
            continue
        change = other.gradient - gradient
        matrix = _updated(matrix, step, change)
        at, point, gradient = at + step, other, other.gradient
        course.append(point.objective)
    return Minimum(at, point, tuple(course), False)


def scored(products: Float[np.ndarray, "estimate estimate"]) -> np.ndarray:
    """Return half the sum of products of scores, well enough conditioned."""
    found = 0.5 * products
    size = np.diag(found)
    floor = RIDGE * max(float(size.max(initial=0.0)), 1.0)
    return found + np.diag(RIDGE * size + floor)


def _shortened(
    evaluate: Evaluate,
    at: np.ndarray,
    point: Any,
    move: np.ndarray,
    gradient: np.ndarray,
) -> tuple[np.ndarray, Any]:
    """Return the first halving of a step that helps, and its point; or None."""
    slope, step = float(gradient @ move), move
    for _ in range(HALVINGS):
        other = evaluate(at + step, point)
        share = float(np.abs(step).max() / np.abs(move).max())
        wanted = point.objective + ENOUGH * share * slope
        sound = np.isfinite(other.objective) and np.isfinite(other.gradient).all()
        if sound and other.objective <= wanted:
            return step, other
        step = 0.5 * step
    return step, None


def _updated(matrix: np.ndarray, step: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Update BFGS's matrix, with Powell's damping where the curve is not upward."""
    along = matrix @ step
    curve, told = float(step @ along), float(step @ change)
    if told < 0.2 * curve:
        share = 0.8 * curve / (curve - told)
        change = share * change + (1 - share) * along
        told = float(step @ change)
    return matrix - np.outer(along, along) / curve + np.outer(change, change) / told

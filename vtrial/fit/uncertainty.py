r"""How sure estimates are: by curvature, by scores, and by both.

With R the second derivatives of the objective (-2 log-likelihood) and S the sum of
products of the subjects' gradients, the covariance of estimates is $2 R^{-1}$,
$4 S^{-1}$, or $R^{-1} S R^{-1}$, which holds where the model does not.

References
----------
White H (1982) Econometrica 50:1-25 (the sandwich).
"""

from typing import Literal

import numpy as np
from jaxtyping import Float

from vtrial.fit.minimum import Evaluate, Minimum

By = Literal["sandwich", "R", "S"]
STEP = 1e-3


def curvature(
    evaluate: Evaluate, best: Minimum
) -> Float[np.ndarray, "estimate estimate"]:
    """Return R by central differences of the exact gradient."""
    rows = []
    for place in range(len(best.vector)):
        shift = np.zeros(len(best.vector))
        shift[place] = STEP
        ends = [evaluate(best.vector + s * shift, best.point) for s in (1.0, -1.0)]
        high, low = (end.gradient for end in ends)
        rows.append((high - low) / (2 * STEP))
    found = np.array(rows)
    return 0.5 * (found + found.T)


def covariance_of(
    curved: Float[np.ndarray, "estimate estimate"],
    products: Float[np.ndarray, "estimate estimate"],
    by: By,
) -> Float[np.ndarray, "estimate estimate"]:
    """Return the covariance of the vector by R and S; NaN where there is none.

    There is none by curvature that is not upward in every direction (a minimum that is
    none, or a parameter that data do not tell), nor by scores of fewer subjects than
    there are estimates.
    """
    none = np.full(curved.shape, np.nan)
    if by == "S":
        return 4.0 * np.linalg.inv(products) if _is_sound(products) else none
    if not _is_sound(curved):
        return none
    inverse = np.linalg.inv(curved)
    return 2.0 * inverse if by == "R" else inverse @ products @ inverse


def _is_sound(matrix: np.ndarray) -> bool:
    """Return whether a matrix is positive definite, and not nearly singular."""
    if not np.isfinite(matrix).all() or (np.diag(matrix) <= 0).any():
        return False
    return condition_of(matrix) < 1e12


def condition_of(matrix: Float[np.ndarray, "n n"]) -> float:
    """Return the condition number of a covariance's correlations; inf for none."""
    size = np.sqrt(np.abs(np.diag(matrix)))
    if not np.isfinite(matrix).all() or (size == 0).any():
        return float("inf")
    values = np.linalg.eigvalsh(matrix / np.outer(size, size))
    return float(values[-1] / values[0]) if values[0] > 0 else float("inf")

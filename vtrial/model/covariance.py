"""Covariances as sheets give them: what does not vary, or varies as another, is sound.

A variance of 0 is an effect that is fixed, a correlation of 1 an effect that is
another one scaled: their matrix is positive semi-definite. Published digits are
rounded, which can make such a matrix indefinite; it is taken for the nearest that is
not, with the variances that stand there.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import numpy as np
from jaxtyping import Array, Bool, Float

Triangle = Sequence[Sequence[float]]
Matrix = tuple[tuple[float, ...], ...]
ARITHMETIC = 1e-10  # an eigenvalue of correlations that sums of products may be off by
ROUNDING = 1e-12  # of a variance that is left when what others explain is taken off
MOST = 0.02  # by which rounding of digits is believed to move a correlation


def whole(triangle: Triangle) -> Matrix:
    """Mirror a lower triangle."""
    size = range(len(triangle))
    return tuple(tuple(triangle[max(i, j)][min(i, j)] for j in size) for i in size)


def paired(
    names: Sequence[str], pairs: Mapping[frozenset[str], float]
) -> list[list[float]]:
    """Return the lower triangle of a correlation matrix; pairs left out count as 0.

    Examples
    --------
    >>> paired(["a", "b"], {frozenset("ab"): 0.4})
    [[1.0], [0.4, 1.0]]
    """
    return [
        [pairs.get(frozenset((first, second)), 0.0) for second in names[:i]] + [1.0]
        for i, first in enumerate(names)
    ]


def settled(triangle: Triangle) -> Matrix:
    """Return the covariance that a lower triangle means; empty if there is none.

    Examples
    --------
    >>> settled([[0.09], [0.0, 0.0]])
    ((0.09, 0.0), (0.0, 0.0))
    >>> settled([[0.09], [0.2, 0.09]])
    ()
    """
    given = np.array(whole(triangle), float)
    sizes, varies = _sizes(given)
    if (np.diag(given) < 0).any() or given[~varies].any():
        return ()
    scale = np.outer(sizes, sizes)[np.ix_(varies, varies)]
    if not scale.size:
        return whole(triangle)
    correlation = given[np.ix_(varies, varies)] / scale
    values, vectors = np.linalg.eigh(correlation)
    if values[0] >= -ARITHMETIC:
        return whole(triangle)
    near = _nearest(values, vectors)
    gap = np.abs(near - correlation)
    unit = _half_unit(entry for row in triangle for entry in row)
    if (gap > MOST).any() or (gap * scale > unit).any():
        return ()
    found = np.zeros_like(given)
    found[np.ix_(varies, varies)] = near * scale
    return tuple(tuple(map(float, row)) for row in found)


def flaw(triangle: Triangle) -> str:
    """Return why a lower triangle is not a covariance matrix.

    Examples
    --------
    >>> flaw([[0.09], [0.2, 0.09]])
    'a correlation of 2.22'
    """
    given = np.array(whole(triangle), float)
    sizes, varies = _sizes(given)
    if (np.diag(given) < 0).any():
        return f"a variance of {np.diag(given).min():g}"
    if given[~varies].any():
        return "a variance of 0 beside covariances that are not 0"
    scale = np.outer(sizes, sizes)
    apart = np.divide(given, scale, out=np.zeros_like(given), where=scale > 0)
    np.fill_diagonal(apart, 0.0)
    most = apart.flat[np.abs(apart).argmax()]
    if abs(most) > 1:
        return f"a correlation of {most:.3g}"
    return "correlations that cannot all be"


def root(matrix: Sequence[Sequence[float]]) -> Float[np.ndarray, "row column"]:
    """Return the lower triangle L with L L' = matrix, positive semi-definite.

    What does not vary has a row of zeros, what varies only with those above a zero on
    the diagonal. Rows depend on those above only, so that a row added below changes
    none of them.
    """
    given = np.asarray(matrix, float).reshape(len(matrix), len(matrix))
    lower = np.zeros_like(given)
    for i in range(len(given)):
        for j in range(i + 1):
            rest = given[i, j] - lower[i, :j] @ lower[j, :j]
            if i == j:
                own = rest > ROUNDING * given[i, i]
                lower[i, i] = math.sqrt(rest) if own else 0.0
            elif lower[j, j] > 0:
                lower[i, j] = rest / lower[j, j]
    return lower


def _sizes(
    given: Float[np.ndarray, "n n"],
) -> tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Return standard deviations, and which of them are not 0."""
    sizes = np.sqrt(np.maximum(np.diag(given), 0.0))
    return sizes, sizes > 0


def _nearest(
    values: Float[np.ndarray, " n"], vectors: Float[np.ndarray, "n n"]
) -> Float[np.ndarray, "n n"]:
    """Drop the negative eigenvalues of correlations, and put 1 on the diagonal again.

    References
    ----------
    Rebonato R, Jaeckel P (2000) J Risk 2:17-27 (spectral decomposition).
    """
    near = (vectors * np.maximum(values, 0.0)) @ vectors.T
    sizes = np.sqrt(np.diag(near))
    near /= np.outer(sizes, sizes)
    np.fill_diagonal(near, 1.0)
    return near


def _half_unit(numbers: Iterable[float]) -> float:
    """Return half of the last digit's unit, of numbers that were rounded alike."""
    places = [Decimal(repr(n)).normalize().as_tuple().exponent for n in numbers]
    return 0.5 * 10.0 ** min(int(place) for place in places)


def mixed(
    row: Float[np.ndarray, " column"], scores: Sequence[Float[Array, "*n"] | None]
) -> Float[Array, "*n"] | None:
    """Add up scores with weights, term by term; None where there is none.

    A matrix product would be shorter, but may add in another order for another block.
    """
    total = None
    for weight, score in zip(row, scores, strict=True):
        if weight and score is not None:
            term = float(weight) * score
            total = term if total is None else total + term
    return total

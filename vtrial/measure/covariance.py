r"""How the values of a subject's visits vary together: covariance structures.

Each structure is known by two maps. `matrix` makes the covariance of the visits from
the parameters that SAS's PROC MIXED reports (the natural ones: tests that use second
derivatives depend on the choice, and this is the one that others can check). `natural`
makes those from as many unbounded numbers, so that whatever a search tries is positive
definite.

| name | parameters, in this order |
|---|---|
| `un` | the lower triangle, row by row |
| `cs` | covariance; variance less the covariance |
| `csh` | variances; correlation |
| `ar1`, `ar1h` | variance, or variances; correlation of neighbours |
| `toep` | variance; covariances by lag |
| `toeph` | variances; correlations by lag |
| `ante1` | variances; correlations of neighbours |
| `sp exp`, `sp gau` | variance; range, as $e^{-d/\theta}$ and $e^{-d^2/\theta^2}$ |
| `sp pow` | variance; correlation at a distance of one, as $\theta^d$ |

References
----------
Núñez-Antón V, Zimmerman DL (2000) Biometrics 56:699-705 (antedependence).
Barndorff-Nielsen O, Schou G (1973) J Multivar Anal 3:408-419 (partial
autocorrelations).
Pinheiro JC, Bates DM (1996) Stat Comput 6:289-296 (unconstrained matrices).
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.nn import sigmoid
from jaxtyping import Array, Float

Covariance = Literal[
    "un",
    "cs",
    "csh",
    "ar1",
    "ar1h",
    "toep",
    "toeph",
    "ante1",
    "sp exp",
    "sp gau",
    "sp pow",
]
Parameters = Float[Array, " parameter"]
Square = Float[Array, "visit visit"]


class CovarianceStructure(NamedTuple):
    """One covariance structure.

    `size` is the number of parameters for a number of visits; `natural` takes as many
    unbounded numbers and the number of visits; `matrix` takes natural parameters and
    the distances of the visits; `start` gives unbounded numbers for a rough covariance
    that is positive definite, and the mean distance of two visits.
    """

    size: Callable[[int], int]
    natural: Callable[[Parameters, int], Parameters]
    matrix: Callable[[Parameters, Square], Square]
    start: Callable[[Square, Float[Array, ""]], Parameters]


def structure_of(name: Covariance) -> CovarianceStructure:
    """Return a structure by its name.

    Examples
    --------
    >>> ar1 = structure_of("ar1")
    >>> distance = jnp.zeros((3, 3))
    >>> print(ar1.matrix(ar1.natural(jnp.log(jnp.array([4.0, 1.0])), 3), distance))
    [[4. 0. 0.]
     [0. 4. 0.]
     [0. 0. 4.]]
    """
    return _STRUCTURES[name]


def _unstructured(free: Parameters, visits: int) -> Parameters:
    """Multiply a triangle with positive diagonal (Cholesky's) by its transpose."""
    factor = _triangle(free, visits)
    # Log-Cholesky: with a positive diagonal the factor is unique.
    diagonal = jnp.diag(jnp.exp(jnp.diag(factor)))
    factor = jnp.tril(factor, -1) + diagonal
    return (factor @ factor.T)[np.tril_indices(visits)]


def _triangle(numbers: Parameters, visits: int) -> Square:
    """Fill a lower triangle row by row."""
    empty = jnp.zeros((visits, visits), numbers.dtype)
    return empty.at[np.tril_indices(visits)].set(numbers)


def _symmetric(natural: Parameters, distance: Square) -> Square:
    """Mirror a lower triangle."""
    lower = _triangle(natural, len(distance))
    return lower + jnp.tril(lower, -1).T


def _start_unstructured(rough: Square, _distance: Float[Array, ""]) -> Parameters:
    """Take a matrix's own triangle."""
    factor = jnp.linalg.cholesky(rough)
    factor = jnp.tril(factor, -1) + jnp.diag(jnp.log(jnp.diag(factor)))
    return factor[np.tril_indices(len(rough))]


def _bounded(free: Float[Array, " one"], visits: int) -> Float[Array, " one"]:
    """Map to a correlation that all visits may share: above -1/(visits - 1)."""
    low = -1.0 / max(visits - 1, 1)
    return low + (1.0 - low) * sigmoid(free)


def _unbounded(correlation: Float[Array, ""], visits: int) -> Float[Array, ""]:
    """Invert `_bounded`."""
    low = -1.0 / max(visits - 1, 1)
    share = (correlation - low) / (1.0 - low)
    return jnp.log(share / (1.0 - share))


def _symmetry(free: Parameters, visits: int) -> Parameters:
    """Give the covariance and what the variance has beyond it."""
    variance, correlation = jnp.exp(free[:1]), _bounded(free[1:], visits)
    return jnp.concatenate([variance * correlation, variance * (1.0 - correlation)])


def _symmetry_matrix(natural: Parameters, distance: Square) -> Square:
    """Add the covariance everywhere and the rest on the diagonal."""
    size = len(distance)
    eye = jnp.eye(size, dtype=natural.dtype)
    return natural[0] * jnp.ones_like(eye) + natural[1] * eye


def _heterogeneous(free: Parameters, visits: int) -> Parameters:
    """Give each visit's variance and the shared correlation."""
    return jnp.concatenate([jnp.exp(free[:visits]), _bounded(free[visits:], visits)])


def _heterogeneous_matrix(natural: Parameters, distance: Square) -> Square:
    """Scale one correlation by each visit's standard deviation."""
    size = len(distance)
    eye = jnp.eye(size, dtype=natural.dtype)
    return _scaled(natural[:size], natural[size] * (1.0 - eye) + eye)


def _scaled(variance: Float[Array, " visit"], correlation: Square) -> Square:
    """Scale correlations to covariances."""
    deviation = jnp.sqrt(variance)
    return deviation[:, None] * deviation[None, :] * correlation


def _lags(visits: int) -> np.ndarray:
    """Count how many visits lie between two."""
    return np.abs(np.subtract.outer(np.arange(visits), np.arange(visits)))


def _neighbours(variances: int | None) -> Callable[[Parameters, int], Parameters]:
    """Give variances and correlations between -1 and 1; by default one a visit."""

    def natural(free: Parameters, visits: int) -> Parameters:
        size = variances or visits
        return jnp.concatenate([jnp.exp(free[:size]), jnp.tanh(free[size:])])

    return natural


def _autoregressive(natural: Parameters, distance: Square) -> Square:
    """Raise the correlation to the power of the lag, without a hole at zero."""
    size = len(distance)
    powers = [jnp.ones_like(natural[-1])]
    for _ in range(size - 1):
        powers.append(powers[-1] * natural[-1])
    correlation = jnp.stack(powers)[_lags(size)]
    if len(natural) == 2:
        return natural[0] * correlation
    return _scaled(natural[:size], correlation)


def _antedependent(natural: Parameters, distance: Square) -> Square:
    """Multiply the correlations of all neighbours between two visits."""
    size = len(distance)
    rows = [[jnp.ones_like(natural[0])] * size for _ in range(size)]
    for first in range(size):
        for second in range(first + 1, size):
            product = rows[first][second - 1] * natural[size + second - 1]
            rows[first][second] = rows[second][first] = product
    return _scaled(natural[:size], jnp.stack([jnp.stack(row) for row in rows]))


def _autocorrelations(partial: Parameters) -> Parameters:
    """Return autocorrelations from partial ones, by Durbin's and Levinson's recursion.

    Any partial autocorrelations between -1 and 1 give a positive definite matrix.
    """
    made: list[Array] = []
    weights: list[Array] = []
    left = 1.0
    for lag in range(len(partial)):
        known = sum((w * made[lag - 1 - j] for j, w in enumerate(weights)), 0.0)
        made.append(known + partial[lag] * left)
        turned = weights[::-1]
        pairs = zip(weights, turned, strict=True)
        weights = [*(w - partial[lag] * t for w, t in pairs), partial[lag]]
        left = left * (1.0 - partial[lag] ** 2)
    return jnp.stack(made) if made else partial


def _banded(variances: int | None) -> Callable[[Parameters, int], Parameters]:
    """Give variances and, by lag, covariances (one variance) or correlations."""

    def natural(free: Parameters, visits: int) -> Parameters:
        size = variances or visits
        variance = jnp.exp(free[:size])
        lagged = _autocorrelations(jnp.tanh(free[size:]))
        return jnp.concatenate([variance, lagged * variance if variances else lagged])

    return natural


def _toeplitz(natural: Parameters, distance: Square) -> Square:
    """Put the variance and the covariances on their diagonals."""
    return natural[_lags(len(distance))]


def _toeplitz_heterogeneous(natural: Parameters, distance: Square) -> Square:
    """Put correlations on their diagonals and scale them."""
    size = len(distance)
    correlation = jnp.concatenate([jnp.ones_like(natural[:1]), natural[size:]])
    return _scaled(natural[:size], correlation[_lags(size)])


def _exponential(natural: Parameters, distance: Square) -> Square:
    """Let the correlation fall with distance."""
    return natural[0] * jnp.exp(-distance / natural[1])


def _gaussian(natural: Parameters, distance: Square) -> Square:
    """Let the correlation fall with distance squared."""
    return natural[0] * jnp.exp(-((distance / natural[1]) ** 2))


def _power(natural: Parameters, distance: Square) -> Square:
    """Raise the correlation at a distance of one to the distance."""
    return natural[0] * jnp.exp(distance * jnp.log(natural[1]))


def _positive(free: Parameters, _visits: int) -> Parameters:
    """Give a variance and a range."""
    return jnp.exp(free)


def _fraction(free: Parameters, _visits: int) -> Parameters:
    """Give a variance and a correlation between 0 and 1."""
    return jnp.stack([jnp.exp(free[0]), jnp.exp(-jnp.exp(-free[1]))])


def _start_spatial(rough: Square, distance: Float[Array, ""]) -> Parameters:
    """Let the correlation of two visits at their mean distance be 1/e."""
    variance = jnp.mean(jnp.diag(rough))
    return jnp.log(jnp.stack([variance, distance]))


def _start(
    own: bool, bounded: bool, correlations: Callable[[int], int]
) -> Callable[[Square, Float[Array, ""]], Parameters]:
    """Start at a rough matrix's variances and its mean correlation of neighbours.

    `own`: one variance a visit. Of the correlations the first is used, or all if there
    is one for each pair of neighbours; partial ones of longer lags start at zero.
    """

    def start(rough: Square, _distance: Float[Array, ""]) -> Parameters:
        visits = len(rough)
        variance = jnp.diag(rough)
        scale = jnp.sqrt(variance)
        correlation = rough / (scale[:, None] * scale[None, :])
        pairs = correlation[np.tril_indices(visits, -1)]
        mean = pairs.mean() if visits > 1 else jnp.zeros_like(rough[0, 0])
        # Off the bounds, where the unbounded number would be infinite.
        mean = jnp.clip(mean, -0.5 / max(visits - 1, 1), 0.9)
        first = _unbounded(mean, visits) if bounded else jnp.arctanh(mean)
        rest = jnp.zeros(correlations(visits), rough.dtype)
        rest = rest.at[:1].set(first)
        variance = variance if own else variance.mean()[None]
        return jnp.concatenate([jnp.log(variance), rest])

    return start


def _one(_visits: int) -> int:
    """Count one correlation."""
    return 1


def _before(visits: int) -> int:
    """Count the lags, or the pairs of neighbours."""
    return visits - 1


_STRUCTURES: dict[Covariance, CovarianceStructure] = {
    "un": CovarianceStructure(
        lambda v: v * (v + 1) // 2, _unstructured, _symmetric, _start_unstructured
    ),
    "cs": CovarianceStructure(
        lambda v: 2, _symmetry, _symmetry_matrix, _start(False, True, _one)
    ),
    "csh": CovarianceStructure(
        lambda v: v + 1,
        _heterogeneous,
        _heterogeneous_matrix,
        _start(True, True, _one),
    ),
    "ar1": CovarianceStructure(
        lambda v: 2, _neighbours(1), _autoregressive, _start(False, False, _one)
    ),
    "ar1h": CovarianceStructure(
        lambda v: v + 1, _neighbours(None), _autoregressive, _start(True, False, _one)
    ),
    "toep": CovarianceStructure(
        lambda v: v, _banded(1), _toeplitz, _start(False, False, _before)
    ),
    "toeph": CovarianceStructure(
        lambda v: 2 * v - 1,
        _banded(None),
        _toeplitz_heterogeneous,
        _start(True, False, _before),
    ),
    "ante1": CovarianceStructure(
        lambda v: 2 * v - 1,
        _neighbours(None),
        _antedependent,
        _start(True, False, _before),
    ),
    "sp exp": CovarianceStructure(lambda v: 2, _positive, _exponential, _start_spatial),
    "sp gau": CovarianceStructure(lambda v: 2, _positive, _gaussian, _start_spatial),
    "sp pow": CovarianceStructure(lambda v: 2, _fraction, _power, _start_spatial),
}

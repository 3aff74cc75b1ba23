r"""How large the largest of several correlated statistics is by chance.

Statistics with correlation $R = A A^T$ of rank $r$ are $T = A Z / S$, where $Z$ is
standard normal in $r$ dimensions and $S^2$ an independent $\chi^2_\nu / \nu$. With the
direction $U$ of $Z$ and $g(U) = \max_m a_m^T U$

$$ P(\max T > t) = E\, P\left(F_{r, \nu} > \frac{t^2}{r\, g(U)^2}\right)
   \quad\text{over } g(U) > 0, $$

for $t > 0$, for length and direction are independent: only directions are averaged,
over a fixed set of points, and the tail is right however small it is.

References
----------
Genz A, Bretz F (2009) Computation of Multivariate Normal and t Probabilities,
section 4.1 (spherical-radial transformation).
"""

import functools
from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy import interpolate, optimize, special, stats

from vtrial.errors import ProtocolError

POINTS, SEED = 14, 20051  # logarithm of the number of directions; of their scrambling
FARTHEST, KNOTS = 40.0, 301  # of the table that is interpolated
FAINT = 1e-300  # what is less likely is not told apart
SMALL = 1e-10  # of the largest eigenvalue: no dimension

Correlation = Float[np.ndarray, "candidate candidate"]


def tail_of_maximum(
    limit: Float[np.ndarray, "*number"],
    correlation: Correlation,
    *,
    freedom: float | int = np.inf,
    two_sided: bool = False,
    groups: int = 0,
) -> Float[np.ndarray, "*number"]:
    """Return the probability that the largest statistic is above a limit.

    Parameters
    ----------
    limit
        Numbers; there is an error of about 1e-4 of the probability.
    correlation
        Of the statistics.
    freedom
        Degrees of freedom; infinite for normal statistics.
    two_sided
        Whether the largest in size is meant.
    groups
        How many groups (a power of two) of directions with about the same largest
        statistic are taken together, where many correlations are asked for; none if
        0. With 1024 that moves a probability of 5 % by 2e-6 of it at most.

    Raises
    ------
    ProtocolError
        If the correlation is none.

    Examples
    --------
    >>> float(tail_of_maximum(np.array(1.959964), np.eye(1)).round(6))
    0.025
    """
    values = np.asarray(limit, float)
    flat = values.ravel()
    if flat.size <= KNOTS:
        wide = _widths(_key(correlation), two_sided)
        if groups:
            wide = (_grouped(wide[0], groups), wide[1])
        return _tails(flat, wide, freedom).reshape(values.shape)
    return _table(_key(correlation), float(freedom), two_sided)(flat).reshape(
        values.shape
    )


def critical_value(
    correlation: Correlation,
    *,
    level: float = 0.025,
    freedom: float | int = np.inf,
    two_sided: bool = False,
) -> float:
    """Return what the largest statistic exceeds with a probability by chance.

    Parameters
    ----------
    correlation, freedom, two_sided
        As in `tail_of_maximum`.
    level
        The probability, below one half.

    Raises
    ------
    ProtocolError
        If the level is none.

    Examples
    --------
    >>> round(critical_value(np.array([[1, 0.5], [0.5, 1]]), level=0.05), 3)
    1.916
    """
    if not 0 < level < 0.5:
        allowed = "above 0 and below 0.5"
        raise ProtocolError(
            "dose response.level", f"{level:g}", allowed, "level: 0.025"
        )
    wide = _widths(_key(correlation), two_sided)

    def excess(limit: float) -> float:
        return float(_tails(np.array([limit]), wide, freedom)[0]) - level

    top = 2.0
    while excess(top) > 0:
        top *= 2
    return float(optimize.brentq(excess, 1e-9, top, xtol=1e-12))  # pyright: ignore[reportArgumentType]


def _key(correlation: Correlation) -> tuple[tuple[float, ...], ...]:
    """Return a correlation as a key; refuse what is none."""
    matrix = np.asarray(correlation, float)
    if not (np.allclose(matrix, matrix.T) and np.allclose(np.diag(matrix), 1)):
        allowed = "symmetric with ones on the diagonal"
        raise ProtocolError("dose response.correlation", str(matrix), allowed, "")
    return tuple(tuple(row) for row in matrix.tolist())


@functools.lru_cache(maxsize=64)
def _widths(
    correlation: tuple[tuple[float, ...], ...], two_sided: bool
) -> tuple[np.ndarray, int]:
    """Return the g of each direction, and the rank."""
    values, vectors = np.linalg.eigh(np.array(correlation))
    there = values > SMALL * values.max()
    root = vectors[:, there] * np.sqrt(values[there])
    length = np.linalg.norm(root, axis=1, keepdims=True)
    side = (root / length) @ _directions(int(there.sum())).T
    # Each direction comes with its opposite.
    both = np.concatenate([side, -side], axis=1)
    wide = (np.abs(both) if two_sided else both).max(axis=0)
    return wide, int(there.sum())


def _grouped(width: np.ndarray, groups: int) -> np.ndarray:
    """Return the means of groups of neighbours; both numbers are powers of two."""
    if len(width) <= groups:
        return width
    return np.sort(width).reshape(groups, -1).mean(axis=1)


@functools.cache
def _directions(rank: int) -> np.ndarray:
    """Return points that are evenly spread over the sphere."""
    count = 1 << POINTS
    if rank == 1:
        return np.ones((1, 1))
    if rank == 2:
        angle = (np.arange(count) + 0.5) * np.pi / count
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)
    drawn = stats.qmc.Sobol(rank, rng=SEED).random_base2(POINTS)
    normal = special.ndtri(np.clip(drawn, 1e-15, 1 - 1e-15))
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)


def _tails(
    limit: np.ndarray, wide: tuple[np.ndarray, int], freedom: float | int
) -> np.ndarray:
    """Average the tail over the directions, for each limit.

    Where g is negative the largest statistic is too: it is above a limit below 0 if
    the length is short enough.
    """
    width, rank = wide
    above, below = width[width > 0], width[width < 0]
    share = above.size / width.size

    def one(value: float) -> float:
        side = above if value > 0 else below
        square = (value / side) ** 2
        if np.isinf(freedom):
            tail = special.gammaincc(rank / 2, square / 2)
        else:
            tail = special.fdtrc(rank, freedom, square / rank)
        part = float(tail.sum()) / width.size
        return part if value > 0 else 1 - part

    return np.array([share if value == 0 else one(value) for value in limit.tolist()])


@functools.lru_cache(maxsize=64)
def _table(
    correlation: tuple[tuple[float, ...], ...], freedom: float, two_sided: bool
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the tail as a function, from a table."""
    along = np.linspace(-1, 1, KNOTS)
    knots = FARTHEST * np.sign(along) * along**2
    tail = np.log(
        np.maximum(_tails(knots, _widths(correlation, two_sided), freedom), FAINT)
    )
    inner = interpolate.PchipInterpolator(knots, tail)
    return lambda values: np.exp(inner(np.clip(values, -FARTHEST, FARTHEST)))

"""Sparse linear systems, lane by lane, with structural zeros left out.

References
----------
Markowitz H.M. (1957) Management Science 3:255-269: which pivot fills in least.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.solver.dense import inverse

MOST = 1500  # products of an elimination that is written out: 16 states without a zero

Lane = Float[Array, " lane"]
Rows = list[list[Lane | None]]
Pattern = tuple[tuple[bool, ...], ...]


class Elimination(NamedTuple):
    """Order of elimination of the states, and the number of products it takes."""

    order: tuple[int, ...]
    products: int

    @property
    def is_written_out(self) -> bool:
        """Whether the elimination is unrolled term by term."""
        return self.products <= MOST


@functools.lru_cache(maxsize=256)
def plan(pattern: Pattern) -> Elimination:
    """Order the pivots, all on the diagonal, so that few zeros are filled.

    Examples
    --------
    >>> arrow = tuple(tuple(i == j or 0 in (i, j) for j in range(4)) for i in range(4))
    >>> plan(arrow)
    Elimination(order=(1, 2, 0, 3), products=6)
    """
    size = len(pattern)
    below = [{i for i in range(size) if pattern[i][k] and i != k} for k in range(size)]
    right = [{j for j in range(size) if pattern[k][j] and j != k} for k in range(size)]
    left, order, products = set(range(size)), [], 0
    while left:
        # Markowitz's count; ties by number, so that the order is always the same.
        pivot = min(left, key=lambda k: (len(below[k]) * len(right[k]), k))
        products += len(below[pivot]) * (1 + len(right[pivot]))
        for i in below[pivot]:
            right[i] = (right[i] | right[pivot]) - {i, pivot}
        for j in right[pivot]:
            below[j] = (below[j] | below[pivot]) - {j, pivot}
        for i in left - {pivot}:
            right[i].discard(pivot)
            below[i].discard(pivot)
        left.remove(pivot)
        order.append(pivot)
    return Elimination(tuple(order), products)


class Factored:
    """A factored matrix: `solve` may be called for many right-hand sides.

    Rows hold (lane) vectors, None for a zero. Where few products are needed the
    elimination is written out, without a choice of pivots by their size: the matrices
    of stiff steps are dominated by their diagonals when steps are small enough, and
    steps that fail are made smaller. Others are inverted whole.
    """

    def __init__(self, rows: Rows) -> None:
        pattern = tuple(tuple(entry is not None for entry in row) for row in rows)
        self.order, self._is_sparse = plan(pattern).order, plan(pattern).is_written_out
        if not self._is_sparse:
            like = next(e for row in rows for e in row if e is not None)
            full = [
                jnp.stack([jnp.zeros_like(like) if e is None else e for e in row], 1)
                for row in rows
            ]
            self._dense = inverse(jnp.stack(full, axis=1))
            return
        self._rows = [[rows[i][j] for j in self.order] for i in self.order]
        self._inverse: list[Lane] = []
        self._eliminate()

    def solve(self, right: Sequence[Lane]) -> tuple[Lane, ...]:
        """Solve for one right-hand side."""
        size = len(right)
        if not self._is_sparse:
            solved = jnp.einsum("lij,lj->li", self._dense, jnp.stack(right, axis=1))
            return tuple(solved[:, i] for i in range(size))
        values = [right[i] for i in self.order]
        for i in range(size):
            for j in range(i):
                factor = self._rows[i][j]
                if factor is not None:
                    values[i] = values[i] - factor * values[j]
        for i in reversed(range(size)):
            for j in range(i + 1, size):
                factor = self._rows[i][j]
                if factor is not None:
                    values[i] = values[i] - factor * values[j]
            values[i] = values[i] * self._inverse[i]
        solved = dict(zip(self.order, values, strict=True))
        return tuple(solved[i] for i in range(size))

    def _eliminate(self) -> None:
        """Factor in place: factors below the diagonal, the rest on and above it."""
        rows, size = self._rows, len(self._rows)
        for k in range(size):
            pivot = rows[k][k]
            if pivot is None:
                raise ValueError("the diagonal of a matrix to be factored is full")
            # Divided once; every right-hand side then multiplies.
            self._inverse.append(1.0 / pivot)
            for i in range(k + 1, size):
                below = rows[i][k]
                if below is None:
                    continue
                factor = below * self._inverse[k]
                rows[i][k] = factor
                for j in range(k + 1, size):
                    above, here = rows[k][j], rows[i][j]
                    if above is None:
                        continue
                    gone = factor * above
                    # Fill-in: a structural zero becomes an entry.
                    rows[i][j] = -gone if here is None else here - gone

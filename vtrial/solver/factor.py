"""Small systems of equations, lane by lane, with their zeros left out."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.solver.dense import inverse

UNROLLED = 16  # states: beyond this a dense inverse

Lane = Float[Array, " lane"]
Rows = list[list[Lane | None]]


class Factored:
    """A factored matrix: `solve` may be called for many right-hand sides.

    Rows hold (lane) vectors, None for a zero. Up to `UNROLLED` states the elimination
    is written out, without pivots: the matrices of stiff steps are dominated by their
    diagonals when steps are small enough, and steps that fail are made smaller.
    """

    def __init__(self, rows: Rows) -> None:
        self.size = len(rows)
        if self.size > UNROLLED:
            like = next(e for row in rows for e in row if e is not None)
            full = [
                jnp.stack([jnp.zeros_like(like) if e is None else e for e in row], 1)
                for row in rows
            ]
            self._dense = inverse(jnp.stack(full, axis=1))
            return
        self._rows = [list(row) for row in rows]
        self._inverse: list[Lane] = []
        self._eliminate()

    def solve(self, right: Sequence[Lane]) -> tuple[Lane, ...]:
        """Solve for one right-hand side."""
        if self.size > UNROLLED:
            solved = jnp.einsum("lij,lj->li", self._dense, jnp.stack(right, axis=1))
            return tuple(solved[:, i] for i in range(self.size))
        values = list(right)
        for i in range(self.size):
            for j in range(i):
                factor = self._rows[i][j]
                if factor is not None:
                    values[i] = values[i] - factor * values[j]
        for i in reversed(range(self.size)):
            for j in range(i + 1, self.size):
                factor = self._rows[i][j]
                if factor is not None:
                    values[i] = values[i] - factor * values[j]
            values[i] = values[i] * self._inverse[i]
        return tuple(values)

    def _eliminate(self) -> None:
        """Factor in place: factors below the diagonal, the rest on and above it."""
        rows = self._rows
        for k in range(self.size):
            pivot = rows[k][k]
            if pivot is None:
                raise ValueError("the diagonal of a matrix to be factored is full")
            self._inverse.append(1.0 / pivot)
            for i in range(k + 1, self.size):
                below = rows[i][k]
                if below is None:
                    continue
                factor = below * self._inverse[k]
                rows[i][k] = factor
                for j in range(k + 1, self.size):
                    above, here = rows[k][j], rows[i][j]
                    if above is None:
                        continue
                    gone = factor * above
                    rows[i][j] = -gone if here is None else here - gone

r"""Combinations of two drugs: a grid of doses, row by row, and rates that rise on it.

A row is a level of the first drug, a column one of the second, each from the lowest
on. A combination is above another where neither drug is lower and one is higher.

Rates that rise with both drugs and are nearest in weighted least squares are found by
lower sets: sets that hold, with a combination, all below it. The lower set of the least
mean gets this mean; then the set that extends it by the least mean of what is added,
and so on. It takes as many rounds as there are different rates, and is exact.

References
----------
Brunk HD, Ewing GM, Utz WR (1957) Pacific J Math 7:833-847.
Robertson T, Wright FT, Dykstra RL (1988) Order Restricted Statistical Inference, 1.4.
"""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

MOST_SETS = 3500  # a grid of 7 x 7 has 3,431


def count_lower_sets(rows: int, columns: int) -> int:
    """Return how many lower sets a grid has, the empty one left out.

    Examples
    --------
    >>> count_lower_sets(2, 2), count_lower_sets(7, 7)
    (5, 3431)
    """
    return math.comb(rows + columns, rows) - 1


def lower_sets(rows: int, columns: int) -> Float[np.ndarray, "set dose"]:
    """Return 1 where a lower set holds a combination, 0 elsewhere.

    Rows of a lower set do not get longer from one to the next.
    """
    lengths = itertools.combinations_with_replacement(range(columns, -1, -1), rows)
    rising = np.array([each for each in lengths if each[0] > 0])
    return (np.arange(columns) < rising[:, :, None]).reshape(len(rising), -1) * 1.0


def levels(rows: int, columns: int) -> Int[np.ndarray, "dose drug"]:
    """Return the level of either drug in each combination, from 0."""
    return np.argwhere(np.ones((rows, columns), bool))


def at_or_above(rows: int, columns: int) -> Bool[np.ndarray, "dose other"]:
    """Return whether another combination is the same or above."""
    own = levels(rows, columns)
    return np.logical_and(*np.moveaxis(own[None] >= own[:, None], 2, 0))


def neighbours(rows: int, columns: int, step: int) -> Int[np.ndarray, "dose drug"]:
    """Return the combination with a drug so many levels higher; -1 for none.

    Examples
    --------
    >>> neighbours(2, 3, 1).tolist()
    [[3, 1], [4, 2], [5, -1], [-1, 4], [-1, 5], [-1, -1]]
    """
    moved = levels(rows, columns)[:, None] + step * np.eye(2, dtype=int)
    inside = ((moved >= 0) & (moved < (rows, columns))).all(axis=2)
    return np.where(inside, moved @ (columns, 1), -1)


def isotonic_on_grid(
    rate: Float[Array, " dose"],
    weight: Float[Array, " dose"],
    sets: Float[Array, "set dose"],
) -> Float[Array, " dose"]:
    """Return rates rising with both drugs, nearest in weighted least squares.

    Parameters
    ----------
    rate, weight
        Of each combination; weights are positive.
    sets
        All lower sets of the grid, from `lower_sets`.
    """

    def extend(at: tuple[Array, Array]) -> tuple[Array, Array]:
        fitted, done = at
        left = (1 - done) * weight
        added = sets @ left
        open_ = (sets @ done >= done.sum()) & (added > 0)
        mean = (sets @ (left * rate)) / jnp.where(open_, added, 1.0)
        best = jnp.argmin(jnp.where(open_, mean, jnp.inf))
        new = sets[best] * (1 - done)
        return jnp.where(new > 0, mean[best], fitted), done + new

    start = (jnp.zeros_like(rate), jnp.zeros_like(rate))
    return jax.lax.while_loop(lambda at: (at[1] < 1).any(), extend, start)[0]

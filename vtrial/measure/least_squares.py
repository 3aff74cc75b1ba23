"""Least squares in many trials at once, of columns that may depend on each other."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

SAME = 1e-10  # below which a column of unit length is a sum of others


class Fit(NamedTuple):
    """Slopes of columns in every trial, and what is left.

    `slope` and `inverse`, that of the columns' products, are of columns as they are;
    NaN of a column of nothing. `rank` is how many do not depend on others.
    """

    slope: Float[np.ndarray, "trial column"]
    inverse: Float[np.ndarray, "trial column column"]
    rest: Float[np.ndarray, " trial"]
    rank: Float[np.ndarray, " trial"]


def least_squares(
    columns: Float[np.ndarray, "trial row column"],
    outcome: Float[np.ndarray, "trial row"],
) -> Fit:
    """Fit columns to an outcome; rows without a value have 0 in both.

    Columns are scaled to unit length in between, so that units do not matter.
    """
    length = np.sqrt((columns**2).sum(axis=1))
    scaled = columns / np.where(length > 0, length, 1.0)[:, None]
    gram = np.einsum("rsi,rsj->rij", scaled, scaled)
    inverse = np.linalg.pinv(gram, rcond=SAME, hermitian=True)
    slope = np.einsum("rij,rsj,rs->ri", inverse, scaled, outcome, optimize=True)
    rest = ((outcome - np.einsum("rsi,ri->rs", scaled, slope)) ** 2).sum(axis=1)
    rank = np.zeros(len(columns))
    if columns.shape[2]:
        rank = np.linalg.matrix_rank(gram, tol=SAME, hermitian=True).astype(float)
    size = np.where(length > 0, length, np.nan)
    both = size[:, :, None] * size[:, None, :]
    return Fit(slope / size, inverse / both, rest, rank)

"""Sums over subjects that are rounded once, so that no order of subjects matters."""

import math

import numpy as np
from jaxtyping import Float


def exact_sum(
    values: Float[np.ndarray, "subject *rest"],
) -> Float[np.ndarray, "*rest"]:
    """Sum over the first axis as if by exact arithmetic, and round then.

    So a study's sum is the same in any order of its people. What is not finite stays.

    Examples
    --------
    >>> float(exact_sum(np.array([1e16, 1.0, -1e16])))
    1.0
    """
    given = np.asarray(values, float)
    if not np.isfinite(given).all():
        return np.asarray(given.sum(axis=0))
    columns = given.reshape(len(given), -1).T
    return np.array([math.fsum(one) for one in columns]).reshape(given.shape[1:])


def unrounded_sum(
    values: Float[np.ndarray, "subject *rest"],
) -> Float[np.ndarray, "two *rest"]:
    """Return a sum and what its rounding left, so that sums of sums are rounded once.

    Examples
    --------
    >>> unrounded_sum(np.array([1e16, 1.0, 0.125])).tolist()
    [1.0000000000000002e+16, -0.875]
    """
    rounded = exact_sum(values)[None]
    return np.concatenate(
        [rounded, exact_sum(np.concatenate([values, -rounded]))[None]]
    )


def pairs_of(
    slopes: Float[np.ndarray, "subject estimate"],
) -> Float[np.ndarray, "subject estimate estimate"]:
    """Return the products of each subject's slopes with each other."""
    return slopes[:, :, None] * slopes[:, None, :]


def products_of(
    slopes: Float[np.ndarray, "subject estimate"],
) -> Float[np.ndarray, "estimate estimate"]:
    """Sum the products of each subject's slopes with each other."""
    return exact_sum(pairs_of(slopes))

"""Combinations of factors."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from vtrial.errors import ProtocolError


def factorial(levels: Sequence[int]) -> Int[np.ndarray, "arm factor"]:
    """Return the arms of a factorial trial: every combination of the factors' levels.

    Parameters
    ----------
    levels
        How many levels each factor has.

    Raises
    ------
    ProtocolError
        If a factor has none.

    Examples
    --------
    >>> factorial([2, 3]).tolist()
    [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    """
    if not levels or min(levels) < 1:
        allowed = "a level or more of each factor"
        raise ProtocolError("randomisation.factorial", str(list(levels)), allowed, "")
    return np.indices(tuple(levels)).reshape(len(levels), -1).T

"""Sequences of treatments for crossovers."""

import numpy as np
from jaxtyping import Int

from vtrial.errors import ProtocolError


def williams_square(treatments: int) -> Int[np.ndarray, "sequence period"]:
    """Return a crossover's sequences, balanced for what comes before.

    Every treatment stands once in each sequence, equally often in each period, and
    follows every other one equally often: once in the square of an even number, twice
    in the two squares of an odd one.

    Parameters
    ----------
    treatments
        How many there are; treatments and periods are numbered from 0.

    Raises
    ------
    ProtocolError
        If there are fewer than two.

    References
    ----------
    Williams EJ (1949) Aust J Sci Res A 2:149-168.

    Examples
    --------
    >>> williams_square(4).tolist()
    [[0, 3, 1, 2], [1, 0, 2, 3], [2, 1, 3, 0], [3, 2, 0, 1]]
    """
    if treatments < 2:
        raise ProtocolError(
            "randomisation.crossover", f"{treatments} treatments", "of at least 2", ""
        )
    # The first row goes forth and back, so that neighbours differ by all distances.
    place = np.arange(treatments)
    first = np.where(place % 2 == 0, place // 2, treatments - (place + 1) // 2)
    square = (first + place[:, None]) % treatments
    if treatments % 2 == 0:
        return square
    return np.concatenate([square, square[:, ::-1]])

"""Assign the subjects of many trials in the order in which they come."""

from typing import Any

import numpy as np
from jaxtyping import Int

from vtrial.design.randomisation.minimisation import minimise
from vtrial.design.randomisation.restricted import biased_coin, big_stick, urn
from vtrial.design.randomisation.ticket import tickets
from vtrial.protocol.design import Allocation

Identities = Int[np.ndarray, " subject"]
LEAST = 16  # places of a row, so that few shapes are compiled


def in_order(
    allocation: Allocation,
    *,
    seed: int,
    group: Int[np.ndarray, "subject part"],
    subject: Identities,
    levels: Int[np.ndarray, "subject factor"] | None = None,
) -> Identities:
    """Return the arm of each subject, by those who came before it in its group.

    Parameters
    ----------
    allocation
        By a method that looks back.
    seed
        Of the trial.
    group
        Within what it is done: the first part is the number of the replicate.
    subject
        The subjects' numbers, by which they come.
    levels
        Of the factors, for minimisation.

    Examples
    --------
    >>> subject = np.arange(8)
    >>> group = np.zeros((8, 1), int)
    >>> stick = Allocation((1, 1), "big stick", options=(("most", 1.0),))
    >>> arm = in_order(stick, seed=1, group=group, subject=subject)
    >>> arm.reshape(4, 2).sum(axis=1).tolist()
    [1, 1, 1, 1]
    """
    rows, which = np.unique(group, axis=0, return_inverse=True)
    which = which.reshape(-1)
    order = np.lexsort((subject, which))
    first = np.searchsorted(which[order], np.arange(len(rows)))
    place = np.empty(subject.size, int)
    place[order] = np.arange(subject.size) - first[which[order]]
    shape = _power(len(rows), 1), _power(int(place.max()) + 1, LEAST)
    number, replicate = np.zeros(shape, int), np.zeros(shape[0], int)
    number[which, place], replicate[: len(rows)] = subject, rows[:, 0]
    drawn = tickets(seed, replicate, number)
    here: Any = None
    if levels is not None:
        here = np.full((*shape, levels.shape[1]), -1)
        here[which, place] = levels
    return _assigned(allocation, drawn, here)[which, place]


def _power(count: int, least: int) -> int:
    """Return the next power of two."""
    return max(least, 1 << max(count - 1, 0).bit_length())


def _assigned(
    allocation: Allocation, drawn: np.ndarray, levels: np.ndarray | None
) -> np.ndarray:
    """Assign rows of subjects by a method; places that nobody has count for nobody."""
    options: dict[str, Any] = dict(allocation.options)
    if allocation.by == "minimisation":
        assert levels is not None, "the caller has them"
        return minimise(drawn, levels, ratio=allocation.weights, **options)
    if allocation.by == "biased coin":
        return biased_coin(drawn, **options)
    if allocation.by == "urn":
        return urn(drawn, arms=len(allocation.weights), **options)
    most = {key: int(value) for key, value in options.items()}
    return big_stick(drawn, **most)

"""Who one method fails on is solved again by the next, before it counts as failed."""

from collections.abc import Iterator

import numpy as np

from vtrial.model.model import Model
from vtrial.types import FALLBACKS, Method, Status

AGAIN = (  # a method may fail like this where another does not
    Status.STEP_LIMIT,
    Status.NON_FINITE,
    Status.STEP_TOO_SMALL,
    Status.NEGATIVE,
)


def failed_rows(status: np.ndarray) -> np.ndarray:
    """Return the places of the subjects that may be solved again."""
    return np.flatnonzero(np.isin(status, [int(kind) for kind in AGAIN]))


def next_methods(
    model: Model, tried: Method, *, settling: bool
) -> Iterator[tuple[int, Method]]:
    """Yield the methods to solve with after one has failed, with their numbers.

    The hybrid ones are offered where something drives and something is driven. Diffrax
    is not where a steady state is to be found (`settling`): a search of many intervals
    is not its work.
    """
    if model.structure.delays:  # the others keep no past
        return
    driven = len(model.structure.driven)
    mixed = 0 < driven < len(model.states)
    for number, method in enumerate(FALLBACKS, start=1):
        possible = mixed or not method.startswith("hybrid")
        if method != tried and possible and not (settling and method == "diffrax"):
            yield number, method

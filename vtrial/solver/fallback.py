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
    Status.UNSETTLED,
)


def failed_rows(status: np.ndarray) -> np.ndarray:
    """Return the places of the subjects that may be solved again."""
    return np.flatnonzero(np.isin(status, [int(kind) for kind in AGAIN]))


def next_methods(model: Model, tried: Method) -> Iterator[tuple[int, Method]]:
    """Yield the methods to solve with after one has failed, with their numbers.

    The hybrid ones are offered where something drives and something is driven.
    """
    driven = len(model.structure.driven)
    mixed = 0 < driven < len(model.states)
    for number, method in enumerate(FALLBACKS, start=1):
        if method != tried and (mixed or not method.startswith("hybrid")):
            yield number, method

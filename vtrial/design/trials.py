"""Enacted trials: what was decided at each look, and how each trial ended."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Float, Int


class Decision(IntEnum):
    """What a look decides of a comparison."""

    NONE = -1
    GO_ON = 0
    SUCCESS = 1
    FUTILE = 2


@dataclass(frozen=True)
class Trials:
    """Enacted trials; times in hours from the first day of accrual.

    Parameters
    ----------
    at
        When each look was held; NaN where the trial had ended or it was never reached.
    enrolled, known, events
        Subjects by then; NaN where it was not held.
    decision
        Of each comparison at each look, a `Decision`; -1 where it was decided before,
        or no look was held.
    estimate, error, z
        What each comparison showed at each look.
    weights
        The probabilities of the arms for those who came after each look.
    allocated
        Subjects in each arm at the end.
    ended
        The look at which the trial ended.
    success
        Whether each comparison was shown.
    final, final_error, final_low, final_high
        What each comparison estimates, by the data with which it was decided.
    duration, size
        When the trial ended, and how many it had enrolled.
    """

    at: Float[np.ndarray, "trial look"]
    enrolled: Float[np.ndarray, "trial look"]
    known: Float[np.ndarray, "trial look"]
    events: Float[np.ndarray, "trial look"]
    decision: Int[np.ndarray, "trial look comparison"]
    estimate: Float[np.ndarray, "trial look comparison"]
    error: Float[np.ndarray, "trial look comparison"]
    z: Float[np.ndarray, "trial look comparison"]
    weights: Float[np.ndarray, "trial look arm"]
    allocated: Int[np.ndarray, "trial arm"]
    ended: Int[np.ndarray, " trial"]
    success: Bool[np.ndarray, "trial comparison"]
    final: Float[np.ndarray, "trial comparison"]
    final_error: Float[np.ndarray, "trial comparison"]
    duration: Float[np.ndarray, " trial"]
    size: Int[np.ndarray, " trial"]

    def __len__(self) -> int:
        return len(self.size)


def together(parts: Sequence[Trials]) -> Trials:
    """Join trials that were enacted some at a time."""
    named = [part.name for part in fields(Trials)]
    return Trials(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in named)
    )

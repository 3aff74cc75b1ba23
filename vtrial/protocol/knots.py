"""Where true courses jump or bend by plan: doses, ends of infusions, occasions.

What depends on a subject, such as a lag time or how long mg/kg at a given rate take, is
not known here, and neither is what only the run decides.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from vtrial.dosing.periods import INSTANT
from vtrial.protocol.protocol import Arm


class Knots(NamedTuple):
    """Moments at which courses are not smooth, ascending, of all arms together.

    Fields
    ------
    time
        [h] From the start of the trial.
    dose
        Whether one is given then: what is true just before it may not be just after.
    occasion
        Whether one begins then, other than the first.
    """

    time: Float[np.ndarray, " knot"]
    dose: Bool[np.ndarray, " knot"]
    occasion: Bool[np.ndarray, " knot"]


def knots_of(arms: Sequence[Arm], occasions: Sequence[float]) -> Knots:
    """Gather the planned doses, known ends of infusions, and occasions of a trial."""
    steps = [step for arm in arms if arm.regimen for step in arm.regimen.steps]
    doses = _together(step.times() for step in steps)
    ends = _together(step.infusion_ends() for step in steps)
    begins = rounded(np.asarray(occasions[1:], float))
    time = np.unique(np.concatenate([doses, ends, begins]))
    return Knots(time, np.isin(time, doses), np.isin(time, begins))


def rounded(time: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    """Round times [h] so that those that differ by arithmetic only are equal."""
    return np.round(time / INSTANT) * INSTANT


def _together(
    parts: Iterable[Float[np.ndarray, " part"]],
) -> Float[np.ndarray, " time"]:
    """Put times into one row, rounded."""
    return rounded(np.concatenate([np.zeros(0), *parts]))

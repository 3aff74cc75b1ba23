"""A search in some directions of a vector, while the others are held.

The program that gives objective and slopes is that of all directions, so that nothing
is compiled anew for another choice.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from vtrial.fit.focei import Focei
from vtrial.fit.minimum import Minimum, Tell, minimise


class Held(NamedTuple):
    """Where such a search ended: the whole vector, and the modes there."""

    vector: Float[np.ndarray, " estimate"]
    objective: float
    eta: Float[np.ndarray, "subject effect"]
    converged: bool
    best: Minimum


def minimise_free(
    problem: Focei,
    vector: Float[np.ndarray, " estimate"],
    free: Bool[np.ndarray, " estimate"],
    *,
    eta: Float[np.ndarray, "subject effect"] | None = None,
    most: int = 100,
    tell: Tell | None = None,
) -> Held:
    """Minimise by the entries that are free, from a vector and its modes."""
    best = minimise(
        freed(problem, vector, free, eta), vector[free], most=most, tell=tell
    )
    whole = np.array(vector, float)
    whole[free] = best.vector
    return Held(
        whole,
        float(best.point.objective),
        best.point.modes.eta,
        best.converged,
        best,
    )


def freed(
    problem: Focei,
    vector: Float[np.ndarray, " estimate"],
    free: Bool[np.ndarray, " estimate"],
    eta: Float[np.ndarray, "subject effect"] | None,
) -> Any:
    """Return the objective as a function of the free entries alone."""

    def evaluate(part: np.ndarray, before: Any) -> Any:
        whole = np.array(vector, float)
        whole[free] = part
        start = eta if before is None else before.modes.eta
        point = problem.at(whole, start)
        return point._replace(slopes=point.slopes[:, free])

    return evaluate

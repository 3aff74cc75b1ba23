"""Which predictions of the population a protocol keeps, and what they cost.

A plan asks this; it does not need the programs that make them, which are slow to
import.
"""

from vtrial.dims import PREDICTED, SPREAD
from vtrial.protocol.protocol import Protocol

DRAWS = 50  # of random effects and residual errors, for a value's standard deviation


def predictions(protocol: Protocol) -> tuple[str, ...]:
    """Name what is kept beside measured values for prediction-corrected checks."""
    kept = protocol.keep.predictions
    if kept == "nothing" or not protocol.visits:
        return ()
    return (PREDICTED,) if kept == "prediction" else (PREDICTED, SPREAD)


def solutions_of(protocol: Protocol) -> int:
    """Count how often more a subject is solved for its predictions."""
    kinds = {"nothing": 0, "prediction": 1, "prediction and variability": 1 + DRAWS}
    return kinds[protocol.keep.predictions]

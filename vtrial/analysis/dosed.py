"""What a comparison of several doses finds over the doses, in all trials."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float

from vtrial.analysis.estimates import FITTED
from vtrial.measure.kinds.dose_response import CHOSEN, COURSE, ESTIMATE
from vtrial.protocol.protocol import Protocol

__all__ = ["CHOSEN", "ESTIMATE", "fitted_of"]
TAILS = (0.05, 0.95)  # between which 90 % of the trials lie


def fitted_of(
    protocol: Protocol,
    details: Mapping[tuple[int, str], Float[np.ndarray, "replicate dose"]],
) -> pd.DataFrame:
    """Return estimates at the doses, and curves: their means and spread over trials.

    `details` are by the comparison's place and by name. The curve that counts is that
    of trials which show a dose-response.
    """
    from vtrial.measure.dose_response.trial import fine

    rows = []
    for (place, name), values in details.items():
        asked = protocol.analysis.comparisons[place]
        doses = np.array([dose for _, dose in asked.doses])
        at = doses if name == ESTIMATE else fine(doses)
        known = values[np.isfinite(values).all(axis=1)]
        if not len(known):
            continue
        low, high = np.quantile(known, TAILS, axis=0)
        rows += [
            (
                asked.name,
                name.removeprefix(COURSE),
                *(float(x) for x in one),
                len(known),
            )
            for one in zip(at, known.mean(axis=0), low, high, strict=True)
        ]
    return pd.DataFrame(rows, columns=FITTED)

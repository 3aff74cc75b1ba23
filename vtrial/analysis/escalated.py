"""What enacted dose escalations did, as a table by dose."""

import numpy as np
import pandas as pd

from vtrial.analysis.estimates import ESCALATED
from vtrial.design.escalation.characteristic import characteristics
from vtrial.design.escalation.enact import Escalated
from vtrial.protocol.protocol import Protocol


def escalated_table(
    made: Escalated, truth: np.ndarray, protocol: Protocol
) -> pd.DataFrame:
    """Return a row a dose, and one for trials that select none (without an arm)."""
    assert protocol.enactment is not None, "it was enacted"
    escalation = protocol.enactment.escalation
    assert escalation is not None, "it was enacted"
    found = characteristics(made, probabilities=truth, target=escalation.target)
    rows = [
        (
            arm,
            float(truth[dose]),
            float(found.selected[dose]),
            float(found.selected_error[dose]),
            float(found.treated[dose]),
            float(found.treated_error[dose]),
            float(found.toxic[dose]),
            float(found.toxic_error[dose]),
            len(made.selected),
        )
        for dose, arm in enumerate(escalation.arms)
    ]
    rows.append(
        (
            *("", np.nan, found.none, found.none_error),
            *(found.size, found.size_error),
            *(float(found.toxic.sum()), float(np.sqrt((found.toxic_error**2).sum()))),
            len(made.selected),
        )
    )
    return pd.DataFrame(rows, columns=ESCALATED)

"""The subjects of one trial, one by one, for waterfalls and lanes."""

import numpy as np
import pandas as pd

from vtrial.analysis.estimates import PERSONS
from vtrial.analysis.reading import Chunk
from vtrial.dims import EVENT, OUTCOME
from vtrial.protocol.protocol import Protocol

MOST = 300  # of an arm


def persons_of(chunk: Chunk, protocol: Protocol) -> pd.DataFrame:
    """List the first trial's subjects, for percent changes and times to events."""
    frames = [pd.DataFrame(columns=PERSONS)]
    for endpoint in protocol.endpoints:
        change = endpoint.kind.waterfall and not endpoint.binary
        for arm in protocol.arms if endpoint.event or change else ():
            value, event = (
                chunk.own(arm.name, endpoint.name, variable)[0]
                for variable in (OUTCOME, EVENT)
            )
            here = np.flatnonzero(np.isfinite(value))[:MOST]
            columns = {
                "arm": arm.name,
                "endpoint": endpoint.name,
                "subject": here,
                "value": value[here],
                "event": event[here],
                "unit": endpoint.unit,
            }
            frames.append(pd.DataFrame(columns, columns=PERSONS))
    return pd.concat(frames[1:] or frames, ignore_index=True)

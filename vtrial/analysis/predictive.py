"""Visual predictive check: what was observed beside simulated trials of its design.

References
----------
Karlsson MO, Holford N (2008) PAGE 17, abstract 1434.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from vtrial.analysis.estimates import PREDICTIVE
from vtrial.analysis.reading import Chunk, has_measurements
from vtrial.protocol.protocol import Endpoint, Observed, Protocol

QUANTILES = (0.1, 0.5, 0.9)
BETWEEN = (0.05, 0.5, 0.95)  # of trials


@dataclass
class Predictive:
    """Quantiles of each trial's measurements, by place among the observed."""

    planned: dict[tuple[int, str], np.ndarray] = field(default_factory=dict)
    parts: defaultdict[tuple[int, str], list[np.ndarray]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, chunk: Chunk, protocol: Protocol) -> None:
        """See some more trials; nothing where the record holds no measurements."""
        if not has_measurements(chunk.tree, chunk.arms[0]):
            return
        for place, observed in enumerate(protocol.observed):
            endpoint = _looks_at(observed, protocol)
            if not endpoint.visits:
                continue
            arms = [observed.arm] if observed.arm else [a.name for a in protocol.arms]
            for arm in arms:
                measured = chunk.measured(arm, endpoint)
                inside = chunk.in_arm(arm)[:, :, None]
                measured = np.where(inside, measured, np.nan)
                here: Any = np.isfinite(measured).any(axis=1)
                full = np.where(here[:, None], measured, 0.0)
                found = np.nanquantile(full, QUANTILES, axis=1)
                found = np.where(here[None], found, np.nan)
                self.parts[place, arm].append(np.moveaxis(found, 0, 2))
                self.planned[place, arm] = chunk.planned(endpoint)

    def table(self, protocol: Protocol) -> pd.DataFrame:
        """Lay down the observed quantiles and where those of single trials lie.

        An observation counts for the planned time that is nearest to its own.
        """
        rows = []
        for (place, arm), parts in self.parts.items():
            observed, planned = protocol.observed[place], self.planned[place, arm]
            times, where = np.unique(planned, return_inverse=True)
            nearest = _nearest(times, np.array(observed.time))
            values = np.array(observed.value)
            simulated = np.concatenate(parts)[:, np.unique(where, return_index=True)[1]]
            for i, time in enumerate(times):
                seen = values[nearest == i]
                if not len(seen) or not np.isfinite(simulated[:, i]).any():
                    continue
                spread = np.nanquantile(simulated[:, i], BETWEEN, axis=0)
                for j, quantile in enumerate(QUANTILES):
                    low, middle, high = spread[:, j]
                    found = float(np.quantile(seen, quantile))
                    unit = _unit(observed, protocol)
                    head = (arm, observed.output, unit, time, quantile, found)
                    rows.append((*head, low, middle, high, False))
        return pd.DataFrame(rows, columns=PREDICTIVE)


def _looks_at(observed: Observed, protocol: Protocol) -> Endpoint:
    """Name the visits at which the observed output is measured."""
    visits = tuple(v.name for v in protocol.visits if observed.output in v.measure)
    return Endpoint("observed", observed.output, "value", 0.0, np.inf, visits=visits)


def _nearest(times: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Return the place of the time that is nearest to each observed one."""
    middles = (times[1:] + times[:-1]) / 2
    return np.searchsorted(middles, observed)


def _unit(observed: Observed, protocol: Protocol) -> str:
    return next(
        (o.unit for o in protocol.model.outputs if o.name == observed.output), "1"
    )

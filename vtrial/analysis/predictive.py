"""Visual predictive check: what was observed beside simulated trials of its design.

References
----------
Karlsson MO, Holford N (2008) PAGE 17, abstract 1434.
Bergstrand M, Hooker AC, Wallin JE, Karlsson MO (2011) AAPS J 13:143-151.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from vtrial.analysis.correction import (
    correct_prediction,
    correct_variability,
    corrected_spread,
)
from vtrial.analysis.estimates import PREDICTIVE
from vtrial.analysis.reading import Chunk, has_measurements, predictions_of
from vtrial.dims import MEASURED, PREDICTED, SPREAD
from vtrial.endpoint.endpoint import Endpoint
from vtrial.protocol.evidence import Observed
from vtrial.protocol.protocol import Protocol

QUANTILES = (0.1, 0.5, 0.9)
BETWEEN = (0.05, 0.5, 0.95)  # of trials
Key = tuple[int, str]


class Bins(NamedTuple):
    """The observed points by planned time, corrected if that is asked for.

    Fields
    ------
    times
        [h] Planned times.
    place
        The planned time that is nearest to each point's own.
    value
        [the output's unit] The points.
    middle
        [the output's unit] Median prediction of the points of each time.
    usual
        [the output's unit] Median standard deviation of the corrected points there.
    """

    times: np.ndarray
    place: np.ndarray
    value: np.ndarray
    middle: np.ndarray
    usual: np.ndarray


@dataclass
class Predictive:
    """Quantiles of each trial's measurements, by place among the observed, and arm."""

    bins: dict[Key, Bins] = field(default_factory=dict)
    parts: defaultdict[Key, list[np.ndarray]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, chunk: Chunk, protocol: Protocol) -> None:
        """Add some more trials; without measurements in the record nothing is added."""
        if not has_measurements(chunk.tree, chunk.arms[0]):
            return
        for place, observed in enumerate(protocol.evidence.observed):
            endpoint = looks_at(observed, protocol)
            if not endpoint.visits or of_shares(observed):
                continue
            for arm in arms_beside(observed.arm, protocol):
                key, planned = (place, arm), chunk.planned(endpoint)
                if key not in self.bins:
                    points = predictions_of(
                        chunk.tree, protocol.evidence.observed, place
                    )
                    self.bins[key] = bins_of(observed, planned, *points)
                values = _values(chunk, arm, endpoint, observed, self.bins[key])
                self.parts[key].append(quantiles_of(values))

    def table(self, protocol: Protocol) -> pd.DataFrame:
        """Tabulate the observed quantiles and the interval of those of single trials.

        An observation counts for the planned time that is nearest to its own.
        """
        rows = []
        for (place, arm), parts in self.parts.items():
            observed, bins = protocol.evidence.observed[place], self.bins[place, arm]
            simulated = np.concatenate(parts)
            for i, time in enumerate(bins.times):
                seen = bins.value[(bins.place == i) & np.isfinite(bins.value)]
                if not len(seen) or not np.isfinite(simulated[:, i]).any():
                    continue
                spread = np.nanquantile(simulated[:, i], BETWEEN, axis=0)
                for j, quantile in enumerate(QUANTILES):
                    low, middle, high = spread[:, j]
                    found = float(np.quantile(seen, quantile))
                    unit = unit_of(observed, protocol)
                    head = (arm, observed.output, unit, time, quantile, found)
                    rows.append((*head, low, middle, high, observed.correct))
        return pd.DataFrame(rows, columns=PREDICTIVE)


def bins_of(
    observed: Observed,
    planned: np.ndarray,
    predicted: np.ndarray | None = None,
    spread: np.ndarray | None = None,
) -> Bins:
    """Put observed points into bins, and correct them where that is asked for."""
    times = np.unique(planned)
    place = nearest(times, np.array(observed.time))
    value = np.array(observed.value, float)
    nothing = np.full(len(times), np.nan)
    if predicted is None:
        return Bins(times, place, value, nothing, nothing)
    how = _how(observed)
    middle = _medians(predicted, place, len(times))
    value = correct_prediction(value, predicted, middle[place], **how)
    if spread is None:
        return Bins(times, place, value, middle, nothing)
    spread = corrected_spread(spread, predicted, middle[place], **how)
    usual = _medians(spread, place, len(times))
    value = correct_variability(value, middle[place], spread, usual[place])
    return Bins(times, place, value, middle, usual)


def quantiles_of(values: np.ndarray) -> np.ndarray:
    """Return each trial's quantiles (trial, time, quantile) of its subjects' values."""
    here: Any = np.isfinite(values).any(axis=1)
    full = np.where(here[:, None], values, 0.0)
    found = np.nanquantile(full, QUANTILES, axis=1)
    return np.moveaxis(np.where(here[None], found, np.nan), 0, 2)


def looks_at(observed: Observed, protocol: Protocol) -> Endpoint:
    """Name the visits at which the observed output is measured."""
    visits = tuple(v.name for v in protocol.visits if observed.output in v.measure)
    return Endpoint("observed", observed.output, "value", 0.0, np.inf, visits=visits)


def of_shares(observed: Observed) -> bool:
    """Return whether proportions of categories are checked, not quantiles."""
    return observed.categories or bool(observed.grades)


def arms_beside(arm: str, protocol: Protocol) -> list[str]:
    """Name the arms beside which something observed is held: its own, or all."""
    return [arm] if arm else [one.name for one in protocol.arms]


def nearest(times: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Return the place of the time that is nearest to each observed one."""
    middles = (times[1:] + times[:-1]) / 2
    return np.searchsorted(middles, observed)


def unit_of(observed: Observed, protocol: Protocol) -> str:
    """Return the unit of an observed output."""
    outputs = {o.name: o.unit for o in protocol.model.outputs}
    return outputs.get(observed.output, "1")


def first_at(planned: np.ndarray) -> np.ndarray:
    """Return the place of the first visit at each planned time."""
    return np.unique(planned, return_index=True)[1]


def _values(
    chunk: Chunk, arm: str, endpoint: Endpoint, observed: Observed, bins: Bins
) -> np.ndarray:
    """Return what the arm's own subjects show at each planned time, corrected."""
    first = first_at(chunk.planned(endpoint))

    def read(name: str) -> np.ndarray:
        return chunk.measured(arm, endpoint, name)[:, :, first]

    values = np.where(chunk.in_arm(arm)[:, :, None], read(MEASURED), np.nan)
    if observed.correct == "nothing":
        return values
    how, middle = _how(observed), bins.middle[None, None, :]
    predicted = read(PREDICTED)
    values = correct_prediction(values, predicted, middle, **how)
    if observed.correct == "prediction":
        return values
    spread = corrected_spread(read(SPREAD), predicted, middle, **how)
    return correct_variability(values, middle, spread, bins.usual[None, None, :])


def _how(observed: Observed) -> dict[str, Any]:
    """Return how points are prediction-corrected: lower bound, and on what scale."""
    return {"bound": observed.bound, "logarithms": observed.logarithms}


def _medians(values: np.ndarray, place: np.ndarray, count: int) -> np.ndarray:
    """Return the median of the values of each bin; NaN where there are none."""
    parts = [values[(place == i) & np.isfinite(values)] for i in range(count)]
    return np.array([np.median(part) if len(part) else np.nan for part in parts])

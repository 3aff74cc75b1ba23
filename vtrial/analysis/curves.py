"""Survival curves of times to an event, over the trials of a record."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from vtrial.analysis.estimates import CURVES
from vtrial.endpoint.endpoint import Endpoint
from vtrial.measure.statistic import Values
from vtrial.measure.survival import survival_curve
from vtrial.protocol.protocol import Protocol

POINTS = 101
Key = tuple[str, str]


@dataclass
class Curves:
    """Curves of the trials seen so far, by arm and endpoint; a row a trial."""

    grids: dict[str, np.ndarray] = field(default_factory=dict)
    parts: defaultdict[Key, list[tuple[np.ndarray, ...]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def look(self, endpoint: Endpoint, own: Mapping[str, Values]) -> None:
        """Fix the times at which an endpoint's curves are read, by the first trials."""
        if endpoint.event and endpoint.name not in self.grids:
            latest = max(np.nanmax(time, initial=0.0) for time in own.values())
            self.grids[endpoint.name] = np.linspace(0.0, latest or 1.0, POINTS)

    def add(self, arm: str, endpoint: str, time: Values, event: Values) -> None:
        """See some more trials of an arm."""
        if not np.isfinite(time).any():
            return
        grid = self.grids[endpoint]
        curve = survival_curve(time, event, grid)
        by_then = _counted(np.where(event == 1, time, np.inf), grid)
        parts = (curve.survival, curve.low, curve.high, curve.at_risk, by_then)
        self.parts[arm, endpoint].append(parts)

    def table(self, protocol: Protocol) -> pd.DataFrame:
        """Tabulate each arm's mean curve, and the interval of single trials' curves."""
        frames = []
        for endpoint in protocol.endpoints:
            for arm in protocol.arms:
                parts = self.parts.get((arm.name, endpoint.name))
                if parts:
                    grid = self.grids[endpoint.name]
                    frames.append(_frame(arm.name, endpoint.name, grid, parts))
        if not frames:
            return pd.DataFrame(columns=CURVES)
        return pd.concat(frames, ignore_index=True)


def _frame(
    arm: str, endpoint: str, grid: np.ndarray, parts: list[tuple[np.ndarray, ...]]
) -> pd.DataFrame:
    """Return one arm's curve as a table."""
    survival, low, high, at_risk, events = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    known = np.isfinite(survival).any(axis=0)
    survival, low, high = survival[:, known], low[:, known], high[:, known]
    if len(survival) > 1:
        low, high = np.nanquantile(survival, [0.025, 0.975], axis=0)
    else:
        low, high = low[0], high[0]
    columns = {
        "arm": arm,
        "endpoint": endpoint,
        "time": grid[known],
        "survival": np.nanmean(survival, axis=0),
        "low": low,
        "high": high,
        "at_risk": at_risk.mean(axis=0)[known],
        "events": events.mean(axis=0)[known],
    }
    return pd.DataFrame(columns, columns=CURVES)


def _counted(happened: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Count each trial's events up to each time of the grid."""
    place = np.searchsorted(grid, happened)  # the first time at or after the event
    trial = np.arange(len(happened))[:, None] * (len(grid) + 1)
    counted = np.bincount(
        (trial + place).reshape(-1), minlength=len(happened) * (len(grid) + 1)
    )
    return counted.reshape(len(happened), -1)[:, :-1].cumsum(axis=1)

"""Which covariates go with an outcome: within thirds of them, and shares of variance.

The share is the correlation ratio: the variance between the means of equal groups along
a factor over the whole variance, less what chance gives (Kelley's epsilon squared). It
is the first-order Sobol index of a factor that does not depend on the others.

References
----------
Kelley TL (1935) Proc Natl Acad Sci USA 21:554-559.
Plischke E, Borgonovo E, Smith CL (2013) Eur J Oper Res 226:536-550.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from vtrial.analysis.estimates import EXPLAINED, PERSONS, SUBGROUPS
from vtrial.analysis.reading import Chunk
from vtrial.dims import EVENT
from vtrial.protocol.protocol import Endpoint, Protocol

GROUPS, BINS = 3, 20
FEW = 6  # values of a covariate that are groups of their own
MOST_PERSONS = 300  # of an arm


class _Sums(NamedTuple):
    """Sums over the subjects of each group."""

    number: np.ndarray
    total: np.ndarray
    square: np.ndarray


@dataclass
class Explained:
    """What has been seen of outcomes by factor; keys are endpoint, arm and factor."""

    edges: dict[str, np.ndarray] = field(default_factory=dict)
    bins: dict[str, np.ndarray] = field(default_factory=dict)
    coarse: dict[tuple[str, str, str], _Sums] = field(default_factory=dict)
    fine: dict[tuple[str, str, str], _Sums] = field(default_factory=dict)
    ranks: defaultdict[tuple[str, str, str], list[tuple[float, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    persons: list[pd.DataFrame] = field(default_factory=list)

    def add(self, chunk: Chunk, protocol: Protocol) -> None:
        """See some more trials."""
        if chunk.start == 0:
            self.persons = list(_persons(chunk, protocol))
        for name in chunk.factors:
            values = chunk.covariate(name)
            if name not in self.edges:
                _note_edges(self.edges, name, values, GROUPS)
                _note_edges(self.bins, name, values, BINS)
            if len(self.edges[name]) < 3:
                continue  # it does not vary
            groups = [
                _grouped(edges[name], values) for edges in (self.edges, self.bins)
            ]
            for endpoint in protocol.endpoints:
                for arm in protocol.arms:
                    key = (endpoint.name, arm.name, name)
                    outcome = chunk.own(arm.name, endpoint.name)
                    self._add(key, outcome, values, groups)

    def _add(
        self,
        key: tuple[str, str, str],
        outcome: np.ndarray,
        values: np.ndarray,
        groups: list[np.ndarray],
    ) -> None:
        """See one endpoint of an arm by one factor."""
        seen = np.isfinite(outcome) & np.isfinite(values)
        if seen.sum() < 2:
            return
        y = outcome[seen]
        for held, group, edges in zip(
            (self.coarse, self.fine), groups, (self.edges, self.bins), strict=True
        ):
            sums = _sums(y, group[seen], len(edges[key[2]]) - 1)
            old = held.get(key)
            if old is not None:
                sums = _Sums(*(a + b for a, b in zip(old, sums, strict=True)))
            held[key] = sums
        self.ranks[key].append((_rank_correlation(values[seen], y), len(y)))

    def subgroups(self, protocol: Protocol) -> pd.DataFrame:
        """Lay down the endpoints by arm and group."""
        rows = []
        for (name, arm, factor), sums in self.coarse.items():
            endpoint, edges = protocol.endpoint(name), self.edges[factor]
            for place, (count, total, square) in enumerate(zip(*sums, strict=True)):
                if not count:
                    continue
                mean = total / count
                spread = max(square / count - mean**2, 0.0) / max(count - 1, 1)
                row = (name, arm, factor, edges[place], edges[place + 1], int(count))
                statistic = "share" if endpoint.binary else "mean"
                unit = "1" if endpoint.binary else endpoint.unit
                rows.append((*row, statistic, mean, np.sqrt(spread), unit))
        return pd.DataFrame(rows, columns=SUBGROUPS)

    def table(self) -> pd.DataFrame:
        """Lay down the shares of variance that go with each factor."""
        rows = []
        for key, (count, total, square) in self.fine.items():
            n, full = count.sum(), count > 0
            mean = total.sum() / n
            whole = square.sum() - n * mean**2
            between = (total[full] ** 2 / count[full]).sum() - n * mean**2
            groups = int(full.sum())
            if groups < 2 or n <= groups or whole <= 1e-12 * max(square.sum(), 1e-300):
                continue
            chance = (groups - 1) * (whole - between) / (n - groups)
            share = min(max((between - chance) / whole, 0.0), 1.0)
            error = np.sqrt(4 * share / n) * (1 - share)
            known = [(r, k) for r, k in self.ranks[key] if np.isfinite(r)]
            weight = sum(k for _, k in known)
            rank = sum(r * k for r, k in known) / weight if weight else np.nan
            rows.append((*key, share, error, rank))
        return pd.DataFrame(rows, columns=EXPLAINED)


def _note_edges(
    edges: dict[str, np.ndarray], name: str, values: np.ndarray, groups: int
) -> None:
    """Part a factor into groups of equal size; few values into one each."""
    known = np.unique(values[np.isfinite(values)])
    if len(known) <= FEW:
        last = known[-1:] if len(known) else np.zeros(1)
        edges[name] = np.concatenate([known, np.nextafter(last, np.inf)])
        return
    cuts = np.quantile(values[np.isfinite(values)], np.linspace(0, 1, groups + 1))
    edges[name] = np.unique(cuts)


def _grouped(edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the group of each value; the outermost hold what lies beyond."""
    return np.clip(np.searchsorted(edges, values, "right") - 1, 0, len(edges) - 2)


def _sums(y: np.ndarray, group: np.ndarray, groups: int) -> _Sums:
    """Add up the values of each group."""
    return _Sums(*(np.bincount(group, w, groups) for w in (np.ones_like(y), y, y * y)))


def _rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Return Spearman's correlation; NaN if one of both does not vary."""
    ranks = [pd.Series(part).rank().to_numpy() for part in (x, y)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return float("nan")
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _persons(chunk: Chunk, protocol: Protocol) -> list[pd.DataFrame]:
    """List the first trial's subjects, for percent changes and times to events."""
    frames = []
    for endpoint in protocol.endpoints:
        if not (endpoint.event or _in_per_cent(endpoint)):
            continue
        for arm in protocol.arms:
            value = chunk.own(arm.name, endpoint.name)[0]
            event = chunk.own(arm.name, endpoint.name, EVENT)[0]
            here = np.flatnonzero(np.isfinite(value))[:MOST_PERSONS]
            columns = {
                "arm": arm.name,
                "endpoint": endpoint.name,
                "subject": here,
                "value": value[here],
                "event": event[here],
                "unit": endpoint.unit,
            }
            frames.append(pd.DataFrame(columns, columns=PERSONS))
    return frames


def _in_per_cent(endpoint: Endpoint) -> bool:
    return endpoint.take == "percent change" and not endpoint.binary

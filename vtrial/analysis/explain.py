"""Covariates that explain an outcome: subgroups by thirds, and shares of variance.

The share is the correlation ratio: the variance between the means of equal groups along
a factor over the whole variance, less what chance gives (Kelley's epsilon squared). It
is the first-order Sobol index of a factor that does not depend on the others.

References
----------
Kelley TL (1935) Proc Natl Acad Sci USA 21:554-559.
Plischke E, Borgonovo E, Smith CL (2013) Eur J Oper Res 226:536-550.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from vtrial.analysis.estimates import EXPLAINED, SUBGROUPS
from vtrial.analysis.reading import Chunk
from vtrial.protocol.protocol import Protocol

GROUPS, BINS = 3, 20
FEW = 6  # values of a covariate that are groups of their own
Key = tuple[str, str, str]


class _Sums(NamedTuple):
    """Sums over the subjects of each group."""

    number: np.ndarray
    total: np.ndarray
    square: np.ndarray


class _Factor(NamedTuple):
    """A factor in some trials: its values, and their groups, few and many."""

    values: np.ndarray
    coarse: np.ndarray
    fine: np.ndarray


@dataclass
class Explained:
    """What has been seen of outcomes by factor; keys are endpoint, arm and factor.

    `edges` and `bins` part each factor into few and many groups, as the first trials
    fix them; `codes` are factors of few values, each a group of its own; `factors` are
    those of the trials that are looked at.
    """

    edges: dict[str, np.ndarray] = field(default_factory=dict)
    bins: dict[str, np.ndarray] = field(default_factory=dict)
    codes: set[str] = field(default_factory=set)
    factors: dict[str, _Factor] = field(default_factory=dict)
    coarse: dict[Key, _Sums] = field(default_factory=dict)
    fine: dict[Key, _Sums] = field(default_factory=dict)
    ranks: defaultdict[Key, list[tuple[float, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def look(self, chunk: Chunk) -> None:
        """Look at the factors of some more trials; those that do not vary are none."""
        self.factors = {}
        for name in chunk.factors:
            values = chunk.covariate(name)
            if name not in self.edges:
                self.edges[name] = _edges(values, GROUPS)
                self.bins[name] = _edges(values, BINS)
                if _few(values):
                    self.codes.add(name)
            if len(self.edges[name]) > 2:
                groups = (
                    _grouped(edges[name], values) for edges in (self.edges, self.bins)
                )
                self.factors[name] = _Factor(values, *groups)

    def add(self, endpoint: str, own: Mapping[str, np.ndarray]) -> None:
        """Add an endpoint of these trials: numbers of subjects by arm, NaN for none."""
        for arm, outcome in own.items():
            known = np.isfinite(outcome)
            for name, factor in self.factors.items():
                seen = known & np.isfinite(factor.values)
                if seen.sum() > 1:
                    self._add((endpoint, arm, name), factor, outcome, seen)

    def _add(
        self, key: Key, factor: _Factor, outcome: np.ndarray, seen: np.ndarray
    ) -> None:
        """See one endpoint of an arm by one factor."""
        y, name = outcome[seen], key[2]
        for held, group, edges in (
            (self.coarse, factor.coarse, self.edges[name]),
            (self.fine, factor.fine, self.bins[name]),
        ):
            sums = _sums(y, group[seen], len(edges) - 1)
            old = held.get(key)
            if old is not None:
                sums = _Sums(*(a + b for a, b in zip(old, sums, strict=True)))
            held[key] = sums
        self.ranks[key].append((_rank_correlation(factor.values[seen], y), len(y)))

    def subgroups(self, protocol: Protocol) -> pd.DataFrame:
        """Tabulate endpoints by arm and group; a code's group is from it to itself."""
        rows = []
        for (name, arm, factor), sums in self.coarse.items():
            endpoint, edges = protocol.endpoint(name), self.edges[factor]
            for place, (count, total, square) in enumerate(zip(*sums, strict=True)):
                if not count:
                    continue
                mean = total / count
                spread = max(square / count - mean**2, 0.0) / max(count - 1, 1)
                end = edges[place + (factor not in self.codes)]
                row = (name, arm, factor, edges[place], end, int(count))
                statistic = "share" if endpoint.binary else "mean"
                unit = "1" if endpoint.binary else endpoint.unit
                rows.append((*row, statistic, mean, np.sqrt(spread), unit))
        return pd.DataFrame(rows, columns=SUBGROUPS)

    def table(self) -> pd.DataFrame:
        """Tabulate the share of variance that each factor explains."""
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


def _edges(values: np.ndarray, groups: int) -> np.ndarray:
    """Part a factor into groups of equal size; few values into one each."""
    values = values[np.isfinite(values)]
    known = np.unique(values)
    if _few(values):
        last = known[-1:] if len(known) else np.zeros(1)
        return np.concatenate([known, np.nextafter(last, np.inf)])
    return np.unique(np.quantile(values, np.linspace(0, 1, groups + 1)))


def _few(values: np.ndarray) -> bool:
    """Return whether a factor has so few values that each is a group."""
    return len(np.unique(values[np.isfinite(values)])) <= FEW


def _grouped(edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the group of each value; the outermost hold what lies beyond."""
    return np.clip(np.searchsorted(edges, values, "right") - 1, 0, len(edges) - 2)


def _sums(y: np.ndarray, group: np.ndarray, groups: int) -> _Sums:
    """Add up the values of each group."""
    return _Sums(*(np.bincount(group, w, groups) for w in (np.ones_like(y), y, y * y)))


def _rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Return Spearman's correlation; NaN if one of both does not vary."""
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(_ranks(x), _ranks(y))[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    """Rank values from 1; equal ones share the mean of their ranks.

    `scipy.stats.rankdata` says the same; to load that takes half a second.
    """
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]

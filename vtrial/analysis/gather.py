"""Gather from a record, some trials at a time, what the tables are made of."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd

from vtrial.analysis.balance import Balance
from vtrial.analysis.comparison import answered, details_of, size_of, truth
from vtrial.analysis.crossed import CrossedChunk
from vtrial.analysis.curves import Curves
from vtrial.analysis.departures import Departures
from vtrial.analysis.explain import Explained
from vtrial.analysis.lost import Lost, bounds, lost, share_bounds
from vtrial.analysis.persons import persons_of
from vtrial.analysis.predictive import Predictive
from vtrial.analysis.reading import Chunk
from vtrial.analysis.vpc_events import PredictiveEvents, PredictiveShares
from vtrial.dims import EVENT
from vtrial.endpoint.endpoint import Endpoint
from vtrial.measure.contrast import Contrast
from vtrial.measure.groups import Pairs
from vtrial.measure.statistic import Numbers, Summary, summarise
from vtrial.measure.survival import kaplan_meier
from vtrial.protocol.evidence import Published
from vtrial.protocol.intercurrent import stopping_causes
from vtrial.protocol.protocol import Arm, Protocol
from vtrial.protocol.subset import holds
from vtrial.types import FALLBACKS, Status

BAR_COUNT = 40
Parts = TypeVar("Parts", Summary, Contrast, Pairs)
Bounds = tuple[np.ndarray, np.ndarray]  # least and most, of each trial
TAIL = 0.005


class Flow(NamedTuple):
    """Subjects allocated to an arm, and others who were simulated under it, too."""

    screened: int = 0
    enrolled: int = 0
    simulated: int = 0
    failed: int = 0
    others: int = 0
    others_failed: int = 0


@dataclass
class Gathered:
    """What has been seen of the record so far; lists hold an entry a chunk.

    Keys are names of arms, endpoints and statistics, and positions of comparisons;
    of published numbers in `parts`, which are of some of an arm's subjects only.
    `everybody` is of all subjects under an arm, not only of those allocated to it.
    """

    flow: dict[str, Flow] = field(default_factory=dict)
    failures: dict[str, np.ndarray] = field(default_factory=dict)
    fallbacks: dict[str, np.ndarray] = field(default_factory=dict)
    counts: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    missing: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    extremes: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    shares: defaultdict[tuple[str, str], list[Bounds]] = field(
        default_factory=lambda: defaultdict(list)
    )
    everybody: defaultdict[tuple[str, str, str], list[Summary]] = field(
        default_factory=lambda: defaultdict(list)
    )
    summaries: defaultdict[tuple[str, str, str], list[Summary]] = field(
        default_factory=lambda: defaultdict(list)
    )
    contrasts: defaultdict[int, list[Contrast]] = field(
        default_factory=lambda: defaultdict(list)
    )
    truths: defaultdict[int, list[Pairs]] = field(
        default_factory=lambda: defaultdict(list)
    )
    sizes: defaultdict[int, list[Numbers]] = field(
        default_factory=lambda: defaultdict(list)
    )
    details: defaultdict[tuple[int, str], list[Numbers]] = field(
        default_factory=lambda: defaultdict(list)
    )
    lost: defaultdict[int, list[Lost]] = field(
        default_factory=lambda: defaultdict(list)
    )
    effects: defaultdict[int, list[Bounds]] = field(
        default_factory=lambda: defaultdict(list)
    )
    parts: defaultdict[int, list[Summary]] = field(
        default_factory=lambda: defaultdict(list)
    )
    departures: Departures = field(default_factory=Departures)
    stops: Departures = field(default_factory=Departures)
    curves: Curves = field(default_factory=Curves)
    explained: Explained = field(default_factory=Explained)
    predictive: Predictive = field(default_factory=Predictive)
    predictive_events: PredictiveEvents = field(default_factory=PredictiveEvents)
    predictive_shares: PredictiveShares = field(default_factory=PredictiveShares)
    balance: Balance = field(default_factory=Balance)
    persons: pd.DataFrame = field(default_factory=pd.DataFrame)
    edges: dict[str, np.ndarray] = field(default_factory=dict)
    bars: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    replicates: int = 0

    def add(self, chunk: Chunk, protocol: Protocol) -> None:
        """Add some more trials."""
        self.replicates += chunk.replicates
        self.explained.look(chunk)
        if protocol.crossover is None:
            self.balance.add(chunk, protocol)
        self.predictive.add(chunk, protocol)
        self.predictive_events.add(chunk, protocol)
        self.predictive_shares.add(chunk, protocol)
        if chunk.start == 0:
            self.persons = persons_of(chunk, protocol)
        people, arms = chunk, protocol.arms
        if isinstance(chunk, CrossedChunk):  # who is in it has a sequence of treatments
            people = chunk.base
            arms = tuple(Arm(name) for name in people.arms)
        for arm in arms:
            self._add_flow(people, arm.name)
            reasons = protocol.design.dropout.reasons(arm.rules)
            self.departures.add(people, arm.name, people.left(arm.name), reasons)
            stopped = people.stopped(arm.name)
            self.stops.add(people, arm.name, stopped, stopping_causes(protocol.arms))
        for endpoint in protocol.endpoints:
            own = {
                arm.name: chunk.own(arm.name, endpoint.name) for arm in protocol.arms
            }
            self.curves.look(endpoint, own)
            self._add_endpoint(chunk, endpoint, own)
            if protocol.potential == "all":
                self._add_everybody(chunk, endpoint, own)
            self._add_parts(chunk, endpoint, own, protocol)
            self._add_bars(endpoint, own)
            self.explained.add(endpoint.name, own)
            for place, comparison in enumerate(protocol.analysis.comparisons):
                if comparison.endpoint == endpoint.name:
                    made = answered(chunk, comparison, protocol)
                    self.contrasts[place].append(made)
                    for name, found in details_of(chunk, comparison, protocol).items():
                        self.details[place, name].append(found)
                    self.sizes[place].append(size_of(chunk, comparison))
                    self.lost[place].append(lost(chunk, comparison))
                    self.effects[place].append(bounds(chunk, comparison, protocol))
                    if protocol.potential == "all":
                        self.truths[place].append(truth(chunk, comparison))

    def _add_flow(self, chunk: Chunk, arm: str) -> None:
        """Count the subjects of an arm, and the failed ones by Status."""
        inside, status = chunk.in_arm(arm), chunk.status(arm)
        old = self.flow.get(arm, Flow())
        self.flow[arm] = Flow(
            old.screened + int(chunk.screened[inside].sum()),
            old.enrolled + int(inside.sum()),
            old.simulated + int((inside & (status == Status.SOLVED)).sum()),
            old.failed + int((inside & (status > Status.SOLVED)).sum()),
            old.others + int((~inside & (status == Status.SOLVED)).sum()),
            old.others_failed + int((~inside & (status > Status.SOLVED)).sum()),
        )
        failed = status[status > Status.SOLVED].astype(int)
        counted = np.bincount(failed, minlength=len(Status))
        self.failures[arm] = self.failures.get(arm, 0) + counted
        solved = chunk.fallback(arm)[status == Status.SOLVED].astype(int)
        counted = np.bincount(solved, minlength=1 + len(FALLBACKS))
        self.fallbacks[arm] = self.fallbacks.get(arm, 0) + counted

    def _add_endpoint(
        self, chunk: Chunk, endpoint: Endpoint, own: dict[str, np.ndarray]
    ) -> None:
        """Summarise an endpoint in every arm."""
        for arm, values in own.items():
            seen, failed = np.isfinite(values), chunk.failed(arm)
            reasons = chunk.reasons(arm, endpoint.name)
            counted = [seen.sum(), reasons.sum(), failed.sum()]
            key = (arm, endpoint.name)
            self.counts[key] = self.counts.get(key, 0) + np.array(counted)
            self.missing[key] = self.missing.get(key, 0) + reasons
            least, most = self.extremes.get(key, (np.inf, -np.inf))
            found = values[seen]
            self.extremes[key] = (
                float(found.min(initial=least)),
                float(found.max(initial=most)),
            )
            event = None
            if endpoint.event:
                event = np.where(seen, chunk.own(arm, endpoint.name, EVENT), np.nan)
                self.curves.add(arm, endpoint.name, values, event)
            for name, summary in _summaries(endpoint, values, event).items():
                self.summaries[*key, name].append(summary)
            if endpoint.binary or event is not None:
                share = values if event is None else event
                self.shares[key].append(share_bounds(share, failed))

    def _add_everybody(
        self, chunk: Chunk, endpoint: Endpoint, arms: Iterable[str]
    ) -> None:
        """Summarise an endpoint of every subject under every arm."""
        for arm in arms:
            values, event = chunk.values(arm, endpoint.name), None
            if endpoint.event:
                event = chunk.values(arm, endpoint.name, EVENT)
                event = np.where(np.isfinite(values), event, np.nan)
            for name, summary in _summaries(endpoint, values, event).items():
                self.everybody[arm, endpoint.name, name].append(summary)

    def _add_parts(
        self,
        chunk: Chunk,
        endpoint: Endpoint,
        own: dict[str, np.ndarray],
        protocol: Protocol,
    ) -> None:
        """Summarise an endpoint among those that published numbers are of."""
        for place, point in enumerate(protocol.evidence.published):
            if point.where is None or point.endpoint != endpoint.name:
                continue
            chosen = holds(point.where, chunk.covariate)
            values = np.where(chosen, own[point.arm], np.nan)
            event = None
            if endpoint.event:
                event = chunk.own(point.arm, endpoint.name, EVENT)
                event = np.where(np.isfinite(values), event, np.nan)
            named = _summaries(endpoint, values, event)
            statistic = statistic_of(point, endpoint)
            if statistic in named:
                self.parts[place].append(named[statistic])

    def _add_bars(self, endpoint: Endpoint, own: dict[str, np.ndarray]) -> None:
        """Count values in bins that the first trials fix for all arms."""
        name = endpoint.name
        seen = {arm: values[np.isfinite(values)] for arm, values in own.items()}
        if name not in self.edges:
            pooled = np.concatenate(list(seen.values()))
            if not len(pooled):
                return
            self.edges[name] = _edges(pooled, binary=endpoint.binary)
        edges = self.edges[name]
        for arm, values in seen.items():
            inside = np.clip(values, edges[0], edges[-1])
            counted = np.histogram(inside, edges)[0]
            self.bars[arm, name] = self.bars.get((arm, name), 0) + counted


def statistic_of(point: Published, endpoint: Endpoint) -> str:
    """Name a published number's statistic; the mean of a response is a share."""
    mean = point.statistic == "mean"
    return "share" if endpoint.binary and mean else point.statistic


def _summaries(
    endpoint: Endpoint, values: np.ndarray, event: np.ndarray | None
) -> dict[str, Summary]:
    """Return the statistics that an endpoint of this kind has."""
    if endpoint.binary:
        return {"share": summarise("share", values)}
    if event is not None:
        return {"share": summarise("share", event)} | kaplan_meier(values, event)
    names = ("mean", "sd", "median", "geometric mean")
    return {name: summarise(name, values) for name in names}


def _edges(pooled: np.ndarray, *, binary: bool) -> np.ndarray:
    """Return the edges of bins that hold all but the ends of the tails."""
    if binary:
        return np.array([-0.5, 0.5, 1.5])
    low, high = np.quantile(pooled, [TAIL, 1 - TAIL])
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        size = abs(low) or 1.0
        return np.array([low - size / 2, low + size / 2])
    return np.linspace(low, high, BAR_COUNT + 1)


def joined(parts: Sequence[Parts]) -> Parts:
    """Join what was gathered in several chunks, trial after trial."""
    return type(parts[0])._make(np.concatenate(g) for g in zip(*parts, strict=True))

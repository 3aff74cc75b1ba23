"""How alike randomisation makes the arms, beside what simple randomisation does."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from vtrial.analysis.estimates import BALANCE
from vtrial.analysis.operating import mean_of
from vtrial.analysis.reading import Chunk
from vtrial.design.allocation import allocate
from vtrial.design.strata import Places, ranked
from vtrial.protocol.design import Allocation
from vtrial.protocol.protocol import Protocol
from vtrial.protocol.subset import names_of, values_of, write_where

SIMPLE = "simple"


@dataclass
class Balance:
    """Imbalances of trials, by factor and method; each list holds an entry a chunk."""

    found: defaultdict[tuple[str, str], list[np.ndarray]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, chunk: Chunk, protocol: Protocol) -> None:
        """Add some more trials, if they are randomised by more than chance."""
        allocation = protocol.design.allocation
        if allocation.by in (SIMPLE, "counts") or len(allocation.weights) < 2:
            return
        own, plain = chunk.allocated, _simple(chunk, protocol)
        for name, levels in _factors(chunk, protocol):
            for by, arm in ((allocation.by, own), (SIMPLE, plain)):
                made = imbalance(arm, levels, allocation.weights)
                self.found[name, by].append(made)

    def table(self) -> pd.DataFrame:
        """Lay it out: a row for each factor and method."""
        rows = []
        for (name, by), parts in self.found.items():
            values = np.concatenate(parts)
            worth = mean_of(values)
            rows.append(
                (name, by, worth.value, worth.mc_error, values.max(), len(values))
            )
        return pd.DataFrame(rows, columns=BALANCE)


def _simple(chunk: Chunk, protocol: Protocol) -> Int[np.ndarray, "trial subject"]:
    """Return the arms that simple randomisation would give."""
    count, subjects = chunk.replicates, chunk.subjects
    arm = allocate(
        Allocation(protocol.design.allocation.weights),
        seed=protocol.seed,
        replicate=np.repeat(np.arange(count) + chunk.start, subjects),
        subject=np.tile(np.arange(subjects), count),
    )
    return arm.reshape(count, subjects)


def _factors(
    chunk: Chunk, protocol: Protocol
) -> Iterator[tuple[str, Int[np.ndarray, "trial subject"]]]:
    """Yield all subjects together, then the levels of each factor or stratum.

    What the record does not hold is left out.
    """
    allocation = protocol.design.allocation
    count, subjects = chunk.replicates, chunk.subjects
    trials = np.arange(count) + chunk.start
    places = Places(allocation, protocol.seed, trials, subjects)
    yield "", np.zeros((count, subjects), int)

    def value(name: str) -> Float[np.ndarray, "trial subject"]:
        return places.of(name) if places.has(name) else chunk.covariate(name)

    def held(name: str) -> bool:
        return places.has(name) or name in chunk.factors

    for name in allocation.strata:
        if held(name):
            yield name, ranked(value(name))
    for factor in allocation.factors:
        if all(map(held, names_of(factor))):
            named = write_where(factor, protocol.words)
            yield named, ranked(values_of(factor, value))


def imbalance(
    arm: Int[np.ndarray, "trial subject"],
    levels: Int[np.ndarray, "trial subject"],
    weights: tuple[int, ...],
) -> Float[np.ndarray, " trial"]:
    """Return by how many subjects arms differ most within any level of a factor.

    Of unequal weights each arm's number counts by its weight over the mean weight.

    Examples
    --------
    >>> arm = np.array([[0, 0, 1, 0, 1, 1]])
    >>> imbalance(arm, np.array([[0, 0, 0, 1, 1, 1]]), (1, 1)).tolist()
    [1.0]
    """
    trials, kinds = len(arm), int(levels.max(initial=0)) + 1
    row = np.arange(trials)[:, None] * kinds + levels
    mean = sum(weights) / len(weights)
    counts = [
        np.bincount(row.ravel(), (arm == place).ravel(), trials * kinds) * mean / weight
        for place, weight in enumerate(weights)
    ]
    apart = np.ptp(np.stack(counts), axis=0)
    return apart.reshape(trials, kinds).max(axis=1)

"""A crossover's record, read by treatment: a row is a person's period, not a person."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

from vtrial.analysis.reading import Chunk, Departed
from vtrial.dims import OUTCOME
from vtrial.protocol.periods import in_period
from vtrial.protocol.protocol import Crossover
from vtrial.types import Missing, Status


@dataclass(frozen=True)
class CrossedChunk(Chunk):
    """Some whole trials of a crossover; every array is (replicate, person's period).

    Its arms are treatments, and a row is in the arm of the treatment that the person
    has in the period. So whatever is made of an arm's rows is made of all who had the
    treatment; what compares within persons asks for `crossed`.
    """

    crossover: Crossover | None = field(default=None, kw_only=True)
    people: Chunk | None = field(default=None, kw_only=True)

    @property
    def base(self) -> Chunk:
        """The same trials, as they stand in the record: by sequence."""
        assert self.people is not None, "it is made of one"
        return self.people

    @property
    def plan(self) -> Crossover:
        """The crossover that it is of."""
        assert self.crossover is not None, "it is of one"
        return self.crossover

    @property
    def periods(self) -> int:
        """How many periods a person has."""
        return len(self.plan.starts)

    @property
    def sequence(self) -> Int[np.ndarray, "replicate person"]:
        """The place of each person's order of treatments."""
        return self.base.allocated

    @property
    def allocated(self) -> Int[np.ndarray, "replicate subject"]:  # type: ignore[override] # of a period
        """The position of each period's treatment."""
        order = np.asarray(self.plan.sequences)[self.sequence]
        return order.reshape(len(order), -1)

    @property
    def screened(self) -> Int[np.ndarray, "replicate subject"]:  # type: ignore[override] # of a period
        """How many were screened until the person was found, at the first period."""
        first = np.arange(self.periods) == 0
        return (self.base.screened[..., None] * first).reshape(self.replicates, -1)

    def status(self, arm: str) -> Int[np.ndarray, "replicate subject"]:
        """Return how solutions ended: of the own sequence, in the treatment's periods.

        In those of others it is as simulated, if every sequence is.
        """
        del arm
        own = np.full(self.sequence.shape, -1, np.int8)
        for place, name in enumerate(self.base.arms):
            found = self.base.status(name)
            own = np.where(self.sequence == place, found, own)
        return self._spread(own)

    def fallback(self, arm: str) -> Int[np.ndarray, "replicate subject"]:
        """Return by which method each person was solved."""
        del arm
        own = np.zeros(self.sequence.shape, np.int8)
        for place, name in enumerate(self.base.arms):
            own = np.where(self.sequence == place, self.base.fallback(name), own)
        return self._spread(own)

    def left(self, arm: str) -> Departed | None:
        """Return who left during the period, when and why."""
        del arm
        found = [self.base.left(name) for name in self.base.arms]
        if any(one is None for one in found):
            return None
        time = np.full((*self.sequence.shape, self.periods), np.nan)
        cause = np.zeros(time.shape, int)
        ends = [*self.plan.starts[1:], np.inf]
        for place, one in enumerate(found):
            assert one is not None, "it was looked at"
            for period, (start, end) in enumerate(
                zip((-np.inf, *self.plan.starts[1:]), ends, strict=True)
            ):
                here = (self.sequence == place) & (one.time >= start) & (one.time < end)
                time[..., period] = np.where(here, one.time, time[..., period])
                cause[..., period] = np.where(here, one.cause, cause[..., period])
        shape = (self.replicates, -1)
        return Departed(time.reshape(shape), cause.reshape(shape))

    def covariate(self, name: str) -> Float[np.ndarray, "replicate subject"]:
        """Return a covariate of the person of every period."""
        return self._spread(self.base.covariate(name))

    def own(
        self, arm: str, endpoint: str, variable: str = OUTCOME
    ) -> Float[np.ndarray, "replicate subject"]:
        """Return values in the periods of a treatment, NaN in others."""
        shape = (*self.sequence.shape, self.periods)
        found = np.full(shape, np.nan)
        for place, order in enumerate(self.plan.sequences):
            here = self.sequence == place
            for period, treatment in enumerate(order):
                if self.arms[treatment] == arm:
                    name = in_period(endpoint, period)
                    value = self.base.own(self.base.arms[place], name, variable)
                    found[..., period] = np.where(here, value, found[..., period])
        return found.reshape(self.replicates, -1)

    def values(
        self, arm: str, endpoint: str, variable: str = OUTCOME
    ) -> Float[np.ndarray, "replicate subject"]:
        """Return values of everybody who had the treatment first: without carry-over.

        They stand in the first period; NaN in others, and where nobody has it first.
        """
        found = np.full((*self.sequence.shape, self.periods), np.nan)
        for place, order in enumerate(self.plan.sequences):
            if self.arms[order[0]] == arm:
                name = in_period(endpoint, 0)
                found[..., 0] = self.base.values(self.base.arms[place], name, variable)
                break
        return found.reshape(self.replicates, -1)

    def reasons(self, arm: str, endpoint: str) -> Int[np.ndarray, " reason"]:
        """Count the solved periods of a treatment without a number, by `Missing`."""
        counted = np.zeros(len(Missing), int)
        for place, order in enumerate(self.plan.sequences):
            for period, treatment in enumerate(order):
                if self.arms[treatment] == arm:
                    name = in_period(endpoint, period)
                    counted += self.base.reasons(self.base.arms[place], name)
        return counted

    def failed(self, arm: str) -> Bool[np.ndarray, "replicate subject"]:
        """Return which periods of a treatment are of persons who were not solved."""
        return self.in_arm(arm) & (self.status(arm) > Status.SOLVED)

    def _spread(self, values: np.ndarray) -> np.ndarray:
        """Give every period of a person the person's value."""
        return np.repeat(values, self.periods, axis=1)


def by_treatment(people: Chunk, crossover: Crossover) -> CrossedChunk:
    """Return trials of a crossover by treatment and period."""
    return CrossedChunk(
        people.tree,
        tuple(one.name for one in crossover.treatments),
        people.start,
        people.replicates,
        people.subjects * len(crossover.starts),
        people.recipes,
        crossover=crossover,
        people=people,
    )

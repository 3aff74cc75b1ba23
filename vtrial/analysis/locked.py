"""A record's subjects as a trial sees them at a look: what is not known yet is missing.

The same comparisons are made of them as at the end of a trial.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import special

from vtrial.analysis.asked import AbstractAsked
from vtrial.analysis.comparison import answered
from vtrial.analysis.reading import Chunk
from vtrial.design.sight import Arms, Effects, Lock, Seen, Subjects
from vtrial.dims import BASELINE, EVENT, MEASURED, OUTCOME
from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.equation import end_of
from vtrial.measure.groups import Contrast
from vtrial.protocol.analysis import Comparison
from vtrial.protocol.enactment import Enactment
from vtrial.protocol.protocol import Protocol
from vtrial.protocol.subset import holds

People = Int[np.ndarray, "trial subject"]


@dataclass(frozen=True)
class Locked(Chunk):
    """Some trials at a look, as a chunk of a record.

    `people` are the places of each trial's subjects in the chunk `of`; without it they
    are that chunk's own trials. `delay` [h] is how long outcomes take to be reported.
    """

    of: Chunk | None = None
    people: People | None = None
    lock: Lock | None = None
    delay: float = 0.0
    protocol: Protocol | None = None

    @property
    def allocated(self) -> Arms:  # type: ignore[override] # not read, but given
        """The position of each subject's arm; -1 for who is not enrolled yet."""
        assert self.lock is not None
        return self.lock.arm

    def taken(self, values: np.ndarray) -> np.ndarray:
        """Return the values of each trial's own people."""
        if self.people is None:
            return values
        return values.reshape(-1, *values.shape[2:])[self.people]

    def status(self, arm: str) -> Int[np.ndarray, "replicate subject"]:
        """Return how each subject's solution under an arm ended."""
        assert self.of is not None
        return self.taken(self.of.status(arm))

    def covariate(self, name: str) -> Float[np.ndarray, "replicate subject"]:
        """Return a covariate of every subject."""
        assert self.of is not None
        return self.taken(self.of.covariate(name))

    def values(
        self, arm: str, endpoint: str, variable: str = OUTCOME
    ) -> Float[np.ndarray, "replicate subject"]:
        """Return what is known of an endpoint under an arm."""
        assert self.of is not None
        assert self.lock is not None
        assert self.protocol is not None
        found = self.taken(self.of.values(arm, endpoint, variable))
        point = self.protocol.endpoint(endpoint)
        followed = self.lock.at[:, None] - self.delay - self.lock.enrolled
        if variable == BASELINE:
            return np.where(followed >= 0, found, np.nan)
        if not point.event:
            ends = end_of(point, {one.name: one for one in self.protocol.endpoints})
            return np.where(followed >= ends, found, np.nan)
        followed = followed - point.start
        seen = followed > 0
        if variable != EVENT:
            return np.where(seen, np.minimum(found, followed), np.nan)
        time = self.taken(self.of.values(arm, endpoint, OUTCOME))
        return np.where(seen, np.where(time <= followed, found, 0.0), np.nan)

    def measured(
        self, arm: str, endpoint: Endpoint, variable: str = MEASURED
    ) -> Float[np.ndarray, "replicate subject visit"]:
        """Return what is known of the values at an endpoint's visits."""
        assert self.of is not None
        assert self.lock is not None
        found = self.taken(self.of.measured(arm, endpoint, variable))
        followed = self.lock.at[:, None] - self.delay - self.lock.enrolled
        planned = self.of.planned(endpoint)
        return np.where(followed[:, :, None] >= planned, found, np.nan)

    def planned(self, endpoint: Endpoint) -> Float[np.ndarray, " visit"]:
        """Return the planned times [h] of an endpoint's visits."""
        assert self.of is not None
        return self.of.planned(endpoint)


def as_effects(made: Contrast, asked: Comparison) -> Effects:
    """Return what a comparison shows as an enactment takes it: ratios as logarithms."""
    estimate = made.estimate
    null = 1.0 if asked.measure.ratio else 0.0
    margin = asked.above if asked.above is not None else asked.below
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.sign(estimate - null) * -special.ndtri(made.p / 2)
        if margin is not None:  # a one-sided test, of the direction of its margin
            z = -special.ndtri(made.p) * (1.0 if asked.above is not None else -1.0)
        if asked.measure.ratio:
            estimate = np.log(estimate)
    return Effects(estimate, made.error, made.p, z)


@dataclass
class Sights(AbstractAsked):
    """What an enactment sees of a chunk: the answers to its questions.

    `chunk` holds the people; `people` their places for each trial, or None.
    """

    chunk: Chunk
    protocol: Protocol
    enactment: Enactment
    people: People | None = None
    _seen: Locked | None = None

    @property
    def named(self) -> dict[str, Endpoint]:
        """The endpoints by name."""
        return {one.name: one for one in self.protocol.endpoints}

    @property
    def count(self) -> int:
        """How many subjects a trial can enrol."""
        return self.chunk.subjects if self.people is None else self.people.shape[1]

    @property
    def lanes(self) -> int:
        """How many trials there are."""
        return self.chunk.replicates if self.people is None else self.people.shape[0]

    def view(self, lock: Lock) -> Locked:
        """Return the chunk as it is at a look; that of the last look asked is kept."""
        if self._seen is None or self._seen.lock is not lock:
            self._seen = Locked(
                self.chunk.tree,
                self.chunk.arms,
                self.chunk.start,
                lock.arm.shape[0],
                lock.arm.shape[1],
                self.chunk.recipes,
                of=self.chunk,
                people=self.people,
                lock=lock,
                delay=self.enactment.delay,
                protocol=self.protocol,
            )
        return self._seen

    def times(
        self, arm: Arms, enrolled: Subjects, endpoint: str = ""
    ) -> tuple[Subjects, Subjects]:
        """Return when the outcome of each is known, and when its event is [h]."""
        point = self.protocol.endpoint(endpoint or self.enactment.outcome)
        delay = self.enactment.delay
        if not point.event:
            known = enrolled + end_of(point, self.named) + delay
            return known, np.full_like(known, np.inf)
        lock = Lock(arm, enrolled, np.full(len(arm), np.inf))
        view = self.view(lock)
        time, event = self._own(view, point, OUTCOME), self._own(view, point, EVENT)
        told = np.where(np.isfinite(time), time, point.end - point.start)
        known = enrolled + point.start + told + delay
        return known, np.where(event == 1, known, np.inf)

    def _own(self, view: Locked, point: Endpoint, variable: str) -> Subjects:
        """Return everybody's values under the own arm."""
        made = np.full(view.allocated.shape, np.nan)
        for place, arm in enumerate(view.arms):
            inside = view.allocated == place
            made = np.where(inside, view.values(arm, point.name, variable), made)
        return made

    def covariate(self, name: str) -> Subjects:
        """Return a covariate of every trial's subjects."""
        found = self.chunk.covariate(name)
        return found if self.people is None else found.reshape(-1)[self.people]

    def seen(self, endpoint: str, lock: Lock) -> Seen:
        """Return an endpoint's values as they are known."""
        point, view = self.protocol.endpoint(endpoint), self.view(lock)
        event = self._own(view, point, EVENT) if point.event else None
        return Seen(self._own(view, point, OUTCOME), event, point.binary)

    def effects(self, comparison: str, lock: Lock) -> Effects:
        """Compare two arms by what is known."""
        asked = self.asked[comparison]
        return as_effects(answered(self.view(lock), asked, self.protocol), asked)

    def names(self) -> tuple[str, ...]:
        """Return the names of the arms."""
        return tuple(self.chunk.arms)

    def members(self, comparison: str) -> Bool[np.ndarray, "trial subject"]:
        """Return who meets a comparison's condition."""
        where = self.asked[comparison].where
        if where is None:
            return np.ones((self.lanes, self.count), bool)
        return np.asarray(holds(where, self.covariate), bool)

"""How a trial goes on and when it is looked at, as data; no record depends on it.

Whatever stands here depends on what many subjects had shown by some day. It is enacted
from a record that holds what each would have shown, without solving an equation again.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from vtrial.protocol.borrowing import Borrowing
from vtrial.protocol.escalation import Escalation
from vtrial.protocol.presence import Presence

Counter = Literal["hours", "enrolled", "known", "events"]


@dataclass(frozen=True)
class Stretch:
    """From `start` [h] on so many subjects come an hour: at first, and at its end.

    Between both the rate rises (or falls) in a line. The last one has no end, and one
    rate.
    """

    start: float
    rate: float
    last: float


@dataclass(frozen=True)
class SiteEffect:
    """By how much sites differ in an input of the model: normal between them.

    `spread` is its standard deviation: of the logarithm, if it is `relative`, of what
    is multiplied by it; else of what is added, in the input's unit.
    """

    target: str
    spread: float
    relative: bool = False


@dataclass(frozen=True)
class Site:
    """A site: at which rates subjects come there, and how many it enrols at most.

    `cap` is 0 where there is no limit. `of` is the entry of the sheet that it is of,
    and `share` where it stands among the sites of that entry, from 0 to 1. By `effects`
    its subjects differ from those of other sites.
    """

    name: str
    stretches: tuple[Stretch, ...]
    cap: int = 0
    region: str = ""
    of: str = ""
    share: float = 0.5
    effects: tuple[SiteEffect, ...] = ()

    @property
    def opens(self) -> float:
        """When it opens [h]."""
        return self.stretches[0].start


@dataclass(frozen=True)
class Accrual:
    """When subjects come: by rates over the calendar, evenly or as a Poisson process.

    Without stretches all are there from the beginning. With `sites` they come at these,
    each at its own rates.
    """

    stretches: tuple[Stretch, ...] = ()
    by: Literal["fixed", "poisson"] = "fixed"
    sites: tuple[Site, ...] = ()

    def reached(self, due: np.ndarray) -> np.ndarray:
        """Return when the rates have summed up to so many subjects [h].

        Examples
        --------
        >>> Accrual((Stretch(10.0, 0.5, 0.5),)).reached(np.array([1.0, 4.0])).tolist()
        [12.0, 18.0]
        """
        if not self.stretches:
            return np.zeros(due.shape)
        start = np.array([one.start for one in self.stretches])
        first = np.array([one.rate for one in self.stretches])
        last = np.array([one.last for one in self.stretches])
        length = np.append(np.diff(start), np.inf)
        slope = (last - first) / length
        before = np.append(0.0, np.cumsum((first + last)[:-1] / 2 * length[:-1]))
        place = np.searchsorted(before, due, side="right") - 1
        rest, rate = due - before[place], first[place]
        root = np.sqrt(np.maximum(rate**2 + 2 * slope[place] * rest, 0.0))
        return start[place] + 2 * rest / (rate + root)


@dataclass(frozen=True)
class Milestone:
    """Reached once a counter is at least so high.

    The calendar counts in hours from the first day of accrual. `of`: the number is a
    share of the subjects that are to be enrolled, which a look may change.
    """

    counter: Counter
    number: float
    of: Literal["", "subjects"] = ""

    def counted(self, size: int) -> float:
        """Return the number for a trial of so many subjects."""
        return self.number * size if self.of else self.number


@dataclass(frozen=True)
class Look:
    """When data are locked and looked at: once all milestones of any set are reached.

    `information` is the share of what the last look will know, where the sheet says it.
    A look that selects arms by an early endpoint counts by that `outcome` (else by the
    trial's); `stage` is the planned share of the subjects who are enrolled by then.
    """

    name: str
    when: tuple[tuple[Milestone, ...], ...]
    information: float | None = None
    outcome: str = ""
    stage: float | None = None


@dataclass(frozen=True)
class Adaptation:
    """What is decided at looks, and by which rule; `by` is its word.

    Parameters
    ----------
    name, by
        What the sheet calls it, and its kind.
    on
        Names of comparisons, or of one endpoint.
    looks
        The places of looks at which it acts.
    better
        Whether a higher or a lower value of the endpoint (or effect) is the aim.
    options
        Names and numbers (or words) of the kind's other options.
    """

    name: str
    by: str
    on: tuple[str, ...]
    looks: tuple[int, ...]
    better: Literal["higher", "lower"] = "higher"
    options: tuple[tuple[str, float | str | bool | tuple[float, ...]], ...] = ()

    def option(self, name: str) -> float | str | bool | tuple[float, ...] | None:
        """Return an option; None if it is not given."""
        return dict(self.options).get(name)

    def number(self, name: str, usual: float) -> float:
        """Return an option that is a number."""
        found = self.option(name)
        assert found is None or isinstance(found, int | float), "the loader has looked"
        return usual if found is None else float(found)


@dataclass(frozen=True)
class Enactment:
    """Accrual, looks and adaptations of a trial.

    `outcome` names the endpoint by which looks count who is known and who had an event,
    `delay` [h] is how long an outcome takes until it is reported. `planned` subjects
    are enrolled unless a look changes that; there are as many as the protocol has
    subjects at most. `escalation` takes the place of looks. `trials` are enacted:
    as many as the record has replicates if 0. `borrowed` is what arms showed in earlier
    trials, `presence` says which arms join later or leave early.
    """

    accrual: Accrual = Accrual()
    outcome: str = ""
    delay: float = 0.0
    looks: tuple[Look, ...] = ()
    adaptations: tuple[Adaptation, ...] = ()
    planned: int = 0
    trials: int = 0
    stop: Literal["all decided", "first success"] = "all decided"
    escalation: Escalation | None = None
    borrowed: tuple[Borrowing, ...] = ()
    presence: Presence = Presence()

    @property
    def allocates(self) -> bool:
        """Whether a subject's arm depends on what others have shown, or on the day."""
        ruled = any(one.by in ALLOCATING for one in self.adaptations)
        return ruled or self.presence.changes

    def borrowed_for(self, comparison: str) -> tuple[Borrowing, ...]:
        """Return what enters a comparison's posterior probability."""
        return tuple(one for one in self.borrowed if comparison in dict(one.compared))


ALLOCATING = ("response adaptive", "drop arms", "select arms")

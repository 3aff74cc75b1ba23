"""When a look is held: the first moment at which its milestones are reached."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from vtrial.protocol.enactment import Look, Milestone

Times = Float[np.ndarray, "trial subject"]
Moments = Float[np.ndarray, " trial"]


class Calendar(NamedTuple):
    """When subjects are enrolled, known, and have their events [h]; infinite: never."""

    enrolled: Times
    known: Times
    events: Times


def held_at(look: Look, calendar: Calendar) -> Moments:
    """Return when a look is held in each trial; infinite where that never comes.

    Counters never fall: of a set of milestones the last one counts, and the earliest
    set.
    """
    ways = [
        np.max([_reached(one, calendar) for one in parts], axis=0)
        for parts in look.when
    ]
    return np.min(ways, axis=0)


def _reached(milestone: Milestone, calendar: Calendar) -> Moments:
    """Return when a counter is so high."""
    if milestone.counter == "hours":
        return np.full(len(calendar.enrolled), milestone.number)
    times = getattr(calendar, milestone.counter)
    count = int(np.ceil(milestone.number - 1e-9))
    if count < 1:
        return np.zeros(len(times))
    if count > times.shape[1]:
        return np.full(len(times), np.inf)
    return np.partition(times, count - 1, axis=1)[:, count - 1]

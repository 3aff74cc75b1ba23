"""When a look is held: the first moment at which its milestones are reached."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from vtrial.protocol.enactment import Look, Milestone

Times = Float[np.ndarray, "trial subject"]
Moments = Float[np.ndarray, " trial"]


class Calendar(NamedTuple):
    """When subjects are enrolled, known, and have their events [h]; infinite: never."""

    enrolled: Times
    known: Times
    events: Times


def held_at(look: Look, calendar: Calendar, size: Int[np.ndarray, " trial"]) -> Moments:
    """Return when a look is held in each trial; infinite where that never comes.

    `size` is how many subjects each trial is to enrol, of which shares are meant.

    Counters never fall: of a set of milestones the last one counts, and the earliest
    set.
    """
    ways = [
        np.max([_reached(one, calendar, size) for one in parts], axis=0)
        for parts in look.when
    ]
    return np.min(ways, axis=0)


def _reached(
    milestone: Milestone, calendar: Calendar, size: Int[np.ndarray, " trial"]
) -> Moments:
    """Return when a counter is so high."""
    trials = len(calendar.enrolled)
    if milestone.counter == "hours":
        return np.full(trials, milestone.number)
    number = milestone.number * (size if milestone.of else np.ones(trials))
    count = np.ceil(number - 1e-9).astype(int)
    times = np.sort(getattr(calendar, milestone.counter), axis=1)
    place = np.clip(count - 1, 0, times.shape[1] - 1)
    found = np.take_along_axis(times, place[:, None], axis=1)[:, 0]
    found = np.where(count < 1, 0.0, found)
    return np.where(count > times.shape[1], np.inf, found)

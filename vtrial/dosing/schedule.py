"""Which kinds of events doses can be: what decides what is compiled for them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from vtrial.dosing.doses import RESET, RESET_DOSE, Doses, Times
from vtrial.dosing.regimen import Regimen
from vtrial.model.tree import Number

FINEST = 2.0**-30  # [h] times nearer than this (3 microseconds) are the same time
ROWS = 4096  # subjects whose observations are counted at once


@dataclass(frozen=True)
class Schedule:
    """Kinds of events, known before there are arrays; hashable.

    Amounts, times and numbers of subjects are no part of it: they are data. A subject
    whose doses are of a kind that is not here fails, with `Status.UNSCHEDULED`.

    Fields
    ------
    infused
        Positions of the states that infusions may enter; None: any.
    resets
        Whether there may be resets (EVID 3 and 4).
    overlaps
        How many earlier doses may still be pending (by their lag) or running when a
        steady state is set, at most; 0 if none is set (SS).
    between
        How many observations may lie between two doses, the ends included, at most;
        None: not known. Where it is, a solution passes by its observations.
    """

    infused: tuple[int, ...] | None = ()
    resets: bool = False
    overlaps: int = 0
    between: int | None = None

    @property
    def infusions(self) -> bool:
        """Whether anything may be infused."""
        return self.infused is None or bool(self.infused)

    @property
    def steady(self) -> bool:
        """Whether steady states may be set."""
        return self.overlaps > 0

    def enters(self, places: Sequence[int]) -> bool:
        """Return whether infusions may enter any of some states."""
        return self.infused is None or any(place in self.infused for place in places)


ANYTHING = Schedule(infused=None, resets=True, overlaps=2)


def schedule_of(regimen: Regimen | None, *, overlaps: int = 2) -> Schedule:
    """Return the kinds of events that a regimen expands to.

    `overlaps` is for a regimen at steady state: 2 is enough while lag and duration of
    an infusion, together, are no longer than two intervals.

    Examples
    --------
    >>> schedule_of(None)
    Schedule(infused=(), resets=False, overlaps=0, between=None)
    """
    steps = regimen.steps if regimen else ()
    infused = {
        step.compartment
        for step in steps
        if step.duration is not None or step.rate != Number(0.0)
    }
    steady = any(step.steady for step in steps)
    return Schedule(tuple(sorted(infused)), overlaps=overlaps if steady else 0)


def schedule_of_doses(
    doses: Doses, times: Times | None = None, *, overlaps: int = 2
) -> Schedule:
    """Return the kinds of events that there are in doses, which must be no tracers.

    With `times` it is counted, too, how many observations lie between doses.
    """
    rate, into = np.broadcast_arrays(doses.rate, doses.compartment)
    infused = np.unique(into[rate != 0]).tolist()
    resets = bool(np.isin(doses.event, (RESET, RESET_DOSE)).any())
    steady = bool((np.asarray(doses.steady) > 0).any())
    found = Schedule(tuple(infused), resets, overlaps if steady else 0)
    return found if times is None else observed(found, doses, times)


def observed(schedule: Schedule, doses: Doses, times: Times) -> Schedule:
    """Add how many observations lie between two doses, the most of any subject."""
    return replace(schedule, between=int(between(doses, times).max(initial=0)))


def between(doses: Doses, times: Times) -> Int[np.ndarray, " #subject"]:
    """Count the observations between two doses, the most of each subject."""
    given, seen = np.asarray(doses.time), np.asarray(times.time)
    rows = max(given.shape[0], seen.shape[0])
    given, seen = (np.broadcast_to(v, (rows, v.shape[1])) for v in (given, seen))
    parts = range(0, rows, ROWS)
    most = [most_between(given[i : i + ROWS], seen[i : i + ROWS]) for i in parts]
    return np.concatenate(most)


def most_between(
    doses: Float[np.ndarray, "subject dose"], seen: Float[np.ndarray, "subject time"]
) -> Int[np.ndarray, " subject"]:
    """Count the observations between two doses, those at the doses for both sides.

    The subjects are laid one after another on one axis of time.
    """
    count = doses.shape[0]
    real = np.concatenate([doses[np.isfinite(doses)], seen[np.isfinite(seen)]])
    if not real.size:
        return np.zeros(count, int)
    low, high = real.min() - 1.0, real.max() + 1.0
    ends = np.broadcast_to([low, high], (count, 2))
    borders = np.sort(np.hstack([ends, np.clip(doses, low, high)]), axis=1)
    line = np.sort(np.where(np.isfinite(seen), seen, high + 1.0), axis=1)
    offset = np.arange(count)[:, None] * (high + 2.0 - low)
    line, borders = (line + offset).ravel(), borders + offset
    near = 2 * FINEST
    first = np.searchsorted(line, borders[:, :-1] - near, side="left")
    last = np.searchsorted(line, borders[:, 1:] + near, side="right")
    return (last - first).max(axis=1)

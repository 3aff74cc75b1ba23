"""How much falls into a stage at most: as many rows are solved in each.

Where nothing moves, stages end as planned and what is in each is counted; elsewhere any
span that is as long as a stage may be has to hold it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from vtrial.dosing.doses import AFTER_DOSE
from vtrial.dosing.schedule import FINEST
from vtrial.observe.moments import most_within

BEHIND = 4 * FINEST  # [h] by which a moment after a dose is behind it


class Width(NamedTuple):
    """Rows of a stage."""

    visits: int
    grid: int
    doses: int


class Planned(NamedTuple):
    """Times of a plan [h] and, of observations, on which side of a dose they stand."""

    time: Float[np.ndarray, " row"]
    rank: Int[np.ndarray, " row"]


def counted(
    ends: Float[np.ndarray, " stage"],
    visits: Planned,
    grid: Planned,
    doses: Float[np.ndarray, " dose"],
) -> Width:
    """Count what falls into stages that end at known times [h], which ascend.

    An observation before a dose at the end of a stage is in it, one after it and the
    dose are not.
    """
    ends = _same(ends)
    before = np.searchsorted(np.sort(_same(doses)), ends, side="left")
    return Width(_most(visits, ends), _most(grid, ends), _step(before))


def within(
    length: float,
    visits: Planned,
    grid: Planned,
    doses: Sequence[Float[np.ndarray, " _dose"]],
    *,
    jitter: float,
) -> Width:
    """Count what may fall into any stage of a length [h]; doses move by a jitter."""
    moved = length + 2 * jitter
    return Width(
        most_within(visits.time, length),
        most_within(grid.time, length),
        max([most_within(one, moved) for one in doses], default=0),
    )


def _most(seen: Planned, ends: Float[np.ndarray, " stage"]) -> int:
    """Count the observations of the fullest stage."""
    time, late = _same(seen.time), seen.rank >= AFTER_DOSE
    early = np.searchsorted(np.sort(time[~late]), ends, side="right")
    return _step(early + np.searchsorted(np.sort(time[late]), ends, side="left"))


def _step(count: Int[np.ndarray, " stage"]) -> int:
    """Return by how much a running count rises at most."""
    return int(np.diff(count, prepend=0).max(initial=0))


def _same(time: Float[np.ndarray, " row"]) -> Float[np.ndarray, " row"]:
    """Round times as the solver does before it compares them."""
    return np.round(time / FINEST) * FINEST

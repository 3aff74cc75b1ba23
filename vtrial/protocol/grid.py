"""The grid: when true values are computed."""

import bisect
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from vtrial.errors import ProtocolError
from vtrial.protocol.faults import Faults
from vtrial.protocol.knots import Knots
from vtrial.protocol.scope import Known
from vtrial.protocol.shape import GridShape
from vtrial.protocol.times import MAX_TIMES, duration, moment
from vtrial.sheets.sheet import Path_

EVEN_STEPS = 150
MOST_ADDED = 400
_STEPS = [1 / 60, 1 / 12, 1 / 6, 0.25, 0.5]
_STEPS += [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 24.0, 48.0, 72.0, 168.0]
# How many times in each doubling of the time since a knot, and from when on [even
# steps]: courses change fastest behind a dose, by no scale that is known here.
_RUNGS = ((4, 1 / 64), (4, 1 / 16), (2, 1 / 64), (2, 1 / 16), (2, 1 / 8))
_RUNGS += ((1, 1 / 16), (1, 1 / 8), (1, 1 / 4), (1, 1 / 2), (1, 1.0))
_RICH = (2, 1 / 16)  # where not all can have some
_HAIR = 1e-6  # just before an occasion [its time, or h]
_NEAR = 1 / 16  # nearer to a time that is there, none is added [time since the knot]


class Grid(NamedTuple):
    """Times of true values.

    Fields
    ------
    times
        [h] Ascending; one that stands twice is before and after the dose at it.
    added
        Places of those that are there only for what courses do between the others.
    given
        Whether the sheet gives a grid, of which these are no part.
    """

    times: tuple[float, ...]
    added: tuple[int, ...] = ()
    given: bool = False


class _Stretch(NamedTuple):
    """The time from one knot to the next, and the times added at and behind it [h]."""

    start: float
    end: float
    dose: bool
    occasion: bool
    behind: Float[np.ndarray, " behind"] = np.zeros(0)

    @property
    def at(self) -> tuple[float, ...]:
        """Return the times before a dose, and just before an occasion, too."""
        just = self.start - _HAIR * max(self.start, 1.0)
        return (just, self.start) if self.occasion else (self.start,)

    @property
    def size(self) -> int:
        """Count its times."""
        return len(self.at) + self.dose + self.behind.size

    def meets(self, spans: Iterable[tuple[float, float]]) -> bool:
        """Return whether it has a time in common with one of the spans [h]."""
        return any(self.start <= end and self.end >= start for start, end in spans)

    def filled(self, rung: tuple[int, float], step: float) -> "_Stretch":
        """Put times behind the knot, until even steps [h] are as near together."""
        each, finest = rung[0], rung[1] * step
        length = self.end - self.start
        most = max(math.ceil(math.log2(length / finest)), 1) if length > finest else 0
        halves = 2.0 ** -np.arange(1, most + 1)
        since = length * np.outer(halves, 1 + np.arange(each) / each).ravel()
        since = since[(since >= finest) & (since <= each * step)]
        return self._replace(behind=self.start + since)


def read_grid(
    shapes: Sequence[GridShape],
    *,
    horizon: float,
    extra: Iterable[float],
    knots: Knots,
    limits: Iterable[float],
    followed: Sequence[tuple[float, float]],
    known: Known,
    faults: Faults,
) -> Grid:
    """Return when true values are computed [h].

    Without a grid in the sheet these are about 150 even steps from the start to
    `horizon`, and such before the start if anything is there, and at most 400 times at
    and behind `knots`. With one it is what that says; both are added then in spans that
    are `followed` by endpoints. Either way `extra` times (visits, ends of endpoints)
    are there. `limits` are those of endpoints: where not every knot can be had, those
    near to them are.
    """
    points, start = {0.0, *extra}, 0.0
    for every, until in _parts(shapes, horizon, known, faults):
        count = int((until - start) / every * (1 + 1e-12))
        points |= {start + every * (index + 1) for index in range(count)} | {until}
        start = max(start, until)
    if not shapes and (first := min(points)) < 0:
        step = _step(max(horizon, -first))
        points |= set(np.arange(0.0, first, -step).tolist())
    if len(points) > MAX_TIMES:
        faults.add(
            ("grid",),
            found=f"{len(points)} times",
            allowed=f"at most {MAX_TIMES} times",
        )
    asked = _distinct(sorted(points))
    stretches, even, step = _stretches(knots, horizon), np.zeros(0), _step(horizon)
    if shapes:
        spans = _joined(followed)
        stretches = [s for s in stretches if s.meets(spans)]
        step = _step(math.fsum(end - start for start, end in spans))
        even = _between(asked, spans, step)
    order = _order(np.array([s.start for s in stretches]), [0.0, horizon, *limits])
    wanted = _affordable([stretches[i] for i in order], step)
    merged = _merged(asked, even, wanted)
    return merged._replace(given=bool(shapes))


def _parts(
    shapes: Sequence[GridShape], horizon: float, known: Known, faults: Faults
) -> list[tuple[float, float]]:
    """Return step and end [h] of each part of the grid."""
    if not shapes:
        return [(_step(horizon), horizon)]
    many = isinstance(faults.sheet.data.get("grid"), list)
    paths = [("grid", i) if many else ("grid",) for i in range(len(shapes))]
    found = [
        _part(path, shape, horizon, known, faults)
        for path, shape in zip(paths, shapes, strict=True)
    ]
    return [part for part in found if part is not None]


def _part(
    path: Path_, shape: GridShape, horizon: float, known: Known, faults: Faults
) -> tuple[float, float] | None:
    """Read step and end [h] of one part of the grid."""
    every, until = 0.0, horizon
    try:
        every = duration(shape.every)
    except ProtocolError as error:
        faults.relay((*path, "every"), error)
    try:
        until = moment(shape.until, cycle=known.cycle) if shape.until else horizon
    except ProtocolError as error:
        faults.relay((*path, "until"), error)
        return None
    if every and until / every > MAX_TIMES:
        faults.add(
            (*path, "every"),
            found=f"`{shape.every}`, {until / every:.0f} times",
            allowed=f"at most {MAX_TIMES} times",
        )
        return None
    return (every, until) if every and not math.isnan(until) else None


def _step(horizon: float) -> float:
    """Return an even step of which about 150 reach the horizon."""
    wanted = horizon / EVEN_STEPS
    place = bisect.bisect_left(_STEPS, wanted * (1 - 1e-9))
    if place < len(_STEPS):
        return _STEPS[place]
    weeks = -(-wanted // _STEPS[-1])
    return weeks * _STEPS[-1]


def _distinct(times: Sequence[float]) -> tuple[float, ...]:
    """Drop times that differ from the one before only by rounding."""
    kept: list[float] = []
    for time in times:
        if not kept or time - kept[-1] > _rounding(time):
            kept.append(time)
    return tuple(kept)


def _rounding(time: float) -> float:
    """Return how far [h] times may differ and be the same."""
    return 1e-9 * max(time, 1.0)


def _stretches(knots: Knots, horizon: float) -> list[_Stretch]:
    """Return the stretches that begin with a knot."""
    here = (knots.time >= 0) & (knots.time <= horizon)
    times = itertools.pairwise([*knots.time[here].tolist(), horizon])
    kinds = zip(knots.dose[here], knots.occasion[here], strict=True)
    return [
        _Stretch(start, end, bool(dose), bool(occasion))
        for (start, end), (dose, occasion) in zip(times, kinds, strict=True)
    ]


def _order(
    starts: Float[np.ndarray, " stretch"], edges: Iterable[float]
) -> Int[np.ndarray, " stretch"]:
    """Order stretches by how many lie between them and the nearest edge."""
    places = np.arange(starts.size)
    far = np.full(starts.size, starts.size)
    for edge in edges:
        for side in ("left", "right"):
            last = np.searchsorted(starts, edge, side=side) - 1
            far = np.minimum(far, np.abs(places - last))
    return np.argsort(far, kind="stable")


def _affordable(stretches: Sequence[_Stretch], step: float) -> list[_Stretch]:
    """Keep as many times as may be added, from the first stretch on.

    All have the same, if that can be had; otherwise more knots go before more behind
    them.
    """
    few = len(stretches) <= MOST_ADDED
    for rung in _RUNGS if few else ():
        filled = [stretch.filled(rung, step) for stretch in stretches]
        if sum(stretch.size for stretch in filled) <= MOST_ADDED:
            return filled
    counts = np.cumsum([stretch.size for stretch in stretches])
    kept = [s for s, c in zip(stretches, counts, strict=True) if c <= MOST_ADDED]
    left = MOST_ADDED - sum(stretch.size for stretch in kept)
    for place, stretch in enumerate(kept):
        filled = stretch.filled(_RICH, step)
        left -= filled.behind.size
        if left < 0:
            break
        kept[place] = filled
    return kept


def _joined(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Join spans [h] that have a time in common."""
    joined: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            start, end = joined[-1][0], max(end, joined.pop()[1])
        joined.append((start, end))
    return joined


def _between(
    asked: Sequence[float], spans: Sequence[tuple[float, float]], step: float
) -> Float[np.ndarray, " even"]:
    """Return even times in spans [h], where those that are asked for are farther."""
    parts = [np.arange(start, end, step)[1:] for start, end in spans]
    even = np.concatenate([np.zeros(0), *parts])
    return even[_gap(even, np.asarray(asked, float)) >= 0.5 * step]


def _merged(
    asked: Sequence[float],
    even: Float[np.ndarray, " even"],
    stretches: Sequence[_Stretch],
) -> Grid:
    """Add times to those that are there anyway."""
    first = np.asarray(asked, float)
    there = np.concatenate([first, even])
    at = np.array([time for s in stretches for time in s.at])
    at = at[_gap(at, there) > np.vectorize(_rounding, otypes=[float])(at)]
    behind = np.concatenate([np.zeros(0), *(s.behind for s in stretches)])
    since = [s.behind - s.start for s in stretches]
    near = _NEAR * np.concatenate([np.zeros(0), *since])
    behind = behind[_gap(behind, there) > near]
    before = np.concatenate([there, at, behind])
    doses = np.array([s.start for s in stretches if s.dose])
    nearest = np.abs(before[None, :] - doses[:, None]).argmin(axis=1)
    time = np.concatenate([before, before[nearest]])
    is_after = np.arange(time.size) >= before.size
    order = np.lexsort((is_after, time))
    places = np.flatnonzero(order >= first.size)
    return Grid(tuple(time[order].tolist()), tuple(places.tolist()))


def _gap(
    time: Float[np.ndarray, " time"], there: Float[np.ndarray, " there"]
) -> Float[np.ndarray, " time"]:
    """Return how far [h] each time is from the nearest of those that are there."""
    return np.abs(time[:, None] - there[None, :]).min(axis=1)

"""Visits, the grid of true values, and occasions."""

import bisect
import math
from collections.abc import Iterable, Sequence

from vtrial.errors import ProtocolError
from vtrial.protocol.faults import Faults
from vtrial.protocol.known import Known
from vtrial.protocol.protocol import Visit
from vtrial.protocol.shape import GridShape, VisitShape
from vtrial.protocol.times import (
    MAX_TIMES,
    duration,
    moment,
    moments,
    spread,
)
from vtrial.sheets import Path_

GRID_POINTS = 150
_STEPS = [1 / 60, 1 / 12, 1 / 6, 0.25, 0.5]
_STEPS += [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 24.0, 48.0, 72.0, 168.0]


def read_visits(
    shapes: dict[str, VisitShape], known: Known, faults: Faults
) -> tuple[Visit, ...]:
    """Read the visits whose times make sense."""
    visits = (_visit(name, shape, known, faults) for name, shape in shapes.items())
    return tuple(visit for visit in visits if visit is not None)


def read_grid(
    shapes: Sequence[GridShape],
    *,
    horizon: float,
    extra: Iterable[float],
    known: Known,
    faults: Faults,
) -> tuple[float, ...]:
    """Return when true values are computed [h].

    Without a grid in the sheet these are about 150 even steps from the start to
    `horizon`. Either way `extra` times (visits, ends of endpoints) are added.
    """
    points, start = {0.0, *extra}, 0.0
    parts = [(_step(horizon), horizon)]
    if shapes:
        many = isinstance(faults.sheet.data.get("grid"), list)
        paths = [("grid", i) if many else ("grid",) for i in range(len(shapes))]
        found = [
            _part(path, shape, horizon, known, faults)
            for path, shape in zip(paths, shapes, strict=True)
        ]
        parts = [part for part in found if part is not None]
    for every, until in parts:
        count = int((until - start) / every * (1 + 1e-12))
        points |= {start + every * (index + 1) for index in range(count)} | {until}
        start = max(start, until)
    if len(points) > MAX_TIMES:
        faults.add(
            ("grid",),
            found=f"{len(points)} times",
            allowed=f"at most {MAX_TIMES} times",
            write=f"every: {horizon / 1000:.3g} h",
        )
    return _distinct(sorted(points))


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
            write=f"{until / 1000:.3g} h",
        )
        return None
    return (every, until) if every and not math.isnan(until) else None


def read_occasions(
    words: list[str] | None, known: Known, faults: Faults
) -> tuple[float, ...]:
    """Return when each occasion begins [h]; the first is the start."""
    if words is None:
        return (0.0,)
    try:
        starts = moments(words, cycle=known.cycle)
    except ProtocolError as error:
        faults.relay(("occasions",), error)
        return (0.0,)
    return tuple(sorted({0.0, *starts}))


def _step(horizon: float) -> float:
    """Return an even step of which about 150 reach the horizon."""
    wanted = horizon / GRID_POINTS
    place = bisect.bisect_left(_STEPS, wanted * (1 - 1e-9))
    if place < len(_STEPS):
        return _STEPS[place]
    weeks = -(-wanted // _STEPS[-1])
    return weeks * _STEPS[-1]


def _distinct(times: Sequence[float]) -> tuple[float, ...]:
    """Drop times that differ from the one before only by rounding."""
    kept: list[float] = []
    for time in times:
        if not kept or time - kept[-1] > 1e-9 * max(time, 1.0):
            kept.append(time)
    return tuple(kept)


def _visit(name: str, shape: VisitShape, known: Known, faults: Faults) -> Visit | None:
    """Read one visit; None if its times make no sense."""
    path = ("visits", name)
    for index, output in enumerate(shape.measure):
        if known.model and known.output(output) is None:
            names = [output.name for output in known.model.outputs]
            faults.unknown((*path, "measure", index), output, names, "output")
    times: tuple[float, ...] = ()
    try:
        times = moments(shape.at, cycle=known.cycle)
    except ProtocolError as error:
        faults.relay((*path, "at"), error)
    try:
        if shape.repeat is not None:
            times = spread(times or (0.0,), shape.repeat, cycle=known.cycle)
    except ProtocolError as error:
        faults.relay((*path, "repeat"), error)
    window = _window((*path, "window"), shape.window, times, faults)
    unknown = any(map(math.isnan, times))  # in cycles of faulty doses
    if (
        not times
        or unknown
        or any(fault.at.startswith(_at(path)) for fault in faults.entries)
    ):
        return None
    outputs = tuple(dict.fromkeys(shape.measure))
    return Visit(name, times, window, outputs, shape.after_dose)


def _window(
    path: Path_, words: str | None, times: Sequence[float], faults: Faults
) -> float:
    """Read how far a visit may move; two of its times may not meet."""
    if words is None:
        return 0.0
    try:
        window = duration(words)
    except ProtocolError as error:
        faults.relay(path, error)
        return 0.0
    gaps = [b - a for a, b in zip(times, times[1:], strict=False)]
    if gaps and window >= min(gaps) / 2:
        faults.add(
            path,
            found=f"`{words}`, with times {min(gaps):g} h apart",
            allowed="less than half of what lies between two of its times",
            write=f"{min(gaps) / 4:.4g} h",
        )
    return window


def _at(path: Path_) -> str:
    """Write a path as a fault does, up to its next part."""
    return ".".join(str(part) for part in path) + "."

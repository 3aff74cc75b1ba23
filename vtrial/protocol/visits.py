"""Visits, and occasions."""

import math
from collections.abc import Sequence

from vtrial.errors import ProtocolError
from vtrial.protocol.faults import Faults
from vtrial.protocol.protocol import Visit
from vtrial.protocol.scope import Known
from vtrial.protocol.shape import VisitShape
from vtrial.protocol.times import duration, moments, spread
from vtrial.sheets.sheet import Path_


def read_visits(
    shapes: dict[str, VisitShape], known: Known, faults: Faults
) -> tuple[Visit, ...]:
    """Read the visits whose times make sense."""
    visits = (_visit(name, shape, known, faults) for name, shape in shapes.items())
    return tuple(visit for visit in visits if visit is not None)


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


def _visit(name: str, shape: VisitShape, known: Known, faults: Faults) -> Visit | None:
    """Read one visit; None if its times make no sense."""
    path = ("visits", name)
    for index, output in enumerate(shape.measure):
        if known.model and known.output(output) is None:
            names = [output.name for output in known.model.outputs]
            faults.unknown((*path, "measure", index), output, names, "output")
    times: tuple[float, ...] = ()
    try:
        times = moments(shape.at, cycle=known.cycle, early=True)
    except ProtocolError as error:
        faults.relay((*path, "at"), error)
    try:
        if shape.repeat is not None:
            times = spread(times or (0.0,), shape.repeat, cycle=known.cycle)
    except ProtocolError as error:
        faults.relay((*path, "repeat"), error)
    window = _window((*path, "window"), shape.window, times, faults)
    known_after = _hours((*path, "known after"), shape.known_after, faults)
    unknown = any(map(math.isnan, times))  # in cycles of faulty doses
    if (
        not times
        or unknown
        or any(fault.at.startswith(_at(path)) for fault in faults.entries)
    ):
        return None
    outputs = tuple(dict.fromkeys(shape.measure))
    return Visit(name, times, window, outputs, shape.after_dose, known_after)


def _window(
    path: Path_, words: str | None, times: Sequence[float], faults: Faults
) -> float:
    """Read how far a visit may move; two of its times may not meet."""
    window = _hours(path, words, faults)
    gaps = [b - a for a, b in zip(times, times[1:], strict=False)]
    if gaps and window >= min(gaps) / 2:
        faults.add(
            path,
            found=f"`{words}`, with times {min(gaps):g} h apart",
            allowed="less than half of what lies between two of its times",
        )
    return window


def _hours(path: Path_, words: str | None, faults: Faults) -> float:
    """Read a span of time; 0 without one."""
    if words is None:
        return 0.0
    try:
        return duration(words)
    except ProtocolError as error:
        faults.relay(path, error)
        return 0.0


def _at(path: Path_) -> str:
    """Write a path as a fault does, up to its next part."""
    return ".".join(str(part) for part in path) + "."

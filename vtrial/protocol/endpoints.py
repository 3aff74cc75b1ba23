"""Endpoints: which span, which values, which limits, in which unit."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vtrial.errors import ProtocolError
from vtrial.model.model import Output
from vtrial.protocol.faults import Faults
from vtrial.protocol.known import Known
from vtrial.protocol.protocol import Endpoint, Visit
from vtrial.protocol.shape import EndpointShape
from vtrial.protocol.times import moment, span
from vtrial.protocol.values import number_in
from vtrial.sheets import Path_, listed
from vtrial.units import is_unit

_NEED_TWO = {"area", "time above", "time below", "time in range"}
_NEED_BASELINE = {"change", "percent change"}
_LIMITS = {  # which of low and high a `take` must have, and may have
    "time above": (("low",), ("low",)),
    "time below": (("high",), ("high",)),
    "time in range": (("low", "high"), ("low", "high")),
    "time to": ((), ("low", "high")),
}


@dataclass(frozen=True)
class Span:
    """When an endpoint looks [h]: from `start` to `end`, and at the baseline."""

    start: float
    end: float
    baseline: float


def read_spans(
    shapes: dict[str, EndpointShape], *, horizon: float, known: Known, faults: Faults
) -> dict[str, Span]:
    """Read when each endpoint looks; without words, from the start to `horizon`."""
    spans = {}
    for name, shape in shapes.items():
        found = _span(("endpoints", name), shape, horizon, known, faults)
        if found is not None:
            spans[name] = found
    return spans


def read_endpoints(
    shapes: dict[str, EndpointShape],
    spans: dict[str, Span],
    visits: Sequence[Visit],
    *,
    known: Known,
    faults: Faults,
) -> tuple[Endpoint, ...]:
    """Read the endpoints that make sense."""
    endpoints = []
    for name, shape in shapes.items():
        endpoint = _endpoint(name, shape, spans.get(name), visits, known, faults)
        if endpoint is not None:
            endpoints.append(endpoint)
    return tuple(endpoints)


def unit_taken(take: str, unit: str) -> str:
    """Return the unit of what is taken of values in `unit`, before any limit.

    Examples
    --------
    >>> unit_taken("area", "mg/L"), unit_taken("time above", "mg/L")
    ('mg.h/L', 'h')
    """
    if take == "percent change":
        return "%"
    if take.startswith("time "):
        return "h"
    if take != "area":
        return unit
    head, slash, tail = unit.partition("/")
    product = "h" if unit == "1" else f"{head}.h{slash}{tail}"
    return product if is_unit(product) else f"{unit} x h"


def _span(
    path: Path_, shape: EndpointShape, horizon: float, known: Known, faults: Faults
) -> Span | None:
    """Read when one endpoint looks."""
    if shape.at is not None and shape.within is not None:
        faults.add(
            (*path, "within"),
            found="given together with `at`",
            allowed="one of the two",
            write=f"at: {shape.at}",
        )
        return None
    start, end, baseline = 0.0, horizon, 0.0
    for key, words in (
        ("at", shape.at),
        ("within", shape.within),
        ("baseline", shape.baseline),
    ):
        if words is None:
            continue
        try:
            if key == "within":
                start, end = span(words, cycle=known.cycle)
            elif key == "at":
                start = end = moment(words, cycle=known.cycle)
            else:
                baseline = moment(words, cycle=known.cycle)
        except ProtocolError as error:
            faults.relay((*path, key), error)
            return None
    return None if math.isnan(start + end + baseline) else Span(start, end, baseline)


def _endpoint(
    name: str,
    shape: EndpointShape,
    when: Span | None,
    visits: Sequence[Visit],
    known: Known,
    faults: Faults,
) -> Endpoint | None:
    """Read one endpoint; None if anything in it is wrong."""
    path = ("endpoints", name)
    before = len(faults.entries)
    output = known.output(shape.of)
    if known.model and output is None:
        names = [output.name for output in known.model.outputs]
        faults.unknown((*path, "of"), shape.of, names, "output")
    chosen = _visits(path, shape, known, faults)
    _check_limits(path, shape, faults)
    if output is None or when is None:
        return None
    limits = _limits(path, shape, output, known, faults)
    whole = len(visits) == len(known.visits)  # else a fault would be told twice
    if shape.values == "measured" and whole and len(faults.entries) == before:
        _check_covered(path, shape, when, _times(visits, chosen), faults)
    if len(faults.entries) > before:
        return None
    binary = shape.below is not None or shape.above is not None
    return Endpoint(
        name,
        of=shape.of,
        take=shape.take,
        start=when.start,
        end=when.end,
        baseline=when.baseline,
        **limits,
        values=shape.values,
        visits=chosen,
        unit="1" if binary else unit_taken(shape.take, output.unit),
        title=shape.title,
    )


def _visits(
    path: Path_, shape: EndpointShape, known: Known, faults: Faults
) -> tuple[str, ...]:
    """Return the visits whose values count; all that measure the output by default."""
    measured = known.measured or {}
    if shape.values == "true":
        if shape.visits:
            faults.add(
                (*path, "visits"),
                found="given, though true values are taken on the grid",
                allowed="left out",
                write="values: measured",
            )
        return ()
    for index, visit in enumerate(shape.visits or ()):
        if visit not in known.visits:
            faults.unknown((*path, "visits", index), visit, known.visits, "visit")
        elif visit in measured and shape.of not in measured[visit]:
            faults.add(
                (*path, "visits", index),
                found=f"`{visit}`, which does not measure {shape.of}",
                allowed=f"a visit with {shape.of} among what it measures",
                write=f"measure: [{', '.join([*measured[visit], shape.of])}]",
            )
    if shape.visits:
        return tuple(dict.fromkeys(shape.visits))
    return tuple(name for name, outputs in measured.items() if shape.of in outputs)


def _times(visits: Sequence[Visit], chosen: Sequence[str]) -> list[float]:
    return sorted(t for visit in visits if visit.name in chosen for t in visit.times)


def _check_covered(
    path: Path_,
    shape: EndpointShape,
    when: Span,
    times: Sequence[float],
    faults: Faults,
) -> None:
    """Find spans in which nothing, or too little, is measured."""
    inside = sum(when.start <= time <= when.end for time in times)
    need = 2 if shape.take in _NEED_TWO else 1
    key = "at" if shape.at is not None else "within"
    if inside < need:
        shown = listed([f"{time:g} h" for time in times], 8)
        count = "no visit" if inside == 0 else "one visit alone"
        where = f"{when.start:g} h"
        where += f" to {when.end:g} h" if when.end > when.start else ""
        measured = f" (measured at {shown})" if times else " (it is never measured)"
        faults.add(
            (*path, key),
            found=f"{where}, where {count} measures {shape.of}{measured}",
            allowed=f"a time with at least {['', 'one visit', 'two visits'][need]}",
            write=f"values: true, or a visit with measure: [{shape.of}]",
        )
    if shape.take in _NEED_BASELINE and not any(t <= when.baseline for t in times):
        faults.add(
            (*path, "baseline"),
            found=f"{when.baseline:g} h, up to which no visit measures {shape.of}",
            allowed="at or after a visit that measures it",
            write=f"baseline: {times[0]:g} h" if times else "",
        )


def _check_limits(path: Path_, shape: EndpointShape, faults: Faults) -> None:
    """Find limits that are missing, useless, or the wrong way round."""
    need, may = _LIMITS.get(shape.take, ((), ()))
    given = [key for key in ("low", "high") if getattr(shape, key) is not None]
    for key in need:
        if key not in given:
            faults.add(
                (*path, key),
                found="missing",
                allowed=f"given for `{shape.take}`",
                write=f"{key}: ...",
            )
    for key in given:
        if key not in may:
            spelt = "above" if key == "low" else "below"
            faults.add(
                (*path, key),
                found=f"given, though `{shape.take}` does not use it",
                allowed="left out",
                write=f"{spelt}: ... (to make a response of the number)",
            )
    if shape.take == "time to" and not given:
        faults.add(
            (*path, "low"),
            found="missing, and so is `high`",
            allowed="one limit that is reached from below (low) or above (high)",
            write="low: ...",
        )


def _limits(
    path: Path_, shape: EndpointShape, output: Output, known: Known, faults: Faults
) -> dict[str, float | None]:
    """Bring the limits to the unit of the output, or of what is taken of it."""
    taken = unit_taken(shape.take, output.unit)
    units = {"low": output.unit, "high": output.unit, "above": taken, "below": taken}
    molar_mass = known.model.molar_mass if known.model else 0.0
    limits: dict[str, float | None] = {}
    for key, unit in units.items():
        value = getattr(shape, key)
        limits[key] = None
        if value is None:
            continue
        try:
            limits[key] = number_in(value, unit, molar_mass=molar_mass)
        except ProtocolError as error:
            faults.relay((*path, key), error)
    for low, high in (("low", "high"), ("above", "below")):
        bottom, top = limits[low], limits[high]
        if bottom is not None and top is not None and bottom >= top:
            faults.add(
                (*path, high),
                found=f"{top:g}, not over `{low}: {bottom:g}`",
                allowed=f"greater than `{low}`",
                write=f"{low}: {top:g}, {high}: {bottom:g}",
            )
    return limits

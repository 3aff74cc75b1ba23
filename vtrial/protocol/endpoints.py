"""Endpoints: which span, which values, which limits, in which unit."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from vtrial.endpoint.endpoint import Endpoint, Values
from vtrial.endpoint.kind import SAME, TIMES_HOURS
from vtrial.endpoint.registry import kinds
from vtrial.errors import ProtocolError, UnitError
from vtrial.model.model import Output
from vtrial.protocol.derived import is_derived, read_derived
from vtrial.protocol.faults import Faults
from vtrial.protocol.formula import read_of
from vtrial.protocol.grades import read_grades
from vtrial.protocol.intercurrent import Causes, read_intercurrent
from vtrial.protocol.protocol import Visit
from vtrial.protocol.quantification import read_below
from vtrial.protocol.scope import Known
from vtrial.protocol.shape import EndpointShape
from vtrial.protocol.times import Span, duration, moment, span
from vtrial.protocol.values import number_in, share_in
from vtrial.sheets.sheet import Path_
from vtrial.sheets.words import listed
from vtrial.units import factor, is_unit

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six")


def read_spans(
    shapes: dict[str, EndpointShape],
    *,
    horizon: float,
    late: float,
    known: Known,
    faults: Faults,
) -> dict[str, Span]:
    """Read when each endpoint looks; without words, from the start to `horizon`.

    What is counted of doses and decisions is up to so many hours later.
    """
    spans = {}
    for name, shape in shapes.items():
        end = horizon + (late if known.counts(shape.of) else 0.0)
        found = _span(("endpoints", name), shape, end, known, faults)
        if found is not None:
            spans[name] = found
    return spans


def read_endpoints(
    shapes: dict[str, EndpointShape],
    spans: dict[str, Span],
    visits: Sequence[Visit],
    *,
    causes: Causes,
    known: Known,
    faults: Faults,
) -> tuple[Endpoint, ...]:
    """Read the endpoints that make sense; `causes` are those of intercurrent events."""
    endpoints: list[Endpoint] = []
    for name, shape in shapes.items():
        when = spans.get(name)
        if is_derived(shape):
            endpoint = read_derived(name, shape, when, shapes, known, faults)
        else:
            endpoint = _endpoint(name, shape, when, visits, known, faults)
        if endpoint is not None:
            named = read_intercurrent(name, shape, endpoint, shapes, causes, faults)
            endpoints.append(replace(endpoint, **named))
    return tuple(endpoints)


def is_of_true_values(shape: EndpointShape) -> bool:
    """Return whether an endpoint reads true values on the grid."""
    kind = kinds().get(shape.take or "")
    return (shape.values or (kind.values if kind else "")) == "true"


def unit_taken(take: str, unit: str) -> str:
    """Return the unit of what is taken of values in `unit`, before any limit.

    Examples
    --------
    >>> unit_taken("area", "mg/L"), unit_taken("time above", "mg/L")
    ('mg.h/L', 'h')
    """
    own = kinds()[take].unit if take in kinds() else SAME
    if own != TIMES_HOURS:
        return unit if own == SAME else own
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
                start, end = span(words, cycle=known.cycle, early=True)
            elif key == "at":
                start = end = moment(words, cycle=known.cycle, early=True)
            else:
                baseline = moment(words, cycle=known.cycle, early=True)
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
    take = _asked(path, shape, known, faults)
    of = read_of(path, shape, known, faults)
    values: Values = "true" if is_of_true_values(shape) else "measured"
    if known.counts(shape.of):
        values = "ledger"
        _check_ledger(path, shape, faults)
    reads = of.reads if of else (shape.of or "",)
    chosen = _visits(path, shape, values, reads, known, faults)
    _check_limits(path, shape, faults)
    share = _share((*path, "share"), shape, faults)
    if of is None or when is None:
        return None
    output = of.output
    limits = _limits(path, shape, output, known, faults)
    grades = read_grades(path, shape, unit_taken(take, output.unit), faults)
    confirmed, by = _confirmed((*path, "confirmed"), shape, faults)
    scale = _factor((*path, "of"), take, output, faults)
    below = read_below(path, shape, output, values, faults)
    whole = len(visits) == len(known.visits)  # else a fault would be told twice
    if values == "measured" and whole and len(faults.entries) == before:
        _check_covered(path, shape, when, _times(visits, chosen), faults)
    if len(faults.entries) > before:
        return None
    binary = shape.below is not None or shape.above is not None
    return Endpoint(
        name,
        **of.fields(),
        take=take,
        start=when.start,
        end=when.end,
        baseline=when.baseline,
        **limits,
        share=share,
        confirmed=confirmed,
        confirmed_by=by,
        grades=grades,
        factor=scale,
        values=values,
        **below,
        visits=chosen,
        unit="1" if binary or grades else unit_taken(take, output.unit),
        title=shape.title,
    )


def _asked(path: Path_, shape: EndpointShape, known: Known, faults: Faults) -> str:
    """Return what is taken; empty if it is missing, and told of what if that is."""
    outputs = [output.name for output in known.model.outputs] if known.model else []
    for key, given, words in (
        ("of", shape.of, outputs),
        ("take", shape.take, [*kinds()]),
    ):
        if given is None:
            faults.add(
                (*path, key),
                found="missing",
                allowed=f"given, but for `equals` and `first of`: {listed(words)}",
                write=words[0] if len(words) == 1 else "",
            )
    return shape.take or ""


def _confirmed(
    path: Path_, shape: EndpointShape, faults: Faults
) -> tuple[float, Literal["hours", "values"]]:
    """Read by how many values, or hours of values, an event is confirmed."""
    given = shape.confirmed
    if given is None:
        return 0.0, "hours"
    by: Literal["hours", "values"] = "values" if isinstance(given, int) else "hours"
    kind = kinds().get(shape.take or "")
    if kind is None or by not in kind.confirmed:
        faults.add(
            path,
            found=f"`{given}` for `{shape.take}`",
            allowed=", ".join(_confirmable()),
        )
        return 0.0, "hours"
    if isinstance(given, int):
        return float(given), by
    try:
        return duration(given), "hours"
    except ProtocolError as error:
        faults.relay(path, error)
        return 0.0, "hours"


def _confirmable() -> list[str]:
    """List what may confirm which kinds of endpoints."""
    told = {"values": "a number of values", "hours": "a duration"}
    return [
        f"{' or '.join(told[by] for by in kind.confirmed)} for `{word}`"
        for word, kind in kinds().items()
        if kind.confirmed
    ]


def _factor(path: Path_, take: str, output: Output, faults: Faults) -> float:
    """Return what brings the output to h, where it is a time, or to mm."""
    wanted = kinds()[take].brought_to if take in kinds() else ""
    if not wanted:
        return 1.0
    try:
        return factor(output.unit, wanted)
    except UnitError:
        faults.add(
            path,
            found=f"`{output.name}` in {output.unit}",
            allowed=f"an output whose unit converts to {wanted}, for `{take}`",
        )
        return 1.0


def _check_ledger(path: Path_, shape: EndpointShape, faults: Faults) -> None:
    """Find what cannot be taken of doses and decisions."""
    kind = kinds().get(shape.take or "")
    for key in ("values", "visits", "below quantification"):
        if getattr(shape, key.replace(" ", "_")):
            faults.add(
                (*path, key),
                found=f"given for `{shape.of}`, which is not measured",
                allowed="left out: the ledger of doses and decisions is as it is",
            )
    if kind is not None and (kind.drawn or kind.between == "course" or kind.foretold):
        faults.add(
            (*path, "take"),
            found=f"`{shape.take}` of `{shape.of}`",
            allowed="what is made of the values themselves: `number`, `total`, `mean`, "
            "`value`",
            old=str(shape.take),
        )


def _visits(
    path: Path_,
    shape: EndpointShape,
    values: str,
    reads: tuple[str, ...],
    known: Known,
    faults: Faults,
) -> tuple[str, ...]:
    """Return the visits whose values count; all that measure the outputs by default."""
    measured = known.measured or {}
    if values == "ledger":
        return ()
    if values == "true":
        if shape.visits:
            faults.add(
                (*path, "visits"),
                found="given, though true values are taken on the grid",
                allowed="left out, or given with `values: measured`",
            )
        return ()
    for index, visit in enumerate(shape.visits or ()):
        if visit not in known.visits:
            faults.unknown((*path, "visits", index), visit, known.visits, "visit")
        elif visit in measured and not set(reads) <= set(measured[visit]):
            told = " and ".join(name for name in reads if name not in measured[visit])
            faults.add(
                (*path, "visits", index),
                found=f"`{visit}`, which does not measure {told}",
                allowed=f"a visit with {told} among what it measures",
            )
    if shape.visits:
        return tuple(dict.fromkeys(shape.visits))
    return tuple(name for name, out in measured.items() if set(reads) <= set(out))


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
    kind = kinds()[shape.take or ""]
    key = "at" if shape.at is not None else "within"
    if inside < kind.needs:
        shown = listed([f"{time:g} h" for time in times], 8)
        count = {0: "no visit", 1: "one visit alone"}.get(inside, f"{inside} visits")
        where = f"{when.start:g} h"
        where += f" to {when.end:g} h" if when.end > when.start else ""
        measured = f" (measured at {shown})" if times else " (it is never measured)"
        faults.add(
            (*path, key),
            found=f"{where}, where {count} measures {shape.of}{measured}",
            allowed=f"a time with at least {_NUMBERS[kind.needs]} "
            f"visit{'s'[: kind.needs > 1]} that measure{'s'[: kind.needs < 2]} it; "
            "`values: true` takes true values",
        )
    if kind.baseline and not any(t <= when.baseline for t in times):
        faults.add(
            (*path, "baseline"),
            found=f"{when.baseline:g} h, up to which no visit measures {shape.of}",
            allowed="at or after a visit that measures it"
            + (f"; the first is at {times[0]:g} h" if times else ""),
        )


def _check_limits(path: Path_, shape: EndpointShape, faults: Faults) -> None:
    """Find limits that are missing, useless, or the wrong way round."""
    kind = kinds().get(shape.take or "")
    asked = {"low": kind.low, "high": kind.high} if kind else {}
    given = [key for key in ("low", "high") if getattr(shape, key) is not None]
    for key in ("low", "high"):
        if asked.get(key) == "must" and key not in given:
            faults.add(
                (*path, key),
                found="missing",
                allowed=f"given for `{shape.take}`, such as `{key}: 0.5`",
            )
    for key in given:
        if asked.get(key, "no") == "no":
            spelt = "above" if key == "low" else "below"
            faults.add(
                (*path, key),
                found=f"given, though `{shape.take}` does not use it",
                allowed=f"left out; `{spelt}` makes a response of the number",
            )
    if "either" in asked.values() and not given:
        faults.add(
            (*path, "low"),
            found="missing, and so is `high`",
            allowed="one limit that is reached from below (low) or above (high)",
        )


def _share(path: Path_, shape: EndpointShape, faults: Faults) -> float:
    """Read of which share of the values a percentile is."""
    kind = kinds().get(shape.take or "")
    if shape.share is None or kind is None or kind.share == "no":
        if shape.share is not None:
            words = [word for word, one in kinds().items() if one.share == "must"]
            faults.add(
                path,
                found=f"given, though `{shape.take}` does not use it",
                allowed=f"left out, or given for {listed(words)}",
            )
        elif kind is not None and kind.share == "must":
            faults.add(
                path,
                found="missing",
                allowed=f"given for `{shape.take}`, such as `share: 90 %`",
            )
        return 0.0
    try:
        return share_in(shape.share)
    except ProtocolError as error:
        faults.relay(path, error)
        return 0.0


def _limits(
    path: Path_, shape: EndpointShape, output: Output, known: Known, faults: Faults
) -> dict[str, Any]:
    """Bring the limits to the unit of the output, or of what is taken of it."""
    taken = "1" if shape.grades else unit_taken(shape.take or "", output.unit)
    units = {"low": output.unit, "high": output.unit, "above": taken, "below": taken}
    molar_mass = known.model.molar_mass if known.model else 0.0
    limits: dict[str, Any] = {}
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
            )
    return limits

"""Endpoints made of other endpoints."""

from collections.abc import Mapping
from typing import Any

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.equation import called
from vtrial.endpoint.registry import kinds
from vtrial.errors import ModelError, ProtocolError
from vtrial.model.grammar import parse_expression
from vtrial.model.tree import names_in
from vtrial.protocol.faults import Faults
from vtrial.protocol.scope import Known
from vtrial.protocol.shape import EndpointShape
from vtrial.protocol.times import Span
from vtrial.protocol.values import number_in
from vtrial.sheets.sheet import Path_
from vtrial.sheets.words import listed, nearest
from vtrial.units import is_unit, no_unit

Shapes = Mapping[str, EndpointShape]
_OWN = ("title", "unit", "above", "below", "intercurrent", "failure")


def is_derived(shape: EndpointShape) -> bool:
    """Return whether an endpoint is derived from others."""
    return shape.equals is not None or shape.first_of is not None


def read_derived(
    name: str,
    shape: EndpointShape,
    when: Span | None,
    shapes: Shapes,
    known: Known,
    faults: Faults,
) -> Endpoint | None:
    """Read an endpoint that is made of those before it; None if it cannot be."""
    path, before = ("endpoints", name), len(faults.entries)
    _check_keys(path, shape, faults)
    earlier = list(shapes)[: list(shapes).index(name)]
    expression, first_of = None, tuple(shape.first_of or ())
    if shape.equals is not None:
        expression = _equation((*path, "equals"), shape.equals, earlier, known, faults)
    for place, one in enumerate(first_of):
        check_event((*path, "first of", place), one, earlier, shapes, faults)
    unit = shape.unit or "1"
    if not is_unit(unit):
        allowed, write = no_unit(unit)
        faults.add((*path, "unit"), found=f"`{unit}`", allowed=allowed, write=write)
    above, below = (
        _limit(path, key, shape, unit, faults) for key in ("above", "below")
    )
    if when is None or len(faults.entries) > before:
        return None
    binary = above is not None or below is not None
    if first_of:
        unit = "h"
    return Endpoint(
        name,
        of="",
        take="first of" if first_of else "equals",
        start=when.start,
        end=when.end,
        equals=expression,
        first_of=first_of,
        unit="1" if binary else unit,
        title=shape.title,
        above=above,
        below=below,
    )


def _check_keys(path: Path_, shape: EndpointShape, faults: Faults) -> None:
    """Find keys that mean nothing where an endpoint is made of others."""
    way = "equals" if shape.equals is not None else "first of"
    for key in shape.model_fields_set:
        spelt = key.replace("_", " ")
        fits = key in _OWN or spelt == way
        if key == "unit" and way == "first of":
            fits = False
        if not fits:
            faults.add(
                (*path, spelt),
                found=f"given together with `{way}`",
                allowed="left out: it belongs to the endpoints that this is made of",
            )


def _equation(
    path: Path_, text: str, earlier: list[str], known: Known, faults: Faults
) -> Any:
    """Read an equation of the endpoints before and of covariates."""
    try:
        expression = parse_expression(text)
    except ModelError as error:
        faults.relay(path, error)
        return None
    names = {called(one) for one in earlier} | set(known.covariates)
    for name in names_in(expression):
        if known.model and name.name not in names:
            faults.unknown(
                path, name.name, sorted(names), "endpoint above, or covariate"
            )
    return expression


def check_event(
    path: Path_, name: str, earlier: list[str], shapes: Shapes, faults: Faults
) -> None:
    """Find names that are no time to an event before an endpoint."""
    events = [one for one in earlier if _is_event(shapes[one])]
    if name not in events:
        faults.add(
            path,
            found=f"`{name}`, which is no time to an event above this endpoint",
            allowed=f"one of these: {listed(events, like=name)}"
            if events
            else "left out",
            write=nearest(name, events),
            old=name,
        )


def _is_event(shape: EndpointShape) -> bool:
    response = shape.above is not None or shape.below is not None
    taken = kinds().get(shape.take or "")
    event = shape.first_of is not None or (taken is not None and taken.event)
    return event and not response


def _limit(
    path: Path_, key: str, shape: EndpointShape, unit: str, faults: Faults
) -> float | None:
    """Read a limit that makes a response of the number."""
    value = getattr(shape, key)
    if value is None:
        return None
    try:
        return number_in(value, "h" if shape.first_of else unit)
    except ProtocolError as error:
        faults.relay((*path, key), error)
        return None

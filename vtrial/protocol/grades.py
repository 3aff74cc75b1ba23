"""Grades: limits of a sheet's own, or those of a laboratory value of CTCAE."""

from typing import Literal

from vtrial.errors import ProtocolError
from vtrial.protocol.ctcae import FIXED, GRADES, ULN, Limits
from vtrial.protocol.faults import Faults
from vtrial.protocol.observed_shape import ObservedShape
from vtrial.protocol.shape import EndpointShape
from vtrial.protocol.values import number_in
from vtrial.sheets.sheet import Path_
from vtrial.sheets.words import listed
from vtrial.units import compatible, is_unit

Graded = EndpointShape | ObservedShape
Side = Literal["lower", "upper"]


def read_grades(
    path: Path_, shape: Graded, unit: str, faults: Faults
) -> tuple[float, ...]:
    """Return the limits of grades in the unit of what is taken."""
    given = shape.grades
    if isinstance(given, str) and given not in GRADES:
        faults.unknown((*path, "grades"), given, list(GRADES), "laboratory value")
        return ()
    side = _side(given) if isinstance(given, str) else None
    _check_normal(path, shape, side, faults)
    if given is None:
        return ()
    if isinstance(given, str):
        return _of_value(path, shape, GRADES[given], unit, faults)
    try:
        limits = tuple(number_in(limit, unit) for limit in given)
    except ProtocolError as error:
        faults.relay((*path, "grades"), error)
        return ()
    steps = [b - a for a, b in zip(limits, limits[1:], strict=False)]
    if not (all(step > 0 for step in steps) or all(step < 0 for step in steps)):
        faults.add(
            (*path, "grades"),
            found=listed([f"{limit:g}" for limit in limits]),
            allowed="limits from grade 1 on, all rising or all falling, such as "
            "`[1.5, 1.0, 0.5]`",
        )
    return limits


def _side(name: str) -> Side | None:
    """Return the limit of normal at which a laboratory value's grade 1 begins."""
    limits = next(iter(GRADES[name].values()))
    if name in FIXED:
        return None
    return "lower" if limits[0] > limits[-1] else "upper"


def _check_normal(
    path: Path_, shape: Graded, side: Side | None, faults: Faults
) -> None:
    """Find limits of normal that mean nothing."""
    for key in ("lower", "upper"):
        if getattr(shape, f"{key}_limit") is not None and key != side:
            what = f"the grades of `{shape.grades}`" if side else "these grades"
            faults.add(
                (*path, f"{key} limit"),
                found=f"given, though {what} do not begin at it",
                allowed=f"left out; they begin at `{side} limit`"
                if side
                else "left out",
            )


def _of_value(
    path: Path_, shape: Graded, known: Limits, unit: str, faults: Faults
) -> tuple[float, ...]:
    """Return a laboratory value's limits, from the limit of normal that is given."""
    name = str(shape.grades)
    side = _side(name)
    normal = getattr(shape, f"{side}_limit") if side else None
    if ULN in known and normal is None:
        faults.add(
            (*path, "upper limit"),
            found="missing",
            allowed=f"the upper limit of normal, of which grades of `{name}` are "
            "multiples, such as `upper limit: 40 U/L`",
        )
        return ()
    try:
        begin = None if normal is None else number_in(normal, unit)
    except ProtocolError as error:
        faults.relay((*path, f"{side} limit"), error)
        return ()
    if ULN in known and begin is not None:
        return tuple(begin * multiple for multiple in known[ULN])
    limits = _converted(path, known, unit, faults)
    if begin is None or not limits:
        return limits
    if (begin - limits[1]) * (limits[0] - limits[1]) <= 0:
        faults.add(
            (*path, f"{side} limit"),
            found=f"{begin:g} {unit}",
            allowed=f"{'above' if side == 'lower' else 'below'} the limit of grade 2, "
            f"{limits[1]:g} {unit}",
        )
    return (begin, *limits[1:])


def _converted(
    path: Path_, known: Limits, unit: str, faults: Faults
) -> tuple[float, ...]:
    """Return limits in the unit of what is taken, from the one that converts to it."""
    fits = [own for own in known if is_unit(unit) and compatible(own, unit)]
    own = fits[0] if fits else next(iter(known))
    try:
        return tuple(number_in(f"{limit} {own}", unit) for limit in known[own])
    except ProtocolError as error:
        faults.relay((*path, "grades"), error)
        return ()

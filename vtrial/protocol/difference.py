"""What two protocols simulate differently: where, and what each of them says."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from operator import attrgetter
from typing import Any, NamedTuple

from vtrial.dosing.regimen import Regimen
from vtrial.endpoint.endpoint import Endpoint
from vtrial.errors import Fault
from vtrial.model.grammar import write_expression
from vtrial.model.tree import Call, Name, Number, Statement
from vtrial.protocol.design import Cause
from vtrial.protocol.protocol import WORDS, Keep, Protocol
from vtrial.protocol.stored import same
from vtrial.sheets.sheet import Path_, Sheet
from vtrial.sheets.words import listed

ABSENT = "nothing"
_LONG = 120  # characters that are said of a value
_SIMULATED = (  # by name of the field, and by key of the sheet
    *(("name", "protocol"), ("model", "model"), ("cohort", "cohort")),
    *(("subjects", "subjects"), ("seed", "seed"), ("block", "block")),
    *(("potential", "potential"), ("uncertainty", "uncertainty")),
    ("random_effects", "random effects"),
    *(("arms", "arms"), ("design.allocation", "design.randomisation")),
    *(("design.dropout", "design.dropout"), ("design.sites", "design.sites")),
    *(("visits", "visits"), ("grid", "grid")),
    *(("occasions", "occasions"), ("numerics", "numerics"), ("keep", "keep")),
)
_PASSED = WORDS | {"text", "warnings"}
_SPELT = {"regimen": "dose", "times": "at", "first_of": "first of"}


class Difference(NamedTuple):
    """Where two protocols differ, and what stands there in the one and the other."""

    path: Path_
    first: str
    second: str


def differences(first: Protocol, second: Protocol) -> list[Difference]:
    """List what two protocols simulate differently; their endpoints aside.

    Titles, sources, analysis, published and observed outcomes are no difference, nor
    is how many replicates there are, or that more is measured or predicted.
    """
    found: list[Difference] = []
    for name, key in _SIMULATED:
        ours, theirs = (_kept(attrgetter(name)(p)) for p in (first, second))
        found += _differ(tuple(key.split(".")), ours, theirs)
    return found


def endpoint_differences(first: Endpoint, second: Endpoint) -> list[Difference]:
    """List what two endpoints of a name say differently; their titles aside."""
    return list(_differ(("endpoints", second.name), first, second))


def data_differences(path: Path_, first: Any, second: Any) -> list[Difference]:
    """List where the plain data of two sheets differ."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        keys = dict.fromkeys([*first, *second])
        return [
            found
            for key in keys
            for found in data_differences((*path, key), first.get(key), second.get(key))
        ]
    alike = first == second
    return [] if alike else [Difference(path, *_said(first, second))]


def faults_of_differences(
    found: Sequence[Difference], sheet: Sheet, remedy: str
) -> Iterator[Fault]:
    """Yield what a sheet says otherwise than a record was run, with its line."""
    for path, held, asked in found:
        yield sheet.fault(
            path,
            found=f"{asked}, but the record was run with {held}",
            allowed=f"{held} in a report of this record; for {asked} it is to be run",
            write=remedy,
        )


def _kept(thing: Any) -> Any:
    """Return what is kept for its own sake, not since a comparison asks for it."""
    if not isinstance(thing, Keep):
        return thing
    return replace(thing, measurements=False, predictions="nothing")


def _differ(path: Path_, one: Any, other: Any) -> Iterator[Difference]:
    """Yield the differences of two values at a place."""
    if _leaf(one) or _leaf(other) or type(one) is not type(other):
        if _content(one) != _content(other):
            yield Difference(path, *_said(one, other))
    elif isinstance(one, tuple):
        yield from _differ_named(path, _by_name(one), _by_name(other))
    elif isinstance(one, Regimen) and one.words != other.words:
        yield Difference(path, f"`{one.words}`", f"`{other.words}`")
    else:
        for part in fields(one):
            if part.compare and part.name not in _PASSED:
                inner = (*path, _SPELT.get(part.name, part.name))
                yield from _differ(
                    inner, getattr(one, part.name), getattr(other, part.name)
                )


def _differ_named(
    path: Path_, one: dict[str, Any], other: dict[str, Any]
) -> Iterator[Difference]:
    """Yield the differences of two lists of things that have names."""
    shared = [name for name in one if name in other]
    if shared != [name for name in other if name in one]:
        yield Difference(
            path, f"in the order {listed(one)}", f"in that of {listed(other)}"
        )
    for name in dict.fromkeys([*one, *other]):
        if name in one and name in other:
            yield from _differ((*path, name), one[name], other[name])
        else:
            said = ["there" if name in side else ABSENT for side in (one, other)]
            yield Difference((*path, name), *said)


def _leaf(thing: Any) -> bool:
    """Return whether a value is compared as a whole."""
    if isinstance(thing, tuple):
        return not thing or not all(_name(part) for part in thing)
    return isinstance(thing, Number | Name | Call | Statement) or not is_dataclass(
        thing
    )


def _name(part: Any) -> str:
    """Return by what name an entry of a list goes; empty if it has none."""
    if isinstance(part, tuple):
        named = len(part) == 2 and isinstance(part[0], str)
        return part[0] if named else ""
    if isinstance(part, Statement):
        return f"{part.kind} {part.name}"
    name = getattr(part, "name", "")
    return name if is_dataclass(part) and isinstance(name, str) else ""


def _by_name(things: tuple) -> dict[str, Any]:
    """Return entries by their names; later ones of a name are numbered."""
    found: dict[str, Any] = {}
    for thing in things:
        name = _name(thing)
        name = name if name not in found else f"{name} {len(found) + 1}"
        found[name] = thing[1] if isinstance(thing, tuple) else thing
    return found


def _content(thing: Any) -> Any:
    """Return what a value means, as something that compares."""
    if isinstance(thing, tuple):
        return [_content(part) for part in thing]
    if isinstance(thing, Number | Name | Call):
        return write_expression(thing)
    if isinstance(thing, Statement):
        return (thing.kind, thing.name, write_expression(thing.expression))
    if is_dataclass(thing):
        parts = [p.name for p in fields(thing) if p.compare and p.name not in _PASSED]
        return [type(thing).__name__, [_content(getattr(thing, p)) for p in parts]]
    if isinstance(thing, float) and same(thing, float("nan")):
        return "nan"
    return thing


def _said(one: Any, other: Any) -> tuple[str, str]:
    """Return two values in words that tell them apart."""
    said = [_words(thing) for thing in (one, other)]
    if said[0] == said[1]:
        said = [f"`{thing!r}`" for thing in (one, other)]
    if max(map(len, said)) > _LONG:
        said = _around(*said)
    return said[0], said[1]


def _around(one: str, other: str) -> list[str]:
    """Cut two long texts to where they part."""
    pairs = zip(one, other, strict=False)
    place = next((i for i, (a, b) in enumerate(pairs) if a != b), 0)
    start = max(0, place - _LONG // 4)
    lead = "..." if start else ""
    return [
        lead + text[start : start + _LONG] + "..."[: 3 * (len(text) > start + _LONG)]
        for text in (one, other)
    ]


def _words(thing: Any) -> str:
    """Return a value as a sheet would write it."""
    if thing is None or thing == ():
        return ABSENT
    if isinstance(thing, bool):
        return str(thing).lower()
    if isinstance(thing, float):
        return f"{thing:g}"
    if isinstance(thing, Number | Name | Call):
        return f"`{write_expression(thing)}`"
    if isinstance(thing, Statement):
        return f"`{write_expression(thing.expression)}`"
    if isinstance(thing, Regimen | Cause):
        return f"`{thing.words}`"
    if isinstance(thing, tuple):
        return ", ".join(_words(part) for part in thing)
    return f"`{thing}`" if isinstance(thing, str) else str(thing)

"""Numbers in braces: what arms and rules say before their variables have values.

`dose: "{amount} over 1 h every 21 d x 6"` means what it says with the variable's start
in place of `{amount}`, so that such a sheet is a protocol like any other.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

from vtrial.errors import UnitError
from vtrial.protocol.optimisation import Variable
from vtrial.sheets.sheet import Path_, Sheet
from vtrial.units import quantity

SECTION, VARY, PLACES = "optimise", "vary", ("arms", "rules")
BRACES = re.compile(r"\{\s*([^{}]*?)\s*\}")
PARTS = 200  # of the range, that a step is if the sheet does not say


def filled(sheet: Sheet) -> Sheet:
    """Put the variables' starts where they stand in braces.

    Braces of no variable, or of one that is not in order, stay: they are told of.
    """
    words = dict(_starts(sheet))
    if not words:
        return sheet
    data = {
        key: _put(value, words) if key in PLACES else value
        for key, value in sheet.data.items()
    }
    return dataclasses.replace(sheet, data=data)


def _starts(sheet: Sheet) -> Iterator[tuple[str, str]]:
    """Yield what stands for each variable; of a faulty one any of its values.

    So no fault of a variable is told again as one of the words around it.
    """
    section = sheet.data.get(SECTION)
    entries = section.get(VARY) if isinstance(section, Mapping) else None
    for name, entry in entries.items() if isinstance(entries, Mapping) else ():
        if not isinstance(entry, Mapping):
            continue
        made = read_variable(str(name), entry)
        if isinstance(made, Variable):
            yield str(name), made.written(made.start)
            continue
        given = [entry.get(key) for key in ("from", "to", "start", "step")]
        many = entry.get("values")
        given += many if isinstance(many, list) else []
        yield from ((str(name), str(one)) for one in given[::-1] if one is not None)


def braces_in(sheet: Sheet) -> Iterator[tuple[Path_, str]]:
    """Yield what stands in braces in arms and rules, with its place."""
    for key in PLACES:
        yield from _found((key,), sheet.data.get(key))


def read_variable(name: str, entry: Mapping[str, Any]) -> Variable | tuple[str, str]:
    """Read a variable; or return the key that is at fault and what may stand there."""
    numbers: dict[str, float] = {}
    units: dict[str, str] = {}
    listed = entry.get("values")
    given = {key: entry[key] for key in ("from", "to", "step", "start") if key in entry}
    many = listed if isinstance(listed, list) else []
    given |= {f"values {place}": one for place, one in enumerate(many)}
    for key, value in given.items():
        try:
            numbers[key], units[key] = _parted(value)
        except UnitError:
            return key.split()[0], "a number, with its unit if it has one"
    shared = {unit for unit in units.values()}
    if len(shared) > 1:
        other = next(key for key in units if units[key] != next(iter(units.values())))
        first = next(iter(units.values())) or "none"
        return other.split()[0], f"in the unit of the others ({first})"
    unit = shared.pop() if shared else ""
    if many and {"from", "to", "step"} & numbers.keys():
        return "values", "values alone, or `from`, `to` and `step`"
    if not many and not {"from", "to"} <= numbers.keys():
        return "", "`from` and `to`, or `values`"
    values = tuple(sorted({numbers[key] for key in numbers if key.startswith("v")}))
    low, high = (values[0], values[-1]) if values else (numbers["from"], numbers["to"])
    if not low < high:
        return ("values", "different values") if values else ("to", "above `from`")
    step = 0.0 if values else numbers.get("step", (high - low) / PARTS)
    if not values and not 0 < step <= high - low:
        return "step", f"above 0 and at most the range, {high - low:g}"
    start = numbers.get("start", _middle(low, high, step, values))
    if not low <= start <= high:
        return "start", f"between {low:g} and {high:g}"
    return Variable(name, low, high, start, unit, values, step)


def _middle(low: float, high: float, step: float, values: tuple[float, ...]) -> float:
    """Return the real value next to the middle of a range."""
    if values:
        return values[len(values) // 2]
    return low + step * round((high - low) / 2 / step)


def _parted(value: object) -> tuple[float, str]:
    """Part a number from its unit, which stays as it is written."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value), ""
    number, unit = quantity(str(value))
    return number, "" if unit == "1" else unit


def _put(thing: Any, words: Mapping[str, str]) -> Any:
    """Put words into all texts of a tree."""
    if isinstance(thing, str):
        return BRACES.sub(lambda found: words.get(found[1], found[0]), thing)
    if isinstance(thing, Mapping):
        return {key: _put(value, words) for key, value in thing.items()}
    return [_put(one, words) for one in thing] if isinstance(thing, list) else thing


def _found(path: Path_, thing: object) -> Iterator[tuple[Path_, str]]:
    """Yield what stands in braces in a tree."""
    if isinstance(thing, str):
        yield from ((path, found[1]) for found in BRACES.finditer(thing))
    elif isinstance(thing, Mapping):
        for key, value in thing.items():
            yield from _found((*path, str(key)), value)
    elif isinstance(thing, list):
        for place, value in enumerate(thing):
            yield from _found((*path, place), value)

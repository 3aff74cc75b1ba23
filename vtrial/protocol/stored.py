"""A Protocol as plain data, whole, and back: what a record keeps of what was run.

A sheet does not say what was run where a protocol was changed after it was read; the
data do. They are numbers, words and lists: nothing in them is executed.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from vtrial.dosing import goal, regimen
from vtrial.endpoint import endpoint
from vtrial.errors import StoreError
from vtrial.model import chance, flow, model, tree
from vtrial.protocol import (
    adherence,
    analysis,
    borrowing,
    design,
    eligible,
    enactment,
    escalation,
    evidence,
    optimisation,
    presence,
    rules,
)
from vtrial.protocol import protocol as nouns
from vtrial.protocol.protocol import Protocol
from vtrial.types import Numerics

KIND = "is"
_MODULES = (
    *(
        nouns,
        rules,
        adherence,
        borrowing,
        design,
        enactment,
        escalation,
        analysis,
        eligible,
        evidence,
        optimisation,
        presence,
    ),
    *(endpoint, goal, regimen, model, chance, flow, tree),
)
_KINDS: Mapping[str, Any] = MappingProxyType(
    {
        name: kind
        for module in _MODULES
        for name, kind in vars(module).items()
        if is_dataclass(kind) and kind.__module__ == module.__name__
    }
    | {"Numerics": Numerics}
)
_APART = {"text", "data", "warnings"}  # of sheets; they stand beside the data


def write_protocol(protocol: Protocol) -> dict[str, Any]:
    """Return all that a protocol is as data that JSON holds; its sheets apart."""
    return as_data(protocol)


def read_protocol(data: object) -> Protocol:
    """Make the protocol again of `write_protocol`'s data.

    Raises
    ------
    StoreError
        If the data are of no protocol.
    """
    try:
        made = _made(data)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _unreadable() from error
    if not isinstance(made, Protocol) or not isinstance(made.model, model.Model):
        raise _unreadable()
    return made


def as_data(thing: Any) -> Any:
    """Return a noun as data; what is as it is by default is left out."""
    if is_dataclass(thing) and not isinstance(thing, type):
        named = {part.name: as_data(value) for part, value in parts_of(thing)}
        return {KIND: type(thing).__name__} | named
    if isinstance(thing, tuple):
        return [as_data(part) for part in thing]
    if isinstance(thing, np.generic):
        thing = thing.item()
    if isinstance(thing, float) and not math.isfinite(thing):
        return {KIND: "float", "value": str(thing)}
    if thing is None or isinstance(thing, str | bool | int | float):
        return thing
    raise TypeError(f"no part of a protocol: {type(thing).__name__}")


def parts_of(thing: Any) -> Iterator[tuple[Field, Any]]:
    """Walk over the fields of a noun that are not as they are by default."""
    for part in fields(thing):
        value = getattr(thing, part.name)
        usual = part.default is not MISSING and same(value, part.default)
        if part.name not in _APART and not usual:
            yield part, value


def same(one: object, other: object) -> bool:
    """Return whether two values are identical; NaN equals NaN."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (one != one and other != other)
    return type(one) is type(other) and one == other


def _made(data: Any) -> Any:
    """Make a noun of data."""
    if isinstance(data, list | tuple):
        return tuple(_made(part) for part in data)
    if not isinstance(data, Mapping):
        return data
    if data[KIND] == "float":
        return float(data["value"])
    kind = _KINDS[data[KIND]]
    return kind(**{name: _made(part) for name, part in data.items() if name != KIND})


def _unreadable() -> StoreError:
    return StoreError(
        at="the record's `trial`",
        found="not what a run writes there",
        allowed="the protocol that was run, as data",
        write="vtrial run PROTOCOL --out FOLDER --restart",
    )

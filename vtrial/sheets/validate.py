"""A sheet held against its shape: what pydantic finds, in the house's words."""

import itertools
import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from vtrial.errors import Fault, VtrialError
from vtrial.sheets.sheet import Path_, Sheet
from vtrial.sheets.words import listed, nearest

Shape = TypeVar("Shape", bound=BaseModel)
EXAMPLES = 2  # keys that an example shows where none must be given


def check_shape(sheet: Sheet, shape: type[Shape]) -> tuple[Shape | None, list[Fault]]:
    """Hold a sheet against a pydantic shape; return the object or all its faults."""
    try:
        return shape.model_validate(sheet.data), []
    except ValidationError as error:
        return None, [_shape_fault(sheet, shape, entry) for entry in error.errors()]


def raise_faults(error: type[VtrialError], faults: Iterable[Fault]) -> None:
    """Raise all faults as one error, if there are any."""
    faults = list(faults)
    if faults:
        raise error.of(faults)


def sheet_name(value: object) -> str:
    """Take the name of a sheet, which may be the name of a file, too.

    Raises
    ------
    ValueError
        If it is no such name; for pydantic, in the words that `check_shape` reads.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,99}", str(value)):
        write = re.sub(r"[^\w.-]+", "-", str(value)).strip("-.")[:99] or "my-name"
        allowed = "a name of letters, digits, `-`, `_` and `.`"
        raise ValueError(f"`{value}`|{allowed}|{write}")
    return str(value)


def _shape_fault(sheet: Sheet, shape: type[BaseModel], entry: Mapping) -> Fault:
    """Translate one of pydantic's errors into a fault of the sheet."""
    path = _path_in(sheet, entry["loc"])
    kind, context = entry["type"], entry.get("ctx", {})
    name = str(path[-1]) if path else "the sheet"
    if kind == "extra_forbidden":
        known = _fields_at(shape, path[:-1])
        near = nearest(name, known)
        allowed = f"one of the keys {listed(known)}" if known else "left out"
        return sheet.fault(
            path, found=f"an unknown key `{name}`", allowed=allowed, write=near
        )
    if kind == "missing":
        return sheet.fault(path, found="missing", allowed="given", write=f"{name}: ...")
    if kind == "value_error":
        parts = str(context.get("error", entry["msg"])).split("|")
        found, allowed, write = (parts + ["", "", ""])[:3]
        return sheet.fault(path, found=found, allowed=allowed, write=write)
    if kind in ("model_type", "dict_type"):
        fields = _shapes_at(shape, path)
        known = f"the keys {listed(fields)}" if fields else "keys"
        allowed, write = f"a map of {known}", _example(fields)
        if kind == "dict_type" and fields:
            allowed = f"a map of names, each with {known}"
            write = f"a-name: {write}"
        found = f"`{entry['input']}`"[:200]
        return sheet.fault(path, found=found, allowed=allowed, write=write)
    found = f"`{entry['input']}`" if not isinstance(entry["input"], dict) else "a map"
    allowed = str(entry["msg"]).removeprefix("Input should be ").replace("'", "`")
    return sheet.fault(path, found=found[:200], allowed=allowed, write="")


def _path_in(sheet: Sheet, loc: Iterable[str | int]) -> Path_:
    """Drop from pydantic's location what is not in the sheet (union tags)."""
    path: Path_ = ()
    node: object = sheet.data
    loc = list(loc)
    for index, part in enumerate(loc):
        inside = (isinstance(node, dict) and part in node) or (
            isinstance(node, list) and isinstance(part, int) and part < len(node)
        )
        if inside:
            node = node[part]  # type: ignore[index]
            path = (*path, part)
        elif index == len(loc) - 1 and isinstance(node, dict):
            path = (*path, part)
    return path


def _fields_at(shape: type[BaseModel], path: Path_) -> list[str]:
    """List the keys that a shape knows at a path, as far as it can be followed."""
    return list(_shapes_at(shape, path))


def _example(fields: Mapping[str, FieldInfo]) -> str:
    """Write a map of the keys that must be given, or of a few others."""
    needed = {key: field for key, field in fields.items() if field.is_required()}
    usual = {key: field for key, field in fields.items() if field.examples}
    shown = needed or dict(itertools.islice(usual.items(), EXAMPLES))
    example = {key: (field.examples or ["..."])[0] for key, field in shown.items()}
    return _flow(example) if example else ""


def _flow(value: object) -> str:
    """Write a value as YAML does within a line."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key}: {_flow(each)}" for key, each in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    text = str(value)
    return f'"{text}"' if set(text) & set(",:{}[]#") else text


def _shapes_at(shape: type[BaseModel], path: Path_) -> dict[str, FieldInfo]:
    """Return the fields that a shape has at a path, by their keys in the sheet."""
    current: object = shape
    for part in path:
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            return {}
        fields = {(f.alias or n): f for n, f in current.model_fields.items()}
        if part in fields:
            current = _inner(fields[part].annotation)
    if isinstance(current, type) and issubclass(current, BaseModel):
        return {f.alias or name: f for name, f in current.model_fields.items()}
    return {}


def _inner(annotation: object) -> object:
    """Find the pydantic shape inside `dict[str, X]`, `list[X]` or `X | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        inner = _inner(argument)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return inner
    return annotation

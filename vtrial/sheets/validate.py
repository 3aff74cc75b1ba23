"""A sheet held against its shape: what pydantic finds, in the house's words."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from vtrial.errors import Fault, VtrialError
from vtrial.sheets.keys import key_hint, key_meant
from vtrial.sheets.sheet import Path_, Sheet
from vtrial.sheets.words import listed, nearest

Shape = TypeVar("Shape", bound=BaseModel)
DRAFT = "https://json-schema.org/draft/2020-12/schema"
EXAMPLES = 2  # keys that an example shows where none must be given
_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
}
_MAPS = ("model_type", "model_attributes_type", "dict_type")
_LIMITS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}


def wrong(found: str, allowed: str, write: str = "", key: str = "") -> ValueError:
    """Return a fault as the ValueError that pydantic hands on to `check_shape`.

    `key` says at which key of a map it is, where that is not clear.
    """
    return ValueError(
        "|".join(part.replace("|", "\u2016") for part in (found, allowed, write, key))
    )


def check_shape(sheet: Sheet, shape: type[Shape]) -> tuple[Shape | None, list[Fault]]:
    """Hold a sheet against a pydantic shape; return the object or all its faults."""
    try:
        return shape.model_validate(sheet.data), []
    except ValidationError as error:
        return None, shape_faults(sheet, shape, error)


def schema_of(shape: type[BaseModel], title: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of sheets of a shape, for editors."""
    return {"$schema": DRAFT, **shape.model_json_schema(by_alias=True), "title": title}


def shape_faults(
    sheet: Sheet, shape: type[BaseModel], error: ValidationError, at: Path_ = ()
) -> list[Fault]:
    """Translate what pydantic found, all that it says of one entry together.

    `at` is the place of what was validated, if that is not all of the sheet.
    """
    entries: dict[Path_, list[Any]] = {}
    for entry in error.errors():
        path = (*at, *_path_in(sheet.value(at), entry["loc"]))
        entries.setdefault(path, []).append(entry)
    found = [
        _shape_fault(sheet, shape, path, some, len(at))
        for path, some in entries.items()
    ]
    return list(dict.fromkeys(found))


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
        write = re.sub(r"[^\w.-]+", "-", str(value)).strip("-._")[:99]
        write = write if re.match(r"[A-Za-z0-9]", write) else ""
        allowed = "a name of letters, digits, `-`, `_` and `.`"
        raise wrong(said(value), allowed, write)
    return str(value)


def said(value: object) -> str:
    """Write what stands somewhere, as a message quotes it."""
    if value is None or value == "":
        return "empty"
    text = value if isinstance(value, str) else flow(value)
    return f"`{text[:80]}...`" if len(text) > 80 else f"`{text}`"


def example_of(shape: type[BaseModel] | None) -> str:
    """Write an example of a shape: its own, or keys that it must have or may have."""
    extra = shape.model_config.get("json_schema_extra") if shape else None
    own = extra.get("examples") if isinstance(extra, dict) else None
    return flow(own[0]) if isinstance(own, list) else _example(fields_of(shape))


def _shape_fault(
    sheet: Sheet,
    shape: type[BaseModel],
    path: Path_,
    entries: Sequence[Mapping],
    skip: int,
) -> Fault:
    """Translate pydantic's errors about one entry into a fault of the sheet."""
    inner = path[skip:]
    name = str(path[-1]) if path else "the sheet"
    kinds = [entry["type"] for entry in entries]
    if kinds[0] == "extra_forbidden":
        around = sheet.value(path[:-1])
        return _unknown_key(sheet, path, _shape_at(shape, inner[:-1]), around)
    if kinds[0] == "missing":
        field = fields_of(_shape_at(shape, inner[:-1])).get(name)
        return sheet.fault(path, found="missing", allowed=_given(name, field), write="")
    own = [entry for entry in entries if entry["type"] == "value_error"]
    if own:
        parts = str(own[0].get("ctx", {}).get("error", own[0]["msg"])).split("|")
        parts = [part.replace("\u2016", "|") for part in parts]
        found, allowed, write, key = (parts + ["", "", "", ""])[:4]
        path = (*path, key) if key else path
        return sheet.fault(path, found=found, allowed=allowed, write=write)
    allowed = dict.fromkeys(_allowed(shape, inner, entry) for entry in entries)
    value = sheet.value(path) if path else sheet.data
    found = f"`{name}`" if inner and inner[-1] == "[key]" else said(value)
    write = _mapped(value, _shape_at(shape, inner)) if kinds[0] in _MAPS else ""
    return sheet.fault(path, found=found, allowed=" or ".join(allowed), write=write)


def _mapped(value: object, shape: type[BaseModel] | None) -> str:
    """Write `proportional 10 %` as the map that it means; "" if it means none."""
    keys = "|".join(map(re.escape, fields_of(shape)))
    found = re.fullmatch(rf"({keys})\s*[:= ]\s*(\S.*)", str(value)) if keys else None
    return f"{{{found[1]}: {flow(found[2])}}}" if found else ""


def _unknown_key(
    sheet: Sheet, path: Path_, shape: type[BaseModel] | None, around: object
) -> Fault:
    """Describe a key that a map does not have, and which one may be meant."""
    name, known = str(path[-1]), list(fields_of(shape))
    there = around if isinstance(around, dict) else {}
    kind = shape.__name__ if shape is not None else ""
    write = nearest(name, known) or key_meant(kind, name)
    write = write if write in known and write not in there else ""
    allowed = f"one of the keys {listed(known, like=name)}" if known else "left out"
    near = key_hint(kind, name)
    if near and not write:
        allowed = f"{near}; its keys are {listed(known)}"
    found = f"an unknown key `{name}`"
    return sheet.fault(path, found=found, allowed=allowed, write=write, old=name)


def _given(name: str, field: FieldInfo | None) -> str:
    """Say that a key must be given, with an example if it has one."""
    examples = field.examples if field is not None else None
    if not examples:
        return "given"
    return f"given, such as `{name}: {flow(examples[0])}`"


def _allowed(shape: type[BaseModel], path: Path_, entry: Mapping) -> str:
    """Say what may stand where pydantic found something else."""
    kind, context = entry["type"], entry.get("ctx", {})
    if kind in _MAPS:
        return _map_of(_shape_at(shape, path), kind == "dict_type")
    if kind == "literal_error":
        return re.sub("'([^']*)'", r"`\1`", str(context["expected"]))
    if kind in _LIMITS:
        words, key = _LIMITS[kind]
        return f"{words} {context[key]:g}"
    if kind in ("too_short", "too_long"):
        least = kind == "too_short"
        count = context["min_length" if least else "max_length"]
        return f"at {'least' if least else 'most'} {count} long"
    if kind in ("string_too_short", "string_too_long"):
        most = context.get("max_length")
        return f"at most {most} letters long" if most else "text"
    field = fields_of(_shape_at(shape, path[:-1])).get(str(path[-1]) if path else "")
    examples = field.examples if field is not None else None
    such = f", such as `{flow(examples[0])}`" if examples else ""
    return _TYPES.get(kind, "something else") + such


def _map_of(shape: type[BaseModel] | None, named: bool) -> str:
    """Say which map may stand somewhere."""
    fields = fields_of(shape)
    if not fields:
        return "a map"
    example = example_of(shape)
    such = f", such as `{example}`" if example else ""
    if named:
        return f"a map of names, each with the keys {listed(fields)}"
    return f"a map of the keys {listed(fields)}{such}"


def _path_in(node: object, loc: Iterable[str | int]) -> Path_:
    """Drop from pydantic's location what is not in the sheet (union tags)."""
    path: Path_ = ()
    loc = list(loc)
    for index, part in enumerate(loc):
        inside = (isinstance(node, dict) and part in node) or (
            isinstance(node, list) and isinstance(part, int) and part < len(node)
        )
        if inside:
            node = node[part]  # type: ignore[index]
            path = (*path, part)
        elif index == len(loc) - 1 and isinstance(node, dict) and part != "[key]":
            path = (*path, part)
    return path


def fields_of(shape: type[BaseModel] | None) -> dict[str, FieldInfo]:
    """Return the fields of a shape by their keys in the sheet."""
    if shape is None:
        return {}
    named = {f.alias or name: f for name, f in shape.model_fields.items()}
    return {key: field for key, field in named.items() if not field.exclude}


def _example(fields: Mapping[str, FieldInfo]) -> str:
    """Write a map of the keys that must be given, or of a few others."""
    needed = {key: field for key, field in fields.items() if field.is_required()}
    usual = {key: field for key, field in fields.items() if field.examples}
    shown = dict(itertools.islice((needed | usual).items(), EXAMPLES))
    shown = needed if len(needed) > EXAMPLES else shown
    example = {key: (field.examples or ["..."])[0] for key, field in shown.items()}
    return flow(example) if example else ""


def flow(value: object) -> str:
    """Write a value as YAML does within a line."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key}: {flow(each)}" for key, each in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(flow, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = str(value)
    return f'"{text}"' if set(text) & set(",:{}[]#") else text


def _shape_at(shape: type[BaseModel], path: Path_) -> type[BaseModel] | None:
    """Return the shape of what stands at a path, as far as it can be followed."""
    current: object = shape
    for part in path:
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            return None
        fields = {(f.alias or n): f for n, f in current.model_fields.items()}
        if part in fields:
            current = _inner(fields[str(part)].annotation)
    both = isinstance(current, type) and issubclass(current, BaseModel)
    return current if both else None  # type: ignore[return-value]


def _inner(annotation: object) -> object:
    """Find the pydantic shape inside `dict[str, X]`, `list[X]` or `X | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        inner = _inner(argument)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return inner
    return annotation

"""Entries of a protocol sheet: what may stand in one, before it has a meaning."""

from typing import Annotated, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.annotated_handlers import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from vtrial.endpoint.kind import Below
from vtrial.sheets.choice import Words
from vtrial.sheets.validate import said, wrong
from vtrial.sheets.words import listed

MOST = 1_000_000_000


class OneOrMany:
    """Let the JSON Schema accept one entry in place of a list."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        return {"anyOf": [schema["items"], schema]}


class OrEmpty:
    """Let the JSON Schema accept null in place of a map."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [handler(core_schema), {"type": "null"}]}


def as_many(value: object) -> object:
    """Make a list of one entry."""
    return value if isinstance(value, list) else [value]


def as_maybe_empty(value: object) -> object:
    """Make a map of nothing."""
    return {} if value is None else value


def _texts(value: object) -> list[object]:
    """Take a text or a list of texts; numbers alone are refused, having no unit."""
    values = value if isinstance(value, list) else [value]
    for one in values:
        if isinstance(one, int | float) and not isinstance(one, bool):
            raise wrong(f"`{one}`, a bare number", "a text that says its unit, too")
        if not isinstance(one, str) or not one.strip():
            raise wrong(said(one), "a text or a list of texts")
    if not values:
        raise wrong("empty", "a text or a list of texts")
    return values


def as_number_or_text(value: object) -> object:
    """Take a number or a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise wrong(said(value), "a number, or a text with a number")
    if isinstance(value, float) and not abs(value) < float("inf"):
        raise wrong(said(value), "a finite number")
    return value


def as_setting(value: object) -> object:
    """Take a number, a text, or a list of numbers."""
    if not isinstance(value, list):
        return as_number_or_text(value)
    for one in value:
        if isinstance(one, bool) or not isinstance(one, int | float):
            raise wrong(said(one), "a list of numbers")
    return [as_number_or_text(one) for one in value]


def as_values(value: object) -> object:
    """Take YAML's own `true` for the word."""
    if value is None:
        return None
    return "true" if value is True else Words("measured", "true", place="values")(value)


_BEAL = {"M1": "drop", "M5": "LLOQ/2", "M6": "LLOQ/2 once", "M7": "zero"}
_LIKELIHOODS = ("M2", "M3", "M4")


def as_below(value: object) -> object:
    """Take a rule for values below the limit of quantification.

    Beal's numbers are told by name; those of likelihoods are for fitting.
    """
    rules = get_args(Below)
    if value is None or value in rules:
        return value
    found, word = f"`{value}`", str(value).strip()
    if word.upper() in _LIKELIHOODS:
        found += ", which is a likelihood for fitting and makes no value"
    same = [rule for rule in rules if rule.lower() == word.lower()]
    write = _BEAL.get(word.upper(), same[0] if same else "")
    raise wrong(found, listed(rules, like=word), write)


def as_within(value: object) -> object:
    """Take one margin, or two limits."""
    if isinstance(value, list) and len(value) != 2:
        raise wrong(said(value), "one margin, or two limits, such as `[1, 2]`")
    for one in value if isinstance(value, list) else [value]:
        as_number_or_text(one)
    return value


def as_trajectories(value: object) -> object:
    """Take what is kept of trajectories."""
    words = str(value).split()
    if value in ("nothing", "quantiles", "all"):
        return value
    if len(words) == 2 and words[0] == "first" and words[1].isdecimal():
        return value
    allowed = "`nothing`, `quantiles`, `all` or `first N`"
    first = isinstance(value, int) and not isinstance(value, bool) and value > 0
    raise wrong(said(value), allowed, f"first {value}" if first else "")


_NUMBER_OR_TEXT = {"anyOf": [{"type": "number"}, {"type": "string"}]}


class _Number:
    """Let the JSON Schema accept a number or a text."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return dict(_NUMBER_OR_TEXT)


class Several:
    """Let the JSON Schema accept a number, a text, or a list of numbers."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        several = {"type": "array", "items": {"type": "number"}}
        return {"anyOf": [*_NUMBER_OR_TEXT["anyOf"], several]}


class Margin:
    """Let the JSON Schema accept a margin or two limits."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        pair = {"type": "array", "items": _NUMBER_OR_TEXT}
        both = {**pair, "minItems": 2, "maxItems": 2}
        return {"anyOf": [*_NUMBER_OR_TEXT["anyOf"], both]}


class Truth:
    """Let the JSON Schema accept the word `true`, which YAML reads as a boolean."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"enum": ["measured", True]}


class OrSaid:
    """Let the JSON Schema accept a number or a text in place of a map."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [*_NUMBER_OR_TEXT["anyOf"], handler(core_schema)]}


class OrName:
    """Let the JSON Schema accept the name of a file in place of a map."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string"}, handler(core_schema)]}


Texts = Annotated[list[str], BeforeValidator(_texts), OneOrMany()]
Names = Annotated[list[str], BeforeValidator(as_many), OneOrMany()]
Value = Annotated[float | str, BeforeValidator(as_number_or_text), _Number()]
Setting = Annotated[float | str | list[float], BeforeValidator(as_setting), Several()]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Shape(BaseModel):
    """A map of a sheet: no other keys, nothing changed."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False
    )

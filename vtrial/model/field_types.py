"""What the fields of a model sheet may hold: numbers, shares, units, names, sources."""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from vtrial.errors import UnitError
from vtrial.model.grammar import MAX_NAME, reserved_words
from vtrial.sheets.choice import Words
from vtrial.sheets.csv_number import explain_number
from vtrial.sheets.synonyms import hint
from vtrial.sheets.validate import said, wrong
from vtrial.sheets.words import listed
from vtrial.units import dimension, hours, is_unit, quantity

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
DOI = re.compile(r"10\.\d{4,9}/\S+")
MOST = 1e100  # squares and products of such numbers, and their inverses, are numbers
EQUATION = re.compile(r"[*^()]|[A-Za-z_]\w*\s*[+-]")
MOST_SHARE = 1e6
LEAST_PERCENT = 10.0  # a number from which on nobody means so many times the whole


def as_number(value: object) -> float:
    """Take a number, and nothing that only looks like one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        allowed, write = "a number", ""
        if isinstance(value, str) and EQUATION.search(value):
            allowed = "a number: no equation stands here"
        elif isinstance(value, str):
            allowed, write = explain_number(value)
        raise wrong(said(value), allowed, write)
    if not abs(value) <= MOST:
        raise wrong(f"`{str(value)[:40]}`", f"a finite number, below {MOST:g} in size")
    if value and abs(value) < 1 / MOST:
        raise wrong(f"`{value:g}`", f"0, or a number above {1 / MOST:g} in size")
    return float(value)


def _positive(value: object) -> float:
    number = as_number(value)
    if number <= 0:
        raise wrong(f"{number:g}", "above 0", "")
    return number


def as_size(value: object) -> float:
    """Take a number of 0 or more."""
    number = as_number(value)
    if number < 0:
        raise wrong(f"{number:g}", "0 or more", "")
    return number


def as_share(value: object) -> float:
    """Read `30 %` or 0.3; a bare number above 1 is likely to be a percentage."""
    if isinstance(value, str):
        try:
            number, unit = quantity(value)
        except UnitError as error:
            raise wrong(said(value), "a share, such as 8 % or 0.08") from error
        if unit not in ("%", "1"):
            raise wrong(said(value), "a share, such as 8 % or 0.08")
    else:
        number, unit = as_number(value), "1"
    if unit == "1" and number > 1:
        raise _no_share(value, number)
    number = number / 100 if unit == "%" else number
    if number < 0:
        raise wrong(said(value), "0 or more")
    if not number <= MOST_SHARE:
        raise wrong(f"`{str(value)[:40]}`", f"a share below {MOST_SHARE:g}")
    return number


def _no_share(value: object, number: float) -> ValueError:
    """Describe a number above 1, which is likely to be a percentage."""
    if number < LEAST_PERCENT:
        allowed = f"a share: {number:g} % or {100 * number:g} %"
        return wrong(said(value), allowed)
    return wrong(said(value), "a share, such as 8 % or 0.08", f"{number:g} %")


def _unit(value: object) -> str:
    text = str(value) if isinstance(value, int | str) else ""
    if isinstance(value, bool) or not is_unit(text):
        raise _unit_fault(value)
    return text


def _unit_fault(value: object) -> ValueError:
    """Return the fault of `vtrial.units` for a text that is not a unit."""
    try:
        dimension(str(value))
    except UnitError as error:
        fault = error.faults[0]
        return wrong(fault.found, fault.allowed, fault.write)
    return wrong(said(value), "a unit, such as mg/L")


def _duration_unit(value: object) -> str:
    try:
        hours(f"1 {value}")
    except UnitError as error:
        near = hint("unit", str(value))
        allowed = near or "a unit of time: min, h, d, wk or a"
        raise wrong(said(value), allowed) from error
    return str(value)


def _name(value: object) -> str:
    """Take a name that the equations can use."""
    text = value if isinstance(value, str) else str(value)
    if not NAME.fullmatch(text) or len(text) > MAX_NAME:
        allowed = "a name, such as CL: letters, digits and _, a letter first"
        raise wrong(said(text), allowed)
    if text in reserved_words():
        allowed = f"a name of your own, such as tv{text}"
        raise wrong(f"`{text}`, a word of the equations", allowed)
    return text


def _names(value: object) -> list[str]:
    """Take one name or a list of them."""
    names = [_name(name) for name in (value if isinstance(value, list) else [value])]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        found = f"{listed(twice)}, twice" if twice else "empty"
        raise wrong(found, "a name, or several, each once")
    return names


def _shares(value: object) -> list[float]:
    return [as_share(v) for v in (value if isinstance(value, list) else [value])]


def _sizes(value: object) -> list[float]:
    return [as_size(v) for v in (value if isinstance(value, list) else [value])]


def _triangle(value: object) -> list[list[float]]:
    """Take the lower triangle of a symmetric matrix, a row a line."""
    sizes = (
        [len(row) for row in value if isinstance(row, list)]
        if isinstance(value, list)
        else []
    )
    if not isinstance(value, list) or sizes != list(range(1, len(value) + 1)):
        raise wrong(
            said(value),
            "the lower triangle of a matrix, each row one number longer, such as "
            "[[0.09], [0.03, 0.0625]]",
        )
    return [[as_number(entry) for entry in row] for row in value]


Finite = Annotated[float, BeforeValidator(as_number, json_schema_input_type=float)]
Positive = Annotated[float, BeforeValidator(_positive, json_schema_input_type=float)]
Size = Annotated[float, BeforeValidator(as_size, json_schema_input_type=float)]
Share = Annotated[float, BeforeValidator(as_share, json_schema_input_type=float | str)]
Unit = Annotated[str, BeforeValidator(_unit, json_schema_input_type=str | int)]
Duration = Annotated[str, BeforeValidator(_duration_unit, json_schema_input_type=str)]
Symbol = Annotated[str, BeforeValidator(_name, json_schema_input_type=str)]
Symbols = Annotated[
    list[str], BeforeValidator(_names, json_schema_input_type=str | list[str])
]
Shares = Annotated[
    list[float],
    BeforeValidator(_shares, json_schema_input_type=float | str | list[float | str]),
]
Sizes = Annotated[
    list[float], BeforeValidator(_sizes, json_schema_input_type=float | list[float])
]
Triangle = Annotated[
    list[list[float]],
    BeforeValidator(_triangle, json_schema_input_type=list[list[float]]),
]


Scale = Annotated[
    Literal["log", "identity"],
    BeforeValidator(Words("log", "identity", place="scale")),
]


class Part(BaseModel):
    """A part of a model sheet, with its own keys and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceShape(Part):
    """Where a number is from."""

    cite: str = Field("", description="The work, as one cites it.")
    doi: str = Field("", description="Its DOI, beginning with 10.")
    url: str = Field("", description="Where it can be read.")
    note: str = Field("", description="What was assumed, or could not be verified.")

    @model_validator(mode="after")
    def _says_something(self) -> "SourceShape":
        if not (self.cite or self.doi or self.url or self.note):
            raise wrong("empty", "a map with at least one of cite, doi, url or note")
        if self.doi and not DOI.fullmatch(self.doi):
            allowed = "a DOI, such as 10.1007/BF02353487"
            raise wrong(said(self.doi), allowed, key="doi")
        if self.url and not self.url.startswith(("https://", "http://")):
            raise wrong(said(self.url), "an address with https://", key="url")
        return self

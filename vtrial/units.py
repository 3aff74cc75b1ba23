"""Units: words outside, numbers inside.

Units are read by UCUM's grammar (ucumvert on pint), never by pint's own parser, which
computes what it reads. A few words of the clinic are translated first: `day`, `IU`,
`mcg`, `1e9/L`, `mL/min/1.73m2`.
"""

import functools
import importlib.util
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtrial.errors import UnitError
from vtrial.sheets.synonyms import hint, meant

HOUR, MASS, SUBSTANCE = "h", "[mass]", "[substance]"
MAX_LENGTH = 60
COMMON = (
    *("h", "min", "s", "d", "wk", "a", "mg", "g", "ug", "ng", "pg", "kg"),
    *("mol", "mmol", "umol", "nmol", "pmol", "[IU]", "L", "mL", "dL", "uL"),
    *("m2", "m", "cm", "mm", "%", "1", "1/h", "1/d", "L/h", "L/d", "mL/min"),
    *("mg/L", "ug/L", "ng/mL", "ug/mL", "g/L", "g/dL", "mg/dL", "umol/L", "nmol/L"),
    *("mmol/L", "1e9/L", "mg/kg", "mg/m2", "mg/h", "kg/m2", "mmHg", "bpm", "cells/uL"),
)
_WORDS = {
    **dict.fromkeys(["hour", "hours", "hr", "hrs"], "h"),
    **dict.fromkeys(["minute", "minutes"], "min"),
    **dict.fromkeys(["second", "seconds", "sec"], "s"),
    **dict.fromkeys(["day", "days"], "d"),
    **dict.fromkeys(["week", "weeks"], "wk"),
    **dict.fromkeys(["month", "months"], "mo"),
    **dict.fromkeys(["year", "years", "y", "yr"], "a"),
    **dict.fromkeys(["cell", "cells", "copies", "count"], "{count}"),
    "mcg": "ug",
    "IU": "[IU]",
    "U": "[IU]",
    "mIU": "m[IU]",
    "mU": "m[IU]",
    "uIU": "u[IU]",
    "uU": "u[IU]",
    "kIU": "k[IU]",
    "mmHg": "mm[Hg]",
    "bpm": "/min",
    **{f"{prefix}l": f"{prefix}L" for prefix in ("", "d", "m", "u")},
    **{f"{prefix}M": f"({prefix}mol/L)" for prefix in ("", "m", "u", "n", "p")},
    "percent": "%",
}
_SIGNS = str.maketrans({"µ": "u", "μ": "u", "·": ".", "²": "2", "³": "3"})
_WORD = re.compile(r"\{[^}]*\}|\[[^\]]*\]|[A-Za-z]+")
_BRACKETS = ("[]", "{}", "()")
_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
NOT_A_UNIT = (ArithmeticError, AttributeError, ValueError, TypeError)
TABLE = Path(__file__).with_name("units.json")  # made by `python -m tests.unit_table`
_QUANTITY = re.compile(rf"\s*({_NUMBER})\s*(.*?)\s*", re.S)


@dataclass(frozen=True)
class Dimension:
    """Exponents of the base dimensions; empty is a pure number.

    Examples
    --------
    >>> dimension("mg/L") == dimension("ug") / dimension("mL")
    True
    """

    exponents: tuple[tuple[str, float], ...] = ()

    def __mul__(self, other: "Dimension") -> "Dimension":
        return self._joined(other, 1.0)

    def __truediv__(self, other: "Dimension") -> "Dimension":
        return self._joined(other, -1.0)

    def __pow__(self, power: float) -> "Dimension":
        return Dimension()._joined(self, power)

    def _joined(self, other: "Dimension", power: float) -> "Dimension":
        total = dict(self.exponents)
        for name, exponent in other.exponents:
            total[name] = round(total.get(name, 0.0) + power * exponent, 9)
        return Dimension(tuple(sorted((k, v) for k, v in total.items() if v)))

    def __str__(self) -> str:
        """Write the exponents: `[length]^3/[time]`."""
        above = [_raised(k, v) for k, v in self.exponents if v > 0]
        below = [_raised(k, -v) for k, v in self.exponents if v < 0]
        return "/".join(["*".join(above) or "1", *below])


def factor(unit: str, to: str, *, molar_mass: float = 0.0) -> float:
    """Return what a value in `unit` is multiplied by to be in `to`.

    With `molar_mass` [g/mol], masses and amounts of substance convert, too.

    Raises
    ------
    UnitError
        If either is no unit, or if their dimensions differ.

    Examples
    --------
    >>> factor("ug/mL", "mg/L")
    1.0
    >>> round(factor("mg", "umol", molar_mass=200.0), 9)
    5.0
    """
    if unit == to:
        return 1.0
    (size, kind), (target, wanted) = _read(unit), _read(to)
    if kind == wanted:
        return _rounded(size / target)
    gap = dict((wanted / kind).exponents)
    moles = gap.pop(SUBSTANCE, 0.0)
    if molar_mass > 0 and not gap.keys() - {MASS} and gap.get(MASS) == -moles != 0:
        grams_per_kilogram = 1000.0
        return _rounded(size / target * (grams_per_kilogram / molar_mass) ** moles)
    raise UnitError(
        at="the unit",
        found=f"`{unit}` ({kind})",
        allowed=f"one that converts to `{to}` ({wanted})",
        write="",
    )


def compatible(unit: str, to: str) -> bool:
    """Return whether two units have the same dimension."""
    return _read(unit)[1] == _read(to)[1]


def is_unit(text: str) -> bool:
    """Return whether a text is a unit."""
    try:
        _read(text)
    except UnitError:
        return False
    return True


def dimension(unit: str) -> Dimension:
    """Return the dimension of a unit.

    Raises
    ------
    UnitError
        If it is no unit.
    """
    return _read(unit)[1]


def size(unit: str) -> float:
    """Return how large a unit is in base units, for checks beside `dimension`.

    Raises
    ------
    UnitError
        If it is no unit.

    Examples
    --------
    >>> round(size("mg/L") / size("ug/L"), 9)
    1000.0
    """
    return _read(unit)[0]


def quantity(text: str) -> tuple[float, str]:
    """Part a number from its unit; a bare number has the unit 1.

    Raises
    ------
    UnitError
        If there is no number, or if what follows is no unit.

    Examples
    --------
    >>> quantity("60 mg/m2")
    (60.0, 'mg/m2')
    """
    found = _QUANTITY.fullmatch(text) if len(text) <= 4 * MAX_LENGTH else None
    if not found or math.isinf(float(found[1])):
        raise UnitError(
            at="the quantity",
            found=f"`{text[:MAX_LENGTH]}`",
            allowed="a number and a unit, such as 60 mg",
            write="",
        )
    unit = found[2] or "1"
    _read(unit)
    return float(found[1]), unit


def hours(text: str) -> float:
    """Return a duration in hours: `21 d` is 504.

    Raises
    ------
    UnitError
        If it is no duration. A month is 30.4375 d, a twelfth of a year of 365.25 d.

    Examples
    --------
    >>> hours("3 wk")
    504.0
    """
    value, unit = quantity(text)
    if _read(unit)[1] != _read(HOUR)[1]:
        raise UnitError(
            at="the duration",
            found=f"`{text}`",
            allowed="a number with min, h, d, wk, mo or a",
            write="",
        )
    return _rounded(value * factor(unit, HOUR))


@functools.lru_cache(4096)
def _read(unit: str) -> tuple[float, Dimension]:
    """Return the size of a unit in base units, and its dimension."""
    code = translated(unit)
    known = _table().get(code)
    if known is not None:
        size, exponents = known
        return size, Dimension(tuple(exponents.items()))
    if re.fullmatch(r"1|\{[^}]*\}", code):
        return 1.0, Dimension()
    if not _is_spelt(code):
        raise _no_unit(unit)
    try:
        return computed(code)
    except NOT_A_UNIT as error:
        raise _no_unit(unit) from error


def _is_spelt(code: str) -> bool:
    """Return whether UCUM's grammar reads a code: only then is a registry made."""
    from lark.exceptions import LarkError

    try:
        _grammar().parse(code)
    except LarkError:
        return False
    return True


@functools.cache
def _grammar() -> Any:
    """Read the grammar that ucumvert parses by, without pint, which takes a second."""
    from lark import Lark

    found = importlib.util.find_spec("ucumvert")
    assert found is not None, "it is installed with vtrial"
    assert found.origin is not None, "it is a package of files"
    text = (Path(found.origin).parent / "ucum_grammar.lark").read_text("utf-8")
    return Lark(text, start="main_term", strict=True)


@functools.cache
def _table() -> dict[str, Any]:
    """Read what usual units are: making the registry takes a second or two."""
    return json.loads(TABLE.read_text(encoding="utf-8"))


def computed(code: str) -> tuple[float, Dimension]:
    """Return the size of a unit in base units, and its dimension, of its UCUM code.

    Raises one of `NOT_A_UNIT` if it is none.
    """
    from lark.exceptions import LarkError
    from pint.errors import PintError

    try:
        base = (1 * _registry().from_ucum(code)).to_base_units()
        kind = sorted((str(k), float(v)) for k, v in base.dimensionality.items())
    except (LarkError, PintError) as error:
        raise ValueError(code) from error
    return _rounded(float(base.magnitude)), Dimension(tuple(kind))


def translated(unit: str) -> str:
    """Write a unit as UCUM does, refusing stray numbers and brackets left open.

    What is refused here needs no registry, which takes a second or two to be made.
    """
    text = unit.strip().translate(_SIGNS)
    paired = all(text.count(left) == text.count(right) for left, right in _BRACKETS)
    if not text or len(text) > MAX_LENGTH or not paired:
        raise _no_unit(unit)
    text = re.sub(r"/\s*1\.73\s*m\^?2", "/{1.73_m2}", text)
    text = re.sub(r"(?:\b1\s*)?[x×]?\s*(?<!\d)10\^(\d+)", r"10*\1", text)
    text = re.sub(r"\b1[eE]\+?(\d+)", r"10*\1", text)
    text = re.sub(r"([A-Za-z\])])\^(-?\d)", r"\1\2", text)
    text = re.sub(r"(?<!\b10)\s*\*\s*", ".", text)
    text = re.sub(r"\s*([./])\s*", r"\1", text)
    text = _WORD.sub(lambda word: _WORDS.get(word[0], word[0]), text)
    bare = re.sub(r"\{[^}]*\}|10\*-?\d+|[A-Za-z\])]-?\d+", "", text)
    if re.search(r"\d", re.sub(r"^1(?=$|[/.])", "", bare)) or " " in text:
        raise _no_unit(unit)
    # A power of many digits would be computed in full: 10*999999999 never ends.
    if re.search(r"\d{3}", re.sub(r"\{[^}]*\}", "", text)):
        raise _no_unit(unit)
    return text


@functools.cache
def _registry() -> Any:
    from ucumvert import PintUcumRegistry

    return PintUcumRegistry()


def no_unit(unit: str) -> tuple[str, str]:
    """Return what may stand for a text that is no unit, and which one it spells out.

    Slips are not mended: one letter makes another unit of most.
    """
    from vtrial.sheets.words import alike, listed

    allowed = hint("unit", unit)
    if not allowed:
        usual = ("h", "d", "mg", "umol", "L/h", "mg/L", "1e9/L", "%")
        near = alike(COMMON, unit)[:4]
        allowed = f"a unit such as {listed(dict.fromkeys([*near, *usual]))}"
    return allowed, _meant(unit)


def _no_unit(unit: str) -> UnitError:
    """Describe a text that is not a unit."""
    allowed, write = no_unit(unit)
    found = f"`{unit[:MAX_LENGTH]}`"
    return UnitError(at="the unit", found=found, allowed=allowed, write=write)


def _meant(unit: str) -> str:
    """Write a unit in letters that is spelt out, as `milligrams per litre`; else ""."""
    text = re.sub(r"\s+per\s+", "/", unit.strip()[:MAX_LENGTH])
    parts = [meant("unit", part) or part for part in text.split("/")]
    other = "/".join(part.strip() for part in parts)
    return other if other != unit and is_unit(other) else ""


def _rounded(value: float) -> float:
    """Drop the last bits, if a short number stands there without them.

    They differ from process to process, as pint goes through its definitions.
    """
    short = float(f"{value:.12g}")
    return short if abs(short - value) <= 2e-15 * abs(value) else value


def _raised(name: str, power: float) -> str:
    return name if power == 1 else f"{name}^{power:g}"

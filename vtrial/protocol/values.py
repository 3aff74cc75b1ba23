"""Numbers with or without a unit, brought to the unit in which they are used."""

import re

from vtrial.errors import ProtocolError, UnitError
from vtrial.sheets.csv_number import explain_number
from vtrial.sheets.synonyms import hint
from vtrial.sheets.validate import said
from vtrial.units import factor, quantity

LEAST = 10  # a number from which on it must be a percentage, were it a share
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(?![\d,.])")
_SIGNS = {
    "%": ("pct", "per cent", "percent"),
    "pp": (
        "percentage points",
        "percentage point",
        "points",
        "ppt",
        "p.p.",
        "%-points",
    ),
}


def number_in(value: float | str, unit: str, *, molar_mass: float = 0.0) -> float:
    """Return a value in `unit`; a number alone is in that unit already.

    Raises
    ------
    ProtocolError
        If a text holds no number, or a unit that does not convert.

    Examples
    --------
    >>> number_in("500 ug/L", "mg/L"), number_in(0.5, "1e9/L")
    (0.5, 0.5)
    """
    if not isinstance(value, str):
        return float(value)
    try:
        number, given = quantity(value)
        bare = given == "1" and unit != "1" and value.strip().split()[-1] != "1"
        return number if bare else number * factor(given, unit, molar_mass=molar_mass)
    except UnitError as error:
        raise _wrong(value, unit) from error


def share_in(value: float | str) -> float:
    """Return a share as a fraction from `75.4 %` or `0.754`.

    Raises
    ------
    ProtocolError
        If it is neither.

    Examples
    --------
    >>> share_in("75.4 %")
    0.754
    """
    fraction = difference_in(value)
    if not 0 <= fraction <= 1:
        raise ProtocolError(
            at="the share",
            found=f"`{value}`",
            allowed="a share from 0 to 100 %",
            write=f"{value} %" if LEAST <= fraction <= 100 else "",
        )
    return fraction


def difference_in(value: float | str) -> float:
    """Return a difference of shares as a fraction from `5 pp`, `5 %` or `0.05`.

    Raises
    ------
    ProtocolError
        If it is none of these.
    """
    if not isinstance(value, str):
        return float(value)
    text = value.strip()
    if text.endswith("pp"):
        text = text.removesuffix("pp").rstrip() + " %"
    try:
        number, given = quantity(text)
        hundredths = 100.0 if given == "%" else factor("1", given)
    except UnitError as error:
        raise ProtocolError(
            at="the share",
            found=f"`{value}`",
            allowed="a fraction, or a number with % (or pp, for differences)",
            write=_in_signs(text),
        ) from error
    return number / hundredths


def effect_in(value: float | str, unit: str) -> float:
    """Return an effect in `unit`; percentages differ by points, which may be `pp`.

    Examples
    --------
    >>> effect_in("-3 pp", "%"), effect_in("500 ug/L", "mg/L")
    (-3.0, 0.5)
    """
    text = value.strip() if isinstance(value, str) else value
    if unit == "%" and isinstance(text, str) and text.endswith("pp"):
        text = text.removesuffix("pp") + "%"
    return number_in(text, unit)


def _wrong(value: str, unit: str) -> ProtocolError:
    """Describe a value whose unit does not fit; no unit is put in its place."""
    what = f"a number, or a number with a unit that converts to {unit}"
    allowed, write = f"{what}, such as `1.5 {unit}`" if unit != "1" else "a number", ""
    try:
        quantity(value)
    except UnitError as error:
        if not _NUMBER.match(value.strip()):
            told, write = explain_number(value.strip())
            allowed = allowed if told.endswith("such as 1.5") else told
        elif error.faults[0].at == "the unit":
            fault, number = error.faults[0], value.split()[0]
            near = hint("unit", fault.found.strip("`"))
            allowed = near or allowed
            write = f"{number} {fault.write}" if fault.write else ""
    return ProtocolError(
        at="the value", found=said(value), allowed=allowed, write=write
    )


def _in_signs(text: str) -> str:
    """Write `5 percentage points` with the sign that means it; "" if it is none."""
    found = re.fullmatch(r"([+-]?[\d.]+)\s*(.*)", text)
    words = found[2].strip().lower() if found else ""
    for sign, meant in _SIGNS.items():
        if found and words in meant:
            return f"{found[1]} {sign}"
    return ""

"""Numbers in the cells of a table: what is one, what is missing, and what is neither.

A remedy never changes a magnitude: where a comma may part thousands or decimals, both
readings are told; a number with a unit is converted to the one that its column is in.
"""

import math
import re
from collections.abc import Callable, Iterable

from vtrial.errors import UnitError
from vtrial.sheets.csv_text import NUMBER
from vtrial.units import factor

MISSING = frozenset(("", ".", "-", "na", "n/a", "#n/a", "nan", "null"))
MISSING_WORDS = "`.`, `-`, `NA`, `N/A`, `#N/A`, `NaN`, `NULL` or an empty cell"

_GAPS = " '\u2019\u00a0\u2009\u202f"  # that part thousands
_SIGN, _POWER = r"([+-]?)", r"([eE][+-]?\d+)?"
_COMMA = re.compile(rf"[+-]?\d*,\d+{_POWER}", re.ASCII)
_EITHER = re.compile(rf"{_SIGN}([1-9]\d{{0,2}}),(\d{{3}})", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}((,\d{3})+\.\d+|(,\d{3}){2,})", re.ASCII)
_POINTS = re.compile(r"[+-]?[1-9]\d{0,2}((\.\d{3})+,\d+|(\.\d{3}){2,})", re.ASCII)
_SPACED = re.compile(rf"[+-]?[1-9]\d{{0,2}}([{_GAPS}]\d{{3}})+([.,]\d+)?")
_LIMIT = re.compile(r"[<>≤≥]=?\s*[\d.,]+|[BA]LQ|[BA]QL|L?LOQ", re.IGNORECASE)
_WITH_UNIT = re.compile(
    rf"([+-]?(?:\d+\.?\d*|\.\d+){_POWER})\s*([^\s\d.,].*)", re.ASCII
)
_MINUS = str.maketrans("\u2212\u2013\u2014", "---")


def is_missing(text: str) -> bool:
    """Return whether a cell marks a missing value.

    Examples
    --------
    >>> is_missing("N/A"), is_missing("-"), is_missing("0"), is_missing("BLQ")
    (True, True, False, False)
    """
    return text.casefold() in MISSING


def has_decimal_comma(texts: Iterable[str]) -> bool:
    """Return whether any cell is, beyond doubt, a number with a decimal comma.

    Examples
    --------
    >>> has_decimal_comma(["1", "1,5"]), has_decimal_comma(["1,000"])
    (True, False)
    """
    return any(_COMMA.fullmatch(t) and not _EITHER.fullmatch(t) for t in texts)


def read_number(text: str, *, comma: bool = False) -> float:
    """Return the number that a cell holds, NaN if it holds none.

    `comma`: decimals stand behind a comma in this table, and not behind a point.

    Examples
    --------
    >>> read_number("2E2"), read_number("1,5", comma=True), read_number("1.5 mg")
    (200.0, 1.5, nan)
    """
    if comma:
        if "." in text:
            return math.nan
        text = text.replace(",", ".")
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    return value if math.isfinite(value) else math.nan


def explain_number(
    text: str, *, unit: str = "", comma: bool = False
) -> tuple[str, str]:
    """Return what is allowed in a cell that holds no number, and what to write.

    Examples
    --------
    >>> explain_number("1,5")
    ('a number, with a point before its decimals', '1.5')
    >>> explain_number("0.2 g", unit="mg")
    ('a number alone, in mg', '200')
    >>> explain_number("1,000")
    ('1000 if the comma parts thousands, 1.000 if it parts decimals', '')
    """

    def told(number: str) -> str:
        return number.replace(".", ",") if comma else number

    plain = text.translate(_MINUS)
    if comma and NUMBER.fullmatch(text):
        return _with_point(text)
    if found := _EITHER.fullmatch(plain):
        sign, left, right = found.groups()
        thousands = f"{sign}{left}{right} if the comma parts thousands"
        decimals = f"{sign}{left}.{right} if it parts decimals"
        return f"{thousands}, {decimals}", ""
    for pattern, change in _PLAINLY:
        if pattern.fullmatch(plain):
            mark = "comma" if comma else "point"
            return f"a number, with a {mark} before its decimals", told(change(plain))
    if _LIMIT.fullmatch(plain):
        return f"a number, or missing: {MISSING_WORDS}", ""
    if NUMBER.fullmatch(plain):
        return "a finite number, with a minus sign or none before it", (
            plain if math.isfinite(float(plain)) else ""
        )
    if found := _WITH_UNIT.fullmatch(plain):
        allowed, write = _without_unit(found[1], found[3], unit)
        return allowed, told(write)
    return "a number, such as 1.5", ""


def _with_point(text: str) -> tuple[str, str]:
    """Return what a point may mean in a table with decimal commas."""
    allowed = "a number, with a comma before its decimals as elsewhere in the table"
    decimals = text.replace(".", ",")
    if not _EITHER.fullmatch(decimals):
        return allowed, decimals
    thousands = text.replace(".", "")
    both = f"{decimals} if the point parts decimals, {thousands} if it parts thousands"
    return f"a number with a decimal comma, as elsewhere: {both}", ""


def _without_unit(number: str, given: str, unit: str) -> tuple[str, str]:
    """Convert a number to the unit that its column is in, if one is known."""
    try:
        value = float(number) * factor(given, unit) if unit else math.nan
    except UnitError:
        value = math.nan
    if math.isfinite(value):
        return f"a number alone, in {unit}", f"{value:.12g}"
    inside = f", in {unit}" if unit else ": its unit stands in the sheet"
    return f"a number alone{inside}", ""


def _without(marks: str) -> Callable[[str], str]:
    """Return what takes some marks out of a number, and makes a point of a comma."""
    table = str.maketrans("", "", marks)
    return lambda text: text.translate(table).replace(",", ".")


_PLAINLY = (
    (_THOUSANDS, _without(",")),
    (_POINTS, _without(".")),
    (_SPACED, _without(_GAPS)),
    (_COMMA, _without("")),
)

"""Numbers, units, times and links as a reader expects them."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, SupportsFloat

from vtrial.analysis.estimates import settled

Kind = Literal["plain", "share", "points"]

MISSING = "–"
_ROUNDING = 1e-12  # of the other end of an interval
_SCALE: dict[Kind, float] = {"plain": 1.0, "share": 100.0, "points": 100.0}
_SUFFIX: dict[Kind, str] = {"plain": "", "share": "\u202f%", "points": "\u202fpp"}
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_HOURS = {"h": 1.0, "d": 24.0, "wk": 168.0, "a": 8766.0}
_NAMES = {"h": "hour", "d": "day", "wk": "week"}
_AXES = {"h": "h", "d": "days", "wk": "weeks", "a": "years"}
_STEPS = {  # where people look for ticks
    "h": (0.25, 0.5, 1, 2, 3, 4, 6, 12, 24, 48, 72, 168, 336, 672),
    "d": (0.5, 1, 2, 7, 14, 21, 28, 56, 84, 168, 364, 728),
    "wk": (0.5, 1, 2, 4, 8, 12, 26, 52, 104),
    "a": (1, 2, 5, 10, 20),
}
_SAFE_LINK = re.compile(r"https?://[^\s\"'<>]+")


class Clock(NamedTuple):
    """How a time axis is drawn: hours in a unit, its name, and where ticks go."""

    hours: float
    name: str
    step: float


def subject_words(unit: str, many: SupportsFloat = 1) -> str:
    """Return what a subject is called, one or several, by a model's `unit`.

    Examples
    --------
    >>> subject_words(""), subject_words("machine", 3)
    ('subject', 'machines')
    """
    return f"{unit or 'subject'}{'s'[: float(many) != 1]}"


def number(value: float, digits: int = 3) -> str:
    """Write a number with significant digits; powers of ten where they are clearer.

    Examples
    --------
    >>> number(0.0123456), number(1234567.0), number(2.5e-7), number(float("nan"))
    ('0.0123', '1,234,567', '2.5 × 10⁻⁷', '–')
    """
    if not math.isfinite(value):
        return MISSING if math.isnan(value) else ("∞" if value > 0 else "−∞")
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if -4 <= size < 9:
        return fixed(value, max(0, digits - 1 - size), trim=True)
    head = f"{value / 10.0**size:.{digits - 1}f}".rstrip("0").rstrip(".")
    return f"{head} × 10{str(size).translate(_RAISED)}".replace("-", "−")


def fixed(value: float, decimals: int, *, trim: bool = False) -> str:
    """Write a number with a fixed count of decimals and a true minus sign."""
    if not math.isfinite(value):
        return number(value)
    text = f"{value:,.{decimals}f}"
    if trim and "." in text:
        text = text.rstrip("0").rstrip(".")
    if not text.strip("-0.,"):
        text = text.lstrip("-")
    return text.replace("-", "−")


def count(value: SupportsFloat) -> str:
    """Write a count; a mean of counts keeps one decimal."""
    number = float(value)
    whole = not math.isfinite(number) or number.is_integer()
    return fixed(number, 0 if whole else 1)


def decimals(value: float, error: float, kind: Kind = "plain") -> int:
    """Return how many decimals a value deserves whose Monte Carlo error is `error`.

    The last of them is where the error begins, but no more than four digits of the
    value, and of shares in per cent and of points one decimal. Without an error three
    digits, or that one decimal.

    Examples
    --------
    >>> decimals(12.3456, 0.52), decimals(0.7543, 0.0009, "share")
    (1, 1)
    >>> decimals(0.7543, 0.036, "share")
    0
    """
    if not math.isfinite(value):
        return 0
    value, error = abs(value) * _SCALE[kind], abs(error) * _SCALE[kind]
    size = math.floor(math.log10(value)) if value else 0
    most = 3 - size if kind == "plain" else 1
    wanted = 2 - size if kind == "plain" else 1
    if math.isfinite(error) and error > 0:
        wanted = -math.floor(math.log10(error) + 1e-9)
        known = kind != "plain" or 0 < error <= value
        wanted = min(wanted, most) if known else wanted
    return max(0, min(wanted, 12))


def amount(value: float, error: float, kind: Kind = "plain", unit: str = "") -> str:
    r"""Write a value with what its Monte Carlo error allows, and its unit.

    Examples
    --------
    >>> amount(1.03e-16, 0.0, "plain", "%"), amount(2e-7, 0.05, "plain", "h")
    ('0.00\u202f%', '0.00\u202fh')
    >>> amount(0.7543, 0.004, "share"), amount(12.3456, 0.5, "plain", "mg/L")
    ('75.4\u202f%', '12.3\u202fmg/L')
    """
    if not math.isfinite(value):
        return number(value)
    value = settled(value, kind, unit)
    known = abs(error) if math.isfinite(error) else 0.0
    if kind == "plain" and _extreme(max(abs(value), known)):
        text = number(value)
    else:
        text = fixed(value * _SCALE[kind], decimals(value, error, kind))
    return text + suffix(kind, unit)


def as_given(value: float, kind: Kind = "plain", unit: str = "") -> str:
    r"""Write a number of a sheet as it stands there, and its unit.

    Examples
    --------
    >>> as_given(0.754, "share"), as_given(-3.1, "plain", "%")
    ('75.4\u202f%', '−3.1\u202f%')
    """
    if kind != "plain":
        return amount(value, math.nan, kind)
    return number(value, 6) + suffix(kind, unit)


def error_words(error: float, kind: Kind = "plain", unit: str = "1") -> str:
    """Write an error with two digits; of a percentage it is in points (pp)."""
    points = kind != "plain" or unit == "%"
    after = _SUFFIX["points"] if points else suffix(kind, unit)
    return number(settled(error, kind, unit) * _SCALE[kind], 2) + after


def suffix(kind: Kind, unit: str = "") -> str:
    """Return what follows a number of this kind: a narrow space and a unit."""
    if kind != "plain":
        return _SUFFIX[kind]
    words = unit_words(unit)
    if words.startswith("10"):
        return f" × {words}"
    return f"\u202f{words}" if words else ""


def interval(
    low: float,
    high: float,
    kind: Kind = "plain",
    unit: str = "",
    *,
    error: float = math.nan,
) -> str:
    r"""Write an interval; an end that is rounding beside the other is 0.

    `error` is the Monte Carlo error of what it is around; without one, the ends have
    two digits of half its width.

    Examples
    --------
    >>> interval(0.712, 0.796, "share"), interval(2e-17, 4.2, "plain", "h")
    ('71.2 to 79.6\u202f%', '0.0 to 4.2\u202fh')
    >>> interval(0.712, 0.796, "share", error=0.02)
    '71 to 80\u202f%'
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return MISSING
    least = _ROUNDING * max(abs(low), abs(high))
    low, high = (
        0.0 if abs(end) < least else settled(end, kind, unit) for end in (low, high)
    )
    known = math.isfinite(error) and error > 0
    error = error if known else (high - low) / 20
    if kind == "plain" and (_extreme(low) or _extreme(high)):
        return f"{number(low)} to {number(high)}{suffix(kind, unit)}"
    places = max(decimals(low, error, kind), decimals(high, error, kind))
    if kind == "plain" and high > 0:
        places = decimals(high, error, kind)
    ends = (fixed(end * _SCALE[kind], places) for end in (low, high))
    return " to ".join(ends) + suffix(kind, unit)


def _extreme(value: float) -> bool:
    """Return whether a number needs a power of ten."""
    return value != 0 and math.isfinite(value) and not 1e-4 <= abs(value) < 1e9


def unit_words(unit: str) -> str:
    """Write a unit as print does; nothing for a pure number.

    Examples
    --------
    >>> unit_words("1e9/L"), unit_words("umol/L"), unit_words("mL/min/1.73m2")
    ('10⁹/L', 'µmol/L', 'mL/min/1.73 m²')
    >>> unit_words("1")
    ''
    """
    if unit in {"", "1"}:
        return ""
    text = re.sub(
        r"\b1e(-?\d+)", lambda found: "10" + found[1].translate(_RAISED), unit
    )
    text = re.sub(r"(?<=[a-zA-Z])([23])\b", lambda f: f[1].translate(_RAISED), text)
    text = re.sub(r"\bu(?=(g|mol|L|M|m|U)\b)", "µ", text)
    text = re.sub(r"(?<=\d)(?=m[²³])", " ", text)
    return re.sub(r"\*|(?<=[^\d])\.(?=[a-zA-Z])", "·", text)


def duration(hours: float, unit: str = "") -> str:
    """Write a time [h] in the unit that a sheet counts in if it fits, or that suits it.

    Examples
    --------
    >>> duration(1.5), duration(36.0), duration(504.0), duration(8736.0)
    ('1.5 h', '36 h', '21 d', '52 wk')
    >>> duration(504.0, "wk"), duration(36.0, "wk")
    ('3 wk', '36 h')
    """
    if not math.isfinite(hours):
        return number(hours)
    size = abs(hours)
    if unit and size >= _HOURS[unit] and size % (_HOURS[unit] / 2) == 0:
        return f"{number(hours / _HOURS[unit], 6)} {unit}"
    unit = "h"
    if size >= 48 and (size % 24 == 0 or size >= 240):
        unit = "wk" if size > 140 * 24 and size % 168 == 0 else "d"
    return f"{number(hours / _HOURS[unit], 4)} {unit}"


def moments(times: Sequence[float], most: int = 16, unit: str = "") -> str:
    """List times [h] in one unit, runs of equal steps told as such.

    `unit` is the one that a sheet counts in (`h`, `d` or `wk`), if all times fit it.

    Examples
    --------
    >>> moments([0.0, 168.0, 336.0])
    'day 0, 7 and 14'
    >>> moments([0.5, 1.0, 2.0])
    '0.5, 1 and 2 h'
    >>> moments([24.0 * day for day in range(0, 100, 2)])
    'day 0 to 98, every 2 d (50 times)'
    >>> moments([0.0, 11424.0], unit="wk")
    'week 0 and 68'
    """
    if not times:
        return "never"
    unit = _counted_in(times, unit)
    lead = f"{_NAMES[unit]} " if unit != "h" else ""
    tail, per = "" if lead else " h", _HOURS[unit]
    words = [number(time / per, 6) for time in times]
    steps = {round(b - a, 9) for a, b in zip(times, times[1:], strict=False)}
    if len(words) > 4 and len(steps) == 1:
        every = f"every {duration(steps.pop(), unit)} ({len(words)} times)"
        return f"{lead}{words[0]} to {words[-1]}{tail}, {every}"
    if len(words) > most:
        kept = ", ".join(words[: most - 2])
        return f"{lead}{kept} … {words[-1]}{tail} ({len(words)} times)"
    return lead + listing(words) + tail


def _counted_in(times: Sequence[float], unit: str) -> str:
    """Choose the unit that times [h] are told in."""
    if unit and all(time % (_HOURS[unit] / 2) == 0 for time in times):
        return unit
    days = max(times) > 48 and all(time % 12 == 0 for time in times)
    return "d" if days else "h"


def capital(text: str) -> str:
    """Begin a sentence.

    Examples
    --------
    >>> capital("grade 4"), capital("ANC")
    ('Grade 4', 'ANC')
    """
    return text[:1].upper() + text[1:]


def listing(words: Iterable[str]) -> str:
    """List words: `a, b and c`."""
    words = list(words)
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


def clock(hours: float, unit: str = "") -> Clock:
    """Choose the unit and the ticks of a time axis that spans some hours.

    That is the unit which a sheet counts in (`h`, `d` or `wk`), if the span has three
    of them. Otherwise hours up to 48 h, days up to 20 weeks, weeks up to 4 years, then
    years.
    """
    if not unit or hours < 3 * _HOURS[unit]:
        limits = {"h": 48.0, "d": 20 * 168.0, "wk": 209 * 168.0}
        unit = next((name for name, most in limits.items() if hours <= most), "a")
    span = hours / _HOURS[unit]
    steps = _STEPS[unit]
    step = next((step for step in steps if span / step <= 8), steps[-1])
    return Clock(_HOURS[unit], _AXES[unit], float(step))


def link(doi: str, url: str = "") -> str:
    """Return a web address for a citation, or nothing if there is no safe one.

    Examples
    --------
    >>> link("10.1000/182"), link("", "javascript:alert(1)")
    ('https://doi.org/10.1000/182', '')
    """
    address = f"https://doi.org/{doi.removeprefix('https://doi.org/')}" if doi else url
    return address if _SAFE_LINK.fullmatch(address) else ""


def slug(text: str) -> str:
    """Make a file's name of words: letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "x"

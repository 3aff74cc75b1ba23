"""Time words: `day 7`, `144 h`, `cycle 2`, `day 4 to day 5`, `every 21 d x 6`.

Everything is in hours from the start of the trial, which is hour 0 and day 0. A cycle
is the time from one dose to the next, a month 30.4375 d.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from vtrial.errors import ProtocolError, UnitError
from vtrial.sheets.synonyms import hint
from vtrial.sheets.words import nearest
from vtrial.units import hours

MAX_TEXT = 4_000
MAX_TIMES = 20_000
MAX_HOURS = 1e7
WORDS = {"hour": 1.0, "day": 24.0, "week": 168.0, "month": 730.5}
SUCH = "a time: `day 7`, `week 12`, `144 h`"
_PLURAL = {
    **{"days": "day", "weeks": "week", "hours": "hour", "months": "month"},
    "cycles": "cycle",
}
_NUMBER = r"\d+(?:\.\d+)?"
_WORDED = re.compile(rf"([A-Za-z]+)\s+(-?{_NUMBER})")
_MENTIONED = re.compile(r"\b(week|day|hour)\s+-?\d|\d\s*(wk|d|h|min)\b")
_COUNTS = {"week": "wk", "wk": "wk", "day": "d", "d": "d"}
_TIMED = {"at", "within", "baseline", "repeat", "until", "every"}
_SHIFT = re.compile(r"\s+([+-])\s+")
_REPEAT = re.compile(r"every\s+(.+?)\s+(?:x\s*(\d+)|until\s+(.+))", re.S)


class Span(NamedTuple):
    """When an endpoint looks [h]: from `start` to `end`, and at the baseline."""

    start: float
    end: float
    baseline: float


def unit_of(data: Mapping[str, object]) -> str:
    """Return the unit that a sheet counts time in: `h`, `d`, `wk`, or nothing.

    It is the one that most times of visits and endpoints are in, or, where these
    have none, those of the grid.

    Examples
    --------
    >>> unit_of({"endpoints": {"loss": {"at": "week 68"}}, "grid": {"every": "4 d"}})
    'wk'
    """
    for parts in (("visits", "endpoints"), ("grid",)):
        words = [word for part in parts for word in _timed(data.get(part))]
        named = ([a or b for a, b in _MENTIONED.findall(word)] for word in words)
        units = [u for one in named for u in {_COUNTS.get(u, "h"): 0 for u in one}]
        if units:
            return max(dict.fromkeys(units), key=units.count)
    return ""


def _timed(entry: object, *, here: bool = False) -> Iterator[str]:
    """Give the texts of a part of a sheet that stand where it says a time."""
    if isinstance(entry, str) and here:
        yield entry
    elif isinstance(entry, Mapping):
        for key, value in entry.items():
            yield from _timed(value, here=here or key in _TIMED)
    elif isinstance(entry, list | tuple):
        for value in entry:
            yield from _timed(value, here=here)


def duration(text: str) -> float:
    """Return a positive duration in hours.

    Raises
    ------
    ProtocolError
        If it is none.

    Examples
    --------
    >>> duration("2 d")
    48.0
    """
    try:
        value = hours(text)
    except UnitError as error:
        bare = re.fullmatch(_NUMBER, text.strip())
        unit = re.sub(rf"^\s*{_NUMBER}\s*", "", text).strip()
        near = hint("unit", unit) or hint("unit", text.strip())
        allowed = (
            near or "a duration: a number with min, h, d, wk, mo or a, such as `24 h`"
        )
        found = f"`{text[:60]}`" + (", without a unit" if bare else "")
        raise _wrong(found, allowed, text.strip()) from error
    if not 0 < value <= MAX_HOURS:
        raise _wrong(f"`{text[:60]}`", "longer than 0 h, and no aeon", text.strip())
    return value


def moment(text: str, *, cycle: float = 0.0, early: bool = False) -> float:
    """Return a time in hours from the start: `day 7`, `144 h`, `cycle 2 + 7 d`.

    `cycle` is the length of a cycle [h]; 0 if the trial has none, NaN if it is not
    known, and then what is counted in cycles is NaN. `early` lets it lie before the
    start, when nobody is treated yet: `day -7`.

    Raises
    ------
    ProtocolError
        If it is no time, or lies before the start where nothing is early.

    Examples
    --------
    >>> moment("day 7"), moment("cycle 2 + 3 d", cycle=504.0)
    (168.0, 576.0)
    """
    _bound(text)
    first, *shifts = _SHIFT.split(text.strip())
    value = _start(first, text, cycle)
    for sign, length in zip(shifts[::2], shifts[1::2], strict=True):
        value += duration(length) * (1 if sign == "+" else -1)
    if (value < 0 and not early) or abs(value) > MAX_HOURS:
        allowed = "at or after the start of the trial, day 0"
        allowed = "within a thousand years of the start" if early else allowed
        raise _wrong(f"`{text}`", allowed, text.strip())
    return value


def moments(
    words: Sequence[str], *, cycle: float = 0.0, early: bool = False
) -> tuple[float, ...]:
    """Return the times of a list, or of texts with commas; sorted, each once.

    Raises
    ------
    ProtocolError
        With every part that is no time.

    Examples
    --------
    >>> moments(["day 0, day 7"])
    (0.0, 168.0)
    """
    _bound(*words)
    parts = [part.strip() for text in words for part in text.split(",")]
    values, faults = set(), []
    for part in parts:
        try:
            values.add(moment(part, cycle=cycle, early=early))
        except ProtocolError as error:
            faults += error.faults
    if faults:
        raise ProtocolError.of(faults)
    return tuple(sorted(values))


def span(text: str, *, cycle: float = 0.0, early: bool = False) -> tuple[float, float]:
    """Return start and end [h] of `day 4 to day 5`, `cycle 1` or `cycle 1 to cycle 2`.

    A cycle ends where the next begins, and both ends belong to a span.

    Raises
    ------
    ProtocolError
        If it is no span, or ends before it starts.

    Examples
    --------
    >>> span("day 4 to day 5"), span("cycle 2", cycle=504.0)
    ((96.0, 120.0), (504.0, 1008.0))
    """
    _bound(text)
    ends = re.split(r"\s+to\s+", text.strip())
    if len(ends) > 2 or (len(ends) == 1 and not text.strip().startswith("cycle ")):
        raise _wrong(
            f"`{text[:60]}`", "a span such as `day 4 to day 5`", text, _spanned(text)
        )
    start, end = (moment(ends[i], cycle=cycle, early=early) for i in (0, -1))
    if ends[-1].startswith("cycle ") and not _SHIFT.search(ends[-1]):
        end += cycle
    if end < start:
        back = f"{ends[1]} to {ends[0]}"
        allowed = "from the earlier to the later time"
        raise _wrong(f"`{text}`, backwards", allowed, text, back)
    return start, end


def spread(
    times: Sequence[float], repeat: str, *, cycle: float = 0.0
) -> tuple[float, ...]:
    """Repeat times: `every 21 d x 6` or `every 7 d until day 84`; sorted, each once.

    Raises
    ------
    ProtocolError
        If the words are no repeat, or give too many times.

    Examples
    --------
    >>> spread([0.0, 12.0], "every 24 h x 2")
    (0.0, 12.0, 24.0, 36.0)
    """
    _bound(repeat)
    found = _REPEAT.fullmatch(repeat.strip())
    if not found:
        words = re.sub(r"\s+times\s+", " x ", repeat.strip())
        write = words if _REPEAT.fullmatch(words) else ""
        allowed = "`every ... x ...` or `every ... until ...`, such as `every 21 d x 6`"
        raise _wrong(f"`{repeat[:60]}`", allowed, repeat, write)
    every = duration(found[1])
    last = moment(found[3], cycle=cycle) if found[3] else math.inf
    most = int((last - min(times)) / every + 1e-9) + 1 if found[3] else int(found[2])
    if most < 1 or most * len(times) > MAX_TIMES:
        raise _wrong(
            f"`{repeat[:60]}`, {max(most, 0) * len(times)} times",
            f"at least 1 and at most {MAX_TIMES} times",
            repeat,
        )
    shifted = {time + every * turn for turn in range(most) for time in times}
    slack = 1e-9 * every
    return tuple(sorted(time for time in shifted if time <= last + slack))


def _start(word: str, text: str, cycle: float) -> float:
    """Return the time that a moment starts from, without what is added to it."""
    found = _WORDED.fullmatch(word)
    if not found:
        inside = re.fullmatch(r"cycle\s+(\d+),?\s+day\s+(\d+)", word)
        if inside:
            raise _wrong(
                f"`{text}`",
                "counted from the cycle's dose, whose day is 0",
                text,
                f"cycle {inside[1]} + {max(int(inside[2]) - 1, 0)} d",
            )
        joined = re.fullmatch(r"([A-Za-z]+)(\d+)", word)
        if joined and joined[1].lower() in (*WORDS, "cycle"):
            write = f"{joined[1].lower()} {joined[2]}"
            raise _wrong(f"`{text[:60]}`", SUCH, text, write)
        return _bare(word, text)
    name, number = found[1], float(found[2])
    if name in WORDS:
        return number * WORDS[name]
    if name != "cycle":
        near = nearest(name, [*WORDS, "cycle"]) or _PLURAL.get(name.lower(), "")
        write = f"{near} {found[2]}" if near and word == text.strip() else ""
        allowed = hint("unit", name) or SUCH
        raise _wrong(f"`{text[:60]}`", allowed, text.strip(), write)
    if cycle <= 0:
        raise _wrong(
            f"`{text}`, but there are no cycles",
            "a time in days, unless every arm is dosed at the same interval",
            text,
        )
    if number < 1 or number != int(number):
        raise _wrong(f"`{text}`", "a whole number of the cycle, from 1", text)
    return (number - 1) * cycle


def _bare(word: str, text: str) -> float:
    """Return a time that is written as a number of hours, days or weeks."""
    if re.fullmatch(r"0(\.0*)?\s+\S+", word):
        return 0.0 * duration(re.sub(r"^\S+", "1", word))
    if re.fullmatch(_NUMBER, word):
        allowed = f"a time with its unit: `{word} h` or `day {word}`"
        raise _wrong(f"`{text}`, without a unit", allowed, text)
    try:
        return duration(word)
    except ProtocolError as error:
        told = error.faults[0].allowed
        allowed = SUCH if told.startswith("a duration") else told
        if re.match(r"(\d\S*|\S+ \d+)\s+(and|to)\s", word):
            allowed += "; several are parted by commas"
        found = f"`{text[:60]}`" if text else "empty"
        raise _wrong(found, allowed, text.strip()) from error


def _bound(*texts: str) -> None:
    """Refuse a text that would take long to read."""
    size = sum(map(len, texts))
    if size > MAX_TEXT:
        raise _wrong(
            f"{size} letters long",
            f"at most {MAX_TEXT} letters: `repeat` writes times out",
            "",
        )


def _spanned(text: str) -> str:
    """Write a span in the words for one; "" if none can be meant."""
    words = re.sub(r"^\s*(between|from)\s+", "", text.strip())
    words = re.sub(r"\s+(until|and|till|-)\s+", " to ", words)
    ends = words.split(" to ")
    if len(ends) != 2 or not all(_WORDED.fullmatch(end) for end in ends):
        return ""
    return words if words != text.strip() else ""


def _wrong(found: str, allowed: str, old: str, write: str = "") -> ProtocolError:
    """Describe words that are no time; `old` are those of a list that are meant."""
    return ProtocolError(
        at="the time", found=found, allowed=allowed, write=write, old=old
    )

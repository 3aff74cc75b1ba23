"""Dates and clock times: hours since a subject's first record, by NONMEM's rules.

DATE is month day year, DAT1 day month year, DAT2 year month day, DAT3 year day month;
one number alone is a day. With a date, or where TIME is by the clock, times count from
the subject's first record (NONMEM, help on DATE and TIME). Beyond NONMEM a year of four
digits that stands first makes a date year-month-day, as ISO 8601 writes it.
"""

import datetime
import functools
import math
import re

import numpy as np

from vtrial.dosing.columns import DATES
from vtrial.sheets.csv_table import Rows

ORDERS = {"DATE": "mdy", "DAT1": "dmy", "DAT2": "ymd", "DAT3": "ydm"}
LAST20 = 50  # the last year of two digits that is one of the century from 2000 on
DAY = 24.0
YEARLESS = 1  # no leap year, and earlier than any date with a year
_FIRST = datetime.date(1000, 1, 1).toordinal()  # with a year of four digits
_DAY = re.compile(r"([+-]?\d{1,5})(?:\.0*)?", re.ASCII)
_PARTS = re.compile(r"(\d{1,4})([-/])(\d{1,4})(?:\2(\d{1,4}))?", re.ASCII)
_CLOCK = re.compile(r"(\d{1,3}):(\d{2})(?::(\d{2}(?:\.\d+)?))?", re.ASCII)
_HALVES = re.compile(r"(\d{1,2}):(\d{2}(?::\d{2})?)\s*([ap])\.?m\.?", re.I | re.ASCII)
_MOMENT = re.compile(r"(\d{4}-\d{1,2}-\d{1,2})[T ]([\d:.]+)", re.ASCII)
_NEITHER = re.compile(r"[:/]|\d-\d")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun")
_MONTHS += ("jul", "aug", "sep", "oct", "nov", "dec")
_NAMED = re.compile(r"(\d{1,2})[- ]?([A-Za-z]{3})[a-z]*[- ]?(\d{4})", re.ASCII)
_POINTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", re.ASCII)
_JOINED = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)


def read_elapsed(rows: Rows, starts: np.ndarray) -> np.ndarray | None:
    """Return the hours since each subject's first record; None if TIME is numbers.

    `starts` are the first rows of the subjects. NaN where a cell is at fault.
    """
    dated = next((name for name in DATES if name in rows.names), "")
    moments = rows.each("TIME", _moment).reshape(len(rows), 2)
    clock = rows.each("TIME", clock_hours).astype(float)
    days = np.zeros(len(rows))
    if dated:
        days, hours = _days(rows, dated, starts), _hours_of_day(rows, clock, dated)
    elif not np.isnan(moments).any():
        days, hours = moments.T
    elif not np.isnan(clock).any():
        over = clock > DAY
        rows.wrong(over, "TIME", "`{}`", "from 0:00 to 24:00, beside a column DATE")
        hours = np.where(over, np.nan, clock)
    else:
        return None
    first = np.repeat(starts, np.diff(np.r_[starts, len(rows)]))
    return (days - days[first]) * DAY + (hours - hours[first])


def day_word(rows: Rows) -> str:
    """Return what else orders the event records, beside TIME."""
    dated = next((name for name in DATES if name in rows.names), "")
    clock = rows.each("TIME", lambda text: bool(_CLOCK.fullmatch(text)))
    if dated:
        return f"rows by {dated} and TIME"
    return "a column DATE, if it is the next day" if clock.any() else "rows by TIME"


def refuse_clock(rows: Rows) -> np.ndarray:
    """Note clock times and dates between plain numbers of TIME; return where."""
    mixed = rows.each("TIME", lambda text: bool(_NEITHER.search(text))).astype(bool)
    found = "`{}`, a date or a clock time"
    allowed = "a number as in other rows, or in all rows h:mm or year-month-dayTh:mm"
    rows.wrong(mixed, "TIME", found, allowed)
    return mixed


def read_span(rows: Rows, name: str, unit: str, hours: float) -> np.ndarray:
    """Read a column of lengths of time, in the unit of TIME or as h:mm."""
    if name not in rows.names:
        return np.zeros(len(rows))
    clock = rows.each(name, clock_hours).astype(float) / hours
    plain = rows.numbers(name, aside=~np.isnan(clock), unit=unit)
    return np.where(np.isnan(clock), plain, clock)


def clock_hours(text: str) -> float:
    """Return the hours that h:mm or h:mm:ss says, NaN if a text is neither.

    Examples
    --------
    >>> clock_hours("14:45"), clock_hours("8:30:36"), clock_hours("8:75")
    (14.75, 8.51, nan)
    """
    found = _CLOCK.fullmatch(text)
    if not found:
        return math.nan
    minutes, seconds = int(found[2]), float(found[3] or 0.0)
    if minutes >= 60 or seconds >= 60:
        return math.nan
    return int(found[1]) + minutes / 60 + seconds / 3600


def day_of(text: str, order: str) -> float:
    """Return the day that a date is, counted from anywhere; NaN if it is none.

    `order` says which number is the year, the month and the day.

    Examples
    --------
    >>> day_of("1/1/2024", "mdy") - day_of("12/31/2023", "mdy")
    1.0
    >>> day_of("2024-03-01", "mdy") - day_of("29/2/24", "dmy"), day_of("3", "mdy")
    (1.0, 3.0)
    """
    if found := _DAY.fullmatch(text):
        return float(found[1])
    found = _PARTS.fullmatch(text)
    if not found:
        return math.nan
    numbers = [part for part in (found[1], found[3], found[4]) if part]
    if len(numbers) == 2:
        order = order.replace("y", "")
    elif len(numbers[0]) == 4 and order[0] != "y":
        order = "ymd"
    parts = dict(zip(order, numbers, strict=True))
    if any(len(parts[key]) > 2 for key in "md"):
        return math.nan
    year = _year(parts["y"]) if "y" in parts else YEARLESS
    return _ordinal(year, int(parts["m"]), int(parts["d"]))


def _year(text: str) -> int:
    """Return a year, of which two digits may be said."""
    if len(text) > 2:
        return int(text)
    return int(text) + (2000 if int(text) <= LAST20 else 1900)


def _ordinal(year: int, month: int, day: int) -> float:
    try:
        return float(datetime.date(year, month, day).toordinal())
    except ValueError:
        return math.nan


def _moment(text: str) -> tuple[float, float]:
    """Return day and hour of a date and clock time in one cell, as in ISO 8601."""
    found = _MOMENT.fullmatch(text)
    if not found:
        return math.nan, math.nan
    return day_of(found[1], "ymd"), clock_hours(found[2])


def _hours_of_day(rows: Rows, clock: np.ndarray, dated: str) -> np.ndarray:
    """Read TIME beside a date: h:mm, or hours with decimals, from 0 to 24."""
    gaps, said = rows.gaps("TIME"), ~np.isnan(clock)
    rows.wrong(gaps, "TIME", "missing", "given in every row")
    strange = rows.each("TIME", lambda text: ":" in text).astype(bool) & ~said
    rows.wrong(
        strange, "TIME", "`{}`", "h:mm, by 24 hours, with minutes below 60", _as_clock
    )
    plain = rows.numbers("TIME", default=np.nan, aside=said | strange, unit="h")
    hours = np.where(said, clock, plain)
    outside = (hours < 0) | (hours > DAY)
    allowed = f"the time of day beside {dated}, from 0 to 24 h; where TIME does not "
    allowed += f"begin each day, that column is called otherwise, such as {dated}_"
    rows.wrong(outside, "TIME", "`{}`", allowed)
    return np.where(outside, np.nan, hours)


def _days(rows: Rows, name: str, starts: np.ndarray) -> np.ndarray:
    """Read a column of dates: days, counted from anywhere."""
    gaps = rows.gaps(name)
    rows.wrong(gaps, name, "missing", "given in every row")
    order = ORDERS[name]
    days = rows.each(name, functools.partial(day_of, order=order)).astype(float)
    words = {"d": "day", "m": "month", "y": "year"}
    allowed = f"a day's number, {'/'.join(words[key] for key in order)} or "
    allowed += "year-month-day, such as 2024-03-01"
    wrong = np.isnan(days) & ~gaps
    rows.wrong(wrong, name, "`{}`", allowed, functools.partial(_as_date, order=order))
    return np.where(_check_kinds(rows, name, days, starts), np.nan, days)


def _check_kinds(
    rows: Rows, name: str, days: np.ndarray, starts: np.ndarray
) -> np.ndarray:
    """Refuse a subject with dates of two kinds, or over a leap day that may not be.

    Returns where they are.
    """
    parts = rows.each(name, lambda text: len(re.findall(r"\d+[-/]|\d$", text)))
    short = (parts == 2) & ~np.isnan(days)
    late = short & (days > datetime.date(YEARLESS, 2, 28).toordinal())
    subject = np.zeros(len(rows), int)
    subject[starts[1:]] = 1
    subject = np.cumsum(subject)
    known = parts[starts][subject]
    mixed = (parts != known) & ~np.isnan(days)
    allowed = f"said as in the subject's first row, `{rows.cells[name].iloc[0]}`"
    rows.wrong(mixed, name, "`{}`", allowed)
    early = np.zeros(subject[-1] + 1, bool)
    np.logical_or.at(early, subject[short & ~late], True)
    allowed = "with its year: from February on one day may be a leap day"
    leap = late & early[subject]
    rows.wrong(leap, name, "`{}`", allowed)
    return mixed | leap


def _as_clock(text: str) -> str:
    """Write a time of day by 12 hours by 24."""
    found = _HALVES.fullmatch(text)
    if not found or not 1 <= int(found[1]) <= 12:
        return ""
    late = 12 if found[3].lower() == "p" else 0
    return f"{int(found[1]) % 12 + late}:{found[2]}"


def _as_date(text: str, order: str) -> str:
    """Write a date that can be meant in one way only as year-month-day."""
    day = math.nan
    if found := _POINTED.fullmatch(text):
        day = _ordinal(int(found[3]), int(found[2]), int(found[1]))
    elif (found := _NAMED.fullmatch(text)) and found[2].lower() in _MONTHS:
        month = _MONTHS.index(found[2].lower()) + 1
        day = _ordinal(int(found[3]), month, int(found[1]))
    elif found := _JOINED.fullmatch(text):
        day = _ordinal(*map(int, found.groups()))
    elif found := _MOMENT.fullmatch(text):
        day = day_of(found[1], "ymd")
    else:
        other = {"mdy": "dmy", "dmy": "mdy", "ydm": "ymd", "ymd": "ydm"}[order]
        day = day_of(text, other)
    if day != day or day < _FIRST:
        return ""
    return datetime.date.fromordinal(int(day)).isoformat()

"""Rates: a number by a time, such as `0.0019 / d` or `20 per month`."""

import re

from vtrial.errors import ProtocolError
from vtrial.protocol.times import duration

_RATE = re.compile(r"([\d.eE+-]+)\s*(%?)\s*(?:/|per)\s*(.+)")
_MONTHS = {"month": "mo", "months": "mo", "year": "a", "years": "a", "week": "wk"}


def rate_in(words: float | str, *, such: str = "0.0019 / d") -> float:
    """Return a rate by the hour.

    Raises
    ------
    ProtocolError
        If it is none, or below 0; `such` is shown as an example.

    Examples
    --------
    >>> rate_in("24 / d"), round(rate_in("5 % per week") * 168, 12)
    (1.0, 0.05)
    """
    found = _RATE.fullmatch(str(words).strip())
    try:
        if not found:
            raise ValueError
        number = float(found[1]) / (100.0 if found[2] else 1.0)
        unit = found[3].strip()
        unit = _MONTHS.get(unit, unit)
        hours = duration(unit if unit[0].isdigit() else f"1 {unit}")
        if number < 0:
            raise ValueError
    except (ValueError, ProtocolError):
        raise ProtocolError(
            at="the rate",
            found=f"`{words}`",
            allowed=f"a rate: a number by a time, such as `{such}`",
            write="",
        ) from None
    return number / hours

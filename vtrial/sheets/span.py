"""A time, or a span of it, in words."""

from vtrial.errors import DataError, UnitError
from vtrial.units import hours


def span_of(text: str, *, at: str) -> float:
    """Return a time or a span of it [h].

    Raises
    ------
    DataError
        If it is none.
    """
    try:
        return hours(text.strip())
    except UnitError:
        allowed = "a number with min, h, d or wk, such as 48 h"
        raise DataError(at, f"`{text.strip()[:60]}`", allowed, "") from None

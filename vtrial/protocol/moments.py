"""When to look, in the words of a protocol's times, and ranges of them."""

import re

from vtrial.errors import ProtocolError
from vtrial.protocol.times import MAX_TEXT, MAX_TIMES, duration, moment, span

EXAMPLE = "0 h to 168 h every 1 h"
_EVERY = re.compile(r"(.+\s+to\s+.+?)\s+every\s+(.+)", re.S)


def sample_times(text: str, *, cycle: float = 0.0) -> tuple[float, ...]:
    """Return the times [h] of moments and ranges with commas between; each once.

    `cycle` is the length of a cycle [h]; 0 if there is none.

    Raises
    ------
    ProtocolError
        With every part that is no time.

    Examples
    --------
    >>> sample_times("0 h to 4 h every 2 h, day 1")
    (0.0, 2.0, 4.0, 24.0)
    """
    if len(text) > MAX_TEXT:
        found = f"{len(text)} letters long"
        raise ProtocolError("times", found, f"at most {MAX_TEXT} letters", EXAMPLE)
    found_times: set[float] = set()
    faults = []
    for part in text.split(","):
        try:
            found_times |= set(_part(part.strip(), cycle))
        except ProtocolError as error:
            faults += [fault._replace(at="times") for fault in error.faults]
    if faults:
        raise ProtocolError.of(faults)
    if len(found_times) > MAX_TIMES:
        found = f"{len(found_times):,} times"
        raise ProtocolError("times", found, f"at most {MAX_TIMES:,}", EXAMPLE)
    return tuple(sorted(found_times))


def _part(text: str, cycle: float) -> list[float]:
    """Return the times of one moment, or of one range."""
    ranged = _EVERY.fullmatch(text)
    if not ranged:
        if re.search(r"\sto\s", text):
            remedy = f"{text} every 1 h"
            raise ProtocolError(
                "times", f"`{text[:60]}` without a step", "a range with one", remedy
            )
        return [moment(text, cycle=cycle)]
    start, end = span(ranged[1], cycle=cycle)
    step = duration(ranged[2])
    count = int((end - start) / step * (1 + 1e-12)) + 1
    if count > MAX_TIMES:
        found = f"`{text[:60]}`, {count:,} times"
        raise ProtocolError("times", found, f"at most {MAX_TIMES:,} times", EXAMPLE)
    return [round(start + step * index, 9) for index in range(count)]

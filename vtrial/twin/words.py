"""Times, spans and lists of them in words, as they are given to a twin."""

import re

import numpy as np
from jaxtyping import Float

from vtrial.errors import DataError, Fault
from vtrial.sheets.span import span_of

MOST = 10_000
_RANGE = re.compile(r"(.+?)\s+to\s+(.+?)\s+every\s+(.+)", re.S)
SUCH = "0 h to 72 h every 30 min"


def times_of(
    text: str, *, at: str = "times", alone: bool = False
) -> Float[np.ndarray, " time"]:
    """Return the times [h] of moments and ranges with commas between; each once.

    Raises
    ------
    DataError
        With every part that is no time; if there is to be one `alone`, and are more.

    Examples
    --------
    >>> times_of("0 h to 4 h every 2 h, 1 d").tolist()
    [0.0, 2.0, 4.0, 24.0]
    """
    found: list[np.ndarray] = []
    faults: list[Fault] = []
    for part in (one.strip() for one in text.split(",")):
        ranged = _RANGE.fullmatch(part)
        try:
            if not ranged:
                found.append(np.array([span_of(part, at=at)]))
                continue
            start, end, step = (span_of(one, at=at) for one in ranged.groups())
            count = np.floor((end - start) / step * (1 + 1e-12)) + 1 if step > 0 else 0
            if not 1 <= count <= MOST:
                allowed = f"a range of 1 to {MOST} times"
                raise DataError(at, f"`{part[:60]}`", allowed, SUCH)
            found.append(np.round(start + step * np.arange(int(count)), 9))
        except DataError as error:
            faults += error.faults
    if faults:
        raise DataError.of(faults)
    times = np.unique(np.concatenate(found))
    if alone and times.size != 1:
        such = f"{times[-1]:g} h"
        raise DataError(at, f"`{text[:60]}`, {times.size} times", "one", such)
    return times

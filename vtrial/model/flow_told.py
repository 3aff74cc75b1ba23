"""What can be told of a day of a flow: what is looked at, and what is made of it."""

import re
from typing import NamedTuple

from vtrial.errors import UnitError
from vtrial.units import hours


class Take(NamedTuple):
    """A word of `take`: what stands behind it, and what its values are.

    `needs` is what stands behind the word: nothing, a `share` between 0 and 1, a
    `count` of people, or a `time`. `kind` is what its values are: a `time` [h], a
    `share`, or a `count`.
    """

    needs: str
    kind: str
    says: str


_TIMES = {
    "mean": Take("", "time", "the mean"),
    "quantile": Take("share", "time", "that quantile, as in `quantile 0.9`"),
    "maximum": Take("", "time", "the longest"),
    "total": Take("", "time", "all of them together"),
    "share above": Take(
        "time", "share", "the share of people with longer, as in `share above 4 h`"
    ),
}
_COUNTS = {
    "mean": Take("", "count", "the mean from the start until nobody comes any more"),
    "maximum": Take("", "count", "the highest number"),
    "after": Take("time", "count", "the number then, as in `after 3 h`"),
    "hours above": Take(
        "count", "time", "how long there were more, as in `hours above 10`"
    ),
}
LOOKED_AT: dict[str, tuple[str, dict[str, Take]]] = {
    "wait": ("how long those who were served had waited", _TIMES),
    "queueing": ("how long anybody waited, whoever gave up included", _TIMES),
    "stay": ("how long anybody was there, until served to the end or gone", _TIMES),
    "left": (
        "who gave up waiting",
        {
            "share": Take("", "share", "the share of those who came"),
            "count": Take("", "count", "how many"),
        },
    ),
    "arrivals": ("who came", {"count": Take("", "count", "how many")}),
    "queue": ("how many wait", _COUNTS),
    "present": ("how many are there, waiting or being served", _COUNTS),
    "staff": (
        "servers",
        {
            "hours": Take("", "time", "hours that they were there for, by the rota"),
            "busy": Take("", "time", "hours that they served"),
        },
    ),
}


def examples_of(of: str) -> list[str]:
    """List how `take` may be written beside an `of`."""
    shown = {"": "", "share": " 0.9", "count": " 10", "time": " 3 h"}
    return [word + shown[take.needs] for word, take in LOOKED_AT[of][1].items()]


def read_take(of: str, text: str) -> tuple[str, float, Take] | None:
    """Read what stands under `take`; None if it is nothing that an `of` has.

    Examples
    --------
    >>> read_take("wait", "quantile 0.9")[:2], read_take("queue", "hours above 10")[:2]
    (('quantile', 0.9), ('hours above', 10.0))
    >>> read_take("queue", "quantile 0.9") is None
    True
    """
    for word, take in LOOKED_AT[of][1].items():
        found = re.fullmatch(rf"{word}\s*(.*)", text.strip())
        if found and bool(found[1]) == bool(take.needs):
            number = _number(take.needs, found[1])
            if number is not None:
                return word, number, take
    return None


def _number(needs: str, text: str) -> float | None:
    """Read what stands behind a word; None if it is not what the word needs."""
    try:
        if not needs:
            return 0.0
        number = hours(text) if needs == "time" else float(text)
    except (UnitError, ValueError):
        return None
    most = 1.0 if needs == "share" else float("inf")
    return number if 0 <= number <= most and number < float("inf") else None

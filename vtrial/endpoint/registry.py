"""Every kind of endpoint, by its word: what the files of `kinds/` declare."""

import functools
import math
from collections.abc import Mapping

from vtrial.endpoint import kinds as folder
from vtrial.endpoint.kind import Kind
from vtrial.lazy import declared

MADE_OF_OTHERS = (
    Kind(word="equals", place=0, sentence="{equation}"),
    Kind(
        word="first of",
        place=0,
        sentence="the first of {events}",
        unit="h",
        support=(0.0, math.inf),
        event=True,
    ),
)


@functools.cache
def kinds() -> Mapping[str, Kind]:
    """Return what `take` may say, in the order of the docs.

    Examples
    --------
    >>> kinds()["half-life"].unit, kinds()["half-life"].needs
    ('h', 4)
    """
    return declared(folder)


def kind_of(take: str) -> Kind:
    """Return the kind of an endpoint, those made of other endpoints included."""
    made = {kind.word: kind for kind in MADE_OF_OTHERS}
    return made[take] if take in made else kinds()[take]

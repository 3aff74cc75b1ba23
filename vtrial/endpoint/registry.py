"""Every kind of endpoint, by its word: what the files of `kinds/` declare."""

import functools
import importlib
import math
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

from vtrial.endpoint import kinds as folder
from vtrial.endpoint.kind import Kind

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
    names = sorted(module.name for module in pkgutil.iter_modules(folder.__path__))
    files = [importlib.import_module(f"{folder.__name__}.{name}") for name in names]
    found = [kind for file in files for kind in file.KINDS]
    found.sort(key=lambda kind: (kind.place, kind.word))
    return MappingProxyType({kind.word: kind for kind in found})


def kind_of(take: str) -> Kind:
    """Return the kind of an endpoint, those made of other endpoints included."""
    made = {kind.word: kind for kind in MADE_OF_OTHERS}
    return made[take] if take in made else kinds()[take]

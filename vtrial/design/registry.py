"""Every adaptation that is enacted, by its word: what the files of `kinds/` declare."""

import functools
from collections.abc import Mapping

from vtrial.design import kinds
from vtrial.design.kind import Kind
from vtrial.lazy import declared


@functools.cache
def kinds_of_adaptation() -> Mapping[str, Kind]:
    """Return how each adaptation decides.

    Examples
    --------
    >>> kinds_of_adaptation()["drop arms"].word
    'drop arms'
    """
    return declared(kinds)

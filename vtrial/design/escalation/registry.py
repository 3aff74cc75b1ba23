"""Every method of dose escalation, by its word: what the files of `kinds/` declare."""

import functools
from collections.abc import Mapping

from vtrial.design.escalation import kinds
from vtrial.design.escalation.kind import Kind
from vtrial.lazy import declared


@functools.cache
def methods() -> Mapping[str, Kind]:
    """Return what a design may say, in the order of the docs.

    Examples
    --------
    >>> list(methods())[:3]
    ['3+3', 'TPI', 'mTPI']
    """
    return declared(kinds)

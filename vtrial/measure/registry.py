"""Every measure, by its word: what the files of `kinds/` declare."""

import functools
from collections.abc import Mapping

from vtrial.lazy import declared
from vtrial.measure import kinds
from vtrial.measure.kind import Measure


@functools.cache
def measures() -> Mapping[str, Measure]:
    """Return what `by` may say, in the order of the docs.

    Examples
    --------
    >>> measures()["hazard ratio"].of, measures()["hazard ratio"].options
    ('times', ('adjust', 'strata', 'ties'))
    """
    return declared(kinds)

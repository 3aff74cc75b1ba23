"""Every shape of dose-response, by its word: what the files of `kinds/` declare."""

import functools
from collections.abc import Mapping

from vtrial.lazy import declared
from vtrial.measure.dose_response import kinds
from vtrial.measure.dose_response.shape import Shape


@functools.cache
def shapes() -> Mapping[str, Shape]:
    """Return what a design may say, in the order of the docs.

    Examples
    --------
    >>> list(shapes())[:4]
    ['linear', 'linlog', 'emax', 'sigEmax']
    """
    return declared(kinds)

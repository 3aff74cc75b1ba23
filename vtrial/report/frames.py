"""Rows of a frame as plain Python values."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd


def each_row(frame: pd.DataFrame) -> Iterator[Any]:
    """Give each row with its columns as attributes, every number a float.

    Examples
    --------
    >>> frame = pd.DataFrame({"arm": ["low"], "count": [3], "within": [True]})
    >>> next(each_row(frame))
    namespace(arm='low', count=3.0, within=True)
    """
    names = [str(name) for name in frame.columns]
    for values in frame.itertuples(index=False, name=None):
        yield SimpleNamespace(**dict(zip(names, map(_plain, values), strict=True)))


def _plain(value: object) -> object:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | float | np.number):
        return float(value)
    return value

"""What a record is made of: arrays that blocks fill, and coordinates along their axes.

Nothing here knows zarr, which is slow to import, so that a plan can be made without.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class Variable(NamedTuple):
    """An array that blocks fill: its path, axes, the shape of one row, and attributes.

    The first axis is the one that blocks divide: each block owns `rows` of it, which
    is the number of subjects in a block, or 1 where a block leaves one row.
    """

    path: str
    dims: tuple[str, ...]
    tail: tuple[int, ...] = ()
    dtype: str = "float64"
    fill: float | int = float("nan")
    per_block: bool = False
    attributes: Mapping[str, Any] = {}


class Coordinate(NamedTuple):
    """Names or positions along an axis of a group, written once by the coordinator.

    Without `axis` its own name is the axis.
    """

    path: str
    values: Sequence[object] | np.ndarray
    attributes: Mapping[str, Any] = {}
    axis: str = ""

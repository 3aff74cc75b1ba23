"""What the numerics of designs take for numbers: one, or an array or list of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

ArrayLike = np.ndarray | np.number | float | int | Sequence[Any]

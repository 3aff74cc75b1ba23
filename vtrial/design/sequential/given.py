"""What functions of this room take and give for arrays."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

ArrayLike = np.ndarray | np.generic | float | int | Sequence[Any]

if TYPE_CHECKING:
    Array = np.ndarray
else:  # arithmetic on arrays without axes gives numpy's scalars
    Array = np.ndarray | np.floating | np.bool_

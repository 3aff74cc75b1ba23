"""Targets that no weights meet: which of them, and what is within reach.

Whether weights exist is a linear programme: people's shares are not negative, add up to
1, and have means between the bounds.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from vtrial.cohort.tilt import MEETS, Bounds


def conflict(bounds: Bounds) -> list[int]:
    """Return the fewest rows that cannot be met together; empty if all can.

    Of several such sets it is one: rows are left out in turn, the last first, as long
    as what is left cannot be met (Chinneck and Dravnieks 1991).
    """
    rows = list(range(bounds.low.size))
    if _meets(bounds, rows):
        return []
    alone = next((row for row in rows if not _meets(bounds, [row])), None)
    if alone is not None:
        return [alone]
    kept = rows
    for row in reversed(rows):
        fewer = [other for other in kept if other != row]
        if not _meets(bounds, fewer):
            kept = fewer
    return kept


def reach(bounds: Bounds, row: int, others: Sequence[int]) -> tuple[float, float]:
    """Return between what the mean of a row's feature can lie while others are met.

    Unscaled; NaN if the others themselves cannot be met.
    """
    mine = bounds.feature[:, row]
    least = _least(bounds, others, mine), _least(bounds, others, -mine)
    if least[0] is None or least[1] is None:
        return math.nan, math.nan
    middle, spread = float(bounds.middle[row]), float(bounds.spread[row])
    low, high = max(least[0], float(mine.min())), min(-least[1], float(mine.max()))
    return middle + spread * low, middle + spread * high


def _meets(bounds: Bounds, rows: Sequence[int]) -> bool:
    """Return whether weights meet some rows."""
    return _least(bounds, rows, np.zeros(len(bounds.feature))) is not None


def _least(
    bounds: Bounds, rows: Sequence[int], cost: Float[np.ndarray, " person"]
) -> float | None:
    """Return the least mean of a cost among weights that meet rows; None if none do."""
    from scipy.optimize import linprog

    rows = list(rows)
    feature = bounds.feature[:, rows].T
    finite = [np.isfinite(side[rows]) for side in (bounds.high, bounds.low)]
    upper = np.concatenate([feature[finite[0]], -feature[finite[1]]])
    limit = np.concatenate([bounds.high[rows][finite[0]], -bounds.low[rows][finite[1]]])
    found = linprog(
        cost,
        A_ub=upper if rows else None,
        b_ub=limit + MEETS if rows else None,
        A_eq=np.ones((1, cost.size)),
        b_eq=[1.0],
        bounds=(0, None),
        method="highs",
    )
    return float(found.fun) if found.status == 0 else None

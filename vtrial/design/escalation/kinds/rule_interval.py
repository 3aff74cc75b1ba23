"""The i3+3 design: an interval around the target, and what one toxicity less says."""

import numpy as np

from vtrial.design.escalation import interval
from vtrial.design.escalation.kind import Data, Kind
from vtrial.design.escalation.kinds.probability_intervals import interval_conflict
from vtrial.design.escalation.method import Method
from vtrial.design.escalation.option import level, positive, probability, whole

ROUNDING = 1e-12  # of a rate on a limit, which counts as inside


def _prepare(method: Method, most: int) -> Data:
    low, high = method["target"] - method["below"], method["target"] + method["above"]

    def move(treated: np.ndarray, toxic: np.ndarray) -> np.ndarray:
        rate, less = toxic / treated, (toxic - 1) / treated
        up = rate < low - ROUNDING
        down = (rate > high + ROUNDING) & (less >= low - ROUNDING)
        return np.where(up, 1, np.where(down, -1, 0))

    return interval.tables(
        move,
        most,
        target=method["target"],
        eliminate=method["eliminate"],
        least=int(method["least"]),
    )


KINDS = (
    Kind(
        word="i3+3",
        place=50,
        says="escalates below an interval of rates, de-escalates above it unless one "
        "toxicity less is below it",
        sentence=(
            "i3+3 with target {target}, right from {below} below it to {above} above"
        ),
        options={
            "target": probability(None, "0.3"),
            "below": positive(0.05),
            "above": positive(0.05),
            "eliminate": level(0.95),
            "least": whole(3, 1),
        },
        conflict=interval_conflict,
        prepare=_prepare,
        decide=interval.decide,
        select=interval.select,
        sources=("Liu M, Wang SJ, Ji Y (2020) J Biopharm Stat 30:294-304",),
    ),
)

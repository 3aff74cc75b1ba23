"""Who left or stopped treatment: counted by arm and cause, some trials at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from vtrial.analysis.estimates import DEPARTED
from vtrial.analysis.reading import Chunk, Departed
from vtrial.types import Status


class _Count(NamedTuple):
    """How many left, and when [h]: the sum, the first and the last."""

    number: int = 0
    total: float = 0.0
    first: float = np.inf
    last: float = -np.inf


@dataclass
class Departures:
    """What has been seen of leaving, or of stopping treatment, so far.

    `solved` counts the solved subjects allocated to an arm where anybody may;
    keys of `found` are an arm and the code of a reason.
    """

    solved: dict[str, int] = field(default_factory=dict)
    found: dict[tuple[str, int], _Count] = field(default_factory=dict)

    def add(
        self, chunk: Chunk, arm: str, told: Departed | None, reasons: Sequence[str]
    ) -> None:
        """Count those of an arm who left, or stopped, in some more trials."""
        if told is None:
            return
        mine = chunk.in_arm(arm) & (chunk.status(arm) == Status.SOLVED)
        self.solved[arm] = self.solved.get(arm, 0) + int(mine.sum())
        for code in range(1, len(reasons) + 1):
            times = told.time[mine & (told.cause == code)]
            old = self.found.get((arm, code), _Count())
            self.found[arm, code] = _Count(
                old.number + times.size,
                old.total + float(times.sum()),
                float(times.min(initial=old.first)),
                float(times.max(initial=old.last)),
            )

    def table(self, reasons: Mapping[str, Sequence[str]]) -> pd.DataFrame:
        """Tabulate them by arm and cause; causes for which nobody did, too.

        `reasons` are by arm, in the order of their codes; an empty one is of others.
        """
        rows = []
        for arm, causes in reasons.items():
            for code, cause in enumerate(causes, 1):
                if not cause or (arm, code) not in self.found:
                    continue
                seen, n = self.found[arm, code], self.solved[arm]
                share = seen.number / n if n else np.nan
                error = np.sqrt(share * (1 - share) / n) if n else np.nan
                when = (np.nan,) * 3
                if seen.number:
                    when = (seen.total / seen.number, seen.first, seen.last)
                rows.append((arm, cause, n, seen.number, share, error, *when))
        return pd.DataFrame(rows, columns=DEPARTED)

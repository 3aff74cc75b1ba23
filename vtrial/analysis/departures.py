"""Who left, when and why: counted by arm and cause, some trials at a time."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from vtrial.analysis.estimates import DEPARTED
from vtrial.analysis.reading import Chunk
from vtrial.protocol.protocol import Arm, Protocol
from vtrial.types import Status


class _Count(NamedTuple):
    """How many left, and when [h]: the sum, the first and the last."""

    number: int = 0
    total: float = 0.0
    first: float = np.inf
    last: float = -np.inf


@dataclass
class Departures:
    """What has been seen of dropout so far.

    `solved` counts the solved subjects allocated to an arm where anybody may leave;
    keys of `found` are an arm and the code of a reason.
    """

    solved: dict[str, int] = field(default_factory=dict)
    found: dict[tuple[str, int], _Count] = field(default_factory=dict)

    def add(self, chunk: Chunk, arm: Arm, protocol: Protocol) -> None:
        """Count those who left an arm in some more trials."""
        reasons = protocol.design.dropout.reasons(arm.rules)
        told = chunk.left(arm.name)
        if told is None:
            return
        mine = chunk.in_arm(arm.name) & (chunk.status(arm.name) == Status.SOLVED)
        self.solved[arm.name] = self.solved.get(arm.name, 0) + int(mine.sum())
        for code in range(1, len(reasons) + 1):
            times = told.time[mine & (told.cause == code)]
            old = self.found.get((arm.name, code), _Count())
            self.found[arm.name, code] = _Count(
                old.number + times.size,
                old.total + float(times.sum()),
                float(times.min(initial=old.first)),
                float(times.max(initial=old.last)),
            )

    def table(self, protocol: Protocol) -> pd.DataFrame:
        """Tabulate who left, by arm and cause; causes for which nobody did, too."""
        rows = []
        for arm in protocol.arms:
            for code, cause in enumerate(protocol.design.dropout.reasons(arm.rules), 1):
                if (arm.name, code) not in self.found:
                    continue
                seen, n = self.found[arm.name, code], self.solved[arm.name]
                share = seen.number / n if n else np.nan
                error = np.sqrt(share * (1 - share) / n) if n else np.nan
                when = (np.nan,) * 3
                if seen.number:
                    when = (seen.total / seen.number, seen.first, seen.last)
                rows.append((arm.name, cause, n, seen.number, share, error, *when))
        return pd.DataFrame(rows, columns=DEPARTED)

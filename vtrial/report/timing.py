"""How times of a trial are told: in its sheet's unit, from its start or its doses."""

from collections.abc import Sequence
from typing import NamedTuple

from vtrial.protocol.protocol import Protocol
from vtrial.protocol.times import unit_of
from vtrial.report import words


class Timing(NamedTuple):
    """The unit that a sheet counts time in, and what its times are counted from."""

    unit: str = ""
    since: str = "the first dose"

    def moments(self, times: Sequence[float]) -> str:
        """List times [h]."""
        return words.moments(times, unit=self.unit)

    def duration(self, hours: float) -> str:
        """Write a length of time [h]."""
        return words.duration(hours, self.unit)

    def clock(self, hours: float) -> words.Clock:
        """Choose unit and ticks of an axis that spans some hours."""
        return words.clock(hours, self.unit)

    def axis(self, scale: words.Clock) -> str:
        """Title an axis of times."""
        return f"Time since {self.since} [{scale.name}]"


def timing_of(protocol: Protocol) -> Timing:
    """Return how a protocol's times are told."""
    dosed = any(arm.regimen is not None for arm in protocol.arms)
    since = "the first dose" if dosed else "the start"
    return Timing(unit_of(protocol.data), since)

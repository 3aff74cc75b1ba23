"""What is known before anything is computed, and decides what is compiled."""

from dataclasses import dataclass

from vtrial.model.model import Model
from vtrial.types import Numerics


@dataclass(frozen=True)
class Layout:
    """A model, the method that solves it, and which kinds of events there can be.

    `merged`: observations are events, too, and not read between events;
    `window`: how many are read between two events as a solution passes by them, at
    most, 0 where they are events or read afterwards;
    `records`: events at dose records, needed if these differ from when doses act;
    `infusions`; `resets`; `steady`: steady states, up to `overlaps` of whose earlier
    doses may still be pending or running; `kernel`: the scan over events is one
    kernel of a graphics processor.
    """

    model: Model
    method: str
    numerics: Numerics
    merged: bool = True
    records: bool = True
    infusions: bool = True
    resets: bool = True
    steady: bool = True
    overlaps: int = 2
    keep_states: bool = False
    kernel: bool = False
    window: int = 0

    @property
    def is_exact(self) -> bool:
        """Whether the solution between events is known when they have been passed."""
        return not self.merged and not self.window

"""How subjects enter a trial, as far as its size asks: at rates that step."""

from dataclasses import dataclass

import numpy as np

from vtrial.design.sequential.given import Array, ArrayLike
from vtrial.design.sequential.hazard import Hazard
from vtrial.errors import ProtocolError


@dataclass(frozen=True)
class Recruitment:
    """Rates of entry, each from a start to the next; the last until `end`.

    Parameters
    ----------
    rates
        Subjects per unit of time.
    starts
        When each rate begins, rising from 0.
    end
        When the last subject enters.

    Raises
    ------
    ProtocolError
        If nobody could enter so.

    Examples
    --------
    >>> entry = Recruitment((20, 30), (0, 3), 5)
    >>> print(entry.total, entry.entered([1, 4]))
    120.0 [20. 90.]
    """

    rates: tuple[float | int, ...]
    starts: tuple[float | int, ...] = (0.0,)
    end: float | int = 12.0

    def __post_init__(self) -> None:
        """Refuse what brings nobody in."""
        steps = np.diff(np.append(np.asarray(self.starts, float), float(self.end)))
        rates = np.asarray(self.rates, float)
        for fine, at, found, allowed in (
            (len(rates) == len(self.starts), "rates", self.rates, "one for each start"),
            (self.starts[0] == 0, "starts", self.starts, "times that rise from 0"),
            (bool(np.all(steps > 0)), "end", self.end, "after all starts, which rise"),
            (bool(np.all(rates >= 0) and rates.any()), "rates", self.rates, "above 0"),
        ):
            if not fine:
                raise ProtocolError(
                    at=f"recruitment.{at}", found=str(found), allowed=allowed, write=""
                )

    @property
    def total(self) -> float:
        """Number of subjects in the end."""
        return float(self.entered(self.end))

    def entered(self, time: ArrayLike) -> Array:
        """Return how many have entered by a time."""
        low, high = self._pieces()
        time = np.asarray(time, float)
        within = np.clip(time[..., None] - low, 0.0, high - low)
        return np.asarray(within @ np.asarray(self.rates, float))

    def scaled(self, total: float | int) -> "Recruitment":
        """Return entry at rates of the same proportions that brings a number in."""
        factor = float(total) / self.total
        rates = tuple(float(rate) * factor for rate in self.rates)
        return Recruitment(rates, self.starts, self.end)

    def until(self, end: float | int) -> "Recruitment":
        """Return entry at the same rates with another end."""
        kept = [place for place, start in enumerate(self.starts) if start < end]
        rates = tuple(self.rates[place] for place in kept)
        return Recruitment(rates, tuple(self.starts[place] for place in kept), end)

    def reaching(self, total: float | int) -> "Recruitment":
        """Return entry at the same rates that ends when a number have entered."""
        if self.rates[-1] == 0:
            raise ProtocolError(
                at="recruitment.rates",
                found=str(self.rates),
                allowed="a last rate above 0, which goes on until enough have entered",
                write="",
            )
        ends = np.asarray(self.starts, float)
        entered = Recruitment(self.rates, self.starts, float(ends[-1]) + 1.0).entered
        reached = np.asarray(entered(ends))
        place = int(np.searchsorted(reached, total, side="left")) - 1
        left = float(total) - float(reached[place])
        return self.until(float(ends[place]) + left / float(self.rates[place]))

    def seen(self, law: Hazard, time: ArrayLike) -> Array:
        """Return how many events of a law there have been by a time, on average."""
        low, high = self._pieces()
        time = np.asarray(time, float)[..., None]
        within = law.events_sum(time - low) - law.events_sum(time - high)
        return np.asarray(within @ np.asarray(self.rates, float))

    def _pieces(self) -> tuple[np.ndarray, np.ndarray]:
        """Return when each rate begins and ends."""
        low = np.asarray(self.starts, float)
        return low, np.append(low[1:], float(self.end))

"""Times to events in an arm: hazards, dropout, and what is seen of them.

References
----------
Lachin JM, Foulkes MA (1986) Biometrics 42:507-519 (accrual, follow-up and losses).
Kim K, Tsiatis AA (1990) Biometrics 46:81-92 (events by calendar time).
"""

from dataclasses import dataclass

import numpy as np

from vtrial.design.sequential.given import Array, ArrayLike
from vtrial.errors import ProtocolError

_NODES = 128
_SMOOTH = 4.0  # power of time with which the integrand of a Weibull law is smooth


@dataclass(frozen=True)
class Hazard:
    """The law of times to an event in one arm, and that of dropout before it.

    Parameters
    ----------
    rates
        Hazard from each start on, per unit of time. Of a Weibull law, the one number
        is lambda of S(t) = exp(-(lambda t)^shape).
    starts
        When each rate begins, rising from 0.
    shape
        Shape of a Weibull law; 1 for constant or piecewise constant hazards.
    dropout
        Hazard of dropout, constant.

    Raises
    ------
    ProtocolError
        If there is no such law.

    Examples
    --------
    >>> law = Hazard((0.01, 0.02), (0.0, 5.0))
    >>> print(round(float(law.events(10.0)), 4), round(law.quantile(0.5), 3))
    0.1393 37.157
    """

    rates: tuple[float | int, ...]
    starts: tuple[float | int, ...] = (0.0,)
    shape: float | int = 1.0
    dropout: float | int = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no law."""
        starts, rates = np.asarray(self.starts, float), np.asarray(self.rates, float)
        rising = (
            starts.size > 0 and starts[0] == 0 and bool(np.all(np.diff(starts) > 0))
        )
        for fine, at, found, allowed in (
            (rising, "starts", self.starts, "times that rise from 0"),
            (rates.shape == starts.shape, "rates", self.rates, "one for each start"),
            (bool(np.all(rates >= 0)), "rates", self.rates, "none below 0"),
            (self.shape > 0, "shape", self.shape, "above 0"),
            (
                self.shape == 1 or rates.size == 1,
                "shape",
                self.shape,
                "1 where the hazard changes between pieces",
            ),
            (self.dropout >= 0, "dropout", self.dropout, "0 or above"),
        ):
            if not fine:
                raise ProtocolError(
                    at=f"hazard.{at}", found=str(found), allowed=allowed, write=""
                )

    def times(self, ratio: float | int) -> "Hazard":
        """Return the law whose hazard is a multiple of this one at all times."""
        factor = float(ratio) ** (1.0 / self.shape)
        rates = tuple(float(rate) * factor for rate in self.rates)
        return Hazard(rates, self.starts, self.shape, self.dropout)

    def leaving(self, dropout: float | int) -> "Hazard":
        """Return the same law with another hazard of dropout."""
        return Hazard(self.rates, self.starts, self.shape, dropout)

    def cumulative(self, time: ArrayLike) -> Array:
        """Return the cumulative hazard of the event."""
        time = np.asarray(time, float)
        if self.shape != 1:
            return (self.rates[0] * time) ** self.shape
        starts, rates = np.asarray(self.starts, float), np.asarray(self.rates, float)
        ends = np.append(starts[1:], np.inf)
        within = np.clip(time[..., None] - starts, 0.0, ends - starts)
        return np.asarray(within @ rates)

    def quantile(self, probability: float | int) -> float:
        """Return by when the event happens with a probability, without dropout."""
        goal = -float(np.log1p(-probability))
        if self.shape != 1:
            return goal ** (1 / self.shape) / float(self.rates[0])
        starts, rates = np.asarray(self.starts, float), np.asarray(self.rates, float)
        reached = self.cumulative(starts)
        piece = int(np.searchsorted(reached, goal, side="right")) - 1
        left = goal - float(np.ravel(reached)[piece])
        return float(starts[piece] + left / rates[piece]) if rates[piece] else np.inf

    def events(self, time: ArrayLike) -> Array:
        """Return the probability of an event, before dropout, by a time since entry."""
        return self._seen(time)[0]

    def events_sum(self, time: ArrayLike) -> Array:
        """Return the integral of `events` from entry to a time.

        Subjects who enter at a constant rate of one per unit of time have had this many
        events by then.
        """
        return self._seen(time)[1]

    def _seen(self, time: ArrayLike) -> tuple[Array, Array]:
        """Return the probability of a seen event, and its integral."""
        time = np.maximum(np.asarray(time, float), 0.0)
        return self._by_weibull(time) if self.shape != 1 else self._by_pieces(time)

    def _by_pieces(self, time: Array) -> tuple[Array, Array]:
        """Integrate constant hazards in closed form, piece by piece."""
        starts, rates = np.asarray(self.starts, float), np.asarray(self.rates, float)
        ends = np.append(starts[1:], np.inf)
        leaving = rates + self.dropout
        at_start = np.exp(-self.cumulative(starts) - self.dropout * starts)
        within = np.clip(np.asarray(time)[..., None] - starts, 0.0, ends - starts)
        after = np.maximum(np.asarray(time)[..., None] - starts, 0.0) - within
        some = leaving > 0
        each = np.where(some, leaving, 1.0)
        gone = -np.expm1(-each * within) / each  # integral of survival in the piece
        gone = np.where(some, gone, within)
        seen = rates * at_start * gone
        # the integral of a piece's own events, and what they weigh after it
        inner = np.where(some, rates * at_start * (within - gone) / each, 0.0)
        return seen.sum(axis=-1), (inner + seen * after).sum(axis=-1)

    def _by_weibull(self, time: Array) -> tuple[Array, Array]:
        """Integrate a Weibull law by Gauss and Legendre over a power of time."""
        node, weight = np.polynomial.legendre.leggauss(_NODES)
        node, weight = (node + 1) / 2, weight / 2
        power = max(1.0, _SMOOTH / self.shape)
        time = np.asarray(time)[..., None]
        at = time * node**power
        rate, shape = float(self.rates[0]), float(self.shape)
        # f(s) ds with s = t y^power, written without a pole at 0
        steep = shape * power * (rate * time) ** shape * node ** (power * shape - 1)
        density = steep * np.exp(-((rate * at) ** shape) - self.dropout * at)
        seen = (density * weight).sum(axis=-1)
        return seen, (density * (time - at) * weight).sum(axis=-1)


def hazard_of(
    probability: float | int, time: float | int, *, shape: float | int = 1.0
) -> Hazard:
    """Return the law by which an event happens until a time with a probability.

    Examples
    --------
    >>> print(round(hazard_of(0.2, 12).rates[0], 9))
    0.018595296
    """
    if not 0 < probability < 1:
        raise ProtocolError(
            at="hazard.probability",
            found=str(probability),
            allowed="between 0 and 1",
            write="",
        )
    whole = -float(np.log1p(-probability))
    return Hazard((whole ** (1 / shape) / float(time),), shape=shape)


def dropout_of(probability: float | int, time: float | int) -> float:
    """Return the hazard of dropout by which a share has left at a time."""
    return -float(np.log1p(-probability)) / float(time)

"""Subjects of each trial in the order of a value, with ties and strata marked."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from vtrial.measure.statistic import Numbers, Values

Places = Int[np.ndarray, "replicate place"]
Strata = Int[np.ndarray, "replicate subject"]


class Order(NamedTuple):
    """The places of a trial's subjects in ascending order, stratum after stratum.

    Fields
    ------
    subject
        Who stands at each place. Whoever has no value stands behind all others.
    here
        Whether there is somebody with a value at the place.
    first, last
        The first and the last place with the same value (and stratum).
    start, stop
        The stratum's first place, and the first place behind it.
    """

    subject: Places
    here: Bool[np.ndarray, "replicate place"]
    first: Places
    last: Places
    start: Places
    stop: Places

    @property
    def leads(self) -> Bool[np.ndarray, "replicate place"]:
        """Places that are the first of their ties."""
        return self.here & (self.first == _places(self.first))

    def rows(self, chosen: np.ndarray) -> "Order":
        """Return the order of some of the trials."""
        return Order(*(part[chosen] for part in self))

    def arrange(self, value: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """Return values by place; `fill` behind the last."""
        placed = np.take_along_axis(value, self.subject, axis=1)
        return np.where(self.here, placed, fill)

    def tied(self, value: np.ndarray) -> np.ndarray:
        """Sum what is by place over the places that are tied with each."""
        before = _before(value)
        return _at(before, self.last + 1) - _at(before, self.first)

    def from_here(self, value: np.ndarray) -> np.ndarray:
        """Sum what is by place over all from the first tied place to the stratum's end.

        With who is there as the value this is the number at risk.
        """
        behind = _before(value[:, ::-1])[:, ::-1]
        return _at(behind, self.first) - _at(behind, self.stop)

    def until_here(self, value: np.ndarray) -> np.ndarray:
        """Sum what is by place over all of the stratum before the first tied place."""
        before = _before(value)
        return _at(before, self.first) - _at(before, self.start)


def order_of(value: Values, strata: Strata | None = None) -> Order:
    """Order every trial's subjects; those with NaN or a negative stratum are left out.

    Places that no trial needs are cut off, so that few subjects cost little.
    """
    seen = np.isfinite(value)
    if strata is not None:
        seen &= strata >= 0
    count = seen.sum(axis=1)
    width = max(int(count.max(initial=0)), 1)
    subject = np.argsort(np.where(seen, value, np.nan), axis=1)[:, :width]
    here = np.arange(width)[None, :] < count[:, None]
    stratum = np.zeros(here.shape, np.int16)
    if strata is not None:
        stratum = np.take_along_axis(strata, subject, axis=1)
        # Short integers are sorted by radix: far quicker than any comparison.
        stratum = np.where(here, stratum, np.iinfo(np.int16).max).astype(np.int16)
        again = np.argsort(stratum, axis=1, kind="stable")
        subject, stratum = (
            np.take_along_axis(part, again, axis=1) for part in (subject, stratum)
        )
    placed = np.take_along_axis(value, subject, axis=1)
    turns = _turns(stratum) | _turns(here)
    first, last = _ends(turns | _turns(placed))
    start, stop = _ends(turns)
    return Order(subject, here, first, last, start, stop + 1)


def _places(like: np.ndarray) -> np.ndarray:
    """Return the number of every place."""
    return np.broadcast_to(np.arange(like.shape[1]), like.shape)


def _turns(value: np.ndarray) -> np.ndarray:
    """Return where a value differs from the one before."""
    turns = np.ones(value.shape, bool)
    turns[:, 1:] = value[:, 1:] != value[:, :-1]
    return turns


def _ends(turns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the last place of the group that each place is in."""
    places = _places(turns)
    first = np.maximum.accumulate(np.where(turns, places, 0), axis=1)
    closes = np.ones(turns.shape, bool)
    closes[:, :-1] = turns[:, 1:]
    end = np.where(closes, places, turns.shape[1] - 1)
    last = np.minimum.accumulate(end[:, ::-1], axis=1)[:, ::-1]
    return first, last


def _before(value: np.ndarray) -> np.ndarray:
    """Return sums over all places before each; one more place than there are."""
    total = np.zeros((value.shape[0], value.shape[1] + 1))
    np.cumsum(value, axis=1, out=total[:, 1:])
    return total


def _at(value: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return what stands at a place of the same trial."""
    return np.take_along_axis(value, place, axis=1)


class Side(NamedTuple):
    """Who is on one side of each trial's comparison, drawn together to the front."""

    subject: Places
    here: Bool[np.ndarray, "replicate place"]
    size: Numbers

    def arrange(self, value: np.ndarray) -> np.ndarray:
        """Return values of the side; NaN behind the last."""
        placed = np.take_along_axis(value, self.subject, axis=1)
        return np.where(self.here, placed, np.nan)


def sides_of(
    present: Bool[np.ndarray, "replicate subject"],
    treated: Bool[np.ndarray, "replicate subject"],
) -> tuple[Side, Side]:
    """Return the treated and the control subjects of those present."""
    return _side(present & treated), _side(present & ~treated)


def _side(chosen: np.ndarray) -> Side:
    """Draw the chosen subjects of every trial together."""
    count = chosen.sum(axis=1)
    width = max(int(count.max(initial=0)), 1)
    subject = np.argsort(~chosen, axis=1, kind="stable")[:, :width]
    return Side(subject, np.arange(width) < count[:, None], count.astype(float))


def by_stratum(value: np.ndarray, strata: Strata | None) -> np.ndarray:
    """Sum over each stratum's subjects; (replicate, stratum).

    Without strata all are in one; who is in a negative one counts for none.
    """
    if strata is None:
        return value.sum(axis=1, keepdims=True).astype(float)
    size = max(int(strata.max(initial=0)) + 1, 1)
    rows = np.arange(len(value))[:, None] * size
    inside = strata >= 0
    flat = np.bincount(
        (rows + np.where(inside, strata, 0)).ravel(),
        np.where(inside, value, 0.0).ravel(),
        minlength=len(value) * size,
    )
    return flat.reshape(len(value), size)

"""What an enactment sees of its subjects: outcomes as they are known at some time."""

import abc
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

Subjects = Float[np.ndarray, "trial subject"]
Arms = Int[np.ndarray, "trial subject"]
Trials_ = Float[np.ndarray, " trial"]


class Lock(NamedTuple):
    """The data at a look.

    Fields
    ------
    arm
        The place of each subject's arm; -1 for whoever is not enrolled.
    enrolled
        When each was enrolled [h].
    at
        When the data are locked [h]; infinite once everything is known.
    """

    arm: Arms
    enrolled: Subjects
    at: Trials_


class Effects(NamedTuple):
    """What a comparison shows in each trial; ratios stand as their logarithms.

    `z` is the standardised effect by the comparison's own test, positive where the arm
    has more than the reference (or than the margin).
    """

    estimate: Trials_
    error: Trials_
    p: Trials_
    z: Trials_


class Seen(NamedTuple):
    """An endpoint's values under each subject's own arm; NaN where not known.

    `event` of times: 1 where it is that of the event, 0 where it is censored.
    """

    value: Subjects
    event: Subjects | None
    binary: bool


class AbstractSight(abc.ABC):
    """What an enactment asks of the data; whoever holds the record answers."""

    @abc.abstractmethod
    def times(
        self, arm: Arms, enrolled: Subjects, endpoint: str = ""
    ) -> tuple[Subjects, Subjects]:
        """Return when the outcome of each is known, and when its event is [h].

        It is the trial's outcome, unless another endpoint is named.
        """

    @abc.abstractmethod
    def effects(self, comparison: str, lock: Lock) -> Effects:
        """Compare two arms by what is known."""

    @abc.abstractmethod
    def seen(self, endpoint: str, lock: Lock) -> Seen:
        """Return an endpoint's values as they are known."""

    @abc.abstractmethod
    def sides(self, comparison: str) -> tuple[int, int]:
        """Return the places of a comparison's arm and of its reference."""

    @abc.abstractmethod
    def names(self) -> Sequence[str]:
        """Return the names of the arms, in their order."""

    @abc.abstractmethod
    def members(self, comparison: str) -> Bool[np.ndarray, "trial subject"]:
        """Return who meets a comparison's condition, enrolled or not."""

    @abc.abstractmethod
    def alpha(self, comparison: str) -> float:
        """Return the p-value below which a comparison is significant by itself."""

    @abc.abstractmethod
    def scaled(self, comparison: str, effect: float) -> float:
        """Return an effect on the scale of `Effects`: ratios as their logarithms."""


def known_in(seen: Seen, arm: Arms, arms: int) -> Bool[np.ndarray, "arm trial subject"]:
    """Return whose value is known in each arm."""
    known = np.isfinite(seen.value)
    return np.stack([known & (arm == one) for one in range(arms)])

"""What an adaptation sees at a look, and what it may decide."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from vtrial.design.sight import AbstractSight, Effects, Lock
from vtrial.errors import ProtocolError
from vtrial.protocol.enactment import Adaptation, Enactment

Each = Bool[np.ndarray, " trial"]
ByArm = Float[np.ndarray, "trial arm"]


class Verdict(NamedTuple):
    """What is decided in each trial; nothing is changed where a part is left out.

    Fields
    ------
    success, futile
        By comparison: whether it is shown, or given up.
    weights
        The probabilities of the arms for those who are still to come.
    among
        Which arms go on.
    size
        How many subjects are enrolled in all.
    only
        Who may be enrolled from now on.
    told
        By comparison: what it shows by the rule's own reckoning, which is noted in the
        place of its usual estimate.
    """

    success: Mapping[str, Each] = {}
    futile: Mapping[str, Each] = {}
    weights: ByArm | None = None
    among: Bool[np.ndarray, "trial arm"] | None = None
    size: Int[np.ndarray, " trial"] | None = None
    only: Bool[np.ndarray, "trial subject"] | None = None
    told: Mapping[str, Effects] = {}


@dataclass
class View:
    """A look at all trials of an enactment.

    Parameters
    ----------
    enactment, place
        What the sheet says, and which look it is.
    lock, sight
        The locked data.
    base
        The planned probabilities of the arms.
    among
        Which arms are open.
    size, most
        How many subjects each trial is to enrol, and how many it can.
    past
        The effects of earlier looks, by comparison and look.
    counted
        How many were known, and had events, at the looks so far, by counter; NaN where
        a look was not held.
    times
        [h] When earlier looks were held; NaN where one was not.
    opened, closed
        [h] From when to when each arm was open, where only subjects who were enrolled
        then are compared with it; None where all are.
    """

    enactment: Enactment
    place: int
    lock: Lock
    sight: AbstractSight
    base: Float[np.ndarray, " arm"]
    among: Bool[np.ndarray, "trial arm"]
    size: Int[np.ndarray, " trial"]
    most: int
    past: Mapping[tuple[str, int], Effects]
    counted: Mapping[str, Float[np.ndarray, "trial look"]]
    times: Sequence[Float[np.ndarray, " trial"]] = ()
    opened: ByArm | None = None
    closed: ByArm | None = None
    now: dict[str, Effects] = field(default_factory=dict)
    locks: dict[tuple[int, int], Lock] = field(default_factory=dict)

    @property
    def last(self) -> bool:
        """Whether it is the last look."""
        return self.place == len(self.enactment.looks) - 1

    def effects(self, comparison: str) -> Effects:
        """Return what a comparison shows now."""
        if comparison not in self.now:
            lock = self.lock_of(comparison)
            self.now[comparison] = self.sight.effects(comparison, lock)
        return self.now[comparison]

    def lock_of(self, comparison: str) -> Lock:
        """Return the locked data of those with whom a comparison is made."""
        if self.opened is None or self.closed is None:
            return self.lock
        sides = self.sight.sides(comparison)
        if sides not in self.locks:
            begun = self.opened[:, list(sides)].max(axis=1)
            ended = self.closed[:, list(sides)].min(axis=1)
            came = self.lock.enrolled
            both = (came >= begun[:, None]) & (came <= ended[:, None])
            arm = np.where(both, self.lock.arm, -1)
            self.locks[sides] = self.lock._replace(arm=arm)
        return self.locks[sides]

    def z(self, comparison: str, adaptation: Adaptation) -> Float[np.ndarray, " trial"]:
        """Return the test statistic, positive where the effect is as it should be."""
        return self.signed(adaptation, self.effects(comparison))

    @staticmethod
    def signed(adaptation: Adaptation, effects: Effects) -> Float[np.ndarray, " trial"]:
        """Return a statistic, positive where the effect is as it should be."""
        return effects.z if adaptation.better == "higher" else -effects.z


def increment(
    adaptation: Adaptation, before: Effects, now: Effects
) -> Float[np.ndarray, " trial"]:
    """Return the statistic of what has become known between two looks.

    Statistics of information i and j > i have the independent increment (sqrt(j) Z_j -
    sqrt(i) Z_i) / sqrt(j - i) (Jennison and Turnbull 2000, ch. 11); information is the
    inverse of the squared standard error.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        early, late = (1.0 / one.error**2 for one in (before, now))
        first, second = (View.signed(adaptation, one) for one in (before, now))
        made = np.sqrt(late) * second - np.sqrt(early) * first
        return made / np.sqrt(late - early)


@dataclass(frozen=True)
class Kind:
    """How one adaptation decides; `word` is what a sheet says at `by`.

    `check` raises a `ProtocolError` for what cannot be enacted.
    """

    word: str
    place: int
    decide: Callable[[Adaptation, View], Verdict]
    check: Callable[[Adaptation, Enactment], None] | None = None


def shares_of(enactment: Enactment, looks: Sequence[int]) -> tuple[float, ...]:
    """Return the shares of the information that looks have.

    Raises
    ------
    ProtocolError
        If one is not known.
    """
    shares = []
    for look in (enactment.looks[place] for place in looks):
        if look.information is None:
            raise ProtocolError(
                at=f"look {look.name}",
                found="without the share of the information that it has",
                allowed="`information`, the share of what the last look will know, "
                "such as `{when: ..., information: 50 %}`",
                write="",
            )
        shares.append(look.information)
    return tuple(shares)

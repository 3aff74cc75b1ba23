"""Which arms a trial has when: some join later, or leave early."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from vtrial.design.sight import Arms, Subjects, Trials_
from vtrial.protocol.presence import Presence

ByArm = Float[np.ndarray, "trial arm"]
Open = Bool[np.ndarray, "trial arm"]


def assigned(ticket: Subjects, weights: ByArm) -> Arms:
    """Return the arms that uniform draws choose with each trial's probabilities."""
    return _chosen(ticket, weights[:, None, :])


def _chosen(ticket: Subjects, weights: Float[np.ndarray, "trial _ arm"]) -> Arms:
    """Return the arms that draws choose with probabilities by trial (and subject)."""
    limits = np.cumsum(weights, axis=2)
    limits = limits / limits[:, :, -1:]
    arm = np.zeros(ticket.shape, int)
    for one in range(weights.shape[2] - 1):
        arm += ticket >= limits[:, :, one]
    return arm


@dataclass
class Present:
    """From when to when each arm of each trial takes subjects [h].

    Whoever comes at the very time an arm opens may get it; at that at which it closes,
    nobody does any more.
    """

    said: Presence
    opened: ByArm
    closed: ByArm

    @classmethod
    def begun(cls, said: Presence, trials: int, arms: int) -> "Present":
        """Return what is known on the first day."""
        made = cls(said, np.zeros((trials, arms)), np.full((trials, arms), np.inf))
        for one in said.joins:
            made.opened[:, one.arm] = one.at
        for one in said.leaves:
            made.closed[:, one.arm] = one.at
        return made

    @property
    def spans(self) -> tuple[ByArm | None, ByArm | None]:
        """From when to when arms are compared, where only those enrolled then count."""
        if self.said.controls == "all":
            return None, None
        return self.opened.copy(), self.closed.copy()

    def at(self, time: Trials_) -> Open:
        """Return which arms take subjects just after a time."""
        return (self.opened <= time[:, None]) & (time[:, None] < self.closed)

    def look(
        self,
        place: int,
        at: Trials_,
        on: Bool[np.ndarray, " trial"],
        among: Open,
    ) -> Bool[np.ndarray, " trial"]:
        """Open and close arms at a look; return in which trials that changed any.

        `on`: which trials go on after it; `among`: which arms rules let go on, for an
        arm that is dropped is closed from then on.
        """
        moved = np.zeros(len(at), bool)
        for one in (*self.said.joins, *self.said.leaves):
            if one.look == place:
                times = self.opened if one in self.said.joins else self.closed
                times[on, one.arm] = at[on]
                moved |= on
        if self.said.changes:
            ends = on[:, None] & ~among & (self.closed > at[:, None])
            self.closed = np.where(ends, at[:, None], self.closed)
        return moved

    def drawn(
        self, came: Subjects, ticket: Subjects, weights: ByArm, base: np.ndarray
    ) -> Arms:
        """Draw everybody's arm among those that are open when they come."""
        if not self.said.changes:
            return assigned(ticket, weights)
        there = self._there(came)
        made = weights[:, None, :] * there
        none = ~(made.sum(axis=2, keepdims=True) > 0)
        return _chosen(ticket, np.where(none, base * there, made))

    def kept(
        self, arm: Arms, came: Subjects, ticket: Subjects, base: np.ndarray
    ) -> Arms:
        """Keep the arms as they are randomised where all are open; draw the others."""
        if not self.said.changes:
            return arm
        weights = np.tile(base, (len(arm), 1))
        whole = self._there(came).all(axis=2)
        return np.where(whole, arm, self.drawn(came, ticket, weights, base))

    def _there(self, came: Subjects) -> Bool[np.ndarray, "trial subject arm"]:
        """Return which arms are open when each comes."""
        time = came[..., None]
        return (time >= self.opened[:, None, :]) & (time < self.closed[:, None, :])

"""Subjects whose outcomes are given as arrays, for enactments without a record."""

from dataclasses import dataclass, field

import numpy as np
from scipy import special

from vtrial.design.sight import AbstractSight, Effects, Seen


@dataclass
class Given(AbstractSight):
    """Numbers (or responses) by trial, subject and arm, known a while after enrolment.

    Comparisons are of means with known deviation 1 (or of shares, pooled). Another
    endpoint, `early`, is known `soon`.
    """

    value: np.ndarray
    pairs: dict[str, tuple[int, int]]
    after: float = 0.0
    binary: bool = False
    event: np.ndarray | None = None
    subgroups: dict[str, np.ndarray] = field(default_factory=dict)
    early: np.ndarray | None = None
    soon: float = 0.0

    def times(self, arm, enrolled, endpoint=""):
        if endpoint or self.event is None:
            wait = self.soon if endpoint else self.after
            return enrolled + wait, np.full_like(enrolled, np.inf)
        time = self._own(self.value, arm)
        happens = self._own(self.event, arm) == 1
        return enrolled + time, np.where(happens, enrolled + time, np.inf)

    def _own(self, values, arm):
        own = np.take_along_axis(values, np.maximum(arm, 0)[..., None], axis=2)[..., 0]
        return np.where(arm >= 0, own, np.nan)

    def seen(self, endpoint, lock):
        if endpoint == "early":
            known = lock.enrolled + self.soon <= lock.at[:, None]
            own = self._own(self.early, lock.arm)
            return Seen(np.where(known, own, np.nan), None, False)
        known = lock.enrolled + self.after <= lock.at[:, None]
        return Seen(
            np.where(known, self._own(self.value, lock.arm), np.nan), None, self.binary
        )

    def effects(self, comparison, lock):
        found = self.seen("", lock).value
        sums = []
        for side in self.pairs[comparison]:
            inside = np.isfinite(found) & (lock.arm == side) & self.members(comparison)
            count = inside.sum(axis=1)
            total = np.where(inside, found, 0.0).sum(axis=1)
            sums.append((total, count))
        (a, n), (b, m) = sums
        with np.errstate(invalid="ignore", divide="ignore"):
            estimate = a / n - b / m
            share = (a + b) / (n + m)
            spread = np.sqrt(share * (1 - share)) if self.binary else 1.0
            error = spread * np.sqrt(1 / n + 1 / m)
            z = np.where(np.isfinite(estimate / error), estimate / error, 0.0)
        return Effects(estimate, error, 2 * special.ndtr(-np.abs(z)), z)

    def members(self, comparison):
        everybody = np.ones(self.value.shape[:2], bool)
        return self.subgroups.get(comparison, everybody)

    def sides(self, comparison):
        return self.pairs[comparison]

    def names(self):
        return [f"arm {place}" for place in range(self.value.shape[2])]

    def alpha(self, comparison):
        return 0.05

    def scaled(self, comparison, effect):
        return effect

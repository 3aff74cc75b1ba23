"""Subjects who respond by chance alone: what a trial sees where no arm does anything.

No model is solved and no record is read: each subject responds or not, the same under
any arm, and the trial's own comparisons and rules decide.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from vtrial.analysis.asked import AbstractAsked
from vtrial.analysis.comparison import contrast_between
from vtrial.analysis.locked import as_effects
from vtrial.design.sight import Arms, Effects, Lock, Seen, Subjects
from vtrial.endpoint.equation import end_of
from vtrial.errors import Fault
from vtrial.measure.groups import Groups
from vtrial.protocol.adaptation_kinds import adaptation_kinds
from vtrial.protocol.enactment import Enactment
from vtrial.protocol.protocol import Protocol


def faults_of_chances(protocol: Protocol) -> Iterator[Fault]:
    """Find what keeps a trial from being enacted with responses alone."""
    enactment = protocol.enactment
    if enactment is None or enactment.escalation is not None:
        such = "`looks: {final: 100 %}`"
        yield Fault(
            "design", "without looks", f"a trial with looks, such as {such}", ""
        )
        return
    outcome = protocol.endpoint(enactment.outcome)
    if not outcome.binary or outcome.event:
        what = f"`{outcome.name}`, which is no response"
        yield Fault("design.outcome", what, "a response, which has a null rate", "")
    for one in protocol.analysis.comparisons:
        unlike = [key for key in ("adjust", "strata", "where") if getattr(one, key)]
        margin = one.above is not None or one.below is not None
        if one.endpoint != outcome.name or one.measure.of != "responses":
            what = f"on `{one.endpoint}`, `by: {one.by}`"
        elif unlike or margin:
            what = f"with `{unlike[0] if unlike else 'above or below'}`"
        else:
            continue
        allowed = f"a comparison of everybody on `{outcome.name}`, without a margin"
        yield Fault(f"analysis.{one.name}", what, allowed, "")
    for one in enactment.adaptations:
        if adaptation_kinds()[one.by].of == "endpoint" and one.on[0] != outcome.name:
            what = f"on `{one.on[0]}`"
            yield Fault(f"design.adapt.{one.name}", what, f"`on: {outcome.name}`", "")
        if early := one.option("early"):
            what = f"that selects by `{early}`"
            yield Fault(f"design.adapt.{one.name}", what, "one without `early`", "")
    if protocol.design.allocation.asked:
        what = f"by {', '.join(protocol.design.allocation.asked)}"
        allowed = "one that asks nothing of subjects, such as `simple`"
        yield Fault("design.randomisation", what, allowed, "")


@dataclass
class Chances(AbstractAsked):
    """What an enactment sees of responses that do not depend on the arm."""

    protocol: Protocol
    enactment: Enactment
    value: Subjects

    @property
    def wait(self) -> float:
        """How long after enrolment a response is known [h]."""
        named = {one.name: one for one in self.protocol.endpoints}
        return end_of(named[self.enactment.outcome], named) + self.enactment.delay

    def times(
        self, arm: Arms, enrolled: Subjects, endpoint: str = ""
    ) -> tuple[Subjects, Subjects]:
        """Return when each response is known; there are no events."""
        known = enrolled + self.wait
        return known, np.full_like(known, np.inf)

    def seen(self, endpoint: str, lock: Lock) -> Seen:
        """Return the responses that are known."""
        known = (lock.enrolled + self.wait <= lock.at[:, None]) & (lock.arm >= 0)
        return Seen(np.where(known, self.value, np.nan), None, True)

    def effects(self, comparison: str, lock: Lock) -> Effects:
        """Compare two arms by what is known."""
        asked, (arm, reference) = self.asked[comparison], self.sides(comparison)
        value = self.seen(asked.endpoint, lock).value
        inside = (lock.arm == arm) | (lock.arm == reference)
        groups = Groups(np.where(inside, value, np.nan), lock.arm == arm)
        return as_effects(contrast_between(groups, asked), asked)

    def names(self) -> tuple[str, ...]:
        """Return the names of the arms."""
        return tuple(one.name for one in self.protocol.arms)

    def members(self, comparison: str) -> Bool[np.ndarray, "trial subject"]:
        """Return everybody."""
        return np.ones(self.value.shape, bool)

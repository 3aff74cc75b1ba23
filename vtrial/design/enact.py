"""Enact trials: enrol, allocate, look, decide, go on; all trials side by side.

Nothing is simulated here. What each subject would show under each arm is known, and an
enactment finds out which of it the trial sees, and when.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

from vtrial.design.allocation import allocate
from vtrial.design.calendar import Calendar, held_at
from vtrial.design.draws import uniforms
from vtrial.design.kind import Verdict, View
from vtrial.design.present import Present
from vtrial.design.registry import kinds_of_adaptation
from vtrial.design.sight import AbstractSight, Arms, Effects, Lock
from vtrial.design.strata import Groups
from vtrial.design.trials import Decision, Trials
from vtrial.protocol.arrivals import enrolments
from vtrial.protocol.design import Allocation
from vtrial.protocol.enactment import Enactment

NOWHERE = Groups()


def enact(
    enactment: Enactment,
    allocation: Allocation,
    sight: AbstractSight,
    *,
    comparisons: Sequence[str],
    seed: int,
    trials: Int[np.ndarray, " trial"],
    subjects: int,
    groups: Groups = NOWHERE,
) -> Trials:
    """Enact some trials.

    A trial depends on its number and the seed alone, not on which others are enacted
    with it.

    Parameters
    ----------
    enactment, allocation
        How the trial goes on, and how subjects are allocated until a look changes it;
        from then on each later subject's arm is drawn with the new probabilities.
    sight
        What is known of the subjects at which time.
    comparisons
        What is decided. Those that no adaptation is on are tested at the end.
    seed, trials
        The seed, and the trials' numbers.
    subjects
        How many a trial can enrol.
    groups
        The subjects' strata and levels, for an allocation that asks for them.
    """
    course = _Course.begun(
        enactment,
        allocation,
        sight,
        comparisons=tuple(comparisons),
        seed=seed,
        trials=trials,
        subjects=subjects,
        groups=groups,
    )
    for place in range(len(enactment.looks)):
        course.look(place)
    return course.ended()


@dataclass
class _Course:
    """All trials on their way from look to look."""

    enactment: Enactment
    sight: AbstractSight
    comparisons: tuple[str, ...]
    base: Float[np.ndarray, " arm"]
    came: Float[np.ndarray, "trial subject"]
    ticket: Float[np.ndarray, "trial subject"]
    arm: Arms
    weights: Float[np.ndarray, "trial arm"]
    among: Bool[np.ndarray, "trial arm"]
    size: Int[np.ndarray, " trial"]
    running: Bool[np.ndarray, " trial"]
    open: Bool[np.ndarray, "trial comparison"]
    end: Float[np.ndarray, " trial"]
    place: Int[np.ndarray, " trial"]
    allocated: Int[np.ndarray, "trial arm"]
    final: Float[np.ndarray, "trial comparison"]
    final_error: Float[np.ndarray, "trial comparison"]
    success: Bool[np.ndarray, "trial comparison"]
    allowed: Bool[np.ndarray, "trial subject"]
    presence: Present
    past: dict[tuple[str, int], Effects] = field(default_factory=dict)
    rows: list[dict[str, np.ndarray]] = field(default_factory=list)

    @classmethod
    def begun(
        cls,
        enactment: Enactment,
        allocation: Allocation,
        sight: AbstractSight,
        *,
        comparisons: tuple[str, ...],
        seed: int,
        trials: np.ndarray,
        subjects: int,
        groups: Groups,
    ) -> "_Course":
        """Enrol everybody, and allocate as it is planned."""
        count, many = len(trials), len(comparisons)
        base = np.asarray(allocation.weights, float)
        base = base / base.sum()
        whole = np.repeat(trials, subjects), np.tile(np.arange(subjects), count)
        arm = allocate(
            allocation,
            seed=seed,
            replicate=whole[0],
            subject=whole[1],
            **groups._asdict(),
        )
        shape = {"seed": seed, "trials": trials, "subjects": subjects}
        came = enrolments(enactment.accrual, **shape)
        ticket = uniforms("adapted arms", **shape)
        present = Present.begun(enactment.presence, count, len(base))
        arm = present.kept(arm.reshape(count, subjects), came, ticket, base)
        return cls(
            enactment,
            sight,
            comparisons,
            base,
            came,
            ticket,
            arm,
            np.tile(base, (count, 1)),
            np.ones((count, len(base)), bool),
            np.full(count, enactment.planned),
            np.ones(count, bool),
            np.ones((count, many), bool),
            np.zeros(count),
            np.zeros(count, int),
            np.zeros((count, len(base)), int),
            np.full((count, many), np.nan),
            np.full((count, many), np.nan),
            np.zeros((count, many), bool),
            np.ones((count, subjects), bool),
            present,
        )

    def look(self, place: int) -> None:
        """Hold a look: lock, decide, and change what is decided."""
        look = self.enactment.looks[place]
        last = place == len(self.enactment.looks) - 1
        limit = self.allowed & (np.cumsum(self.allowed, axis=1) <= self.size[:, None])
        planned = np.where(limit, self.arm, -1)
        enrolled = np.where(limit, self.came, np.inf)
        known, events = self.sight.times(planned, enrolled)
        counts = Calendar(enrolled, known, events)
        if look.outcome:
            own = self.sight.times(planned, enrolled, look.outcome)
            counts = Calendar(enrolled, *own)
        at = np.maximum(held_at(look, counts, self.size), self.end)
        if last:  # what is never reached ends once everything is known
            everything = np.where(limit, known, 0.0).max(axis=1)
            at = np.where(np.isfinite(at), at, np.maximum(everything, self.end))
        held = self.running & np.isfinite(at)
        inside = (enrolled <= at[:, None]) & held[:, None]
        lock = Lock(np.where(inside, planned, -1), enrolled, at)
        view = View(
            self.enactment,
            place,
            lock,
            self.sight,
            *(self.base, self.among & self.presence.at(at)),
            *(self.size, self.came.shape[1]),
            self.past,
            self._counted(at, held, known=known, events=events),
            [row["at"] for row in self.rows],
            *self.presence.spans,
        )
        verdicts = [
            kinds_of_adaptation()[one.by].decide(one, view)
            for one in self.enactment.adaptations
            if place in one.looks
        ]
        decision = self._decided(view, verdicts, held, last=last)
        over = held & self._ends(decision, last=last)
        told = {name: one for made in verdicts for name, one in made.told.items()}
        self._note(view, decision, held, told, known=known, events=events)
        self._end(lock, over, held, place)
        self._change(verdicts, at, held, place)

    def _counted(
        self, at: np.ndarray, held: np.ndarray, **times: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Count who is known, and who had events, at the looks up to this one."""
        found = {}
        for name, time in times.items():
            now = np.where(held, (time <= at[:, None]).sum(axis=1), np.nan)
            past = [row[name] for row in self.rows]
            found[name] = np.stack([*past, now], axis=1)
        return found

    def _decided(
        self, view: View, verdicts: Sequence[Verdict], held: np.ndarray, *, last: bool
    ) -> np.ndarray:
        """Return the decision on each comparison.

        Those on which no rule decides are tested by their own p-value once the trial
        ends. What is open at the last look is given up.
        """
        made = np.full(self.open.shape, int(Decision.NONE))
        none = np.zeros(len(held), bool)
        for i in self._ruled:
            name = self.comparisons[i]
            shown, futile = none, none
            for verdict in verdicts:
                shown = shown | verdict.success.get(name, none)
                futile = futile | verdict.futile.get(name, none)
            made[:, i] = self._said(i, held, shown, futile | last)
        ends = held & self._ends(made, last=last)
        for i in set(range(len(self.comparisons))) - set(self._ruled):
            name = self.comparisons[i]
            shown = none
            if ends.any():
                shown = view.effects(name).p < self.sight.alpha(name)
            said = self._said(i, held, shown, ~none)
            made[:, i] = np.where(ends, said, np.minimum(said, int(Decision.GO_ON)))
        return made

    @property
    def _ruled(self) -> list[int]:
        """The places of comparisons on which a rule decides."""
        named = {name for one in self.enactment.adaptations for name in one.on}
        return [i for i, name in enumerate(self.comparisons) if name in named]

    def _said(
        self, place: int, held: np.ndarray, shown: np.ndarray, futile: np.ndarray
    ) -> np.ndarray:
        """Return a comparison's decision, where it is open and the look is held."""
        now = np.where(futile, int(Decision.FUTILE), int(Decision.GO_ON))
        now = np.where(shown, int(Decision.SUCCESS), now)
        return np.where(held & self.open[:, place], now, int(Decision.NONE))

    def _ends(self, decision: np.ndarray, *, last: bool) -> np.ndarray:
        """Return which trials end at a look: all that rules decide on is decided."""
        over = np.full(len(decision), last)
        if ruled := self._ruled:
            still = self.open[:, ruled] & (decision[:, ruled] <= Decision.GO_ON)
            over |= ~still.any(axis=1)
            if self.enactment.stop == "first success":
                over |= (decision[:, ruled] == Decision.SUCCESS).any(axis=1)
        return over

    def _note(
        self,
        view: View,
        decision: np.ndarray,
        held: np.ndarray,
        told: Mapping[str, Effects],
        *,
        known: np.ndarray,
        events: np.ndarray,
    ) -> None:
        """Note what the look saw, and keep the estimates of what it decided."""
        lock = view.lock
        usual = [view.effects(name) for name in self.comparisons]
        found = [
            told.get(name, one)
            for name, one in zip(self.comparisons, usual, strict=True)
        ]
        row = {
            "at": np.where(held, lock.at, np.nan),
            "decision": decision,
            **{
                name: np.stack([getattr(one, name) for one in found], axis=1)
                if found
                else np.zeros((len(held), 0))
                for name in ("estimate", "error", "z")
            },
        }
        for name, times in (
            ("enrolled", lock.enrolled),
            ("known", known),
            ("events", events),
        ):
            counted = (times <= lock.at[:, None]).sum(axis=1)
            row[name] = np.where(held, counted, np.nan)
        for name in ("estimate", "error", "z"):
            row[name] = np.where(held[:, None], row[name], np.nan)
        for i, name in enumerate(self.comparisons):
            self.past[name, view.place] = usual[i]
        ends = decision > Decision.GO_ON
        self.final = np.where(ends, row["estimate"], self.final)
        self.final_error = np.where(ends, row["error"], self.final_error)
        self.success |= decision == Decision.SUCCESS
        self.open &= ~ends
        self.rows.append(row)

    def _end(self, lock: Lock, over: np.ndarray, held: np.ndarray, place: int) -> None:
        """End trials, and count whom they have enrolled."""
        counts = [(lock.arm == one).sum(axis=1) for one in range(len(self.base))]
        self.allocated[over] = np.stack(counts, axis=1)[over]
        self.place[over] = place
        self.end = np.where(held, lock.at, self.end)
        self.running &= ~over

    def _change(
        self, verdicts: Sequence[Verdict], at: np.ndarray, held: np.ndarray, place: int
    ) -> None:
        """Change size, arms and probabilities for whoever comes after the look."""
        before = self.weights
        on = held & self.running
        among, weights = self.among, self.weights
        there = self.presence.at(at)
        for verdict in verdicts:
            if verdict.among is not None:
                among = among & (verdict.among | ~there)
            if verdict.weights is not None:
                rest = (self.base * there).sum(axis=1, keepdims=True)
                weights = np.where(there, verdict.weights * rest, self.base)
            if verdict.size is not None:
                size = np.clip(verdict.size, 1, self.came.shape[1])
                self.size = np.where(on, size, self.size)
            if verdict.only is not None:
                barred = on[:, None] & ~verdict.only & (self.came > at[:, None])
                self.allowed = self.allowed & ~barred
        among = among & self._wanted()
        none = ~np.asarray(among.any(axis=1))
        among = np.where(none[:, None], self.among, among)
        weights = np.where(among, weights, 0.0)
        total = weights.sum(axis=1, keepdims=True)
        planned = np.where(among, self.base, 0.0)
        planned = planned / planned.sum(axis=1, keepdims=True)
        weights = np.where(total > 0, weights / np.where(total > 0, total, 1), planned)
        self.among = np.where(on[:, None], among, self.among)
        self.weights = np.where(on[:, None], weights, self.weights)
        moved = self.presence.look(place, at, on, self.among)
        changed = ((self.weights != before).any(axis=1) | moved) & on
        later = self.came > at[:, None]
        drawn = self.presence.drawn(self.came, self.ticket, self.weights, self.base)
        self.arm = np.where(changed[:, None] & later, drawn, self.arm)
        self.rows[-1]["weights"] = np.where(held[:, None], self.weights, np.nan)

    def _wanted(self) -> np.ndarray:
        """Return which arms any open comparison is about, or none at all."""
        wanted = np.ones_like(self.among)
        sides = [self.sight.sides(name) for name in self.comparisons]
        for arm in range(wanted.shape[1]):
            about = [i for i, pair in enumerate(sides) if arm in pair]
            if about:
                wanted[:, arm] = self.open[:, about].any(axis=1)
        return wanted

    def ended(self) -> Trials:
        """Gather what the looks noted."""
        stacked = {
            name: np.stack([row[name] for row in self.rows], axis=1)
            for name in self.rows[0]
        }
        return Trials(
            **stacked,  # type: ignore[arg-type] # arrays by name
            allocated=self.allocated,
            ended=self.place,
            success=self.success,
            final=self.final,
            final_error=self.final_error,
            duration=self.end,
            size=self.allocated.sum(axis=1),
        )

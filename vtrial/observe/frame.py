"""The frame of a course: everything about an arm's moments that no number decides."""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from vtrial.dosing.doses import AFTER_DOSE
from vtrial.dosing.expansion import written
from vtrial.dosing.regimen import Regimen
from vtrial.dosing.schedule import FINEST, Schedule, schedule_of
from vtrial.model.model import Model, Output
from vtrial.model.residual import measured
from vtrial.observe.actions import Dosed, assigned, given_extra, switched_to
from vtrial.observe.alike import shape_of
from vtrial.observe.decisions import Moment
from vtrial.observe.hindsight import Seen, latest
from vtrial.observe.moments import (
    Moments,
    cycle_at,
    longest,
    moments_of,
)
from vtrial.observe.observation_times import ObservationTimes
from vtrial.observe.realised import Ledger, groups_of
from vtrial.observe.scheme import Scheme
from vtrial.observe.width import BEHIND, Planned, Width, counted, within
from vtrial.protocol.conditions import outputs_of
from vtrial.protocol.protocol import Arm, Protocol
from vtrial.protocol.rules import Forecast, Learning, Rule, Watch, told_names


class Stage(NamedTuple):
    """One stage of the scan, up to a moment; the last goes to the end.

    Fields
    ------
    moment
        What is decided.
    place
        Which measured time it is.
    column
        Where it is kept what is measured when a visit is held again.
    again, later, last, after
        Whether a visit is held again, something is done that was decided before, it is
        the end, and it is after a dose at its time.
    """

    moment: Moment
    place: Int[Array, "*stage"]
    column: Int[Array, "*stage"]
    again: Bool[Array, "*stage"]
    later: Bool[Array, "*stage"]
    last: Bool[Array, "*stage"]
    after: Bool[Array, "*stage"]


@dataclass(frozen=True, eq=False)
class Frame:
    """A protocol and the shape of an arm with rules.

    `recent` is how many doses before a stage may not have had all their effect yet.
    """

    scheme: Scheme
    arm: Arm
    recent: int

    @property
    def protocol(self) -> Protocol:
        """The protocol that it is of."""
        return self.scheme.protocol

    @property
    def plan(self) -> ObservationTimes:
        """When everybody is observed, had nothing been delayed."""
        return self.scheme.schedule

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules of the arm."""
        return self.arm.rules

    @functools.cached_property
    def moments(self) -> Moments:
        """When rules are decided."""
        return moments_of(self.rules, self.plan, self.cycle)

    @property
    def cycle(self) -> float:
        """[h] The length of a cycle; 0 without doses that repeat."""
        return self.arm.regimen.interval if self.arm.regimen else 0.0

    @functools.cached_property
    def dosed(self) -> Dosed:
        """What is given."""
        regimens = regimens_of(self.arm)
        return Dosed(regimens, names_of(self.protocol.model), groups_of(regimens))

    @property
    def leavers(self) -> tuple[tuple[int, ...], int]:
        """Places of the rules that say `leave`, and the code of the first of them."""
        places = enumerate(self.rules)
        causes = self.protocol.design.dropout.causes
        return tuple(at for at, rule in places if rule.leaves), len(causes) + 1

    @functools.cached_property
    def inputs(self) -> tuple[str, ...]:
        """The inputs that rules assign to."""
        targets = assigned(self.rules)
        return tuple(name for name in targets if name not in self.dosed.states)

    @functools.cached_property
    def looked_at(self) -> tuple[str, ...]:
        """The outputs that rules may look at: all that are measured."""
        measured = {o for visit in self.protocol.visits for o in visit.measure}
        asked = [o for rule in self.rules for o in outputs_of(rule.when, measured)]
        numbers = [a.number for rule in self.rules for a in rule.do]
        regimens = [a.regimen for rule in self.rules for a in rule.do if a.regimen]
        text = repr((numbers, regimens, [r.ladder for r in self.rules]))
        asked += [name for name in sorted(measured) if f"'{name}'" in text]
        asked += self.learning.outputs if self.learning else ()
        asked += [name for watch in self.watches for name in watch.outputs]
        return tuple(dict.fromkeys(asked))

    @property
    def chooses(self) -> Rule | None:
        """The rule that learns who a subject is and chooses a dose, if there is one."""
        return next((rule for rule in self.rules if rule.learning), None)

    @property
    def learning(self) -> Learning | None:
        """How it does."""
        return self.chooses.learning if self.chooses else None

    @property
    def learned(self) -> tuple[str, ...]:
        """Name the numbers that stand for what was learned at a decision."""
        if self.learning:
            return told_names(self.learning)
        return tuple(
            f"{one.name} by {', '.join(watch.outputs)}"
            for watch, asked in self.watches.items()
            for one in asked
        )

    @functools.cached_property
    def watches(self) -> dict[Watch, tuple[Forecast, ...]]:
        """Return what follows subjects, with the chances that rules ask of each."""
        found: dict[Watch, tuple[Forecast, ...]] = {}
        for rule in self.rules:
            if rule.watch is not None and rule.when is not None:
                asked = (*found.get(rule.watch, ()), *rule.when.forecasts)
                found[rule.watch] = tuple(dict.fromkeys(asked))
        return found

    @functools.cached_property
    def asked(self) -> dict[str, Bool[np.ndarray, " visit"]]:
        """Which of the measured times measure an output."""
        measures = {v.name: set(v.measure) for v in self.protocol.visits}
        return {
            name: np.array([name in measures[visit] for visit in self.plan.visits])
            for name in self.looked_at
        }

    @functools.cached_property
    def known_after(self) -> Float[np.ndarray, " visit"]:
        """[h] How long after each measured time its values are known."""
        after = {v.name: v.known_after for v in self.protocol.visits}
        return np.array([after[name] for name in self.plan.visits], float)

    @property
    def grid_rank(self) -> Int[np.ndarray, " time"]:
        """On which side of a dose each time of the grid stands."""
        return self.plan.rank[self.plan.planned.size :]

    @functools.cached_property
    def begin(self) -> float:
        """[h] When the first stage begins."""
        doses = [s.times().min() for r in self.dosed.regimens for s in r.steps]
        times = [*self.plan.planned, *self.plan.grid, *doses]
        return float(min([0.0, *times]))

    @functools.cached_property
    def last(self) -> float:
        """[h] When the last stage ends at the earliest."""
        return float(max([0.0, *self.plan.grid])) + 8 * FINEST

    @functools.cached_property
    def longest(self) -> float:
        """[h] How long a stage may be."""
        return longest(self.moments, self.rules, self.plan)

    @functools.cached_property
    def width(self) -> Width:
        """How much may fall into a stage."""
        plan, own = self.plan, self.dosed.regimens
        size = plan.planned.size
        visits = Planned(plan.planned, plan.rank[:size])
        grid = Planned(plan.grid, plan.rank[size:])
        doses = [written(one).time for one in own]
        if len(own) <= 1 and self.is_rigid:
            none = np.zeros(0)
            return counted(self._ends(), visits, grid, doses[0] if doses else none)
        return within(self.longest, visits, grid, doses, jitter=self.jitter)

    @property
    def jitter(self) -> float:
        """[h] By how much doses may be taken off their time."""
        return self.arm.adherence.jitter if self.arm.adherence else 0.0

    @property
    def is_rigid(self) -> bool:
        """Whether moments and doses are when they were planned, for everybody."""
        moved = any(rule.delay or rule.after for rule in self.rules)
        return not (moved or self.plan.moves or self.jitter)

    def _ends(self) -> Float[np.ndarray, " stage"]:
        """Return when the stages end if nothing moves [h]."""
        plan, place = self.plan, self.moments.place
        behind = np.where(plan.rank[place] == AFTER_DOSE, BEHIND, 0.0)
        last = max([self.last, *plan.planned])
        ends = np.append(plan.planned[place] + behind, last)
        return np.maximum.accumulate(np.maximum(ends, self.begin))

    @functools.cached_property
    def extra(self) -> int:
        """How many doses rules may give at a moment beside the regimen."""
        return sum(one.count for one in given_extra(self.rules))

    @functools.cached_property
    def schedule(self) -> Schedule:
        """Which kinds of events there are."""
        every = [*self.dosed.regimens, *given_extra(self.rules)]
        parts = [schedule_of(one) for one in every] or [schedule_of(None)]
        infused = sorted({place for part in parts for place in part.infused or ()})
        overlaps = max(part.overlaps for part in parts)
        seen = self.width.visits + self.width.grid + 1
        by_chance = self.protocol.model.chance is not None  # which reads in parts
        between = None if by_chance else seen
        return Schedule(tuple(infused), False, overlaps, between=between)

    def output(self, name: str) -> Output:
        """Return an output of the model."""
        return next(o for o in self.protocol.model.outputs if o.name == name)

    def measure(
        self,
        name: str,
        truth: dict[str, Float[Array, "*any"]],
        normal: Float[Array, "*any"],
        keys: Key[Array, "*any"] | None,
    ) -> Float[Array, "*any"]:
        """Measure an output, as it will be reported."""
        output, true = self.output(name), truth[name]
        return measured(
            output,
            true,
            normal.astype(true.dtype),
            computed={n: truth[n] for n in output.error.computed},
            keys=keys if output.error.draws_more else None,
        )

    def told(
        self, seen: Seen, now: Float[Array, " subject"]
    ) -> Float[Array, "subject output"]:
        """Return what is last known of every output that rules look at."""
        known = latest(seen, now)
        if not known:
            return jnp.zeros((now.size, 0))
        return jnp.stack([known[name].astype(float) for name in self.looked_at], 1)

    def stages(self) -> Stage:
        """Return all stages, for a scan."""
        moments = self.moments
        size, rules = moments.count + 1, len(self.rules)
        decides, does = np.zeros((2, size, rules), bool)
        decides[:-1], does[:-1] = moments.decides, moments.does
        slot = np.full((size, rules), -1)
        slot[:-1] = moments.slot
        place, again, column = np.zeros((3, size), int)
        token = np.zeros(size, np.uint32)
        place[:-1], again[:-1], column[:-1] = (
            moments.place,
            moments.again,
            moments.column,
        )
        token[:-1] = moments.token
        planned = self.plan.planned[place]
        after = self.plan.rank[place] == AFTER_DOSE
        last = np.arange(size) == size - 1
        places = zip(planned.tolist(), after.tolist(), strict=True)
        cycles = [cycle_at(time, self.cycle, after=late) for time, late in places]
        cycle, day, began = np.array(cycles).T
        moment = map(jnp.asarray, (decides, does, slot, token, cycle, day, began))
        later = does.any(axis=1)
        after &= ~last & ~later
        parts = map(jnp.asarray, (place, column, again > 0, later, last, after))
        return Stage(Moment(*moment), *parts)

    def compact(self, given: Ledger) -> Ledger:
        """Put the doses of all stages into one row a subject, by time."""
        count, most = given.time.shape[1], self.most_doses
        flat = Ledger(*(jnp.moveaxis(v, 0, 1).reshape(count, -1) for v in given))
        if self.in_order:
            order = _first_finite(flat.time, most)
        else:
            order = jnp.argsort(flat.time, axis=1, stable=True)[:, :most]
        ordered = Ledger(*(jnp.take_along_axis(v, order, axis=1) for v in flat))
        there = jnp.isfinite(flat.time).sum(axis=1)
        none = jnp.arange(most)[None] >= there[:, None]
        return ordered._replace(time=jnp.where(none, jnp.inf, ordered.time))

    @property
    def in_order(self) -> bool:
        """Whether doses become real in the order of their times."""
        return not self.extra and not self.jitter

    @functools.cached_property
    def most_doses(self) -> int:
        """How many doses a subject's ledger holds at most."""
        regimens = self.dosed.regimens
        if not self.rules:
            return sum(one.count for one in regimens)
        stages = self.moments.count + 1
        every = stages * (self.width.doses + self.extra)
        if len(regimens) > 1:
            return every
        planned = sum(one.count for one in regimens)
        return min(every, planned + stages * self.extra)


def _first_finite(
    time: Float[Array, "subject row"], count: int
) -> Int[Array, "subject place"]:
    """Return where the first finite times stand, in their order; 0 behind the last."""
    there = jnp.isfinite(time)
    place = jnp.where(there, jnp.cumsum(there, axis=1) - 1, count)
    rows = jnp.broadcast_to(jnp.arange(time.shape[1])[None], time.shape)
    none = jnp.zeros((time.shape[0], count), rows.dtype)
    return none.at[jnp.arange(time.shape[0])[:, None], place].set(rows, mode="drop")


def names_of(model: Model) -> tuple[str, ...]:
    """Name what stands among the amounts that rules may assign to, in its order.

    That is the states; behind them the integrated hazards, and the held states.
    """
    if model.chance is None:
        return model.states
    hazards = [e.name for e in model.chance.events if e.by == "hazard"]
    unnamed = [f"hazard of {name}" for name in hazards]
    return (*model.states, *unnamed, *model.chance.held)


def frame_of(scheme: Scheme, arm: Arm) -> Frame:
    """Return the frame of an arm, as far as sizes of what it leaves are concerned."""
    return Frame(scheme, shape_of(arm).arm, 0)


def regimens_of(arm: Arm) -> tuple[Regimen, ...]:
    """Return the arm's regimen, if it has one, and those that rules switch to.

    An arm without one that may switch has an empty one before them.
    """
    others = switched_to(arm.rules)
    own = [arm.regimen] if arm.regimen else []
    if others and not own:
        own = [Regimen((), others[0].unit)]
    return tuple(dict.fromkeys([*own, *others]))

r"""The dose that is chosen inside a course, by what was learned of the subject.

From where the draws of a subject stand, every dose that there is to choose from is
solved for all of them. By their weights it is then known of each dose how probably all
goals are met, and any harm is done. One subject goes after another, so that nothing
that is computed of it depends on company.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key, UInt

from vtrial.dosing.doses import AFTER_DOSE, BEFORE_DOSE, Times
from vtrial.dosing.expansion import written
from vtrial.dosing.goal import Goal, Measure
from vtrial.dosing.goal_values import COURSE_GRID, holds, measured, with_integrals
from vtrial.dosing.schedule import Schedule
from vtrial.keys import purpose_key
from vtrial.model.tree import evaluate
from vtrial.observe.actions import Standing, Values
from vtrial.observe.decisions import Choice
from vtrial.observe.frame import Frame
from vtrial.observe.hindsight import NEAR, Seen
from vtrial.observe.learning import Cloud, Known, Learner
from vtrial.observe.moments import most_within
from vtrial.observe.realised import Rows, as_doses, fall_due, next_time
from vtrial.observe.stages import Brought
from vtrial.protocol.rules import Learning, Rule
from vtrial.solver.program import Program, compile_program
from vtrial.types import Numerics, Status

SLACK = 1e-6  # [h]
DIGITS = 9  # of a utility, within which two doses are equally good


class Asked(NamedTuple):
    """One subject at a decision.

    Fields
    ------
    acts
        Whether a dose is to be chosen.
    start
        [h] When the next dose is due.
    who
        What is known of the subject.
    amounts
        Those to choose from.
    ahead
        (dose, row) What would be given of each.
    """

    acts: Bool[Array, "*subject"]
    start: Float[Array, "*subject"]
    who: Known
    amounts: Float[Array, "*subject dose"]
    ahead: Rows


@dataclass(frozen=True, eq=False)
class Chooser:
    """A frame with a rule that chooses; `program` solves it with areas beside."""

    frame: Frame
    brought: Brought
    rule: Rule
    learning: Learning
    program: Program

    @property
    def _learner(self) -> Learner:
        """What learns who a subject is."""
        return Learner(self.frame, self.brought, self.learning, self.program)

    def choose(
        self,
        acts: Bool[Array, " subject"],
        now: Float[Array, " subject"],
        token: UInt[Array, "*stage"],
        seen: Seen,
        standing: Standing,
        values: Values,
        *,
        given: Rows,
    ) -> Choice:
        """Choose a dose for those on whom the rule acts, one after another."""
        frame, tables = self.frame, self.brought.tables._replace(missed=None)
        into = frame.dosed.into(self.rule)
        start = next_time(standing.plan, tables, into)
        amounts = jnp.stack(
            [
                jnp.broadcast_to(evaluate(one, values), now.shape).astype(float)
                for one in self.learning.doses
            ],
            axis=1,
        )
        until = jnp.where(jnp.isfinite(start), start, now) + self.learning.horizon

        def under(amount: Float[Array, " subject"]) -> Rows:
            plan = standing.plan
            fixed = jnp.where(into[None], amount[:, None], plan.fixed)
            factor = jnp.where(into[None], 1.0, plan.factor)
            plan = plan._replace(fixed=fixed, factor=factor)
            return fall_due(plan, tables, until, _width(frame, self.learning))[1]

        def one(key: Key[Array, ""]) -> Key[Array, ""]:
            named = purpose_key(key, f"learn {self.rule.name}")
            return jax.random.fold_in(named, token)

        who = Known(
            now,
            jax.vmap(one)(self.brought.people.keys),
            self.brought.inputs,
            given,
            {name: seen.values[name] for name in self.learning.outputs},
            seen.time,
            seen.at(now),
        )
        ahead = jax.vmap(under, in_axes=1, out_axes=1)(amounts)
        acts &= jnp.isfinite(start) & _is_own(self.brought.people.keys)
        return lax.map(self._one, Asked(acts, start, who, amounts, ahead))

    def _one(self, asked: Asked) -> Choice:
        """Choose for one subject, if it is to be."""
        told = jnp.full(len(self.frame.learned), jnp.nan)
        nothing = Choice(jnp.asarray(jnp.nan), told)
        return lax.cond(asked.acts, self._chosen, lambda _: nothing, asked)

    def _chosen(self, asked: Asked) -> Choice:
        """Learn who a subject is, and judge every dose."""
        cloud = self._learner.cloud(asked.who)

        def one(rows: Rows) -> tuple[Array, ...]:
            return self._judged(asked, cloud, rows)

        target, harm, limits, means = lax.map(one, asked.ahead)
        place = _best(self.learning, target, harm, limits)
        worth = 1.0 / jnp.sum(cloud.weight**2)
        told = [
            jnp.stack([asked.amounts[place], target[place], harm[place]]),
            limits[place],
            means[place],
            worth[None],
        ]
        sound = jnp.isfinite(target[place])
        amount = jnp.where(sound, asked.amounts[place], jnp.nan)
        return Choice(amount, jnp.concatenate(told))

    def _judged(self, asked: Asked, cloud: Cloud, rows: Rows) -> tuple[Array, ...]:
        """Return of a dose how probable its goals, harms and limits are, and means."""
        learning, plan = self.learning, self.frame.plan
        time, rank, blocks = _looks(learning.measures, asked.start, rows)
        path = self.program.solve(
            self._learner.inputs(asked.who, cloud.scores),
            as_doses(Rows(*(part[None] for part in rows))),
            Times(time[None], rank[None], plan.occasion(time[None])),
            periods=self.brought.periods,
            start=cloud.end,
        )
        found = {
            measure: measured(measure, block, path.outputs).astype(float)
            for measure, block in zip(learning.measures, blocks, strict=True)
        }
        values = [_value(goal, found) for goal in learning.every]
        sound = jnp.stack([jnp.isfinite(value) for value in values]).all(axis=0)
        weight = jnp.where(sound & (path.status == Status.SOLVED), cloud.weight, 0.0)
        weight = weight / jnp.sum(weight)
        met = [
            holds(goal, value)
            for goal, value in zip(learning.every, values, strict=True)
        ]
        wanted, harms = len(learning.goals), len(learning.harms)
        everything, nothing = jnp.ones_like(sound), jnp.zeros_like(sound)
        target = jnp.stack([everything, *met[:wanted]]).all(axis=0)
        harm = jnp.stack([nothing, *met[wanted : wanted + harms]]).any(axis=0)

        def share(mask: Bool[Array, " draw"]) -> Float[Array, ""]:
            return jnp.sum(jnp.where(mask, weight, 0.0))

        limits = [share(mask) for mask in met[wanted + harms :]]
        every = zip(learning.every, values, strict=True)
        means = {
            goal.label: jnp.sum(jnp.where(weight > 0, weight * value, 0.0))
            for goal, value in reversed(list(every))
        }
        labels = dict.fromkeys(goal.label for goal in learning.every)
        lost = jnp.where(jnp.isfinite(weight[0]), 0.0, jnp.nan)  # nothing was solved
        return (
            share(target) + lost,
            share(harm) + lost,
            jnp.stack(limits) if limits else jnp.zeros(0),
            jnp.stack([means[label] for label in labels]),
        )


def chooser_of(frame: Frame, brought: Brought, numerics: Numerics) -> Chooser | None:
    """Return what chooses doses in a frame, if a rule of it does."""
    rule, learning = frame.chooses, frame.learning
    if rule is None or learning is None:
        return None
    model = with_integrals(frame.protocol.model, learning.measures)
    plan = frame.plan
    places = plan.planned.size + frame.moments.more + 1
    rows = _width(frame, learning) + frame.recent + frame.extra
    size = max(places, sum(_lengths(learning.measures, rows)))
    schedule = Schedule(
        frame.schedule.infused, False, frame.schedule.overlaps, between=size
    )
    program = compile_program(model, schedule, numerics)
    return Chooser(frame, brought, rule, learning, program)


def _is_own(keys: Key[Array, " subject"]) -> Bool[Array, " subject"]:
    """Return whose row is not one that fills up a block: a repetition, and dropped.

    What an arm is compiled for holds a whole block, most of it often filled up.
    """
    data = jax.random.key_data(keys)
    repeats = jnp.all(data[1:] == data[:-1], axis=1)
    return jnp.concatenate([jnp.ones(1, bool), ~repeats])


def _width(frame: Frame, learning: Learning) -> int:
    """Count the doses of a regimen that may fall into what is looked at."""
    span = learning.horizon + SLACK
    return max(most_within(written(one).time, span) for one in frame.dosed.regimens)


def _lengths(measures: tuple[Measure, ...], rows: int) -> list[int]:
    """Return at how many times each measure looks, beside so many doses."""
    usual = {"AUC": 2, "mean": 2, "value": 1, "trough": 1}
    return [usual.get(one.kind, COURSE_GRID + 1 + 4 * rows) for one in measures]


def _looks(
    measures: tuple[Measure, ...], start: Float[Array, ""], rows: Rows
) -> tuple[Float[Array, " time"], Int[Array, " time"], tuple[tuple[int, int], ...]]:
    """Return when each measure looks [h], on which side of doses, and where it stands.

    Where courses have corners, as doses begin and end, the highest and the lowest value
    are looked for on either side.
    """
    lasts = jnp.where(
        rows.rate > 0, rows.amount / jnp.where(rows.rate > 0, rows.rate, 1.0), 0.0
    )
    corners = jnp.concatenate([rows.time, rows.time + lasts])
    times, ranks, blocks, place = [], [], [], 0
    for one in measures:
        end = start + one.at
        if one.kind in ("AUC", "mean"):
            begin = end - one.window if one.window else start
            time = jnp.stack([begin, end])
        elif one.kind == "value":
            time = end[None]
        elif one.kind == "trough":
            before = (rows.time <= end + NEAR) & jnp.isfinite(rows.time)
            last = jnp.max(jnp.where(before, rows.time, -jnp.inf))
            time = jnp.maximum(last, start)[None]
        else:
            grid = start + jnp.linspace(0.0, one.at, COURSE_GRID + 1)
            edges = jnp.clip(corners, start, end)
            time = jnp.concatenate([grid, edges, edges])
        rank = np.full(time.shape, BEFORE_DOSE)
        if one.kind in ("peak", "nadir"):
            rank[-corners.size :] = AFTER_DOSE
        side = jnp.where(time >= end, BEFORE_DOSE, jnp.asarray(rank))
        times.append(time)
        ranks.append(side)
        blocks.append((place, place + time.size))
        place += time.size
    return jnp.concatenate(times), jnp.concatenate(ranks), tuple(blocks)


def _value(
    goal: Goal, found: Mapping[Measure, Float[Array, " draw"]]
) -> Float[Array, " draw"]:
    """Return what a goal is of, for every draw."""
    own = {f"measure {i}": found[one] for i, one in enumerate(goal.measures)}
    like = found[goal.measures[0]]
    return jnp.broadcast_to(evaluate(goal.value, own), like.shape)


def _best(
    learning: Learning,
    target: Float[Array, " dose"],
    harm: Float[Array, " dose"],
    limits: Float[Array, "dose limit"],
) -> Int[Array, ""]:
    """Return the place of the dose that keeps limits best, and then is best."""
    over = jnp.zeros_like(target)
    for place, limit in enumerate(learning.limits):
        chance = limits[:, place]
        if np.isfinite(limit.most):
            over = jnp.maximum(over, chance - limit.most)
        if np.isfinite(limit.least):
            over = jnp.maximum(over, limit.least - chance)
    order = jnp.arange(target.size)
    order = -order if learning.prefer == "highest" else order
    utility = jnp.where(jnp.isfinite(target), target - harm, -jnp.inf)
    keys = order, -jnp.round(utility, DIGITS), jnp.round(over, DIGITS)
    return jnp.lexsort(keys)[0]

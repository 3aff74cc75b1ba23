r"""What is learned of a subject inside its course, and the dose that is chosen by it.

Who a subject may be is a cloud of draws of its random effects, as standard normal
scores z. Draws come from Student's t, at first about the population's middle, then
about the weighted mean and covariance of the draws before; each is weighted by

$$ w = \frac{p(y \mid z)\, \varphi(z)}{q(z)}, $$

with the values y that are known by now, predicted under the doses that were given. In
between, weights are flattened to a power below one, as far as it takes that a part of
the draws counts (adaptive importance sampling). What the twin knows of people is the
model's sheet and the subject's covariates: population values are those of the sheet,
whatever the replicate drew or the arm sets.

From where the draws stand, every dose that there is to choose from is solved. One
subject goes after another, so that nothing that is computed of it depends on company.

References
----------
Cappé O, Douc R, Guillin A, Marin JM, Robert CP (2008) Stat Comput 18:447-459 (adaptive
importance sampling). Kong A, Liu JS, Wong WH (1994) JASA 89:278-288.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key, UInt

from vtrial.dosing.doses import AFTER_DOSE, BEFORE_DOSE, Times
from vtrial.dosing.expansion import written
from vtrial.dosing.goal import Goal, Measure
from vtrial.dosing.goal_values import holds, measured, with_integrals
from vtrial.dosing.schedule import Schedule
from vtrial.keys import purpose_key
from vtrial.model.covariance import mixed, root
from vtrial.model.model import Model
from vtrial.model.residual import log_density
from vtrial.model.tree import evaluate
from vtrial.observe.actions import Standing, Values
from vtrial.observe.decisions import Choice
from vtrial.observe.frame import Frame
from vtrial.observe.hindsight import NEAR, Seen
from vtrial.observe.moments import most_within
from vtrial.observe.realised import Rows, as_doses, fall_due, next_time
from vtrial.observe.stages import Brought
from vtrial.protocol.rules import Learning, Rule
from vtrial.solver.program import Program, compile_program
from vtrial.solver.trajectory import State
from vtrial.types import Numerics, Status

ROUNDS = 4  # of draws, the last of which counts
FREEDOM = 6  # of the proposals' t; even, so that its chi square is a sum of logarithms
COUNTED = 0.25  # of the draws, which weights are worth at least between rounds
HALVINGS = 30
RIDGE = 1e-9
SLACK = 1e-6  # [h]
GRID = 60  # stretches in which the highest and the lowest value are looked for
DIGITS = 9  # of a utility, within which two doses are equally good

Inputs = dict[str, Array]


class Subject(NamedTuple):
    """One subject at a decision.

    Fields
    ------
    acts
        Whether a dose is to be chosen.
    now, start
        [h] When it is, and when the next dose is due.
    key
        From which its draws are.
    inputs
        What its equations ask for.
    given
        The doses until now.
    values, time, known
        What was measured by output, when [h], and whether it is known.
    amounts
        Those to choose from.
    ahead
        (dose, row) What would be given of each.
    """

    acts: Bool[Array, ""]
    now: Float[Array, ""]
    start: Float[Array, ""]
    key: Key[Array, ""]
    inputs: Inputs
    given: Rows
    values: dict[str, Float[Array, " place"]]
    time: Float[Array, " place"]
    known: Bool[Array, " place"]
    amounts: Float[Array, " dose"]
    ahead: Rows


class Cloud(NamedTuple):
    """Draws of who a subject may be, and where they stand now."""

    scores: Float[Array, "draw score"]
    weight: Float[Array, " draw"]
    end: State


@dataclass(frozen=True, eq=False)
class Learner:
    """A frame with a rule that learns; `program` solves the model with areas beside."""

    frame: Frame
    brought: Brought
    rule: Rule
    learning: Learning
    program: Program

    @property
    def _turns(self) -> int:
        """How many occasions there are."""
        return self.frame.plan.occasions.size

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

        people = Subject(
            acts & jnp.isfinite(start),
            now,
            start,
            jax.vmap(one)(self.brought.people.keys),
            self.brought.inputs,
            given,
            {name: seen.values[name] for name in self.learning.outputs},
            seen.time,
            seen.at(now),
            amounts,
            jax.vmap(under, in_axes=1, out_axes=1)(amounts),
        )
        return lax.map(self._one, people)

    def _one(self, who: Subject) -> Choice:
        """Choose for one subject, if it is to be."""
        told = jnp.full(len(self.frame.learned), jnp.nan)
        nothing = Choice(jnp.asarray(jnp.nan), told)
        return lax.cond(who.acts, self._chosen, lambda _: nothing, who)

    def _chosen(self, who: Subject) -> Choice:
        """Learn who a subject is, and judge every dose."""
        cloud = self._cloud(who)

        def one(rows: Rows) -> tuple[Array, ...]:
            return self._judged(who, cloud, rows)

        target, harm, limits, means = lax.map(one, who.ahead)
        place = _best(self.learning, target, harm, limits)
        worth = 1.0 / jnp.sum(cloud.weight**2)
        told = [
            jnp.stack([who.amounts[place], target[place], harm[place]]),
            limits[place],
            means[place],
            worth[None],
        ]
        sound = jnp.isfinite(target[place])
        amount = jnp.where(sound, who.amounts[place], jnp.nan)
        return Choice(amount, jnp.concatenate(told))

    def _cloud(self, who: Subject) -> Cloud:
        """Draw, weigh and draw anew who a subject may be."""
        size = len(_scores(self.frame.protocol.model, self._turns))
        many = self.learning.particles

        def weighed(
            key: Key[Array, ""],
            mean: Float[Array, " score"],
            lower: Float[Array, "score score"],
        ) -> tuple[Float[Array, "draw score"], Float[Array, " draw"], State]:
            z, proposed = _proposed(key, mean, lower, many)
            density, end = self._density(who, z)
            weight = density - 0.5 * jnp.sum(z**2, axis=1) - proposed
            return z, jnp.where(jnp.isfinite(weight), weight, -jnp.inf), end

        def turn(carry: Any, key: Key[Array, ""]) -> tuple[Any, None]:
            (mean, lower), _ = carry
            z, weight, end = weighed(key, mean, lower)
            return (_moments(z, weight), (z, weight, end)), None

        keys = jax.vmap(jax.random.fold_in, (None, 0))(who.key, jnp.arange(ROUNDS))
        begin = jnp.zeros(size), jnp.eye(size)
        like = jax.eval_shape(weighed, keys[0], *begin)
        blank = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), like)
        (_, (z, weight, end)), _ = lax.scan(turn, (begin, blank), keys)
        return Cloud(z, _shares(weight), end)

    def _density(
        self, who: Subject, z: Float[Array, "draw score"]
    ) -> tuple[Float[Array, " draw"], State]:
        """Return how probable what is known is for every draw, and where they stand."""
        frame, plan = self.frame, self.frame.plan
        many = z.shape[0]
        rank = np.full(who.time.shape, BEFORE_DOSE)
        rank[: plan.planned.size] = plan.rank[: plan.planned.size]
        time = who.time[None]
        path = self.program.solve(
            self._inputs(who, z),
            as_doses(Rows(*(part[None] for part in who.given))),
            Times(time, jnp.asarray(rank)[None], plan.occasion(time)),
            periods=self.brought.periods,
            begin=jnp.full(many, frame.begin),
            until=jnp.full(many, who.now),
        )
        total = jnp.zeros(many)
        for name in self.learning.outputs:
            output, value = frame.output(name), who.values[name]
            counts = who.known & jnp.isfinite(value)
            each = log_density(
                output,
                path.outputs[name].astype(float),
                jnp.broadcast_to(jnp.where(counts, value, 1.0), (many, value.size)),
                computed={n: path.outputs[n] for n in output.error.computed},
            )
            total += jnp.sum(jnp.where(counts[None], each, 0.0), axis=1)
        solved = path.status == Status.SOLVED
        assert path.end is not None, "a solution stands somewhere"
        return jnp.where(solved, total, -jnp.inf), path.end

    def _judged(self, who: Subject, cloud: Cloud, rows: Rows) -> tuple[Array, ...]:
        """Return of a dose how probable its goals, harms and limits are, and means."""
        learning, plan = self.learning, self.frame.plan
        time, rank, blocks = _looks(learning.measures, who.start, rows)
        path = self.program.solve(
            self._inputs(who, cloud.scores),
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

    def _inputs(self, who: Subject, z: Float[Array, "draw score"]) -> Inputs:
        """Return what the equations ask for, of every draw."""
        model = self.frame.protocol.model
        typical = {p.name: p.value for p in model.parameters}
        drawn = _effects(model, self._turns, z)
        found: Inputs = {}
        for name, value in who.inputs.items():
            mine = jnp.full_like(value, typical[name]) if name in typical else value
            if name in drawn:
                mine = drawn[name]
                if value.ndim and mine.ndim == 1:
                    mine = jnp.broadcast_to(mine[:, None], (z.shape[0], value.size))
            elif name.startswith("eta."):
                mine = jnp.zeros_like(value)
            if name not in drawn:
                mine = jnp.broadcast_to(mine[None], (z.shape[0], *value.shape))
            found[name] = mine.astype(value.dtype)
        return found


def learner_of(frame: Frame, brought: Brought, numerics: Numerics) -> Learner | None:
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
    return Learner(frame, brought, rule, learning, program)


def _scores(model: Model, turns: int) -> list[tuple[int, int, int]]:
    """List block, column and occasion of every score; -1: once a subject.

    Effects of an occasion that has not begun stay as their law has them.
    """
    return [
        (place, column, turn)
        for place, block in enumerate(model.random)
        if block.level != "study"
        for turn in (range(turns) if block.level == "occasion" else (-1,))
        for column, weights in enumerate(root(block.covariance).T)
        if any(weights)
    ]


def _effects(model: Model, turns: int, z: Float[Array, "draw score"]) -> Inputs:
    """Return random effects made of scores; with a column an occasion, if any."""
    places = {key: at for at, key in enumerate(_scores(model, turns))}
    found: dict[str, list[Array]] = {}
    for number, block in enumerate(model.random):
        if block.level == "study":
            continue
        lower = root(block.covariance)
        for turn in range(turns) if block.level == "occasion" else (-1,):
            keys = [(number, column, turn) for column in range(len(block.names))]
            parts = [z[:, places[key]] if key in places else None for key in keys]
            for name, row in zip(block.names, lower, strict=True):
                total = mixed(row, parts)
                value = jnp.zeros(z.shape[0]) if total is None else total
                if block.box_cox:
                    value = jnp.expm1(block.box_cox * value) / block.box_cox
                found.setdefault(f"eta.{name}", []).append(value)
    return {
        name: jnp.stack(values, axis=1) if len(values) > 1 else values[0]
        for name, values in found.items()
    }


def _proposed(
    key: Key[Array, ""],
    mean: Float[Array, " score"],
    lower: Float[Array, "score score"],
    many: int,
) -> tuple[Float[Array, "draw score"], Float[Array, " draw"]]:
    """Draw from Student's t, and return its log-density but for a constant."""
    one, two = jax.random.split(key)
    size = mean.size
    normal = jax.random.normal(one, (many, size), float)
    tiny = np.finfo(float).tiny
    uniform = jax.random.uniform(two, (many, FREEDOM // 2), float, minval=tiny)
    square = -2.0 * jnp.sum(jnp.log(uniform), axis=1)
    wide = normal * jnp.sqrt(FREEDOM / square)[:, None]
    z = jnp.broadcast_to(mean[None], wide.shape) + jnp.sum(
        lower[None] * wide[:, None, :], axis=2
    )
    distance = jnp.sum(wide**2, axis=1)
    shape = jnp.sum(jnp.log(jnp.diagonal(lower)))
    return z, -shape - 0.5 * (FREEDOM + size) * jnp.log1p(distance / FREEDOM)


def _shares(weight: Float[Array, " draw"]) -> Float[Array, " draw"]:
    """Return weights that add up to one, of their logarithms; equal where none is."""
    most = jnp.max(weight)
    share = jnp.where(
        jnp.isfinite(most),
        jnp.exp(weight - jnp.where(jnp.isfinite(most), most, 0.0)),
        1.0,
    )
    return share / jnp.sum(share)


def _moments(
    z: Float[Array, "draw score"], weight: Float[Array, " draw"]
) -> tuple[Float[Array, " score"], Float[Array, "score score"]]:
    """Return the mean of draws, and a root of their covariance.

    By weights to the highest power at which enough of the draws count.
    """
    wanted = COUNTED * weight.size

    def halve(ends: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        low, high = ends
        middle = 0.5 * (low + high)
        enough = 1.0 / jnp.sum(_shares(middle * weight) ** 2) >= wanted
        return (jnp.where(enough, middle, low), jnp.where(enough, high, middle)), None

    ends = jnp.zeros(()), jnp.full((), 2.0)
    (power, _), _ = lax.scan(halve, ends, None, length=HALVINGS)
    share = _shares(jnp.minimum(power, 1.0) * weight)[:, None]
    mean = jnp.sum(share * z, axis=0)
    off = z - jnp.broadcast_to(mean[None], z.shape)
    spread = jnp.sum(share[:, :, None] * off[:, :, None] * off[:, None, :], axis=0)
    size = mean.size
    return mean, jnp.linalg.cholesky(spread + RIDGE * jnp.eye(size))


def _width(frame: Frame, learning: Learning) -> int:
    """Count the doses of a regimen that may fall into what is looked at."""
    span = learning.horizon + SLACK
    return max(most_within(written(one).time, span) for one in frame.dosed.regimens)


def _lengths(measures: tuple[Measure, ...], rows: int) -> list[int]:
    """Return at how many times each measure looks, beside so many doses."""
    usual = {"AUC": 2, "mean": 2, "value": 1, "trough": 1}
    return [usual.get(one.kind, GRID + 1 + 4 * rows) for one in measures]


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
            grid = start + jnp.linspace(0.0, one.at, GRID + 1)
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

"""The course of a patient: a scan over moments, in which rules change what follows.

From moment to moment subjects are solved by one program, measured as they will be
reported, and decided about on what is known of them; then they go on under the doses,
values and times that the decisions left them. All of it is one pure function.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.export import register_namedtuple_serialization
from jaxtyping import Array, Bool, Float, Int, Key, UInt

from vtrial.dosing.doses import AFTER_DOSE, BEFORE_DOSE, Times
from vtrial.keys import purpose_key
from vtrial.observe.actions import Standing
from vtrial.observe.choosing import chooser_of
from vtrial.observe.decisions import (
    Choosing,
    Foretold,
    Past,
    People,
    decide,
    nothing_past,
)
from vtrial.observe.departure import Built, Left, built, nothing_built, ruled
from vtrial.observe.frame import Frame, Stage
from vtrial.observe.hindsight import Seen
from vtrial.observe.realised import (
    Ledger,
    Rows,
    Tables,
    as_doses,
    beside,
    fall_due,
    first_rows,
    next_amounts,
    no_rows,
    past_of,
    plan_of,
)
from vtrial.observe.residual_draws import residual_normals
from vtrial.observe.stages import Brought, Stands, stages_of
from vtrial.observe.watching import Particles, watchers_of
from vtrial.observe.width import BEHIND
from vtrial.solver.events import same
from vtrial.solver.program import Program
from vtrial.solver.trajectory import Trajectory
from vtrial.types import Status

LONG_AGO = -1e7  # [h] when doses were that only tell how large they are


class Decisions(NamedTuple):
    """What was decided, (subject, moment).

    `time` [h] is infinite where nothing was; `acted` the sum of 2^place of the rules
    that acted; `seen` (subject, moment, output) what was last known of each output that
    rules look at; `learned` what was learned where a dose was chosen by it.
    """

    time: Float[Array, "subject moment"]
    acted: Int[Array, "subject moment"]
    seen: Float[Array, "subject moment output"]
    learned: Float[Array, "subject moment number"]


class Followed(NamedTuple):
    """How subjects fared: true values at their own times, and why it came so."""

    path: Trajectory
    left: Left
    given: Ledger
    decisions: Decisions


class _Carry(NamedTuple):
    """What goes from one moment to the next; `visit` and `grid` count what is past.

    `given` are all doses so far, where something is learned by them; `clouds` are the
    particles of every twin that follows subjects.
    """

    state: Stands
    standing: Standing
    past: Past
    seen: Seen
    visit: Int[Array, " subject"]
    grid: Int[Array, " subject"]
    truth: dict[str, Float[Array, "subject place"]]
    steps: Int[Array, " subject"]
    cause: Int[Array, " subject"]
    built: Built | None
    given: Rows | None
    clouds: tuple[Particles, ...]


for _kind in (Brought, People, Tables, Rows, Ledger, Decisions, Followed):
    register_namedtuple_serialization(
        _kind, serialized_name=f"vtrial:course.{_kind.__name__}"
    )


def follow(frame: Frame, program: Program, brought: Brought) -> Followed:
    """Follow subjects through all moments of a frame, and to the end."""
    solve = _Solver(frame, program, brought)
    carry = solve.begun()
    carry, (given, decisions) = jax.lax.scan(solve.stage, carry, frame.stages())
    visits = frame.plan.planned.size
    left = Left(carry.standing.left, carry.cause)
    time = jnp.concatenate([carry.seen.time[:, :visits], solve.grid_times()], axis=1)
    missed = (carry.visit < visits) | (carry.grid < frame.plan.grid.size)
    end_of = solve.stages.state(carry.state)
    status = end_of.status
    lost = missed & (status == Status.SOLVED)
    status = jnp.where(lost, int(Status.UNSCHEDULED), status)
    fine = (status == Status.SOLVED)[:, None]
    outputs = {k: jnp.where(fine, v[:, :-1], jnp.nan) for k, v in carry.truth.items()}
    path = Trajectory(
        time, outputs, None, status, carry.steps, jnp.zeros_like(status), end_of
    )
    decisions = jax.tree.map(lambda v: jnp.moveaxis(v, 0, 1), decisions)
    return Followed(path, left, frame.compact(given), decisions)


class _Solver:
    """A frame with what subjects brought: the steps of the scan."""

    def __init__(self, frame: Frame, program: Program, brought: Brought) -> None:
        self.frame, self.brought = frame, brought
        self.stages = stages_of(frame, program, brought)
        plan, keys = frame.plan, brought.people.keys
        self.count = keys.shape[0]
        self.chooser = chooser_of(frame, brought, program.numerics)
        self.watchers = watchers_of(frame, brought, program.numerics)
        taken = jnp.broadcast_to(brought.taken, (self.count, plan.planned.size))
        self.planned = taken
        rank = jnp.asarray(plan.rank[: plan.planned.size])
        order = jnp.lexsort((jnp.broadcast_to(rank, taken.shape), taken), axis=1)
        self.order, self.taken = order, jnp.take_along_axis(taken, order, axis=1)
        self.rank = rank[order]
        self.normals = {
            name: residual_normals(frame.protocol.model, plan, keys, name)
            for name in frame.looked_at
        }
        self.more = {
            name: plan.residual_keys(keys, name)
            for name in frame.looked_at
            if frame.output(name).error.draws_more
        }

    def grid_times(self) -> Float[Array, "subject time"]:
        """Return the times of true values, the same for all."""
        grid = jnp.asarray(self.frame.plan.grid)
        return jnp.broadcast_to(grid[None], (self.count, grid.size))

    def begun(self) -> _Carry:
        """Return how things stand at the beginning."""
        frame, plan = self.frame, self.frame.plan
        begin = jnp.full(self.count, frame.begin)
        state = self.stages.start(begin)
        inputs = {name: self.brought.people.known[name] for name in frame.inputs}
        doses = plan_of(
            self.count,
            len(frame.dosed.groups),
            recent=frame.recent,
            extra=frame.extra,
        )
        none, amounts = jnp.zeros(self.count), self.stages.amounts(state)
        standing = Standing(
            doses, none, self.brought.left.time, inputs, amounts, none + jnp.inf
        )
        places = plan.planned.size + frame.moments.more + 1
        blank = jnp.full((self.count, places), jnp.nan)
        known = np.zeros(places)
        known[: plan.planned.size] = frame.known_after
        known[plan.planned.size : -1] = frame.known_after[
            frame.moments.place[frame.moments.again > 0]
        ]
        seen = Seen(
            dict.fromkeys(frame.looked_at, blank),
            jnp.full_like(blank, jnp.inf),
            jnp.asarray(known),
        )
        size = plan.planned.size + plan.grid.size + 1
        real = amounts.dtype
        truth = {
            name: jnp.full((self.count, size), jnp.nan, real)
            for name, _ in frame.protocol.model.observed
        }
        rules, nobody = len(frame.rules), jnp.zeros(self.count, int)
        return _Carry(
            state,
            standing,
            nothing_past(self.count, rules, frame.moments.slots),
            seen,
            nobody,
            nobody,
            truth,
            nobody,
            self.brought.left.cause,
            nothing_built(frame.protocol, self.brought.left, begin)
            if self.brought.risk is not None
            else None,
            no_rows(self.count, frame.most_doses) if self.chooser else None,
            tuple(watcher.begun(begin) for watcher in self.watchers),
        )

    def stage(
        self, carry: _Carry, item: Stage
    ) -> tuple[_Carry, tuple[Ledger, Decisions]]:
        """Go on to a moment, measure, and decide."""
        frame = self.frame
        until, here = self._next(carry, item)
        plan, doses, given = fall_due(
            carry.standing.plan, self.brought.tables, until, frame.width.doses
        )
        carry = carry._replace(standing=carry.standing._replace(plan=plan))
        if carry.given is not None:
            past = beside(carry.given, past_of(given))
            carry = carry._replace(given=first_rows(past, frame.most_doses))
        carry, values = self._advance(carry, doses, until)
        carry = self._measured_again(carry, item, until, here, values)
        here &= self.stages.state(carry.state).status == Status.SOLVED
        here &= until <= carry.standing.left
        if self.brought.attends is not None:
            here &= self.brought.attends[:, item.place] | item.again | item.later
        standing = carry.standing._replace(amounts=self.stages.amounts(carry.state))
        clouds, foretold = self._foretold(carry, item, until, here)
        if self.watchers:
            blank = jnp.full_like(standing.amounts, jnp.nan)
            standing = standing._replace(assigned=blank)
        past, standing, acted, learned = decide(
            frame.rules,
            item.moment,
            until,
            here,
            carry.seen,
            self.brought.people,
            carry.past,
            standing,
            dosed=frame.dosed,
            tables=self.brought.tables,
            choose=self._choosing(carry.given),
            foretold=foretold,
        )
        if standing.assigned is not None:
            learned = jnp.stack(
                [v for one in foretold.values() for v in one.values()], 1
            )
            pairs = zip(self.watchers, clouds, strict=True)
            clouds = tuple(one.told(c, standing.assigned) for one, c in pairs)
            standing = standing._replace(assigned=None)
        state = self.stages.changed(carry.state, standing.amounts)
        told = frame.told(carry.seen, until)
        time = jnp.where(here, until, jnp.inf)
        decisions = Decisions(time, acted, told, learned)
        before = Left(carry.standing.left, carry.cause)
        cause = ruled(before, standing.left, acted, *frame.leavers).cause
        carry = carry._replace(
            state=state, past=past, standing=standing, cause=cause, clouds=clouds
        )
        return carry, (given, decisions)

    def _foretold(
        self,
        carry: _Carry,
        item: Stage,
        now: Float[Array, " subject"],
        here: Bool[Array, " subject"],
    ) -> tuple[tuple[Particles, ...], Foretold]:
        """Let every twin go on to a moment, and tell the chances that are asked for."""
        clouds, found = [], {}
        for watcher, cloud in zip(self.watchers, carry.clouds, strict=True):
            mine = [rule.watch == watcher.watch for rule in self.frame.rules]
            asked = jnp.any(item.moment.decides & jnp.asarray(mine)) & here
            token = item.moment.token
            cloud = watcher.onward(cloud, now, carry.seen, token)  # noqa: PLW2901
            found[watcher.watch] = watcher.foretold(cloud, asked, token)
            clouds.append(cloud)
        return tuple(clouds), found

    def _choosing(self, given: Rows | None) -> Choosing | None:
        """Return what chooses doses by what is learned, if a rule does."""
        chooser = self.chooser
        if chooser is None or given is None:
            return None
        return functools.partial(chooser.choose, given=given)

    def _next(
        self, carry: _Carry, item: Stage
    ) -> tuple[Float[Array, " subject"], Bool[Array, " subject"]]:
        """Return when the moment is [h], and for whom there is one."""
        standing, now = carry.standing, self.stages.state(carry.state).time
        visit = self.planned[:, item.place] + standing.shift
        put_off = carry.past.due[:, item.moment.slot]
        due = jnp.min(jnp.where(item.moment.does, put_off, jnp.inf), axis=1)
        last = jnp.maximum(self.taken[:, -1] + standing.shift, self.frame.last)
        kinds = [item.again, item.later, item.last]
        time = jnp.select(kinds, [standing.again, due, last], visit)
        here = jnp.isfinite(time) & ~item.last
        time = jnp.where(jnp.isfinite(time), time, now)
        time = jnp.where(item.after, time + BEHIND, time)
        return jnp.maximum(time, now), here

    def _advance(
        self, carry: _Carry, doses: Rows, until: Float[Array, " subject"]
    ) -> tuple[_Carry, dict[str, Float[Array, " subject"]]]:
        """Solve up to a time, keep what is seen; return the true values then."""
        frame, standing = self.frame, carry.standing
        visits, moved = _falling(
            self.taken + standing.shift[:, None],
            self.rank,
            carry.visit,
            frame.width.visits,
            until,
        )
        grid, ahead = _falling(
            self.grid_times(),
            jnp.broadcast_to(frame.grid_rank, (self.count, frame.plan.grid.size)),
            carry.grid,
            frame.width.grid,
            until,
        )
        now = jnp.full((self.count, 1), BEFORE_DOSE)
        time = jnp.concatenate([visits.time, grid.time, until[:, None]], axis=1)
        rank = jnp.concatenate([visits.rank, grid.rank, now], axis=1)
        path, state = self.stages.solve(
            {**self.brought.inputs, **standing.inputs},
            as_doses(beside(doses, self._sizes(standing))),
            Times(time, rank, frame.plan.occasion(time)),
            carry.state,
            until,
        )
        carry = self._departed(carry, path, grid, until)
        carry = self._kept(carry, path, visits, grid)
        values = {name: value[:, -1] for name, value in path.outputs.items()}
        carry = carry._replace(
            state=state,
            visit=carry.visit + moved,
            grid=carry.grid + ahead,
            steps=carry.steps + path.steps,
        )
        return carry, values

    def _departed(
        self,
        carry: _Carry,
        path: Trajectory,
        grid: "_Falling",
        until: Float[Array, " subject"],
    ) -> _Carry:
        """Let hazards that follow equations grow over a stage, and see who leaves."""
        risk, before = self.brought.risk, carry.built
        if risk is None or before is None:
            return carry
        width = grid.time.shape[1]
        time = jnp.concatenate([grid.time, until[:, None]], axis=1)
        here = jnp.isfinite(time)
        outputs = {
            name: jnp.where(here, value[:, -width - 1 :], value[:, -1:])
            for name, value in path.outputs.items()
        }
        left = Left(carry.standing.left, carry.cause)
        time = jnp.where(here, time, until[:, None])
        protocol = self.frame.protocol
        after = built(protocol, risk, before._replace(left=left), time, outputs)
        standing = carry.standing._replace(left=after.left.time)
        return carry._replace(standing=standing, cause=after.left.cause, built=after)

    def _sizes(self, standing: Standing) -> Rows:
        """Return doses of long ago: they tell how large the states are."""
        groups = self.frame.dosed.groups
        amount = next_amounts(standing.plan, self.brought.tables)
        rows = no_rows(self.count, len(groups))
        into = jnp.broadcast_to(jnp.asarray(groups, int)[None], rows.compartment.shape)
        return rows._replace(
            time=jnp.full_like(rows.time, LONG_AGO),
            amount=jnp.where(jnp.isfinite(amount), amount, 0.0),
            compartment=into,
        )

    def _kept(
        self, carry: _Carry, path: Trajectory, visits: "_Falling", grid: "_Falling"
    ) -> _Carry:
        """Keep true values, and what is measured of them."""
        planned, width = self.frame.plan.planned.size, visits.time.shape[1]
        dump = planned + self.frame.plan.grid.size
        place = _taken_at(self.order, visits.place)
        here = jnp.isfinite(visits.time)
        where = jnp.concatenate(
            [
                jnp.where(here, place, dump),
                jnp.where(jnp.isfinite(grid.time), planned + grid.place, dump),
            ],
            axis=1,
        )
        row = jnp.arange(self.count)[:, None]
        truth = {
            name: value.at[row, where].set(
                path.outputs[name][:, :-1].astype(value.dtype)
            )
            for name, value in carry.truth.items()
        }
        seen, last = carry.seen, carry.seen.time.shape[1] - 1
        spot = jnp.where(here, place, last)
        time = seen.time.at[row, spot].set(visits.time)
        stays = here & (visits.time <= carry.standing.left[:, None])
        if self.brought.attends is not None:
            stays &= _taken_at(self.brought.attends, place)
        values = dict(seen.values)
        for name in self.frame.looked_at:
            true = {k: v[:, :width] for k, v in path.outputs.items()}
            normal = _taken_at(self.normals[name], place)
            keys = self.more.get(name)
            keys = None if keys is None else _taken_at(keys, place)
            noisy = self.frame.measure(name, true, normal, keys)
            asked = jnp.asarray(self.frame.asked[name])[place] & stays
            spot = jnp.where(asked, place, last)
            values[name] = values[name].at[row, spot].set(noisy)
            values[name] = values[name].at[:, last].set(jnp.nan)
        time = time.at[:, last].set(jnp.inf)
        return carry._replace(truth=truth, seen=seen._replace(values=values, time=time))

    def _measured_again(
        self,
        carry: _Carry,
        item: Stage,
        now: Float[Array, " subject"],
        here: Bool[Array, " subject"],
        truth: dict[str, Float[Array, " subject"]],
    ) -> _Carry:
        """Measure once more where a visit is held again."""
        if not self.frame.moments.more:
            return carry
        seen, keys = carry.seen, self.brought.people.keys
        mine = here & item.again & (now <= carry.standing.left)
        time = jnp.where(mine, now, seen.time[:, item.column])
        values = dict(seen.values)
        for name in self.frame.looked_at:
            drawn = _keys_again(keys, name, item.moment.token)
            normal = jax.vmap(lambda key: jax.random.normal(key, (), float))(drawn)
            noisy = self.frame.measure(name, truth, normal, drawn)
            asked = mine & jnp.asarray(self.frame.asked[name])[item.place]
            found = jnp.where(asked, noisy, values[name][:, item.column])
            values[name] = values[name].at[:, item.column].set(found)
        time = seen.time.at[:, item.column].set(time)
        return carry._replace(seen=seen._replace(values=values, time=time))


class _Falling(NamedTuple):
    """Observations of a stage: when, on which side of a dose, and which they are."""

    time: Float[Array, "subject row"]
    rank: Int[Array, "subject row"]
    place: Int[Array, "subject row"]


def _falling(
    time: Float[Array, "subject time"],
    rank: Int[Array, "subject time"],
    past: Int[Array, " subject"],
    width: int,
    until: Float[Array, " subject"],
) -> tuple[_Falling, Int[Array, " subject"]]:
    """Take what falls up to the end of a stage, and count it; times ascend."""
    size = time.shape[1]
    place = past[:, None] + jnp.arange(width)[None]
    if not size:
        none = jnp.zeros(place.shape)
        return _Falling(none + jnp.inf, place * 0, place * 0), past * 0
    inside = jnp.minimum(place, size - 1)
    when, side = (jnp.take_along_axis(part, inside, axis=1) for part in (time, rank))
    ends = same(until)[:, None]
    here = (same(when) < ends) | ((same(when) == ends) & (side < AFTER_DOSE))
    here &= place < size
    found = _Falling(jnp.where(here, when, jnp.inf), side, inside)
    return found, here.sum(axis=1)


def _taken_at(values: Array, place: Int[Array, "subject row"]) -> Array:
    """Take values of each subject at places."""
    return jax.vmap(lambda one, at: one[at])(values, place)


def _keys_again(
    keys: Key[Array, " subject"], output: str, token: UInt[Array, "*stage"]
) -> Key[Array, " subject"]:
    """Return keys of what is measured of an output when a visit is held again."""

    def one(key: Key[Array, ""]) -> Key[Array, ""]:
        return jax.random.fold_in(purpose_key(key, f"residual {output} again"), token)

    return jax.vmap(one)(keys)

r"""What follows a subject inside its course: particles of where it may stand now.

Each particle is a person of the cohort with what is known of the subject, and goes on
by the model's own chance. At a visit particles are weighted by the density of what was
measured; where the weights are worth fewer than half of them, they are drawn anew
(bootstrap filter, systematic resampling). The chance that an event comes within a time
T is that of hazards gathered on the way, and not of events counted:

$$ P = \sum_m w_m \Big(1 - \exp\Big(-\int_t^{t+T} h(x_m(s))\, ds\Big)\Big), $$

so that chance alone counts that a hazard itself is left to. What rules assign to states
is done to particles, too; of events that came to the subject they know nothing.

References
----------
Gordon NJ, Salmond DJ, Smith AFM (1993) IEE Proc F 140:107-113 (bootstrap filter).
Kitagawa G (1996) J Comput Graph Stat 5:1-25 (systematic resampling).
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float, Int, Key, UInt

from vtrial.dosing.doses import BEFORE_DOSE, Times, no_doses
from vtrial.dosing.schedule import FINEST, schedule_of
from vtrial.keys import purpose_key
from vtrial.model.chance import Chance, read, tick
from vtrial.model.model import Model
from vtrial.model.part import part_of
from vtrial.model.resampling import drawn_anew
from vtrial.model.residual import log_density
from vtrial.model.tree import TIME
from vtrial.observe.frame import Frame
from vtrial.observe.hindsight import NEAR, Seen
from vtrial.observe.stages import Brought
from vtrial.protocol.rules import Forecast, Watch
from vtrial.solver.by_chance import next_tick, solve_by_chance
from vtrial.solver.program import Program, compile_program
from vtrial.solver.standing import Standing
from vtrial.types import Numerics, Status

WORTH = 0.5  # of the particles: worth fewer, they are drawn anew

Inputs = dict[str, Array]
Outputs = dict[str, Float[Array, "subject particle"]]


class Particles(NamedTuple):
    """All particles of some subjects, those of one subject side by side.

    Fields
    ------
    standing
        Where each stands, a row a particle.
    origin
        The row whose person each is: who is drawn anew brings parameters along.
    share
        The logarithms of their weights, which sum to 1.
    counted
        [h] Until when the values that were measured count already.
    """

    standing: Standing
    origin: Int[Array, " row"]
    share: Float[Array, "subject particle"]
    counted: Float[Array, " subject"]


@dataclass(frozen=True, eq=False)
class Watcher:
    """What follows subjects for the chances that rules ask for.

    Fields
    ------
    program
        Of the part of the model that is followed.
    inputs
        Of it, (row) each, as particles are at the start.
    keys, rows
        The subjects' own, and those of the particles.
    places
        Where the held states of that part stand among what rules assign to.
    """

    watch: Watch
    forecasts: tuple[Forecast, ...]
    program: Program
    inputs: Inputs
    keys: Key[Array, " subject"]
    rows: Key[Array, " row"]
    places: tuple[int, ...]

    @property
    def model(self) -> Model:
        """The part of the model that is followed."""
        return self.program.model

    @property
    def chance(self) -> Chance:
        """What it leaves to chance."""
        assert self.model.chance is not None  # the sheet is refused without
        return self.model.chance

    @property
    def many(self) -> int:
        """How many particles a subject has."""
        return self.watch.particles

    def begun(self, begin: Float[Array, " subject"]) -> Particles:
        """Return where particles stand before anything has happened."""
        origin = jnp.arange(begin.size * self.many)
        _, standing = self._stage(None, origin, jnp.repeat(begin, self.many), 0)
        share = jnp.full((begin.size, self.many), -jnp.log(float(self.many)))
        return Particles(standing, origin, share, jnp.full_like(begin, -jnp.inf))

    def onward(
        self,
        particles: Particles,
        now: Float[Array, " subject"],
        seen: Seen,
        token: UInt[Array, "*stage"],
    ) -> Particles:
        """Go on to a moment, weigh by what was measured, and draw anew if it must be.

        Nothing is computed where nobody goes on and nothing was measured.
        """
        values = {
            name: _measured(seen, name, particles.counted, now)
            for name in self.watch.outputs
        }
        some = jnp.stack([jnp.isfinite(one) for one in values.values()]).any(axis=0)
        ahead = jnp.repeat(now, self.many) > particles.standing.state.time + FINEST

        def go(particles: Particles) -> Particles:
            particles = self._gone(particles, jnp.repeat(now, self.many))
            density = self._density(particles, now, values)
            weight = particles.share + density
            total = logsumexp(weight, axis=1)
            known = some & jnp.isfinite(total)
            share = jnp.where(known[:, None], weight - total[:, None], particles.share)
            after = particles._replace(share=share, counted=now)
            return self._anew(after, token)

        return lax.cond(some.any() | ahead.any(), go, lambda same: same, particles)

    def foretold(
        self,
        particles: Particles,
        asked: Bool[Array, " subject"],
        token: UInt[Array, "*stage"],
    ) -> dict[str, Float[Array, " subject"]]:
        """Return the chances that are asked for, by name; NaN for all others."""

        def compute(particles: Particles) -> list[Array]:
            return [self._chance(particles, one, token) for one in self.forecasts]

        def nothing(particles: Particles) -> list[Array]:
            del particles
            return [jnp.zeros(asked.shape) for _ in self.forecasts]

        found = lax.cond(asked.any(), compute, nothing, particles)
        pairs = zip(self.forecasts, found, strict=True)
        return {one.name: jnp.where(asked, chance, jnp.nan) for one, chance in pairs}

    def told(
        self, particles: Particles, assigned: Float[Array, "subject state"]
    ) -> Particles:
        """Let particles know what rules assigned to states; NaN is nothing."""
        new = jnp.repeat(assigned[:, jnp.asarray(self.places, int)], self.many, axis=0)
        held = particles.standing.held
        held = jnp.where(jnp.isfinite(new), new.astype(held.dtype), held)
        return particles._replace(standing=particles.standing._replace(held=held))

    def _stage(
        self,
        start: Standing | None,
        origin: Int[Array, " row"],
        until: Float[Array, " row"],
        ticks: int,
    ) -> tuple[Outputs, Standing]:
        """Solve up to a time, and see the outputs then."""
        path, standing = solve_by_chance(
            self.program,
            self._brought(origin),
            no_doses(),
            Times(until[:, None], jnp.full((until.size, 1), BEFORE_DOSE)),
            keys=self.rows,
            ticks=ticks,
            start=start,
            until=until,
        )
        outputs = {
            name: value[:, 0].reshape(-1, self.many)
            for name, value in path.outputs.items()
        }
        return outputs, standing

    def _brought(self, origin: Int[Array, " row"]) -> Inputs:
        """Return the inputs of the model of who the particles are."""
        return {name: value[origin] for name, value in self.inputs.items()}

    def _gone(self, particles: Particles, until: Float[Array, " row"]) -> Particles:
        """Go on from tick to tick, as many as there are."""

        def short(standing: Standing) -> Bool[Array, ""]:
            state = standing.state
            late = state.time < until - FINEST
            return jnp.any(late & (state.status == Status.SOLVED))

        def onward(standing: Standing) -> Standing:
            _, due = next_tick(self.chance.every, standing.state.time)
            return self._stage(standing, particles.origin, jnp.minimum(due, until), 1)[
                1
            ]

        standing = lax.while_loop(short, onward, particles.standing)
        return particles._replace(standing=standing)

    def _density(
        self,
        particles: Particles,
        now: Float[Array, " subject"],
        values: dict[str, Float[Array, " subject"]],
    ) -> Float[Array, "subject particle"]:
        """Return how probable what was measured now is for every particle."""
        until = jnp.repeat(now, self.many)
        truth, _ = self._stage(particles.standing, particles.origin, until, 0)
        total = jnp.zeros((now.size, self.many))
        for output in self.model.outputs:
            value = values[output.name][:, None]
            true = truth[output.name].astype(float)
            here = jnp.broadcast_to(jnp.isfinite(value), true.shape)
            each = log_density(
                output,
                true,
                jnp.where(here, jnp.broadcast_to(value, true.shape), 1.0),
                computed={name: truth[name] for name in output.error.computed},
            )
            each = jnp.where(jnp.isfinite(true), each, -jnp.inf)
            total += jnp.where(here, each, 0.0)
        return total

    def _anew(self, particles: Particles, token: UInt[Array, "*stage"]) -> Particles:
        """Draw particles anew, of subjects whose weights are worth little."""
        worth = 1.0 / jnp.sum(jnp.exp(2.0 * particles.share), axis=1)

        def uniform(key: Key[Array, ""]) -> Float[Array, ""]:
            own = jax.random.fold_in(purpose_key(key, self._named("anew")), token)
            return jax.random.uniform(own, (), float)

        start = jax.vmap(uniform)(self.keys)
        flat, share = drawn_anew(particles.share, worth < WORTH * self.many, start)
        who = (particles.standing, particles.origin)
        standing, origin = jax.tree.map(lambda leaf: leaf[flat], who)
        return particles._replace(standing=standing, origin=origin, share=share)

    def _chance(
        self, particles: Particles, asked: Forecast, token: UInt[Array, "*stage"]
    ) -> Float[Array, " subject"]:
        """Return how probable an event is within a time, from where particles stand."""
        ahead, shape = part_of(self.model, (), (asked.event,)), particles.share.shape
        chance = ahead.chance
        assert chance is not None  # the event is of it
        event = next(one for one in chance.events if one.name == asked.event)
        purpose = self._named(asked.name)

        def named(key: Key[Array, ""]) -> Key[Array, ""]:
            return jax.random.fold_in(purpose_key(key, purpose), token)

        keys = jax.vmap(named)(self.keys)
        begin = particles.standing.state.time.reshape(shape)[:, 0]
        end = begin + asked.horizon
        still = ahead.individual(self._brought(particles.origin))
        known = {
            name: jnp.broadcast_to(value, (shape[0] * shape[1],)).reshape(shape)
            for name, value in still.items()
        }

        def values(held: list[Array], time: Float[Array, " subject"]) -> Inputs:
            wide = jnp.broadcast_to(time[:, None], shape)
            own = dict(zip(chance.held, held, strict=True))
            return {**known, **own, TIME: wide}

        def unfinished(carry: tuple[Array, list[Array], Array]) -> Bool[Array, ""]:
            return jnp.any(carry[0] < end - FINEST)

        def onward(
            carry: tuple[Array, list[Array], Array],
        ) -> tuple[Array, list[Array], Array]:
            time, held, gone = carry
            ordinal, due = next_tick(chance.every, time)
            stop = jnp.minimum(due, end)
            hazard = read(event.of, ahead.moved, values(held, time))
            gone += jnp.broadcast_to(hazard, shape) * (stop - time)[:, None]
            changed = tick(
                chance,
                ahead.moved,
                values(held, stop),
                keys=keys,
                ordinal=ordinal,
                many=self.many,
            )
            pairs = zip(chance.held, held, strict=True)
            return stop, [changed.get(name, old) for name, old in pairs], gone

        stands = dict(zip(self.chance.held, particles.standing.held.T, strict=True))
        held = [stands[name].reshape(shape) for name in chance.held]
        _, _, gone = lax.while_loop(unfinished, onward, (begin, held, jnp.zeros(shape)))
        return jnp.sum(jnp.exp(particles.share) * -jnp.expm1(-gone), axis=1)

    def _named(self, purpose: str) -> str:
        """Name a purpose of this twin alone."""
        return f"{self.watch.purpose}: {purpose}"


def watchers_of(
    frame: Frame, brought: Brought, numerics: Numerics
) -> tuple[Watcher, ...]:
    """Return what follows subjects in a frame."""
    found, model = [], frame.protocol.model
    pairs = zip(frame.watches.items(), brought.alike, strict=True)
    for (watch, forecasts), alike in pairs:
        events = [one.event for one in forecasts]
        part = part_of(model, watch.outputs, events)
        assert part.chance is not None  # the sheet is refused without
        states = frame.dosed.states
        found.append(
            Watcher(
                watch,
                forecasts,
                compile_program(part, schedule_of(None), numerics),
                {name: value.reshape(-1) for name, value in alike.items()},
                brought.people.keys,
                _rows(watch, brought.people.keys),
                tuple(states.index(name) for name in part.chance.held),
            )
        )
    return tuple(found)


def _rows(watch: Watch, keys: Key[Array, " subject"]) -> Key[Array, " row"]:
    """Return a key a particle."""

    def each(key: Key[Array, ""]) -> Key[Array, " particle"]:
        own = purpose_key(key, watch.purpose)
        fold = functools.partial(jax.random.fold_in, own)
        return jax.vmap(fold)(jnp.arange(watch.particles))

    return jax.vmap(each)(keys).reshape(-1)


def _measured(
    seen: Seen,
    name: str,
    counted: Float[Array, " subject"],
    now: Float[Array, " subject"],
) -> Float[Array, " subject"]:
    """Return what was measured of an output since then; NaN where nothing was."""
    value = seen.values[name]
    new = (seen.time > counted[:, None] + NEAR) & (seen.time <= now[:, None] + NEAR)
    new &= jnp.isfinite(value)
    place = jnp.argmax(new, axis=1)[:, None]
    found = jnp.take_along_axis(value, place, axis=1)[:, 0]
    return jnp.where(new.any(axis=1), found, jnp.nan)

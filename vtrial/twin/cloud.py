"""A cloud of particles, and how it goes from one measurement to the next."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from vtrial.dosing.doses import Times
from vtrial.fit.study import Data
from vtrial.fit.values import Effects, Values
from vtrial.model.model import Model
from vtrial.model.residual import density_of
from vtrial.model.residual import standing as stands
from vtrial.model.tree import Expression, evaluate
from vtrial.solver.by_chance import solve_by_chance
from vtrial.solver.program import Program
from vtrial.solver.standing import Standing

LOOKS = 24  # times at which an event is looked for ahead
LEVEL = 0.9  # of the interval that is told
Method = Literal["particles", "ensemble"]
Outputs = dict[str, Float[Array, "subject particle"]]
Mine = tuple[Array, Array, Array, Array]


@dataclass(frozen=True)
class Cloud:
    """What a filter is compiled from.

    Fields
    ------
    ticks, ahead
        Parts between two measurements, and of what is looked ahead, at most.
    widths
        Of `vtrial.solver.by_chance.widths_of`.
    watched
        The event that is looked for ahead; None for none.
    moves
        How often particles that were drawn anew are moved.
    method
        What is done with them at a measurement.
    """

    program: Program
    effects: Effects
    particles: int
    ticks: int
    widths: tuple[int, int]
    watched: Expression | None = None
    ahead: int = 0
    moves: int = 0
    method: Method = "particles"


class Particles(NamedTuple):
    """All particles of some subjects.

    Fields
    ------
    share
        The logarithms of their weights, which sum to 1.
    past
        The log-density of all that was measured so far, by each particle's own path.
    line
        By which keys chance fell out, at the start and at every stage; of no stage
        where nothing is moved.
    """

    standing: Standing
    eta: Float[Array, "row effect"]
    share: Float[Array, "subject particle"]
    past: Float[Array, " row"]
    line: Key[Array, "row stage"]


@dataclass(frozen=True)
class Course:
    """What stays the same while particles go from measurement to measurement.

    Fields
    ------
    wide
        Has a row a particle, or one for all.
    keys
        Of each row, by which chance falls out.
    starts
        Of each subject, by which particles are drawn anew and moved.
    begin, stops
        [h] Where each subject begins, and where its stages end.
    asked
        Of each stage and subject: value, output, below, real.
    """

    cloud: Cloud
    values: Values
    wide: Data
    occasion: Int[Array, "row period"]
    keys: Key[Array, " row"]
    starts: Key[Array, " subject"]
    begin: Float[Array, " subject"]
    stops: Float[Array, "stage subject"]
    asked: Mine
    horizon: Float[Array, ""]

    def stage(
        self,
        eta: Float[Array, "row effect"],
        times: Float[Array, "row time"],
        until: Float[Array, " row"],
        start: Standing | None,
        ticks: int,
        keys: Key[Array, " row"] | None = None,
    ) -> tuple[dict[str, Array], Standing]:
        """Go on until some times, and see outputs on the way."""
        inputs = dict(self.values.typical) | dict(self.wide.covariates)
        inputs |= self.cloud.effects.inputs(eta, self.occasion)
        path, standing = solve_by_chance(
            self.cloud.program,
            inputs,
            self.wide.doses,
            Times(times, jnp.full(times.shape, -1)),
            keys=self.keys if keys is None else keys,
            ticks=ticks,
            start=start,
            until=until,
            periods=self.wide.periods,
            widths=(self.cloud.widths[0], times.shape[1]),
        )
        return path.outputs, standing

    def begun(
        self, eta: Float[Array, "row effect"], keys: Key[Array, " row"]
    ) -> Standing:
        """Return where particles stand before anything has happened."""
        first = jnp.repeat(self.begin, self.cloud.particles, axis=0)
        none = jnp.zeros((first.shape[0], 0))
        return self.stage(eta, none, first, None, 0, keys)[1]

    def measured(
        self,
        order: Int[Array, ""],
        eta: Float[Array, "row effect"],
        start: Standing,
        keys: Key[Array, " row"],
    ) -> tuple[Outputs, Standing, Float[Array, "subject particle"]]:
        """Go to a measurement of every subject; return its log-density, too."""
        until = jnp.repeat(self.stops[order], self.cloud.particles, axis=0)
        seen, standing = self.stage(
            eta, until[:, None], until, start, self.cloud.ticks, keys
        )
        shape = (self.begin.shape[0], self.cloud.particles)
        outputs = {name: value[:, 0].reshape(shape) for name, value in seen.items()}
        model, mine = self.cloud.program.model, self.mine(order)
        density = density_at(model, self.values, outputs, mine)
        return outputs, standing, density

    def mine(self, order: Int[Array, ""]) -> Mine:
        """Return a measurement of each subject: value, output, below, real."""
        value, output, below, real = self.asked
        return value[order], output[order], below[order], real[order]

    def now(self, eta: Float[Array, "row effect"], standing: Standing) -> Outputs:
        """Return outputs where particles stand, before doses that are given then."""
        time = standing.state.time
        seen, _ = self.stage(eta, time[:, None], time, standing, 1)
        shape = (self.begin.shape[0], self.cloud.particles)
        return {name: value[:, 0].reshape(shape) for name, value in seen.items()}

    def comes(
        self, eta: Float[Array, "row effect"], standing: Standing
    ) -> Float[Array, " row"]:
        """Say of each particle whether the event comes to it within the horizon."""
        assert self.cloud.watched is not None  # it is asked of monitors
        now = standing.state.time
        grid = jnp.arange(1, LOOKS + 1).astype(float) / LOOKS
        when = now[:, None] + self.horizon * grid[None, :]
        seen, _ = self.stage(eta, when, now + self.horizon, standing, self.cloud.ahead)
        event = evaluate(self.cloud.watched, seen) != 0
        return jnp.broadcast_to(event, when.shape).any(axis=1).astype(float)


def density_at(
    model: Model, values: Values, outputs: Outputs, mine: Mine
) -> Float[Array, "subject particle"]:
    """Return the log-density of one measurement a subject; 0 where there is none."""
    value, output, below, real = (one[:, None] for one in mine)
    shape = next(iter(outputs.values())).shape
    found = jnp.zeros(shape)
    for number, one in enumerate(model.outputs):
        if not one.error.varies:
            continue
        own = outputs[one.name]
        asked = {name: outputs[name] for name in one.error.computed}
        sizes = values.sizes.get(one.name, {})
        at, off, good = stands(one.error, own, computed=asked, sizes=sizes)
        here = jnp.broadcast_to(real & (output == number), shape)
        what = jnp.broadcast_to(value, shape)
        under = jnp.broadcast_to(below, shape) & here
        density = density_of(one.error, at, off, what, below=under)
        density = jnp.where(good & jnp.isfinite(density), density, -jnp.inf)
        found = jnp.where(here, density, found)
    return found


def bands(
    value: Float[Array, "subject particle"], share: Float[Array, "subject particle"]
) -> Float[Array, "subject five"]:
    """Return the mean, deviation, median and interval of weighted particles."""
    share = jnp.where(jnp.isfinite(value), share, 0.0)
    value = jnp.where(jnp.isfinite(value), value, 0.0)
    whole = jnp.sum(share, axis=1)
    share = share / jnp.where(whole > 0, whole, 1.0)[:, None]
    mean = jnp.sum(share * value, axis=1)
    spread = jnp.sum(share * (value - mean[:, None]) ** 2, axis=1)
    order = jnp.argsort(value, axis=1)
    sorted_ = jnp.take_along_axis(value, order, axis=1)
    edges = jnp.cumsum(jnp.take_along_axis(share, order, axis=1), axis=1)
    asked = jnp.array([0.5, (1 - LEVEL) / 2, (1 + LEVEL) / 2])
    place = jax.vmap(lambda one: jnp.searchsorted(one, asked))(edges)
    ends = jnp.take_along_axis(sorted_, jnp.minimum(place, value.shape[1] - 1), axis=1)
    found = jnp.concatenate([jnp.stack([mean, jnp.sqrt(spread)], axis=1), ends], axis=1)
    return jnp.where(whole[:, None] > 0, found, jnp.nan)

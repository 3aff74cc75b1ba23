r"""Models with chance: where a person stands now, by a cloud of particles.

Each particle is a person with random effects of its own, who goes from measurement to
measurement by the model's own chance. There it is weighted by the density of what was
measured; where the weights are worth fewer than half of the particles, these are drawn
anew by them. The product of the mean weights is an unbiased estimate of the likelihood,

$$ \hat p(y) = \prod_n \sum_m w_{n-1,m}\, p(y_n \mid x_{n,m}). $$

A particle's chance is keyed by its person, its place in the cloud and the time, and so
differs between particles that come from one. Random effects do not change on the way:
where measurements tell much of them, many particles are needed.

References
----------
Gordon NJ, Salmond DJ, Smith AFM (1993) IEE Proc F 140:107-113 (bootstrap filter). Del
Moral P (2004) Feynman-Kac Formulae, ch 7 (no bias). Kitagawa G (1996) J Comput Graph
Stat 5:1-25.
"""

import functools
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import lax
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Int, Key

from vtrial.dosing.doses import Times
from vtrial.dosing.schedule import schedule_of_doses
from vtrial.errors import FitError
from vtrial.fit.study import Data, Study
from vtrial.fit.values import Effects, Values, effects_of, values_of
from vtrial.model.model import Model
from vtrial.model.residual import density_of
from vtrial.model.residual import standing as stands
from vtrial.model.tree import Expression, evaluate
from vtrial.program_cache import kept
from vtrial.solver.by_chance import solve_by_chance, ticks_of, widths_of
from vtrial.solver.program import Program, compile_program
from vtrial.solver.standing import Standing
from vtrial.twin.importance import (
    FILTERING,
    MAKERS,
    in_parts,
    keys_of,
    numbers_of,
    resample,
)
from vtrial.types import Numerics
from vtrial.units import factor

PARTICLES = 1000
SHARE = 0.5  # of the particles: worth fewer, they are drawn anew
LEVEL = 0.9
LOOKS = 24  # times at which an event is looked for ahead


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
    """

    program: Program
    effects: Effects
    particles: int
    ticks: int
    widths: tuple[int, int]
    watched: Expression | None = None
    ahead: int = 0


class Seen(NamedTuple):
    """What a filter finds, the first axes subject and measurement.

    `bands` are mean, deviation, median, low and high of each output, of what was
    measured up to then; `worth` is that of the weights before particles are drawn anew,
    `log_density` that of each measurement given those before it, `chances` the
    probability of the event without and with the measurement.
    """

    bands: dict[str, Float[np.ndarray, "subject time five"]]
    worth: Float[np.ndarray, "subject time"]
    log_density: Float[np.ndarray, "subject time"]
    chances: Float[np.ndarray, "subject time two"]


@dataclass(frozen=True)
class Filtered:
    """Where persons stood at each measurement, by what was measured up to then."""

    model: Model
    study: Study
    seen: Seen

    @property
    def log_likelihood(self) -> Float[np.ndarray, " subject"]:
        """Log p(y) of each subject; its exponential has no bias."""
        return self.seen.log_density.sum(axis=1)

    def table(self) -> pd.DataFrame:
        """Return a row a subject, measurement and output.

        ID, TIME in the model's unit, OUTPUT, `mean`, `deviation`, `median`, `low`,
        `high` (the middle 90 %), and `effective`: how many independent particles the
        weights are worth.
        """
        data, names = self.study.data, [o.name for o in self.model.outputs]
        real = data.real
        clock = factor("h", self.model.time)
        place = np.nonzero(real)
        time = np.asarray(data.times.time)[place] * clock
        rows: dict[str, Any] = {
            "ID": np.repeat(self.study.identity[place[0]], len(names)),
            "TIME": np.repeat(time, len(names)),
            "OUTPUT": np.tile(names, len(time)),
        }
        every = np.stack([self.seen.bands[name][place] for name in names], axis=1)
        words = ("mean", "deviation", "median", "low", "high")
        rows |= {word: every[:, :, i].ravel() for i, word in enumerate(words)}
        rows["effective"] = np.repeat(self.seen.worth[place], len(names))
        return pd.DataFrame(rows)


def filtered(
    model: Model,
    study: Study,
    *,
    particles: int = PARTICLES,
    seed: int = 0,
    numerics: Numerics = FILTERING,
) -> Filtered:
    """Follow every subject of a study through its measurements, by particles.

    Time 0 is when the model begins. Measurements stand before doses at the same time.

    Raises
    ------
    FitError
        If the model leaves nothing to chance; `posterior` knows all of that.
    """
    cloud = cloud_of(model, study, particles, numerics)
    return Filtered(model, study, follow(cloud, model, study, seed, 0.0))


def cloud_of(
    model: Model, study: Study, particles: int, numerics: Numerics = FILTERING
) -> Cloud:
    """Choose how a study's measurements are followed; nothing is compiled yet.

    Raises
    ------
    FitError
        If the model leaves nothing to chance, or there are too few particles.
    ModelError
        If its errors have no density here.
    """
    if model.chance is None:
        allowed = "with chance between measurements; others have a posterior"
        raise FitError(model.name, "without chance", allowed, "vt.twin.posterior(...)")
    if particles < 10:
        raise FitError("particles", str(particles), "10 or more", str(PARTICLES))
    effects = effects_of(replace(model, chance=None), study.occasions)
    data = study.data
    program = compile_program(model, schedule_of_doses(data.doses), numerics)
    begin, stops = stops_of(data)
    gaps = np.diff(np.concatenate([begin[:, None], stops], axis=1), axis=1)
    ticks = ticks_of(model, 0.0, float(gaps.max(initial=0.0))) + 1
    widths = widths_of(model, data.doses, data.times)
    return Cloud(program, effects, particles, ticks, (widths[0], 1))


def stops_of(data: Data) -> tuple[np.ndarray, np.ndarray]:
    """Return where each subject begins, and where its stages end [h]."""
    time = np.asarray(data.times.time)
    begin = np.minimum(data.begin, 0.0)
    stops = np.where(data.real, time, -np.inf)
    return begin, np.maximum(np.maximum.accumulate(stops, axis=1), begin[:, None])


def follow(cloud: Cloud, model: Model, study: Study, seed: int, horizon: float) -> Seen:
    """Run the filter for every subject, in parts."""
    begin, stops = stops_of(study.data)
    values, one = values_of(model), jnp.asarray(seed)
    ends = jnp.asarray(float(horizon))

    def compute(part: Data, *others: np.ndarray) -> Any:
        return _followed(cloud, one, values, part, ends, *others)

    number = numbers_of(study)
    found = in_parts(compute, study.data, cloud.particles, begin, stops, number)
    return Seen(*found)


class _Particles(NamedTuple):
    """All particles of some subjects, and the logarithms of their shares."""

    standing: Standing
    eta: Float[Array, "row effect"]
    share: Float[Array, "subject particle"]


@dataclass(frozen=True)
class _Course:
    """What stays the same while particles go from measurement to measurement.

    `wide` has a row a particle, or one for all; `starts` are the keys of drawing anew.
    """

    cloud: Cloud
    values: Values
    wide: Data
    occasion: Int[Array, "row period"]
    keys: Key[Array, " row"]
    starts: Key[Array, " subject"]
    horizon: Float[Array, ""]

    def stage(
        self,
        eta: Float[Array, "row effect"],
        times: Float[Array, "row time"],
        until: Float[Array, " row"],
        start: Standing | None,
        ticks: int,
    ) -> tuple[dict[str, Array], Standing]:
        """Go on until some times, and see outputs on the way."""
        inputs = dict(self.values.typical) | dict(self.wide.covariates)
        inputs |= self.cloud.effects.inputs(eta, self.occasion)
        path, standing = solve_by_chance(
            self.cloud.program,
            inputs,
            self.wide.doses,
            Times(times, jnp.full(times.shape, -1)),
            keys=self.keys,
            ticks=ticks,
            start=start,
            until=until,
            periods=self.wide.periods,
            widths=(self.cloud.widths[0], times.shape[1]),
        )
        return path.outputs, standing

    def comes(
        self, eta: Array, standing: Standing, until: Array
    ) -> Float[Array, " row"]:
        """Say of each particle whether the event comes to it within the horizon."""
        assert self.cloud.watched is not None  # it is asked of monitors
        grid = jnp.arange(1, LOOKS + 1).astype(float) / LOOKS
        when = until[:, None] + self.horizon * grid[None, :]
        end = until + self.horizon
        seen, _ = self.stage(eta, when, end, standing, self.cloud.ahead)
        event = evaluate(self.cloud.watched, seen) != 0
        return jnp.broadcast_to(event, when.shape).any(axis=1).astype(float)

    def look(
        self, before: _Particles, at: tuple[Array, Array, Any]
    ) -> tuple[_Particles, tuple[Any, ...]]:
        """Go to a measurement of every subject, and weigh particles by it."""
        order, stop, mine = at
        shape = before.share.shape
        until = jnp.repeat(stop, shape[1], axis=0)
        ticks = self.cloud.ticks
        seen, standing = self.stage(
            before.eta, until[:, None], until, before.standing, ticks
        )
        outputs = {name: value[:, 0].reshape(shape) for name, value in seen.items()}
        density = _density(self.cloud.program.model, self.values, outputs, mine)
        weight = before.share + density
        total = logsumexp(weight, axis=1)
        known = jnp.isfinite(total)[:, None]
        share = jnp.where(known, weight - total[:, None], before.share)
        chances = jnp.zeros((shape[0], 2))
        if self.cloud.watched is not None:
            comes = self.comes(before.eta, standing, until).reshape(shape)
            both = [jnp.exp(one) * comes for one in (before.share, share)]
            chances = jnp.stack([jnp.sum(one, axis=1) for one in both], axis=1)
        bands = {name: _bands(value, jnp.exp(share)) for name, value in outputs.items()}
        worth = 1.0 / jnp.sum(jnp.exp(2.0 * share), axis=1)
        fresh = _anew(standing, before.eta, share, worth, self.starts, order)
        return fresh, (bands, worth, jnp.where(mine[3], total, 0.0), chances)


@functools.partial(kept, static=1, makers=MAKERS)
def _followed(
    cloud: Cloud,
    seed: Int[Array, ""],
    values: Values,
    data: Data,
    horizon: Float[Array, ""],
    begin: Float[Array, " subject"],
    stops: Float[Array, "subject time"],
    number: Int[Array, " subject"],
) -> tuple[dict[str, Array], Array, Array, Array]:
    """Go from measurement to measurement."""
    count, many = begin.shape[0], cloud.particles
    wide = jax.tree.map(
        lambda leaf: leaf if leaf.shape[0] == 1 else jnp.repeat(leaf, many, axis=0),
        data._replace(begin=jnp.asarray(begin)),
    )
    occasion = jnp.repeat(jnp.asarray(data.occasion), many, axis=0)
    keys = _keys(keys_of(seed, number, "particle"), many)
    starts = keys_of(seed, number, "resampling")
    course = _Course(cloud, values, wide, occasion, keys, starts, horizon)
    eta = _drawn(cloud.effects, values, keys)
    first = jnp.repeat(begin, many, axis=0)
    _, standing = course.stage(eta, jnp.zeros((count * many, 0)), first, None, 0)
    share = jnp.full((count, many), -jnp.log(float(many)))
    orders = jnp.arange(stops.shape[1])
    columns = (data.values, data.output, data.below, data.real)
    asked = tuple(jnp.asarray(one).T for one in columns)
    begun = _Particles(standing, eta, share)
    _, found = lax.scan(course.look, begun, (orders, stops.T, asked))
    bands, worth, density, chances = jax.tree.map(
        lambda leaf: jnp.moveaxis(leaf, 0, 1), found
    )
    return bands, worth, density, chances


def _keys(keys: Key[Array, " subject"], many: int) -> Key[Array, " row"]:
    """Return a key a particle."""

    def each(key: Key[Array, ""]) -> Key[Array, " particle"]:
        return jax.vmap(functools.partial(jax.random.fold_in, key))(jnp.arange(many))

    return jax.vmap(each)(keys).reshape(-1)


def _drawn(
    effects: Effects, values: Values, keys: Key[Array, " row"]
) -> Float[Array, "row effect"]:
    """Draw the random effects of every particle."""
    size = len(effects)
    if not size:
        return jnp.zeros((keys.shape[0], 0))
    factor_ = jnp.linalg.cholesky(effects.covariance(values))

    def each(key: Key[Array, ""]) -> Float[Array, " effect"]:
        own = jax.random.fold_in(key, 0)
        return factor_ @ jax.random.normal(own, (size,), float)

    return jax.vmap(each)(keys)


def _density(
    model: Model,
    values: Values,
    outputs: dict[str, Array],
    mine: tuple[Array, Array, Array, Array],
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


def _bands(
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


def _anew(
    standing: Standing,
    eta: Float[Array, "row effect"],
    share: Float[Array, "subject particle"],
    worth: Float[Array, " subject"],
    starts: Key[Array, " subject"],
    order: Int[Array, ""],
) -> _Particles:
    """Draw particles anew, of subjects whose weights are worth little."""
    count, many = share.shape

    def uniform(key: Key[Array, ""]) -> Float[Array, ""]:
        return jax.random.uniform(jax.random.fold_in(key, order), (), float)

    start = jax.vmap(uniform)(starts)
    place = jax.vmap(functools.partial(resample, count=many))(jnp.exp(share), start)
    poor = worth < SHARE * many
    place = jnp.where(poor[:, None], place, jnp.arange(many)[None])
    flat = (place + many * jnp.arange(count)[:, None]).reshape(-1)
    standing, eta = jax.tree.map(lambda leaf: leaf[flat], (standing, eta))
    even = jnp.full_like(share, -jnp.log(float(many)))
    return _Particles(standing, eta, jnp.where(poor[:, None], even, share))

r"""Models with chance: where a person stands now, by a cloud of particles.

Each particle is a person with random effects of its own, who goes from measurement to
measurement by the model's own chance. There it is weighted by the density of what was
measured; where the weights are worth fewer than half of the particles, these are drawn
anew by them; their random effects may then be moved. The product of the mean weights
is an unbiased estimate of the likelihood,

$$ \hat p(y) = \prod_n \sum_m w_{n-1,m}\, p(y_n \mid x_{n,m}). $$

A particle's chance is keyed by its person, its place in the cloud and the time, and so
differs between particles that come from one.

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
from jaxtyping import Array, Bool, Float, Int, Key

from vtrial.dosing.schedule import schedule_of_doses
from vtrial.errors import FitError
from vtrial.fit.study import Data, Study
from vtrial.fit.values import Effects, Values, effects_of, values_of
from vtrial.model.model import Model
from vtrial.model.resampling import drawn_anew
from vtrial.program_cache import kept
from vtrial.solver.by_chance import ticks_of, widths_of
from vtrial.solver.program import compile_program
from vtrial.twin.cloud import Cloud, Course, Method, Particles, bands
from vtrial.twin.ensemble import look as look_by_ensemble
from vtrial.twin.ensemble import refuse_ensemble
from vtrial.twin.importance import (
    FILTERING,
    MAKERS,
    in_parts,
    keys_of,
    numbers_of,
)
from vtrial.twin.rejuvenation import rejuvenated
from vtrial.types import Numerics
from vtrial.units import factor

PARTICLES = 1000
SHARE = 0.5  # of the particles: worth fewer, they are drawn anew


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
    method: Method = "particles",
    particles: int = PARTICLES,
    moves: int = 0,
    seed: int = 0,
    numerics: Numerics = FILTERING,
) -> Filtered:
    """Follow every subject of a study through its measurements, by particles.

    Time 0 is when the model begins. Measurements stand before doses at the same time.

    Parameters
    ----------
    method
        Whether particles are weighted and drawn anew, or are the members of an
        ensemble, which are moved: see `vtrial.twin.ensemble`.
    moves
        How often the random effects of particles that were drawn anew are moved. Each
        time their past is solved again, so that two take about five times as long.

    Raises
    ------
    FitError
        If the model leaves nothing to chance; `posterior` knows all of that. If an
        ensemble is asked for, and model or measurements have none.
    """
    cloud = cloud_of(model, study, particles, moves, numerics, method=method)
    return Filtered(model, study, follow(cloud, model, study, seed, 0.0))


def cloud_of(
    model: Model,
    study: Study,
    particles: int,
    moves: int = 0,
    numerics: Numerics = FILTERING,
    method: Method = "particles",
) -> Cloud:
    """Choose how a study's measurements are followed; nothing is compiled yet.

    Raises
    ------
    FitError
        If the model leaves nothing to chance, there are too few particles, or the
        method does not fit.
    ModelError
        If its errors have no density here.
    """
    if model.chance is None:
        allowed = "with chance between measurements; others have a posterior"
        raise FitError(model.name, "without chance", allowed, "vt.twin.posterior(...)")
    if particles < 10:
        raise FitError("particles", str(particles), "10 or more", str(PARTICLES))
    if moves < 0:
        raise FitError("moves", str(moves), "0 or more", "2")
    if method == "ensemble":
        refuse_ensemble(model, study, moves)
    effects = effects_of(replace(model, chance=None), study.occasions)
    data = study.data
    program = compile_program(model, schedule_of_doses(data.doses), numerics)
    begin, stops = stops_of(data)
    gaps = np.diff(np.concatenate([begin[:, None], stops], axis=1), axis=1)
    ticks = ticks_of(model, 0.0, float(gaps.max(initial=0.0))) + 1
    widths = (widths_of(model, data.doses, data.times)[0], 1)
    return Cloud(program, effects, particles, ticks, widths, moves=moves, method=method)


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
    many = cloud.particles
    wide = jax.tree.map(
        lambda leaf: leaf if leaf.shape[0] == 1 else jnp.repeat(leaf, many, axis=0),
        data._replace(begin=jnp.asarray(begin)),
    )
    columns = (data.values, data.output, data.below, data.real)
    course = Course(
        cloud=cloud,
        values=values,
        wide=wide,
        occasion=jnp.repeat(jnp.asarray(data.occasion), many, axis=0),
        keys=_keys(keys_of(seed, number, "particle"), many),
        starts=keys_of(seed, number, "resampling"),
        begin=jnp.asarray(begin),
        stops=jnp.asarray(stops).T,
        asked=tuple(jnp.asarray(one).T for one in columns),  # type: ignore[arg-type] # four
        horizon=horizon,
    )
    look = functools.partial(LOOKS_BY[cloud.method], course)
    _, found = lax.scan(look, _begun(course), jnp.arange(stops.shape[1]))
    seen, worth, density, chances = jax.tree.map(
        lambda leaf: jnp.moveaxis(leaf, 0, 1), found
    )
    return seen, worth, density, chances


def _begun(course: Course) -> Particles:
    """Return particles who differ by their random effects, before any measurement."""
    shape = (course.begin.shape[0], course.cloud.particles)
    stages = course.stops.shape[0] + 1 if course.cloud.moves else 0  # to go again
    line = (course.keys.shape[0], stages)
    eta = _drawn(course.cloud.effects, course.values, course.keys)
    return Particles(
        standing=course.begun(eta, course.keys),
        eta=eta,
        share=jnp.full(shape, -jnp.log(float(shape[1]))),
        past=jnp.zeros(course.keys.shape),
        line=jnp.broadcast_to(course.keys[:, None], line),
    )


def _look(
    course: Course, before: Particles, order: Int[Array, ""]
) -> tuple[Particles, tuple[Any, ...]]:
    """Go to a measurement of every subject, and weigh particles by it."""
    shape = before.share.shape
    outputs, standing, density = course.measured(
        order, before.eta, before.standing, course.keys
    )
    weight = before.share + density
    total = logsumexp(weight, axis=1)
    known = jnp.isfinite(total)
    share = jnp.where(known[:, None], weight - total[:, None], before.share)
    chances = jnp.zeros((shape[0], 2))
    if course.cloud.watched is not None:
        comes = course.comes(before.eta, standing).reshape(shape)
        both = [jnp.exp(one) * comes for one in (before.share, share)]
        chances = jnp.stack([jnp.sum(one, axis=1) for one in both], axis=1)
    seen = {name: bands(value, jnp.exp(share)) for name, value in outputs.items()}
    worth = 1.0 / jnp.sum(jnp.exp(2.0 * share), axis=1)
    poor = worth < SHARE * shape[1]
    past = before.past + density.reshape(-1)
    after = Particles(standing, before.eta, share, past, before.line)
    fresh = _anew(course, after, poor, order)
    moved = rejuvenated(course, fresh, poor & known, order)
    total = jnp.where(course.asked[3][order], total, 0.0)
    return moved, (seen, worth, total, chances)


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


def _anew(
    course: Course,
    particles: Particles,
    poor: Bool[Array, " subject"],
    order: Int[Array, ""],
) -> Particles:
    """Draw particles anew, of subjects whose weights are worth little.

    Chance goes on by the keys of their new places, so that equal ones part.
    """

    def uniform(key: Key[Array, ""]) -> Float[Array, ""]:
        return jax.random.uniform(jax.random.fold_in(key, order), (), float)

    start = jax.vmap(uniform)(course.starts)
    flat, share = drawn_anew(particles.share, poor, start)
    line = particles.line[flat]
    ahead = jnp.arange(line.shape[1]) > order + 1
    line = jnp.where(ahead, course.keys[:, None], line)
    return Particles(
        *jax.tree.map(lambda leaf: leaf[flat], particles[:2]),
        share=share,
        past=particles.past[flat],
        line=line,
    )


LOOKS_BY = {"particles": _look, "ensemble": look_by_ensemble}

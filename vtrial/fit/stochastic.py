r"""Stochastic approximation of expectation-maximisation (SAEM).

Each iteration moves every subject's effects by a few Metropolis steps from where they
stood, averages what they say into statistics with weight $\gamma_k$, and maximises:

$$ s_k = s_{k-1} + \gamma_k (S(\varphi_k) - s_{k-1}), \qquad
   \theta_k = \arg\max_\theta Q(\theta; s_k). $$

Where a parameter moves predictions just as an effect does, $\varphi = \mu + \eta$ is
what is kept: means of $\varphi$ and $\varphi\varphi'$ say $\mu$ and $\Omega$ at once.
Other parameters and the residual errors take a step of Newton's, by the averaged
gradient and expected information of the complete data. First $\gamma = 1$, and
variances fall slowly; then $\gamma_k$ falls, and the estimate is the mean of what it
gives.

References
----------
Delyon B, Lavielle M, Moulines E (1999) Ann Stat 27:94-128. Kuhn E, Lavielle M (2005)
Comput Stat Data Anal 49:1020-1038. Gu MG, Kong FH (1998) Proc Natl Acad Sci USA
95:7270-7274 (Newton steps). Polyak BT, Juditsky AB (1992) SIAM J Control Optim
30:838-855 (the mean).
"""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.export import register_namedtuple_serialization
from jaxtyping import Array, Bool, Float, Int

from vtrial.fit.likelihood import Likelihood
from vtrial.fit.mode import MAKERS
from vtrial.fit.parameters import Layout
from vtrial.fit.study import Data
from vtrial.fit.values import Values
from vtrial.keys import purpose_key
from vtrial.program_cache import kept

STEPS = 20  # iterations of a program
WALKS = 3  # Metropolis steps an iteration, beside one from the effects' own law
WANTED = 0.3  # of the walks, that are taken
SLOWLY = 0.95  # by which a variance may fall at first, an iteration
POWER = 0.7  # by which weights fall
LONGEST = 0.3  # of a Newton step


@dataclass(frozen=True)
class Shape:
    """What of the vector is updated how; hashable.

    Fields
    ------
    mean
        Which parameter is the mean of which effect: places in vector and effects.
    slow
        Places in the vector of what takes Newton steps.
    """

    mean: tuple[tuple[int, int], ...]
    slow: tuple[int, ...]


class Walk(NamedTuple):
    """Where an iteration stands; chains are the first axis of effects.

    Fields
    ------
    number
        Of the iteration, from 0.
    first, second
        Averaged means of the effects with their parameters, and of products.
    curve
        Averaged, of what takes Newton steps.
    stretch
        Of each subject's steps.
    """

    number: Int[Array, ""]
    vector: Float[Array, " estimate"]
    eta: Float[Array, "chain subject effect"]
    first: Float[Array, " effect"]
    second: Float[Array, "effect effect"]
    curve: Float[Array, "slow slow"]
    stretch: Float[Array, "chain subject"]


class Guide(NamedTuple):
    """What iterations are told.

    Fields
    ------
    seed, numbers
        By which draws are keyed.
    lower
        The triangle of each subject's steps.
    slowly, plain
        Until which iteration variances fall slowly, and weights are 1.
    """

    seed: Int[Array, ""]
    numbers: Int[Array, " subject"]
    lower: Float[Array, "subject effect effect"]
    slowly: Int[Array, ""]
    plain: Int[Array, ""]


register_namedtuple_serialization(Walk, serialized_name="vtrial:fit.Walk")
register_namedtuple_serialization(Guide, serialized_name="vtrial:fit.Guide")


@functools.partial(kept, static=3, makers=MAKERS)
def iterate(
    likelihood: Likelihood,
    layout: Layout,
    shape: Shape,
    walk: Walk,
    guide: Guide,
    base: Values,
    data: Data,
) -> tuple[Walk, Float[Array, "iteration estimate"]]:
    """Go on by `STEPS` iterations, and return the vector after each."""

    def one(walk: Walk, _: None) -> tuple[Walk, Array]:
        values = layout.values(walk.vector, base)
        eta, stretch = _moved(likelihood, values, walk, guide, data)
        walk = walk._replace(eta=eta, stretch=stretch)
        after = _maximised(likelihood, layout, shape, walk, guide, base, data)
        return after, after.vector

    return lax.scan(one, walk, None, length=STEPS)


def _moved(
    likelihood: Likelihood, values: Values, walk: Walk, guide: Guide, data: Data
) -> tuple[Float[Array, "chain subject effect"], Float[Array, "chain subject"]]:
    """Move every subject's effects, and fit the length of its steps."""
    omega = likelihood.effects.covariance(values)
    own = jnp.linalg.cholesky(omega)
    chains, _, size = walk.eta.shape
    root = jax.random.fold_in(
        purpose_key(jax.random.key(guide.seed), "saem"), walk.number
    )

    def draw(turn: Array) -> tuple[Array, Array]:
        def one(chain: Array, number: Array) -> tuple[Array, Array]:
            key = jax.random.fold_in(jax.random.fold_in(root, number), turn)
            first, second = jax.random.split(jax.random.fold_in(key, chain))
            return jax.random.normal(first, (size,)), jax.random.uniform(second)

        inner = jax.vmap(one, in_axes=(None, 0))
        return jax.vmap(inner, in_axes=(0, None))(jnp.arange(chains), guide.numbers)

    def step(state: tuple[Array, Array, Array], turn: Array) -> tuple[Any, None]:
        """Look where effects stand (0), draw from their law (1), or walk."""
        eta, at, taken = state
        score, chance = draw(turn)
        walked = jnp.einsum("skl,csl->csk", guide.lower, score)
        walked = eta + walk.stretch[:, :, None] * walked
        trial = jnp.where(turn == 1, score @ own.T, walked)
        trial = jnp.where(turn == 0, eta, trial)
        there = jax.vmap(lambda one: likelihood.joint(values, one, data))(trial)
        gain = jnp.where(turn == 0, jnp.inf, 0.5 * (at - there))
        law = 0.5 * (prior(trial) - prior(eta))
        goes = jnp.log(chance) < gain + jnp.where(turn == 1, law, 0.0)
        eta = jnp.where(goes[:, :, None], trial, eta)
        taken = taken + (goes & (turn > 1)).astype(taken.dtype)
        return (eta, jnp.where(goes, there, at), taken), None

    prior = jax.vmap(functools.partial(likelihood.prior, omega))
    none = jnp.zeros(walk.eta.shape[:2])
    (eta, _, taken), _ = lax.scan(step, (walk.eta, none, none), jnp.arange(WALKS + 2))
    rate = 1.0 / (1.0 + walk.number.astype(eta.dtype) / 10.0) ** 0.6
    return eta, walk.stretch * jnp.exp(rate * (taken / WALKS - WANTED))


def _maximised(
    likelihood: Likelihood,
    layout: Layout,
    shape: Shape,
    walk: Walk,
    guide: Guide,
    base: Values,
    data: Data,
) -> Walk:
    """Average what effects say, and update the vector by it."""
    late = jnp.maximum(walk.number - guide.plain + 1, 1)
    weight = 1.0 / late.astype(walk.vector.dtype) ** POWER
    places = jnp.array([k for _, k in shape.mean], int)
    index = jnp.array([x for x, _ in shape.mean], int)
    middle = jnp.zeros(walk.eta.shape[2]).at[places].set(walk.vector[index])
    full = walk.eta + middle[None, None]
    pairs = jnp.einsum("csk,csl->kl", full, full) / (full.shape[0] * full.shape[1])
    first = walk.first + weight * (full.mean(axis=(0, 1)) - walk.first)
    second = walk.second + weight * (pairs - walk.second)
    values = layout.values(walk.vector, base)
    omega = likelihood.effects.covariance(values)
    mean = _mean(omega, first, places)
    spread = second - jnp.outer(first, mean) - jnp.outer(mean, first)
    spread = spread + jnp.outer(mean, mean)
    vector = walk.vector.at[index].set(mean[places])
    slowly = walk.number < guide.slowly
    vector = _spread(likelihood, layout, vector, spread, slowly)
    gradient, curve = _newton(likelihood, layout, shape, walk, base, data)
    curve = walk.curve + weight * (curve - walk.curve)
    slow = jnp.array(shape.slow, int)
    ridge = jnp.diag(1e-9 + 1e-6 * jnp.diagonal(curve))
    step = weight * jnp.linalg.solve(curve + ridge, gradient)
    least = jnp.where(slowly, -0.5 * (1.0 - SLOWLY), -LONGEST)
    size = jnp.array([kind == "size" for kind in layout.kinds], bool)[slow]
    step = jnp.clip(step, jnp.where(size, least, -LONGEST), LONGEST)
    vector = vector.at[slow].add(step)
    return walk._replace(
        number=walk.number + 1,
        vector=vector,
        eta=full - mean[None, None],
        first=first,
        second=second,
        curve=curve,
    )


def _mean(
    omega: Float[Array, "effect effect"],
    first: Float[Array, " effect"],
    places: Int[Array, " mean"],
) -> Float[Array, " effect"]:
    """Return the most probable means: 0 of effects that are no parameter's.

    A mean that is free is told by effects of mean 0 that covary with it, too.
    """
    precision = jnp.linalg.inv(omega)
    pick = jnp.zeros((len(places), len(first))).at[jnp.arange(len(places)), places]
    pick = pick.set(1.0)
    found = jnp.linalg.solve(pick @ precision @ pick.T, pick @ precision @ first)
    return found @ pick


def _spread(
    likelihood: Likelihood,
    layout: Layout,
    vector: Float[Array, " estimate"],
    spread: Float[Array, "effect effect"],
    slowly: Bool[Array, ""],
) -> Float[Array, " estimate"]:
    """Set the triangles of covariances, each the mean over its occasions."""
    effects, place = likelihood.effects, len(layout.typical)
    where = list(zip(effects.block, effects.turn, effects.within, strict=True))
    for group in layout.groups:
        turns = sorted({turn for block, turn, _ in where if block == group.block})
        index = [
            jnp.array([where.index((group.block, turn, one)) for one in group.places])
            for turn in turns
        ]
        parts = [spread[jnp.ix_(one, one)] for one in index]
        found = jnp.stack(parts).mean(axis=0)
        rows, columns = jnp.tril_indices(len(group.places))
        entries = slice(place, place + len(rows))
        old = vector[entries]
        lower = jnp.zeros_like(found).at[rows, columns].set(old)
        plain = jnp.where(jnp.eye(len(found)) > 0, jnp.exp(lower), lower)
        was = jnp.sum(plain**2, axis=1)
        least = jnp.where(slowly, SLOWLY * was, 1e-8 * was)
        raised = jnp.maximum(least - jnp.diagonal(found), 0.0)
        new = jnp.linalg.cholesky(found + jnp.diag(raised))
        new = jnp.where(jnp.eye(len(found)) > 0, jnp.log(jnp.abs(new)), new)
        entry = new[rows, columns]
        sound = jnp.isfinite(entry).all()
        vector = vector.at[entries].set(jnp.where(sound, entry, old))
        place += len(rows)
    return vector


def _newton(
    likelihood: Likelihood,
    layout: Layout,
    shape: Shape,
    walk: Walk,
    base: Values,
    data: Data,
) -> tuple[Float[Array, " slow"], Float[Array, "slow slow"]]:
    """Return gradient and expected information of the complete data, mean of chains."""
    axes = jnp.eye(len(layout))[jnp.array(shape.slow, int)]

    def one(eta: Array) -> tuple[Array, Array]:
        def of(vector: Array) -> tuple[Array, Array]:
            seen = likelihood.stand(layout.values(vector, base), eta, data)
            return seen.middle, seen.scale

        def along(axis: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
            return jax.jvp(of, (walk.vector,), (axis,))

        at, (by_middle, by_scale) = jax.vmap(along, out_axes=(None, 0))(axes)

        def total(at: tuple[Array, Array]) -> Array:
            return jnp.sum(likelihood.density(*at, data))

        pulls = jax.grad(total)(at)
        gradient = jnp.einsum("so,xso->x", pulls[0], by_middle)
        gradient = gradient + jnp.einsum("so,xso->x", pulls[1], by_scale)
        first, cross, last = likelihood.information(*at, data)
        mixed = jnp.einsum("so,xso,yso->xy", cross, by_middle, by_scale)
        curve = jnp.einsum("so,xso,yso->xy", first, by_middle, by_middle)
        curve = curve + jnp.einsum("so,xso,yso->xy", last, by_scale, by_scale)
        return gradient, curve + mixed + mixed.T

    gradient, curve = jax.vmap(one)(walk.eta)
    return gradient.mean(axis=0), curve.mean(axis=0)

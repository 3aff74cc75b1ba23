r"""Moves of particles that were drawn anew, so that they come to differ again.

A particle is its random effects and the variates of its chance, of which its whole
path is a function. A move proposes other effects for the same variates, solves the past
again from its first hour, and is taken with the probability

$$ \min\Big(1, \prod_{k \le n} \frac{p(y_k \mid x_k(\eta', u))}
   {p(y_k \mid x_k(\eta, u))}\Big), \qquad
   \eta' = \sqrt{1 - b^2}\,\eta + b\,\xi, \quad \xi \sim N(0, \Omega), $$

which leaves the posterior of effects and path as it is: exactly, for the proposal is
reversible with respect to the law of effects. How far it goes, b, is drawn for every
particle, in equal shares of its logarithm. It depends on no other particle, and so the
estimate of the likelihood keeps having no bias.

Chance stays as it is: where measurements tell more of it than of effects, these move
little, and more particles are the remedy.

References
----------
Gilks WR, Berzuini C (2001) J R Stat Soc B 63:127-146 (resample-move). Neal RM (1999)
Bayesian Statistics 6:475-501; Cotter SL, Roberts GO, Stuart AM, White D (2013) Statist
Sci 28:424-446 (the proposal).
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key

from vtrial.keys import purpose_key
from vtrial.solver.standing import Standing
from vtrial.twin.cloud import Course, Particles

LEAST = 0.03  # how far the shortest moves go; the longest forget where they are


def rejuvenated(
    course: Course,
    particles: Particles,
    chosen: Bool[Array, " subject"],
    order: Int[Array, ""],
) -> Particles:
    """Move the random effects of the chosen subjects' particles, given all up to now.

    All particles are solved again if somebody is chosen, else none.
    """
    moves = course.cloud.moves
    if not moves or not len(course.cloud.effects):
        return particles

    def move(turn: Int[Array, ""], particles: Particles) -> Particles:
        return _moved(course, particles, chosen, order, order * moves + turn)

    def all_(particles: Particles) -> Particles:
        return lax.fori_loop(0, moves, move, particles)

    return lax.cond(chosen.any(), all_, lambda same: same, particles)


def _moved(
    course: Course,
    particles: Particles,
    chosen: Bool[Array, " subject"],
    order: Int[Array, ""],
    ordinal: Int[Array, ""],
) -> Particles:
    """Propose a move to every particle, and take it or not."""
    eta, luck = _proposed(course, particles.eta, ordinal)
    standing, past = _again(course, eta, particles.line, order)
    wide = jnp.repeat(chosen, course.cloud.particles, axis=0)
    taken = wide & (jnp.log(luck) < past - particles.past)

    def pick(new: Array, old: Array) -> Array:
        return jnp.where(taken.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    old = (particles.standing, particles.eta, particles.past)
    standing, eta, past = jax.tree.map(pick, (standing, eta, past), old)
    return particles._replace(standing=standing, eta=eta, past=past)


def _again(
    course: Course,
    eta: Float[Array, "row effect"],
    line: Key[Array, "row stage"],
    order: Int[Array, ""],
) -> tuple[Standing, Float[Array, " row"]]:
    """Go the way to the last measurement again, by the same chance."""

    def stage(
        place: Int[Array, ""], carry: tuple[Standing, Float[Array, " row"]]
    ) -> tuple[Standing, Float[Array, " row"]]:
        standing, past = carry
        _, standing, density = course.measured(place, eta, standing, line[:, place + 1])
        return standing, past + density.reshape(-1)

    begun = course.begun(eta, line[:, 0])
    return lax.fori_loop(0, order + 1, stage, (begun, jnp.zeros(eta.shape[0])))


def _proposed(
    course: Course, eta: Float[Array, "row effect"], ordinal: Int[Array, ""]
) -> tuple[Float[Array, "row effect"], Float[Array, " row"]]:
    """Return other effects for every particle, and the luck that a move needs."""
    lower = jnp.linalg.cholesky(course.cloud.effects.covariance(course.values))

    def each(key: Key[Array, ""], eta: Array) -> tuple[Array, Array]:
        own = jax.random.fold_in(purpose_key(key, "move"), ordinal)
        one, two = jax.random.split(own)
        share, luck = jax.random.uniform(two, (2,), float)
        far = LEAST**share
        step = lower @ jax.random.normal(one, eta.shape, float)
        return jnp.sqrt(1.0 - far**2) * eta + far * step, luck

    return jax.vmap(each)(course.keys, eta)

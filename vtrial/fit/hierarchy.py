r"""The whole model of a study as a NumPyro program: population, subjects, observations.

A subject's effects are not sampled themselves, but scores z about where its data and
the population would put them if predictions were linear. With F the information of
its data at the reference point, of effects $\hat\eta$, vector $\hat\theta$ and
$\hat\Omega$, and D that of effects with parameters,

$$ P = F + \Omega^{-1}, \qquad
   \eta = P^{-1} (F \hat\eta + \hat\Omega^{-1}\hat\eta - D (\theta - \hat\theta))
          + P^{-1/2} z. $$

Where data say nothing, this is $\Omega^{1/2} z$, the non-centred form; where they say
much, z is what remains about the subject's mode. The density of the effects is the same
in any case, and z is nearly standard normal and independent of all else.

The slopes of what was observed are followed forward, and handed to whoever asks for the
gradient of a density: solvers with steps of their own have no other.

References
----------
Papaspiliopoulos O, Roberts GO, Sköld M (2007) Stat Sci 22:59-73 (between the forms).
"""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from vtrial.fit.follow import bend_of
from vtrial.fit.likelihood import LOG_2_PI, Likelihood
from vtrial.fit.parameters import Layout
from vtrial.fit.prior import LKJ, Prior
from vtrial.fit.problem import Problem
from vtrial.fit.study import Data
from vtrial.fit.values import Values

TOGETHER = ("typical", "spread", "size")  # whose masses are learnt together


class Reference(NamedTuple):
    """Where subjects are looked at from, with the letters of this file's text.

    Fields
    ------
    vector
        The population's.
    pull
        F times the mode, and the precision of the effects' law times it.
    information, cross
        F and D.
    """

    vector: Float[Array, " estimate"]
    pull: Float[Array, "subject effect"]
    information: Float[Array, "subject effect effect"]
    cross: Float[Array, "subject effect estimate"]


def reference_of(
    problem: Problem,
    vector: Float[np.ndarray, " estimate"],
    eta: Float[np.ndarray, "subject effect"],
) -> Reference:
    """Look at subjects from a vector and their modes there."""
    values = problem.layout.values(vector, problem.base)
    omega = np.asarray(problem.likelihood.effects.covariance(values))
    inverse = np.linalg.inv(omega)
    found = bend_of(problem, vector, eta)
    information = 0.5 * np.asarray(found.information) - inverse
    size, axes = np.linalg.eigh(0.5 * (information + np.swapaxes(information, 1, 2)))
    information = np.einsum("skl,sl,sml->skm", axes, np.maximum(size, 0.0), axes)
    told = np.array([kind != "covariance" for kind in problem.layout.kinds])
    cross = 0.5 * np.nan_to_num(np.asarray(found.cross)) * told
    pull = np.einsum("skl,sl->sk", information + inverse, eta)
    parts = (vector, pull, information, cross)
    return Reference(*(jnp.asarray(part) for part in parts))


class Given(NamedTuple):
    """What the program is told; nothing of it is compiled in."""

    base: Values
    data: Data
    prior: Prior
    reference: Reference


@contextlib.contextmanager
def foreign() -> Iterator[None]:
    """Let NumPyro mix kinds of numbers and ranks of arrays, as its own code does."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def program(likelihood: Likelihood, layout: Layout, given: Given) -> None:
    """Declare a study: sites `typical`, `spread`, `correlation.n`, `size` and `z`.

    `vector` is what is made of those of the population.
    """
    vector = population(layout, given.prior)
    shape = given.reference.pull.shape
    real = dist.ImproperUniform(constraints.independent(constraints.real, 2), (), shape)
    z: Array = numpyro.sample("z", real)  # type: ignore[assignment] # an array
    values = layout.values(vector, given.base)
    omega = likelihood.effects.covariance(values)
    eta, stretch = placed(given.reference, omega, vector, z)
    law = jnp.sum(likelihood.prior(omega, eta)) + eta.size * LOG_2_PI
    numpyro.factor("effects", -0.5 * law + stretch)
    seen = observed(likelihood, layout, given, vector, eta)
    numpyro.factor("observations", jnp.sum(seen))


def population(layout: Layout, prior: Prior) -> Float[Array, " estimate"]:
    """Declare the population, and return its vector."""
    parts = []
    if layout.typical:
        law = dist.MultivariateNormal(
            jnp.asarray(prior.typical), scale_tril=jnp.asarray(prior.root)
        )
        parts.append(numpyro.sample("typical", law))
    if layout.groups:
        law = dist.Normal(jnp.asarray(prior.spread), jnp.asarray(prior.spread_error))
        spread = numpyro.sample("spread", law.to_event(1))
        place = 0
        for number, group in enumerate(layout.groups):
            size = len(group.places)
            own = jnp.asarray(spread)[place : place + size]
            place += size
            if size == 1:
                parts.append(own)
                continue
            lkj = dist.LKJCholesky(size, concentration=LKJ)
            lower = numpyro.sample(f"correlation.{number}", lkj)
            parts.append(_triangle(own, jnp.asarray(lower)))
    if layout.sizes:
        law = dist.Normal(jnp.asarray(prior.size), jnp.asarray(prior.size_error))
        parts.append(numpyro.sample("size", law.to_event(1)))
    whole = jnp.concatenate([jnp.asarray(part) for part in parts])
    return numpyro.deterministic("vector", whole)  # type: ignore[return-value]


def _triangle(
    spread: Float[Array, " effect"], lower: Float[Array, "effect effect"]
) -> Float[Array, " entry"]:
    """Return a covariance's triangle as the layout has it."""
    whole = jnp.exp(spread)[:, None] * lower
    entries = jnp.where(jnp.eye(len(spread)) > 0, jnp.log(jnp.abs(whole)), whole)
    return entries[jnp.tril_indices(len(spread))]


def placed(
    reference: Reference,
    omega: Float[Array, "effect effect"],
    vector: Float[Array, " estimate"],
    z: Float[Array, "subject effect"],
) -> tuple[Float[Array, "subject effect"], Float[Array, ""]]:
    """Return effects of scores, and the logarithm of how much they are stretched."""
    eta, lower = laid(reference, omega, vector, z)
    diagonal = jnp.diagonal(lower, axis1=1, axis2=2)
    return eta, -jnp.sum(jnp.log(diagonal))


def laid(
    reference: Reference,
    omega: Float[Array, "effect effect"],
    vector: Float[Array, " estimate"],
    z: Float[Array, "subject effect"],
) -> tuple[Float[Array, "subject effect"], Float[Array, "subject effect effect"]]:
    """Return effects of scores, and the triangles of P."""
    precision = reference.information + jnp.linalg.inv(omega)[None]
    lower = jnp.linalg.cholesky(precision)
    moved = jnp.einsum("skx,x->sk", reference.cross, vector - reference.vector)

    def one(lower: Array, pull: Array, score: Array) -> Array:
        half = solve_triangular(lower, pull, lower=True) + score
        return solve_triangular(lower.T, half, lower=False)

    return jax.vmap(one)(lower, reference.pull - moved, z), lower


def observed(
    likelihood: Likelihood,
    layout: Layout,
    given: Given,
    vector: Float[Array, " estimate"],
    eta: Float[Array, "subject effect"],
) -> Float[Array, " subject"]:
    """Return each subject's log-density of what was observed, without n log 2 pi.

    The value stands still but for its slopes, which were followed forward.
    """
    still, own = jax.lax.stop_gradient(vector), jax.lax.stop_gradient(eta)
    size, total = eta.shape[1], len(layout)
    ways = [x for x, kind in enumerate(layout.kinds) if kind != "covariance"]

    def of(vector: Array, eta: Array) -> Array:
        values = layout.values(vector, given.base)
        omega = jax.lax.stop_gradient(likelihood.effects.covariance(values))
        joint = likelihood.joint(values, eta, given.data)
        return -0.5 * (joint - likelihood.prior(omega, eta))

    def along(axis: Array) -> tuple[Array, Array]:
        way = jnp.broadcast_to(axis[None, total:], eta.shape)
        return jax.jvp(of, (still, own), (axis[:total], way))

    axes = jnp.eye(total + size)[jnp.array([*ways, *range(total, total + size)])]
    value, slope = jax.vmap(along, out_axes=(None, 1))(axes)
    slope = jnp.where(jnp.isfinite(slope), slope, 0.0)
    value, slope = jax.lax.stop_gradient((value, slope))
    by_vector, by_effect = slope[:, : len(ways)], slope[:, len(ways) :]
    moved = by_vector @ (vector - still)[jnp.array(ways, int)]
    return value + moved + jnp.sum(by_effect * (eta - own), axis=1)

r"""What each subject's data are worth at draws of the population.

Effects are integrated out: at every draw $\theta_s$ they are drawn anew, by Student's
t about where the subject's data and that population put them
(`vtrial.fit.hierarchy`), and the mean of their weights is $p(y_i \mid \theta_s)$. As
draws are independent of each other, what chance does to one averages out over all.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.export import register_namedtuple_serialization
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Int

from vtrial.fit.hierarchy import Reference, laid, reference_of
from vtrial.fit.likelihood import LOG_2_PI, Likelihood
from vtrial.fit.marginal import TOGETHER, drawn, numbers_of, variance_of
from vtrial.fit.mode import MAKERS, in_parts, size_of
from vtrial.fit.parameters import Layout
from vtrial.fit.problem import Problem
from vtrial.fit.study import Data
from vtrial.fit.values import Values
from vtrial.keys import purpose_key
from vtrial.program_cache import kept

MOST = 500  # draws of the population, evenly among those that there are
EFFECTS = 100  # of a subject, at each of them


class Worth(NamedTuple):
    """What draws of the population say of some subjects.

    Fields
    ------
    density
        log p(y_i | theta_s), with all constants.
    variance
        Of that, by the weights' spread.
    """

    density: Float[Array, "subject draw"]
    variance: Float[Array, "subject draw"]


register_namedtuple_serialization(Worth, serialized_name="vtrial:fit.Worth")


def worth_of(
    problem: Problem,
    vectors: Float[np.ndarray, "draw estimate"],
    *,
    middle: Float[np.ndarray, " estimate"],
    eta: Float[np.ndarray, "subject effect"],
    seed: int = 1,
    effects: int = EFFECTS,
) -> Worth:
    """Return what each subject's data are worth at each of some vectors.

    Subjects are looked at from the vector `middle` and their modes `eta` there.
    """
    reference = reference_of(problem, middle, eta)
    at, key = jnp.asarray(vectors), jnp.asarray(seed)

    def compute(part: Data, *mine: np.ndarray) -> Worth:
        numbers, *looks = (jnp.asarray(one) for one in mine)
        seen = Reference(reference.vector, *looks)
        fixed = (problem.likelihood, problem.layout, effects)
        return weigh_draws(*fixed, key, at, problem.base, part, numbers, seen)

    study = problem.study
    own = [np.asarray(part) for part in (numbers_of(problem), *reference[1:])]
    return in_parts(compute, size_of(study.subjects), study.data, *own)


@functools.partial(kept, static=3, makers=MAKERS)
def weigh_draws(
    likelihood: Likelihood,
    layout: Layout,
    effects: int,
    seed: Int[Array, ""],
    vectors: Float[Array, "draw estimate"],
    base: Values,
    data: Data,
    numbers: Int[Array, " subject"],
    reference: Reference,
) -> Worth:
    """Integrate over the effects of some subjects, at each of some vectors."""
    subjects, size = reference.pull.shape
    root = purpose_key(jax.random.key(seed), "leave one out")
    still = jnp.zeros((subjects, size))
    plain = jnp.broadcast_to(jnp.eye(size), (subjects, size, size))
    values = jnp.asarray(data.real) & ~jnp.asarray(data.below)
    own = jnp.sum(jnp.where(values, LOG_2_PI, 0.0), axis=1)
    constant = 0.5 * (own + size * LOG_2_PI)

    def one(drawing: tuple[Array, Array]) -> Worth:
        number, vector = drawing
        held = layout.values(vector, base)
        omega = likelihood.effects.covariance(held)
        key = jax.random.fold_in(root, number)
        score, density = drawn(numbers, still, plain, root=key, draws=effects)

        def look(z: Array) -> Array:
            eta, lower = laid(reference, omega, vector, z)
            narrow = jnp.sum(jnp.log(jnp.diagonal(lower, axis1=1, axis2=2)), axis=1)
            return -0.5 * likelihood.joint(held, eta, data) - constant - narrow

        every = lax.map(look, jnp.swapaxes(score, 0, 1), batch_size=TOGETHER)
        weight = every.T - density
        total = logsumexp(weight, axis=1)
        share = jnp.exp(weight - total[:, None])
        return Worth(total - math.log(weight.shape[1]), variance_of(share))

    found = lax.map(one, (jnp.arange(len(vectors)), vectors))
    return Worth(found.density.T, found.variance.T)

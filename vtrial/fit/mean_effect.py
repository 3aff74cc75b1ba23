"""Which parameter moves predictions just as a random effect does: it is its mean."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vtrial.fit.likelihood import Likelihood
from vtrial.fit.mode import MAKERS, taken
from vtrial.fit.parameters import Layout
from vtrial.fit.problem import Problem
from vtrial.fit.study import Data
from vtrial.fit.values import Values
from vtrial.program_cache import kept

SAME = 1e-4  # of a slope, within which two are one: what is solved has errors
SUBJECTS = 16


def means_of(problem: Problem, vector: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Return pairs of places: of a parameter in the vector, and of its effect.

    It is looked for where the effects are some way off, so that no symmetry deceives.
    """
    study, layout = problem.study, problem.layout
    values = layout.values(vector, problem.base)
    omega = np.asarray(problem.likelihood.effects.covariance(values))
    rows = np.arange(SUBJECTS) % study.subjects
    score = np.random.default_rng(1).normal(size=(SUBJECTS, len(omega)))
    eta = 0.5 * score @ np.linalg.cholesky(omega).T if len(omega) else score
    gap, size = gaps(
        problem.likelihood,
        layout,
        jnp.asarray(vector),
        problem.base,
        taken(study.data, rows),
        jnp.asarray(eta),
    )
    same = np.asarray(gap) <= SAME * np.asarray(size)[None, :]
    same &= np.asarray(size)[None, :] > 0
    pairs, used = [], set()
    for place in range(len(layout.typical)):
        for effect in np.flatnonzero(same[place]):
            if effect not in used:
                pairs.append((place, int(effect)))
                used.add(effect)
                break
    return tuple(pairs)


@functools.partial(kept, static=2, makers=MAKERS)
def gaps(
    likelihood: Likelihood,
    layout: Layout,
    vector: Float[Array, " estimate"],
    base: Values,
    data: Data,
    eta: Float[Array, "subject effect"],
) -> tuple[Float[Array, "typical effect"], Float[Array, " effect"]]:
    """Return the largest difference of slopes by parameters and effects, and slope."""
    count, total = len(layout.typical), len(layout)
    size = eta.shape[1]

    def of(vector: Array, eta: Array) -> tuple[Array, Array]:
        seen = likelihood.stand(layout.values(vector, base), eta, data)
        middle = jnp.where(seen.sound, seen.middle, 0.0)
        return middle, jnp.where(seen.sound, seen.scale, 0.0)

    def along(axis: Array) -> Array:
        own = jnp.broadcast_to(axis[None, count:], eta.shape)
        way = jnp.zeros(total).at[:count].set(axis[:count])
        return jnp.stack(jax.jvp(of, (vector, eta), (way, own))[1])

    slope = jax.vmap(along)(jnp.eye(count + size))
    difference = slope[:count, None] - slope[None, count:]
    gap = jnp.max(jnp.abs(difference), axis=(2, 3, 4), initial=0.0)
    return gap, jnp.max(jnp.abs(slope[count:]), axis=(1, 2, 3), initial=0.0)

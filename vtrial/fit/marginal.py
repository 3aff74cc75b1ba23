r"""The likelihood itself, by importance sampling about each subject's mode.

With $\eta_m$ drawn from Student's t about the mode, of the mode's covariance and
density q, and moving with the mode, what a subject's data are worth is the mean of
weights,

$$ p(y) = \frac1M \sum_m w_m, \qquad w_m = p(y \mid \eta_m)\, p(\eta_m) / q(\eta_m), $$

whose error follows from their variance. Once drawn, the $\eta_m$ stay about their mode:
the objective is then smooth in what is estimated, with the exact gradient

$$ -2\, \frac{d \log p(y)}{d\theta}
   = \sum_m \frac{w_m}{\sum w}\, \frac{d L(\eta_m(\theta); \theta)}{d\theta}, $$

which is Fisher's identity, so that differences of it are Louis's information. Scores
come in pairs of opposite sign.

References
----------
Geweke J (1989) Econometrica 57:1317-1339. Geyer CJ, Thompson EA (1992) J R Stat Soc B
54:657-699 (what was drawn once as a likelihood). Louis TA (1982) J R Stat Soc B
44:226-233.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.export import register_namedtuple_serialization
from jax.scipy.special import gammaln, logsumexp
from jaxtyping import Array, Float, Int, Key

from vtrial.fit.follow import bend_of
from vtrial.fit.likelihood import LOG_2_PI, Likelihood
from vtrial.fit.mode import MAKERS, Modes, in_parts, size_of
from vtrial.fit.parameters import Layout
from vtrial.fit.problem import Problem
from vtrial.fit.study import Data
from vtrial.fit.sums import exact_sum, products_of
from vtrial.fit.values import Values
from vtrial.keys import purpose_key, subject_number
from vtrial.program_cache import kept

FREEDOM = 5.0  # of Student's t: its tails outweigh those of a normal law
TOGETHER = 8  # draws side by side
DRAWS = 500


class Cloud(NamedTuple):
    """Effects that were drawn about each subject's mode.

    Fields
    ------
    eta, density
        And the log-density by which they were drawn.
    at, follow
        The vector at which they were, and how they move when it does.
    """

    eta: Float[Array, "subject draw effect"]
    density: Float[Array, "subject draw"]
    at: Float[Array, "subject estimate"]
    follow: Float[Array, "subject effect estimate"]


class Weighed(NamedTuple):
    """What a cloud says of each subject.

    Fields
    ------
    objective
        -2 log p(y), without n log 2 pi.
    variance
        Of that, by the weights' spread.
    effective
        How many independent draws the weights are worth.
    slope
        Of the objective by the vector.
    """

    objective: Float[Array, " subject"]
    variance: Float[Array, " subject"]
    effective: Float[Array, " subject"]
    slope: Float[Array, "subject estimate"]


register_namedtuple_serialization(Weighed, serialized_name="vtrial:fit.Weighed")


class Sum(NamedTuple):
    """The objective at a vector, as `minimise` takes it."""

    objective: float
    slopes: Float[np.ndarray, "subject estimate"]
    parts: Float[np.ndarray, " subject"]
    error: float
    effective: Float[np.ndarray, " subject"]

    @property
    def gradient(self) -> Float[np.ndarray, " estimate"]:
        """The sum of the subjects' slopes."""
        return exact_sum(self.slopes)

    @property
    def products(self) -> Float[np.ndarray, "estimate estimate"]:
        """The sum of the products of each subject's slopes."""
        return products_of(self.slopes)


class Marginal(NamedTuple):
    """The likelihood of a study by effects that were drawn once."""

    problem: Problem
    cloud: Cloud

    def at(self, vector: Float[np.ndarray, " estimate"], before: object = None) -> Sum:
        """Return the objective and its slopes; `before` is of no use."""
        problem = self.problem

        def compute(part: Data, *mine: np.ndarray) -> Weighed:
            cloud = Cloud(*(jnp.asarray(one) for one in mine))
            at = jnp.asarray(vector)
            return weigh(*problem[2:4], at, problem.base, part, cloud)

        study = problem.study
        cloud = (np.asarray(part) for part in self.cloud)
        found = in_parts(compute, size_of(study.subjects), study.data, *cloud)
        return Sum(
            objective=float(found.objective.sum()),
            slopes=found.slope,
            parts=found.objective,
            error=float(np.sqrt(found.variance.sum())),
            effective=found.effective,
        )


def marginal_of(
    problem: Problem,
    vector: Float[np.ndarray, " estimate"],
    found: Modes,
    *,
    draws: int = DRAWS,
    seed: int = 1,
) -> Marginal:
    """Draw effects about modes, each subject's by a key of its own."""
    values = problem.layout.values(vector, problem.base)
    omega = np.asarray(problem.likelihood.effects.covariance(values))
    sound = np.isfinite(found.covariance).all(axis=(1, 2))
    spread = np.where(np.reshape(sound, (-1, 1, 1)), found.covariance, omega[None])
    eta, density = drawn(
        jnp.asarray(numbers_of(problem)),
        jnp.asarray(found.eta),
        jnp.linalg.cholesky(jnp.asarray(spread)),
        root=purpose_key(jax.random.key(seed), "importance"),
        draws=draws,
    )
    follow = bend_of(problem, vector, found.eta).follow()
    at = np.broadcast_to(vector, (len(found.eta), len(vector)))
    return Marginal(problem, Cloud(eta, density, jnp.asarray(at), jnp.asarray(follow)))


def numbers_of(problem: Problem) -> Int[np.ndarray, " subject"]:
    """Return the numbers by which subjects' draws are keyed."""
    names = problem.study.identity
    return np.array([subject_number(str(name)) for name in names])


def drawn(
    numbers: Int[Array, " subject"],
    middle: Float[Array, "subject effect"],
    lower: Float[Array, "subject effect effect"],
    *,
    root: Key[Array, ""],
    draws: int,
) -> tuple[Float[Array, "subject draw effect"], Float[Array, "subject draw"]]:
    """Draw from Student's t of given middles and triangles, in pairs; with density."""
    size, half = middle.shape[1], (draws + 1) // 2

    def one(number: Array, at: Array, triangle: Array) -> tuple[Array, Array]:
        first, second = jax.random.split(jax.random.fold_in(root, number))
        normal = jax.random.normal(first, (half, size))
        mixing = jax.random.chisquare(second, FREEDOM, (half,)) / FREEDOM
        score = normal / jnp.sqrt(mixing)[:, None]
        score = jnp.concatenate([score, -score])
        constant = gammaln((FREEDOM + size) / 2) - gammaln(FREEDOM / 2)
        constant = constant - 0.5 * size * math.log(FREEDOM * math.pi)
        constant = constant - jnp.sum(jnp.log(jnp.diag(triangle)))
        far = jnp.sum(score**2, axis=1) / FREEDOM
        density = constant - 0.5 * (FREEDOM + size) * jnp.log1p(far)
        return at[None] + score @ triangle.T, density

    return jax.vmap(one)(numbers, middle, lower)


@functools.partial(kept, static=2, makers=MAKERS)
def weigh(
    likelihood: Likelihood,
    layout: Layout,
    vector: Float[Array, " estimate"],
    base: Values,
    data: Data,
    cloud: Cloud,
) -> Weighed:
    """Return what draws say of some subjects, and how it changes with the vector."""
    axes = jnp.eye(len(layout))

    def look(eta: Array) -> tuple[Array, Array]:
        def of(vector: Array) -> Array:
            shift = jnp.einsum("skx,sx->sk", cloud.follow, vector[None] - cloud.at)
            return likelihood.joint(layout.values(vector, base), eta + shift, data)

        def along(axis: Array) -> tuple[Array, Array]:
            return jax.jvp(of, (vector,), (axis,))

        return jax.vmap(along, out_axes=(None, 0))(axes)

    effects = jnp.swapaxes(cloud.eta, 0, 1)
    joint, slope = lax.map(look, effects, batch_size=TOGETHER)
    joint, slope = joint.T, jnp.transpose(slope, (2, 0, 1))
    count, size = joint.shape[1], effects.shape[2]
    weight = -0.5 * joint - 0.5 * size * LOG_2_PI - cloud.density
    total = logsumexp(weight, axis=1)
    share = jnp.exp(weight - total[:, None])
    slope = jnp.where(share[:, :, None] > 0, slope, 0.0)
    return Weighed(
        objective=-2.0 * (total - math.log(count)),
        variance=4.0 * variance_of(share),
        effective=1.0 / jnp.sum(share**2, axis=1),
        slope=jnp.einsum("sm,smx->sx", share, slope),
    )


def variance_of(share: Float[Array, "subject draw"]) -> Float[Array, " subject"]:
    """Return the variance of the logarithm of weights' mean, by shares of their sum.

    Draws come in pairs, a half of them after the other.
    """
    pair = share.reshape(len(share), 2, -1).sum(axis=1)
    pairs = pair.shape[1]
    squared = jnp.sum(pair**2, axis=1) - 1.0 / pairs
    return squared * pairs / max(pairs - 1, 1)

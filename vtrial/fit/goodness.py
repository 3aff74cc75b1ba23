r"""Predictions and residuals of a study at population values and modes.

PRED has all effects at zero, IPRED those of the mode; RES is y - PRED, and IWRES is
(y - IPRED) by its standard deviation. CWRES follows from the model linearised about the
mode,

$$ C^{-1/2} (y - (f - J \hat\eta)), \qquad C = J \Omega J' + \mathrm{diag}(V), \qquad
   V = (s - T \hat\eta)^2 + \mathrm{diag}(T \Omega T'), $$

with J and T the slopes of f and of the error's deviation s by $\eta$: V is what the
variance of the error, as linear, is expected to be, which is NONMEM's CWRESI. WRES is
the same about $\eta = 0$. Weighted residuals are on the scale of the error's law (of
its logarithm, where that is normal). Values below a limit have no residual.

References
----------
Hooker AC, Staatz CE, Karlsson MO (2007) Pharm Res 24:2187-2197.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.export import register_namedtuple_serialization
from jaxtyping import Array, Float

from vtrial.fit.likelihood import Likelihood
from vtrial.fit.mode import MAKERS, in_parts, size_of
from vtrial.fit.study import Data, Study
from vtrial.fit.values import Values
from vtrial.program_cache import kept


class Goodness(NamedTuple):
    """What is predicted and left over, each (subject, observation); NaN for none.

    Fields
    ------
    typical, individual
        [the output's unit] PRED and IPRED.
    weighted, conditional, marginal
        IWRES, CWRES and WRES, of variance 1 if the model holds.
    """

    typical: Float[Array, "subject observation"]
    individual: Float[Array, "subject observation"]
    weighted: Float[Array, "subject observation"]
    conditional: Float[Array, "subject observation"]
    marginal: Float[Array, "subject observation"]


register_namedtuple_serialization(Goodness, serialized_name="vtrial:fit.Goodness")


def goodness_of(
    likelihood: Likelihood,
    study: Study,
    values: Values,
    eta: Float[np.ndarray, "subject effect"],
) -> Goodness:
    """Predict a study, and return what is left over."""

    def compute(part: Data, own: np.ndarray) -> Goodness:
        return _goodness(likelihood, values, part, jnp.asarray(own))

    return in_parts(compute, size_of(study.subjects), study.data, eta)


@functools.partial(kept, static=1, makers=MAKERS)
def _goodness(
    likelihood: Likelihood,
    values: Values,
    data: Data,
    eta: Float[Array, "subject effect"],
) -> Goodness:
    """Compute predictions and residuals of some subjects.

    The model is linearised about zero and about the modes by one program.
    """
    told = jnp.asarray(data.real) & ~jnp.asarray(data.below)
    place = likelihood.placed(data)
    omega = likelihood.effects.covariance(values)

    def about(at: Float[Array, "subject effect"]) -> tuple[Array, ...]:
        seen, (slope, bend) = likelihood.slopes(values, at, data)
        known = told & seen.sound
        left = jnp.where(known, place - seen.middle, 0.0)
        slope = jnp.where(known[:, :, None], slope, 0.0)
        bend = jnp.where(known[:, :, None], bend, 0.0)
        scale = jnp.where(known, seen.scale, 1.0)
        variance = (scale - jnp.einsum("sok,sk->so", bend, at)) ** 2
        variance = variance + jnp.einsum("sok,kl,sol->so", bend, omega, bend)
        own = left + jnp.einsum("sok,sk->so", slope, at)
        spread = jnp.einsum("sok,kl,spl->sop", slope, omega, slope)
        spread = spread + variance[:, :, None] * jnp.eye(variance.shape[1])[None]
        size, axes = jnp.linalg.eigh(spread)
        turned = jnp.einsum("sop,so->sp", axes, own) / jnp.sqrt(size)
        whole = jnp.einsum("sop,sp->so", axes, turned)
        return (
            seen.predicted,
            jnp.where(known, left / scale, jnp.nan),
            jnp.where(known, whole, jnp.nan),
        )

    both = jnp.stack([jnp.zeros_like(eta), eta])
    predicted, weighted, whole = jax.lax.map(about, both)
    return Goodness(predicted[0], predicted[1], weighted[1], whole[1], whole[0])

r"""Predictions and residuals of a study at population values and modes.

PRED has all effects at zero, IPRED those of the mode; IWRES is (y - IPRED) by its
standard deviation. CWRES follows from the model linearised about the mode,

$$ C^{-1/2} (y - (f - J \hat\eta)), \qquad C = J \Omega J' + \mathrm{diag}(V), $$

with J the slopes of f by $\eta$; on the scale of the error's law (of its logarithm,
where that is normal). Values below a limit have no residual.

References
----------
Hooker AC, Staatz CE, Karlsson MO (2007) Pharm Res 24:2187-2197.
"""

import functools
from typing import NamedTuple

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
    weighted, conditional
        IWRES and CWRES, of variance 1 if the model holds.
    """

    typical: Float[Array, "subject observation"]
    individual: Float[Array, "subject observation"]
    weighted: Float[Array, "subject observation"]
    conditional: Float[Array, "subject observation"]


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
    """Compute predictions and residuals of some subjects."""
    typical = likelihood.stand(values, jnp.zeros_like(eta), data)
    seen, (slope, _) = likelihood.slopes(values, eta, data)
    told = jnp.asarray(data.real) & ~jnp.asarray(data.below) & seen.sound
    place = likelihood.placed(data)
    left = jnp.where(told, place - seen.middle, 0.0)
    slope = jnp.where(told[:, :, None], slope, 0.0)
    variance = jnp.where(told, seen.scale**2, 1.0)
    about = left + jnp.einsum("sok,sk->so", slope, eta)
    omega = likelihood.effects.covariance(values)
    spread = jnp.einsum("sok,kl,spl->sop", slope, omega, slope)
    spread = spread + variance[:, :, None] * jnp.eye(variance.shape[1])[None]
    size, axes = jnp.linalg.eigh(spread)
    turned = jnp.einsum("sop,so->sp", axes, about) / jnp.sqrt(size)
    conditional = jnp.einsum("sop,sp->so", axes, turned)
    return Goodness(
        typical.predicted,
        seen.predicted,
        jnp.where(told, left / jnp.sqrt(variance), jnp.nan),
        jnp.where(told, conditional, jnp.nan),
    )

r"""The first-order approximation: predictions are linear in the effects about zero.

With J their slopes and V the errors' variances there, on the scale of the errors' laws,

$$ O_i = r' C^{-1} r + \log\det C, \qquad C = J \Omega J' + V, \quad r = y - f(0). $$

References
----------
Sheiner LB, Rosenberg B, Marathe VV (1977) J Pharmacokinet Biopharm 5:445-479.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.fit.focei import Scores
from vtrial.fit.likelihood import LOG_2_PI, Likelihood
from vtrial.fit.mode import MAKERS
from vtrial.fit.parameters import Layout
from vtrial.fit.study import Data
from vtrial.fit.values import Values
from vtrial.program_cache import kept


@functools.partial(kept, static=2, makers=MAKERS)
def first_order(
    likelihood: Likelihood,
    layout: Layout,
    vector: Float[Array, " estimate"],
    base: Values,
    data: Data,
) -> Scores:
    """Return each subject's objective, and its slope."""

    def of(vector: Array) -> Array:
        return _objective(likelihood, layout.values(vector, base), data)

    def along(axis: Array) -> tuple[Array, Array]:
        return jax.jvp(of, (vector,), (axis,))

    found, slope = jax.vmap(along, out_axes=(None, 1))(jnp.eye(len(layout)))
    return Scores(found, slope)


def _objective(
    likelihood: Likelihood, values: Values, data: Data
) -> Float[Array, " subject"]:
    real = jnp.asarray(data.real)
    zero = jnp.zeros((len(real), len(likelihood.effects)))
    seen, (slope, _) = likelihood.slopes(values, zero, data)
    told = real & seen.sound
    left = jnp.where(told, likelihood.placed(data) - seen.middle, 0.0)
    slope = jnp.where(told[:, :, None], slope, 0.0)
    variance = jnp.where(told, seen.scale**2, 1.0)
    omega = likelihood.effects.covariance(values)
    spread = jnp.einsum("sok,kl,spl->sop", slope, omega, slope)
    spread = spread + variance[:, :, None] * jnp.eye(variance.shape[1])[None]
    _, size = jnp.linalg.slogdet(spread)
    far = jnp.linalg.solve(spread, left[:, :, None])[:, :, 0]
    # The law's own stretch, such as 1/y of a log-normal one, stays as it is.
    each = -2.0 * likelihood.density(seen.middle, seen.scale, data) - LOG_2_PI
    stretch = each - left**2 / variance - jnp.log(variance)
    whole = jnp.sum(left * far, axis=1) + size
    whole = whole + jnp.sum(jnp.where(told, stretch, 0.0), axis=1)
    return jnp.where((told | ~real).all(axis=1), whole, jnp.inf)

r"""Rates that rise with the dose: weighted isotonic regression, and the choice by it.

With weights $w$ the fit is, by the min-max formula,

$$ \hat p_i = \max_{j \le i} \min_{k \ge i}
   \frac{\sum_{l=j}^{k} w_l p_l}{\sum_{l=j}^{k} w_l} . $$

References
----------
Barlow RE et al. (1972) Statistical Inference under Order Restrictions, eq. 1.9.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

APART = 1e-10  # by so much pooled rates rise with the dose, so that one is the nearest


def isotonic(
    rate: Float[Array, " dose"], weight: Float[Array, " dose"]
) -> Float[Array, " dose"]:
    """Return the rising rates that are nearest in weighted least squares.

    A dose of weight 0 has no part in the others' fit.
    """
    size = rate.shape[0]
    place = jnp.arange(size)
    sums = jnp.concatenate([jnp.zeros(1), jnp.cumsum(weight * rate)])
    whole = jnp.concatenate([jnp.zeros(1), jnp.cumsum(weight)])
    of = sums[None, 1:] - sums[:-1, None]
    by = whole[None, 1:] - whole[:-1, None]
    there = (place[:, None] <= place[None, :]) & (by > 0)
    mean = jnp.where(there, of / jnp.where(there, by, 1.0), jnp.inf)
    least = jnp.flip(
        jnp.minimum.accumulate(jnp.flip(mean, axis=1), axis=1), axis=1
    )  # [j, i]: the least over k from i on
    before = place[:, None] <= place[None, :]
    return jnp.max(jnp.where(before & jnp.isfinite(least), least, -jnp.inf), axis=0)


def nearest_rate(
    treated: Float[Array, " dose"],
    toxic: Float[Array, " dose"],
    allowed: Bool[Array, " dose"],
    *,
    target: Float[Array, ""],
    prior: Float[Array, ""],
) -> Int[Array, ""]:
    r"""Return the allowed dose whose isotonic rate is nearest to the target, or -1.

    Rates are posterior means under $\mathrm{Beta}(a, a)$, with weights that are inverse
    posterior variances. Of pooled doses below the target the highest is taken, of those
    above it the lowest.
    """
    used = allowed & (treated > 0)
    total = treated + 2 * prior
    rate = (toxic + prior) / total
    variance = rate * (1 - rate) / (total + 1)
    weight = jnp.where(used, 1 / variance, 0.0)
    fitted = isotonic(rate, weight) + APART * jnp.cumsum(used.astype(float))
    distance = jnp.where(used, jnp.abs(fitted - target), jnp.inf)
    return jnp.where(used.any(), jnp.argmin(distance), -1)

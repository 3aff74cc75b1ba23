"""Powers by exponential and logarithm, which XLA computes for many lanes at once.

Its own power calls a function for each number, at twice the time.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Real = Float[Array, "..."]


@jax.custom_jvp
def power(base: Real, exponent: Real) -> Real:
    """Return base ^ exponent as `jnp.power` does, to a few units in the last place.

    A negative base has real powers for whole exponents only; others are not a number.
    """
    size = jnp.exp(exponent * jnp.log(jnp.abs(base)))
    half = exponent / 2
    whole, even = jnp.floor(exponent) == exponent, jnp.floor(half) == half
    turned = jnp.where(whole, jnp.where(even, size, -size), jnp.nan)
    found = jnp.where(base < 0, turned, size)
    return jnp.where(exponent == 0, jnp.ones_like(found), found)


@power.defjvp
def _slope(
    primals: tuple[Real, Real], tangents: tuple[Real, Real]
) -> tuple[Real, Real]:
    base, exponent = primals
    found = power(base, exponent)
    flat = exponent == 0
    lower = power(base, jnp.where(flat, 1.0, exponent - 1).astype(exponent.dtype))
    along = jnp.where(flat, jnp.zeros_like(found), exponent * lower)
    across = found * jnp.log(jnp.where(base > 0, base, jnp.ones_like(base)))
    return found, along * tangents[0] + across * tangents[1]


def power_from_zero(base: Real, exponent: Real, assured: Real) -> Real:
    """Return base ^ exponent, of zero where a base that is assured is below zero."""
    return power(jnp.where((base < 0) & (assured > 0), 0.0, base), exponent)

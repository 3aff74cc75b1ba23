"""Powers by exponential and logarithm, which XLA computes for many lanes at once.

Its own power calls a function for each number, at twice the time.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Real = Float[Array, "..."]


def power(base: Real, exponent: Real | float) -> Real:
    """Return base ^ exponent as `jnp.power` does, to a few units in the last place.

    A negative base has real powers for whole exponents only; others are not a number.
    """
    if isinstance(exponent, float):
        return _fixed(base, float(exponent))
    return _free(base, exponent)


def power_from_zero(base: Real, exponent: Real | float, assured: Real) -> Real:
    """Return base ^ exponent, of zero where a base that is assured is below zero."""
    return power(jnp.where((base < 0) & (assured > 0), 0.0, base), exponent)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _fixed(base: Real, exponent: float) -> Real:
    """Return a power whose exponent stands in the equations."""
    if exponent == 0:
        return jnp.ones_like(base)
    size = jnp.exp(exponent * jnp.log(jnp.abs(base)))
    if not exponent.is_integer():
        return jnp.where(base < 0, jnp.nan, size)
    odd = (exponent / 2) % 1 != 0
    return jnp.where(base < 0, -size, size) if odd else size


@_fixed.defjvp
def _fixed_slope(
    exponent: float, primals: tuple[Real], tangents: tuple[Real]
) -> tuple[Real, Real]:
    found = _fixed(primals[0], exponent)
    if exponent == 0:
        return found, jnp.zeros_like(found)
    return found, exponent * _fixed(primals[0], exponent - 1) * tangents[0]


@jax.custom_jvp
def _free(base: Real, exponent: Real) -> Real:
    """Return a power whose exponent is computed."""
    size = jnp.exp(exponent * jnp.log(jnp.abs(base)))
    half = exponent / 2
    whole, even = jnp.floor(exponent) == exponent, jnp.floor(half) == half
    turned = jnp.where(whole, jnp.where(even, size, -size), jnp.nan)
    found = jnp.where(base < 0, turned, size)
    return jnp.where(exponent == 0, jnp.ones_like(found), found)


@_free.defjvp
def _free_slope(
    primals: tuple[Real, Real], tangents: tuple[Real, Real]
) -> tuple[Real, Real]:
    base, exponent = primals
    found = _free(base, exponent)
    flat = exponent == 0
    lower = _free(base, jnp.where(flat, 1.0, exponent - 1).astype(exponent.dtype))
    along = jnp.where(flat, jnp.zeros_like(found), exponent * lower)
    across = found * jnp.log(jnp.where(base > 0, base, jnp.ones_like(base)))
    return found, along * tangents[0] + across * tangents[1]

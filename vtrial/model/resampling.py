"""Resampling: particles by their weights, from one uniform."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


def resample(
    share: Float[Array, " particle"], start: Float[Array, ""], *, count: int
) -> Int[Array, " draw"]:
    """Return which particles are taken: systematic resampling, from one uniform."""
    edges = jnp.cumsum(share)
    edges = edges / jnp.where(edges[-1] > 0, edges[-1], 1.0)
    points = (start + jnp.arange(count).astype(float)) / count
    place = jnp.searchsorted(edges, points).astype(int)
    return jnp.minimum(place, share.shape[0] - 1)


def drawn_anew(
    share: Float[Array, "subject particle"],
    poor: Bool[Array, " subject"],
    start: Float[Array, " subject"],
) -> tuple[Int[Array, " row"], Float[Array, "subject particle"]]:
    """Draw the particles of those who are `poor` anew, and leave all others.

    `share` are the logarithms of weights, `start` one uniform a subject. Returned are
    the row that each comes from, particles of one subject side by side, and the
    logarithms of the weights that they have then.
    """
    count, many = share.shape
    place = jax.vmap(functools.partial(resample, count=many))(jnp.exp(share), start)
    place = jnp.where(poor[:, None], place, jnp.arange(many)[None])
    row = (place + many * jnp.arange(count)[:, None]).reshape(-1)
    return row, jnp.where(poor[:, None], -jnp.log(float(many)), share)

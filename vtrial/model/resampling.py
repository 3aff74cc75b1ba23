"""Resampling: particles by their weights, from one uniform."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def resample(
    share: Float[Array, " particle"], start: Float[Array, ""], *, count: int
) -> Int[Array, " draw"]:
    """Return which particles are taken: systematic resampling, from one uniform."""
    edges = jnp.cumsum(share)
    edges = edges / jnp.where(edges[-1] > 0, edges[-1], 1.0)
    points = (start + jnp.arange(count).astype(float)) / count
    place = jnp.searchsorted(edges, points).astype(int)
    return jnp.minimum(place, share.shape[0] - 1)

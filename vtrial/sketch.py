"""Quantiles of any number of subjects from a small sketch of each block.

A block leaves its quantiles at 99 fixed probabilities. The distribution of all
subjects is the mixture of the blocks' distributions, weighted by their numbers of
subjects; each sketched value carries 1/99 of its block. A merged quantile at
probability p lies between the pooled quantiles at p - e and p + e, with e = 1/99 +
1/(2n) for blocks of n subjects, and is much nearer on average.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

BINS = 99
PROBABILITIES = (np.arange(BINS) + 0.5) / BINS


def sketch(values: Float[Array, "subject time"]) -> Float[Array, "time bin"]:
    """Return a block's quantiles at each time; NaN counts for nobody.

    Quantiles are interpolated with the i-th of n values at probability (i - 1/2)/n
    (Hazen), so that a block's median is exact. A time without values is NaN.
    """
    size = values.shape[0]
    if size == 0:
        return jnp.full((values.shape[1], BINS), jnp.nan, values.dtype)
    seen = jnp.isfinite(values)
    ordered = jnp.sort(jnp.where(seen, values, jnp.inf), axis=0).T
    count = seen.sum(axis=0, dtype=values.dtype)[:, None]
    wanted = jnp.asarray(PROBABILITIES, values.dtype)[None, :]
    place = jnp.clip(count * wanted - 0.5, 0.0, jnp.maximum(count - 1, 0.0))
    low = jnp.floor(place)
    high = jnp.minimum(low + 1, jnp.maximum(count - 1, 0.0))
    first = jnp.take_along_axis(ordered, low.astype(int), axis=1)
    second = jnp.take_along_axis(ordered, high.astype(int), axis=1)
    between = first + (place - low) * jnp.where(high > low, second - first, 0.0)
    return jnp.where(count > 0, between, jnp.nan)


def merge(
    sketches: Float[np.ndarray, "block time bin"],
    counts: Num[np.ndarray, "block time"],
    probabilities: Float[np.ndarray, " quantile"] = PROBABILITIES,
) -> Float[np.ndarray, "time quantile"]:
    """Return quantiles of the mixture of blocks, weighted by subjects.

    With the default probabilities the result is itself a sketch, of all blocks: many
    blocks can be merged in groups. A time at which no block has a value is NaN.
    """
    blocks, times, bins = sketches.shape
    values = np.moveaxis(sketches, 0, 1).reshape(times, blocks * bins)
    weights = np.repeat(counts.T.astype(float), bins, axis=1)
    weights = np.where(np.isfinite(values), weights, 0.0)
    values = np.where(weights > 0, values, np.inf)
    order = np.argsort(values, axis=1, kind="stable")
    values = np.take_along_axis(values, order, axis=1)
    weights = np.take_along_axis(weights, order, axis=1)
    total = weights.sum(axis=1, keepdims=True)
    share = weights / np.where(total > 0, total, 1.0)
    middle = np.cumsum(share, axis=1) - share / 2
    return _interpolate(probabilities, middle, values, (weights > 0).sum(axis=1))


def _interpolate(
    wanted: Float[np.ndarray, " quantile"],
    middle: Float[np.ndarray, "time place"],
    values: Float[np.ndarray, "time place"],
    filled: Num[np.ndarray, " time"],
) -> Float[np.ndarray, "time quantile"]:
    """Interpolate each time's values at the wanted probabilities."""
    times, width = middle.shape
    # One search for all times: each time's probabilities are moved to its own range.
    shift = 2.0 * np.arange(times)[:, None]
    place = np.searchsorted((middle + shift).ravel(), (wanted[None, :] + shift).ravel())
    place = place.reshape(times, -1) - width * np.arange(times)[:, None]
    last = np.maximum(filled - 1, 0)[:, None]
    high = np.clip(place, 0, last)
    low = np.clip(place - 1, 0, last)
    below, above = (np.take_along_axis(middle, i, axis=1) for i in (low, high))
    first, second = (np.take_along_axis(values, i, axis=1) for i in (low, high))
    gap = above - below
    part = np.clip((wanted[None, :] - below) / np.where(gap > 0, gap, 1.0), 0.0, 1.0)
    rise = np.subtract(second, first, out=np.zeros_like(first), where=gap > 0)
    result = first + np.where(gap > 0, part, 0.0) * rise
    return np.where(filled[:, None] > 0, result, np.nan)

"""Subjects' keys as numbers that 32 bits hold, and back: inputs are numbers."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from vtrial.model.model import KEY_PARTS

HALF = 16  # bits in a part of a key


def key_parts(keys: Key[Array, " subject"]) -> dict[str, Float[Array, " subject"]]:
    """Return keys as numbers by the names of `KEY_PARTS`."""
    data = jax.random.key_data(keys)
    first, second = data[:, 0], data[:, 1]
    parts = (first >> HALF, first, second >> HALF, second)
    values = [(part & (2**HALF - 1)).astype(float) for part in parts]
    return dict(zip(KEY_PARTS, values, strict=True))


def keys_in(values: Mapping[str, Float[Array, " lane"]]) -> Key[Array, " lane"]:
    """Put keys together again."""
    high, low, more, less = (values[name].astype("uint32") for name in KEY_PARTS)
    data = jnp.stack([(high << HALF) | low, (more << HALF) | less], axis=1)
    return jax.random.wrap_key_data(data)

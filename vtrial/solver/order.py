"""The order of events: sorting short rows, and finding a place in them.

Rows are (lane, event), sorted each by itself; what all lanes share has one row. A sort
by comparison is slow where rows are short, so those are sorted by counting.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

SHORT = 32  # events: up to here all pairs are compared
KINDS = 8


class Key(NamedTuple):
    """By what events are ordered: time [h], then a number for rank and kind."""

    time: Float[Array, "#lane event"]
    code: Int[Array, "#lane event"]


def key_of(
    time: Float[Array, "#lane event"],
    rank: Int[Array, "#lane event"],
    kind: Int[Array, "#lane #event"],
) -> Key:
    """Order by time, then rank, then kind, which is below `KINDS`."""
    return Key(time, rank * KINDS + kind)


def sorted_order(key: Key) -> Int[Array, "#lane event"]:
    """Return, for every place, which event stands there; equals keep their order."""
    count = key.time.shape[1]
    if count > SHORT:
        time, code = jnp.broadcast_arrays(*key)
        return jnp.lexsort((code, time), axis=1)
    number = jnp.arange(count)
    one = Key(*(field[:, :, None] for field in key))
    two = Key(*(field[:, None, :] for field in key))
    first = number[None, :, None] < number[None, None, :]
    earlier = _is_before(one, two) | (_is_equal(one, two) & first)
    place = jnp.sum(earlier, axis=1, dtype=int)
    here = place[:, None, :] == number[None, :, None]
    return jnp.sum(jnp.where(here, number[None, None, :], 0), axis=2)


def count_before(key: Key, asked: Key) -> Int[Array, "#lane time"]:
    """Count the events of sorted rows that come before each of what is asked."""
    count = key.time.shape[1]
    if count == 0:
        return jnp.zeros(asked.time.shape, int)
    if count <= SHORT:
        shape = jnp.broadcast_shapes(key.time[:, :1].shape, asked.time.shape)
        total = jnp.zeros(shape, int)
        for event in range(count):
            one = Key(*(field[:, event : event + 1] for field in key))
            total = total + _is_before(one, asked).astype(int)
        return total
    rows = max(key.time.shape[0], asked.time.shape[0])
    full = Key(*(jnp.broadcast_to(f, (rows, f.shape[1])) for f in key))
    low = jnp.zeros((rows, asked.time.shape[1]), int)

    def halve(_: object, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = jnp.minimum((low + high) // 2, count - 1)
        there = Key(*(jnp.take_along_axis(f, middle, axis=1) for f in full))
        before = _is_before(there, asked) & (low < high)
        return jnp.where(before, middle + 1, low), jnp.where(before, high, middle)

    rounds = math.ceil(math.log2(count)) + 1
    return lax.fori_loop(0, rounds, halve, (low, low + count))[0]


def _is_before(one: Key, two: Key) -> Bool[Array, "..."]:
    return (one.time < two.time) | ((one.time == two.time) & (one.code < two.code))


def _is_equal(one: Key, two: Key) -> Bool[Array, "..."]:
    return (one.time == two.time) & (one.code == two.code)

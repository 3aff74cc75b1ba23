"""Dense output: a buffer of steps, so that no lane waits at observations.

Between two events every lane goes its own way. Where it stood is kept side by side with
the others, a row for each time that any lane tried a step, and observations are read
from there when some rows are full: at the ends of steps, or inside them.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from vtrial.solver.method import Amounts

ROWS = 32
BLOCK = 16  # places that are read at once

Parts = list[Float[Array, " lane"]]
Polynomial = tuple[Float[Array, " lane"], ...]


class Passage(NamedTuple):
    """A buffer of steps, of which `filled` rows are written.

    A row holds the time [h] from the interval's start and the states that are read;
    or, of steps that are read inside, what `inside` lists.
    """

    filled: Int[Array, ""]
    rows: Float[Array, "row part lane"]


class Reading(NamedTuple):
    """Observations being read: times [h] from the interval's start, and values."""

    time: Float[Array, "place lane"]
    values: tuple[Float[Array, "place lane"], ...]


def blank(parts: int, like: Float[Array, " lane"]) -> Passage:
    """Return an empty buffer."""
    rows = jnp.zeros((ROWS, parts, like.shape[0]), like.dtype)
    return Passage(jnp.zeros((), int), rows)


def inside(
    begun: Float[Array, " lane"],
    ended: Float[Array, " lane"],
    size: Float[Array, " lane"],
    polynomials: list[Polynomial],
) -> Parts:
    """List the row of a step: its times, and each state's polynomial.

    A refused step ends where it began.
    """
    return [begun, ended, 1 / size, *(c for each in polynomials for c in each)]


def written(passage: Passage, parts: Parts) -> Passage:
    """Return the buffer with one more row."""
    rows = passage.rows
    for number, part in enumerate(parts):
        place = (passage.filled, number, 0)
        rows = lax.dynamic_update_slice(rows, part[None, None], place)
    return Passage(passage.filled + 1, rows)


def opened(time: Float[Array, "place lane"], values: Amounts) -> Reading:
    """Return observations that hold the values at the interval's start."""
    return Reading(
        time, tuple(jnp.broadcast_to(value[None], time.shape) for value in values)
    )


def read(
    passage: Passage,
    reading: Reading,
    *,
    since: Float[Array, " lane"],
    until: Float[Array, " lane"],
    dense: bool,
) -> Reading:
    """Read the observations between two times from the buffered steps.

    Lanes are at about the same place, so only some places are looked at.
    """
    width, size = reading.time.shape[0], BLOCK
    look_at = functools.partial(_look_inside if dense else _look_at, passage)
    if width <= size:
        return lax.fori_loop(0, passage.filled, look_at, reading)
    first = jnp.min(jnp.sum(reading.time < since[None], axis=0, dtype=int))
    last = jnp.max(jnp.sum(reading.time <= until[None], axis=0, dtype=int))

    def is_left(carry: tuple[Int[Array, ""], Reading]) -> Bool[Array, ""]:
        return carry[0] < last

    def look(
        carry: tuple[Int[Array, ""], Reading],
    ) -> tuple[Int[Array, ""], Reading]:
        start, reading = carry
        place = jnp.minimum(start, width - size)
        some = jax.tree.map(
            lambda value: lax.dynamic_slice_in_dim(value, place, size), reading
        )
        found = lax.fori_loop(0, passage.filled, look_at, some)
        whole = tuple(
            lax.dynamic_update_slice_in_dim(old, new, place, axis=0)
            for old, new in zip(reading.values, found.values, strict=True)
        )
        return start + size, reading._replace(values=whole)

    return lax.while_loop(is_left, look, (first, reading))[1]


def _row(passage: Passage, number: Int[Array, ""]) -> Float[Array, "part 1 lane"]:
    return lax.dynamic_index_in_dim(passage.rows, number, keepdims=False)[:, None]


def _look_at(passage: Passage, number: Int[Array, ""], reading: Reading) -> Reading:
    """Read the observations that stand exactly at the end of a step."""
    time, *states = _row(passage, number)
    # Equal to the last bit: steps are made to end at the very times that are asked.
    here = reading.time == time
    values = [
        jnp.where(here, state, value)
        for state, value in zip(states, reading.values, strict=True)
    ]
    return reading._replace(values=tuple(values))


def _look_inside(passage: Passage, number: Int[Array, ""], reading: Reading) -> Reading:
    """Evaluate the dense output of one step of each lane at its observations."""
    begun, ended, inverse, *rest = _row(passage, number)
    # Holds nothing for a refused step, which ends where it began.
    here = (reading.time > begun) & (reading.time <= ended)
    part = (reading.time - begun) * inverse
    length = len(rest) // max(len(reading.values), 1)
    values = []
    for state, value in enumerate(reading.values):
        *lower, total = rest[state * length : (state + 1) * length]
        # Horner's rule.
        for coefficient in reversed(lower):
            total = coefficient + part * total
        values.append(jnp.where(here, total, value))
    return reading._replace(values=tuple(values))

"""One subject's values, and those of them in an endpoint's span."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Points(NamedTuple):
    """One subject's points, and which of them lie in the endpoint's span.

    Fields
    ------
    time
        [h] Ascending.
    value
        In the output's unit; NaN where missing.
    seen
        Whether there is a value.
    inside
        Whether there is one in the span.
    baseline
        The last value at or before the endpoint's baseline time.
    begin, counted
        [h] When the first value in the span was, and how many there were, quantified
        or not.
    """

    time: Float[Array, " time"]
    value: Float[Array, " time"]
    seen: Bool[Array, " time"]
    inside: Bool[Array, " time"]
    baseline: Float[Array, ""]
    begin: Float[Array, ""]
    counted: Int[Array, ""]


class Lines(NamedTuple):
    """The lines between neighbouring values in the span, each at its later end.

    `length` [h] is 0 where no line ends; `first` and `second` are then 0, too.
    """

    length: Float[Array, " line"]
    first: Float[Array, " line"]
    second: Float[Array, " line"]
    start: Float[Array, " line"]


def lines(points: Points) -> Lines:
    """Return the lines between neighbouring values in the span."""
    before = place_before(points.inside)
    line = points.inside & (before >= 0)
    start = points.time[before]
    return Lines(
        length=jnp.where(line, points.time - start, 0.0),
        first=jnp.where(line, points.value[before], 0.0),
        second=jnp.where(line, points.value, 0.0),
        start=jnp.where(line, start, 0.0),
    )


def place_before(chosen: Bool[Array, " time"]) -> Int[Array, " time"]:
    """Return the place of the chosen value before each; -1 if there is none."""
    place = jnp.where(chosen, jnp.arange(chosen.size), -1)
    latest = jax.lax.cummax(place)
    return jnp.concatenate([jnp.full(1, -1, latest.dtype), latest[:-1]])


def last(
    values: Float[Array, " time"], chosen: Bool[Array, " time"]
) -> Float[Array, ""]:
    """Return the last of the chosen values; NaN if none is chosen."""
    place = jnp.max(jnp.where(chosen, jnp.arange(values.size), -1))
    return only_if(place >= 0, values[place])


def only_if(condition: Bool[Array, ""], number: Float[Array, ""]) -> Float[Array, ""]:
    """Return a number if the condition holds, else NaN."""
    return jnp.where(condition, number, jnp.nan)


def slack(limit: float, like: Array, *, least: float = 0.0) -> float:
    """Return how far beyond a limit counts as on it: rounding of times and values."""
    size = max(abs(limit), least)
    return 64 * float(jnp.finfo(like.dtype).eps) * size if size < jnp.inf else 0.0

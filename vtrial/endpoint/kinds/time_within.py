"""How long values are beyond a limit or between two, along lines between them."""

import functools
import math

import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.kind import Kind
from vtrial.endpoint.points import Points, lines, only_if


def _time_above(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    length, first, second, _ = lines(points)
    return _summed(points, length * _above(first, second, endpoint.low, itself=True))


def _time_below(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    length, first, second, _ = lines(points)
    part = 1 - _above(first, second, endpoint.high, itself=False)
    return _summed(points, length * part)


def _time_in_range(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    length, first, second, _ = lines(points)
    part = _above(first, second, endpoint.low, itself=True)
    part -= _above(first, second, endpoint.high, itself=False)
    return _summed(points, length * part)


def _summed(points: Points, parts: Float[Array, " line"]) -> Float[Array, ""]:
    """Add the parts of all lines; NaN if there are none."""
    return only_if(points.inside.sum() >= 2, jnp.sum(parts))


def _above(
    first: Float[Array, " line"],
    second: Float[Array, " line"],
    limit: float | None,
    *,
    itself: bool,
) -> Float[Array, " line"]:
    """Return the share of each line above a limit; `itself`: flat on it counts."""
    if limit is None:
        return jnp.ones_like(first) if itself else jnp.zeros_like(first)
    rise = jnp.abs(second - first)
    flat = rise == 0
    share = (jnp.maximum(first, second) - limit) / jnp.where(flat, 1.0, rise)
    level = first >= limit if itself else first > limit
    return jnp.where(flat, level.astype(first.dtype), jnp.clip(share, 0.0, 1.0))


_kind = functools.partial(
    Kind, unit="h", support=(0.0, math.inf), needs=2, between="course"
)
KINDS = (
    _kind(
        word="time above",
        place=170,
        says="how long at or over `low`, along straight lines between the values",
        sentence="time with {of} above {low}, {span}",
        kernel=_time_above,
        low="must",
    ),
    _kind(
        word="time below",
        place=180,
        says="how long under `high`, likewise",
        sentence="time with {of} below {high}, {span}",
        kernel=_time_below,
        high="must",
    ),
    _kind(
        word="time in range",
        place=190,
        says="how long between `low` and `high`, both included, likewise",
        sentence="time with {of} from {low} to {high}, {span}",
        kernel=_time_in_range,
        low="must",
        high="must",
    ),
)

"""How many of the values in the span are beyond a limit or between two."""

import functools
import math

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.kind import Kind
from vtrial.endpoint.points import Points, only_if


def _share_above(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    low, _ = _limits(endpoint)
    return _share(points, points.value >= low)


def _share_below(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    _, high = _limits(endpoint)
    return _share(points, points.value < high)


def _share_in_range(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    low, high = _limits(endpoint)
    return _share(points, (points.value >= low) & (points.value <= high))


def _limits(endpoint: Endpoint) -> tuple[float, float]:
    """Return the limits; infinite where there is none."""
    low, high = endpoint.low, endpoint.high
    return -math.inf if low is None else low, math.inf if high is None else high


def _share(points: Points, within: Bool[Array, " time"]) -> Float[Array, ""]:
    """Return the share of the values in the span that are within limits [%]."""
    here = points.inside & within
    count = points.inside.sum(dtype=points.value.dtype)
    share = here.sum(dtype=points.value.dtype) / jnp.maximum(count, 1.0)
    return only_if(count > 0, 100 * share)


_kind = functools.partial(Kind, unit="%", support=(0.0, 100.0))
KINDS = (
    _kind(
        word="share above",
        place=200,
        says="of the values themselves: how many are at or over `low`",
        sentence="share of the values of {of} above {low}, {span}",
        kernel=_share_above,
        low="must",
    ),
    _kind(
        word="share below",
        place=210,
        says="how many of the values are under `high`",
        sentence="share of the values of {of} below {high}, {span}",
        kernel=_share_below,
        high="must",
    ),
    _kind(
        word="share in range",
        place=220,
        says="how many of the values are between `low` and `high`, both included",
        sentence="share of the values of {of} from {low} to {high}, {span}",
        kernel=_share_in_range,
        low="must",
        high="must",
    ),
)

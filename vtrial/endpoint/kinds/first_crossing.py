"""When values first cross a limit."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.kind import Kind
from vtrial.endpoint.points import Points, last, slack


def _crossing(
    points: Points, endpoint: Endpoint
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return the time of the first value beyond a limit, or the last time and 0.

    With `confirmed`, the first beyond it that is followed by as many values beyond it
    (`values`), or by nothing but such values for so long (`hours`).
    """
    reached = _beyond(points, endpoint) & points.inside
    if endpoint.confirmed:
        reached = _confirmed(points, endpoint, reached)
    event = reached.any()
    end = last(points.time, points.inside)
    time = jnp.where(event, points.time[jnp.argmax(reached)], end)
    return time, event.astype(points.value.dtype)


def _beyond(points: Points, endpoint: Endpoint) -> Bool[Array, " time"]:
    """Return which values are at or beyond a limit of the endpoint."""
    value, reached = points.value, jnp.zeros_like(points.inside)
    if endpoint.low is not None:
        reached |= value >= endpoint.low - slack(endpoint.low, value)
    if endpoint.high is not None:
        reached |= value <= endpoint.high + slack(endpoint.high, value)
    return reached


def _run_of(
    points: Points, reached: Bool[Array, " time"]
) -> tuple[Float[Array, " time"], Float[Array, " time"]]:
    """Return how many values from each on are beyond without a break, and how long [h].

    Values that are missing or outside the span break nothing.
    """
    places = jnp.arange(reached.size)
    broken = points.inside & ~reached
    stop = jnp.where(broken, places, reached.size)
    stop = jax.lax.cummin(stop[::-1])[::-1]
    counted = jnp.concatenate(
        [jnp.zeros(1, points.time.dtype), jnp.cumsum(reached.astype(points.time.dtype))]
    )
    count = counted[stop] - counted[places]
    latest = jax.lax.cummax(jnp.where(reached, places, -1))
    until = latest[jnp.maximum(stop - 1, 0)]
    long = jnp.where(reached, points.time[until] - points.time, 0.0)
    return count, long


def _confirmed(
    points: Points, endpoint: Endpoint, reached: Bool[Array, " time"]
) -> Bool[Array, " time"]:
    """Return at which values beyond the limit a confirmed crossing begins."""
    count, long = _run_of(points, reached)
    if endpoint.confirmed_by == "values":
        return reached & (count >= endpoint.confirmed)
    return reached & (long >= endpoint.confirmed - slack(endpoint.confirmed, long))


KINDS = (
    Kind(
        word="time to",
        place=230,
        says="when a value is first at or above `low`, or at or below `high`; censored "
        "at the last value if none is",
        sentence="time until {of} is {reach}, {span}",
        kernel=_crossing,
        unit="h",
        support=(0.0, math.inf),
        low="either",
        high="either",
        confirmed=("values", "hours"),
        between="lines",
        event=True,
    ),
)

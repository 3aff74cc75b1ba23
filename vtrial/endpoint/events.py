"""Events of one subject: crossings of a limit, and events drawn by their hazard."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.points import Points, last, only_if, slack


def crossing(
    endpoint: Endpoint, points: Points
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return the time of the first value beyond a limit, or the last time and 0.

    With `confirmed`, the first beyond it that is followed by as many values beyond it
    (`values`), or by nothing but such values for so long (`hours`).
    """
    reached = beyond(endpoint, points) & points.inside
    if endpoint.confirmed:
        reached = _confirmed(endpoint, points, reached)
    event = reached.any()
    end = last(points.time, points.inside)
    time = jnp.where(event, points.time[jnp.argmax(reached)], end)
    return time, event.astype(points.value.dtype)


def beyond(endpoint: Endpoint, points: Points) -> Bool[Array, " time"]:
    """Say which values are at or beyond a limit of the endpoint."""
    value, reached = points.value, jnp.zeros_like(points.inside)
    if endpoint.low is not None:
        reached |= value >= endpoint.low - slack(endpoint.low, value)
    if endpoint.high is not None:
        reached |= value <= endpoint.high + slack(endpoint.high, value)
    return reached


def run_of(
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
    endpoint: Endpoint, points: Points, reached: Bool[Array, " time"]
) -> Bool[Array, " time"]:
    """Say at which values beyond the limit a confirmed crossing begins."""
    count, long = run_of(points, reached)
    if endpoint.confirmed_by == "values":
        return reached & (count >= endpoint.confirmed)
    return reached & (long >= endpoint.confirmed - slack(endpoint.confirmed, long))


def drawn_event(
    points: Points, key: Key[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return when an event with this cumulative hazard happens, or the end and 0.

    The values are the cumulative hazard; it is followed along straight lines, which
    means a constant hazard between them. The event happens where it has grown by
    a standard exponential number since the first value in the span.
    """
    wanted = jax.random.exponential(key, (), points.value.dtype)
    begin = points.value[jnp.argmax(points.inside)]
    grown = jnp.where(points.inside, points.value - begin, -jnp.inf)
    over = grown >= wanted
    event = over.any()
    here = jnp.argmax(over)
    chosen = points.inside & (jnp.arange(over.size) < here)
    before, level = last(points.time, chosen), last(grown, chosen)
    rise = jnp.where(event & (grown[here] > level), grown[here] - level, 1.0)
    time = before + (points.time[here] - before) * (wanted - level) / rise
    time = jnp.where(jnp.isfinite(time), time, points.time[here])
    time = jnp.where(event, time, last(points.time, points.inside))
    return time, event.astype(time.dtype)


def drawn_count(points: Points, key: Key[Array, ""]) -> Float[Array, ""]:
    """Draw the number of events of a Poisson process with this cumulative hazard."""
    grown = last(points.value, points.inside) - points.value[jnp.argmax(points.inside)]
    known = jnp.isfinite(grown)
    count = jax.random.poisson(key, jnp.where(known, grown, 0.0))
    return only_if(known, count.astype(grown.dtype))


def told_event(
    points: Points, hours: float, end: float
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return the time that the output itself says, censored at `end` [h].

    `hours` are in one unit of the output.
    """
    time = last(points.value, points.inside) * hours
    event = (time <= end).astype(time.dtype)
    return jnp.minimum(time, end), event

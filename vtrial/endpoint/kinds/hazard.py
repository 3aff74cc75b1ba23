"""Events that are drawn: the output is their cumulative hazard."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.kind import Kind
from vtrial.endpoint.points import Points, last, only_if


def _event(
    points: Points, endpoint: Endpoint, key: Key[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return when an event with this cumulative hazard happens, or the end and 0.

    The hazard is followed along straight lines, which means a constant hazard between
    them. The event happens where it has grown by a standard exponential number since
    the first value in the span.
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


def _count(points: Points, endpoint: Endpoint, key: Key[Array, ""]) -> Float[Array, ""]:
    """Draw the number of events of a Poisson process with this cumulative hazard."""
    grown = last(points.value, points.inside) - points.value[jnp.argmax(points.inside)]
    known = jnp.isfinite(grown)
    count = jax.random.poisson(key, jnp.where(known, grown, 0.0))
    return only_if(known, count.astype(grown.dtype))


KINDS = (
    Kind(
        word="event by hazard",
        place=240,
        says="when an event happens whose cumulative hazard the output is; drawn for "
        "each subject, censored at the end of the span",
        sentence="time of an event whose cumulative hazard is {of}, {span}",
        kernel=_event,
        unit="h",
        support=(0.0, math.inf),
        values="true",
        between="lines",
        event=True,
        drawn=True,
        endless=True,
    ),
    Kind(
        word="number of events",
        place=260,
        says="how many events happen in the span, if they recur and the output is "
        "their cumulative hazard",
        sentence="number of events whose cumulative hazard is {of}, {span}",
        kernel=_count,
        unit="1",
        support=(0.0, math.inf),
        values="true",
        count=True,
        drawn=True,
    ),
)

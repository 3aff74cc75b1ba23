"""The time of an event that the output itself tells."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.kind import Kind
from vtrial.endpoint.points import Points, last


def _told(
    points: Points, endpoint: Endpoint
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return the time that the output is, censored at the end of the span [h]."""
    time = last(points.value, points.inside) * endpoint.factor
    event = (time <= endpoint.end).astype(time.dtype)
    return jnp.minimum(time, endpoint.end), event


KINDS = (
    Kind(
        word="event time",
        place=250,
        says="the time that the output is, censored at the end of the span",
        sentence="time of the event, which {of} is, {span}",
        kernel=_told,
        unit="h",
        support=(0.0, math.inf),
        brought_to="h",
        values="true",
        event=True,
        foretold=True,
        endless=True,
    ),
)

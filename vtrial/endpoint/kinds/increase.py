"""How much a true value has grown in the span: of a count, how many events came."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.kind import Kind
from vtrial.endpoint.points import Points, last


def _increase(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    begin = points.value[jnp.argmax(points.inside)]
    return last(points.value, points.inside) - begin


KINDS = (
    Kind(
        word="increase",
        place=88,
        says="the last value minus the first; of an output that counts the model's "
        "events, how many came",
        sentence="increase of {of} {span}",
        kernel=_increase,
        support=(-math.inf, math.inf),
        values="true",
        count=True,
    ),
)

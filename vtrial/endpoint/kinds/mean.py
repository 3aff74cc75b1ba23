"""The plain mean of the values in the span."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.kind import Kind
from vtrial.endpoint.points import Points, only_if


def _mean(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    count = points.inside.sum(dtype=points.value.dtype)
    total = jnp.sum(points.value, where=points.inside)
    return only_if(count > 0, total / jnp.maximum(count, 1.0))


KINDS = (
    Kind(
        word="mean",
        place=80,
        says="of the values in the span",
        sentence="mean {of} {span}",
        kernel=_mean,
        below="LLOQ/2",
    ),
)

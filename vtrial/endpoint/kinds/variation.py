"""The coefficient of variation, as of glucose from day to day.

References
----------
Danne T et al. (2017) Diabetes Care 40:1631-1640: stable is at most 36 %.
"""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.kind import Kind
from vtrial.endpoint.points import Points, only_if


def _variation(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    """Return 100 s / m with the standard deviation s of n - 1 degrees of freedom."""
    count = points.inside.sum(dtype=points.value.dtype)
    mean = jnp.sum(points.value, where=points.inside) / jnp.maximum(count, 1.0)
    away = jnp.where(points.inside, points.value - mean, 0.0)
    variance = jnp.sum(away**2) / jnp.maximum(count - 1.0, 1.0)
    level = variance == 0  # where a root has no slope
    deviation = jnp.where(level, 0.0, jnp.sqrt(jnp.where(level, 1.0, variance)))
    known = (count >= 2) & (mean > 0)
    return only_if(known, 100 * deviation / jnp.where(known, mean, 1.0))


KINDS = (
    Kind(
        word="coefficient of variation",
        place=85,
        says="standard deviation of the values in the span, in per cent of their mean; "
        "none where the mean is not above 0",
        sentence="coefficient of variation of {of} {span}",
        kernel=_variation,
        unit="%",
        support=(0.0, math.inf),
        below="LLOQ/2",
        needs=2,
    ),
)

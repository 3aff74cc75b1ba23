"""A percentile of the values in the span.

References
----------
Hyndman RJ, Fan Y (1996) Am Stat 50:361-365: definition 7, R's and NumPy's own.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.kind import Kind
from vtrial.endpoint.points import Points, only_if


def _percentile(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    """Return the value at 1 + p (n - 1) of n ordered ones, along a straight line."""
    ordered = jnp.sort(jnp.where(points.inside, points.value, jnp.inf))
    count = points.inside.sum()
    last = jnp.maximum(count - 1, 0)
    place = endpoint.share * last.astype(points.value.dtype)
    low = jnp.floor(place).astype(last.dtype)
    high = jnp.minimum(low + 1, last)
    first, second = ordered[low], ordered[high]
    part = place - low.astype(place.dtype)
    between = first + part * jnp.where(high > low, second - first, 0.0)
    return only_if(count > 0, between)


KINDS = (
    Kind(
        word="percentile",
        place=82,
        says="of the values in the span, between two of them along a straight line; "
        "`share: 90 %` says which, and 50 % is the median",
        sentence="{share} percentile of {of} {span}",
        kernel=_percentile,
        below="LLOQ/2",
        share="must",
    ),
)

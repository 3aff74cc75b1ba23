"""How many values there are in the span, and their sum: of doses and of decisions."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.kind import Kind
from vtrial.endpoint.points import Points


def _number(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    return points.inside.sum(dtype=points.value.dtype)


def _total(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    return jnp.sum(points.value, where=points.inside)


KINDS = (
    Kind(
        word="number",
        place=86,
        says="how many values there are in the span; 0 if there is none",
        sentence="number of values of {of} {span}",
        kernel=_number,
        unit="1",
        support=(0.0, math.inf),
        count=True,
    ),
    Kind(
        word="total",
        place=87,
        says="the sum of the values in the span; 0 if there is none",
        sentence="sum of the values of {of} {span}",
        kernel=_total,
        below="zero",
    ),
)

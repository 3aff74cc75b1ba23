"""The lowest and the highest value in the span, and when they were."""

import functools
import math

import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.endpoint.course import Course, extreme
from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.kind import Kind
from vtrial.endpoint.points import Points, only_if


def _minimum(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    least = jnp.min(points.value, where=points.inside, initial=jnp.inf)
    return only_if(points.inside.any(), least)


def _maximum(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    most = jnp.max(points.value, where=points.inside, initial=-jnp.inf)
    return only_if(points.inside.any(), most)


def _time(sign: int, points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    """Return when the first of the extremes was [h], from the start of the span."""
    place = jnp.argmax(jnp.where(points.inside, sign * points.value, -jnp.inf))
    return only_if(points.inside.any(), points.time[place] - endpoint.start)


def _turn(
    sign: float, course: Course, points: Points, endpoint: Endpoint
) -> Float[Array, ""]:
    return extreme(course, points, sign)[0]


def _time_of_turn(
    sign: float, course: Course, points: Points, endpoint: Endpoint
) -> Float[Array, ""]:
    return extreme(course, points, sign)[1] - endpoint.start


_kind = functools.partial(Kind, below="LLOQ/2", between="course")
_time_kind = functools.partial(_kind, unit="h", support=(0.0, math.inf))
KINDS = (
    _kind(
        word="minimum",
        place=40,
        says="the lowest value in the span; a true one is that of the course between "
        "values, too, see [`grid`](#grid-occasions-numerics)",
        sentence="lowest {of} {span}",
        kernel=_minimum,
        course=functools.partial(_turn, -1.0),
    ),
    _kind(
        word="maximum",
        place=50,
        says="the highest value in the span, likewise",
        sentence="highest {of} {span}",
        kernel=_maximum,
        course=functools.partial(_turn, 1.0),
    ),
    _time_kind(
        word="time of minimum",
        place=60,
        says="when the first of the lowest was, from the start of the span",
        sentence="time of the lowest {of} {span}",
        kernel=functools.partial(_time, -1),
        course=functools.partial(_time_of_turn, -1.0),
    ),
    _time_kind(
        word="time of maximum",
        place=70,
        says="when the first of the highest was, from the start of the span",
        sentence="time of the highest {of} {span}",
        kernel=functools.partial(_time, 1),
        course=functools.partial(_time_of_turn, 1.0),
    ),
)

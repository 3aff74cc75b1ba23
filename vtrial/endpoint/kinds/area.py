"""The area under the values by the linear trapezoidal rule."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.endpoint.course import Course, area_under
from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.kind import TIMES_HOURS, Kind
from vtrial.endpoint.points import Points, lines, only_if


def _area(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    length, first, second, _ = lines(points)
    part = (first + second) / 2
    return only_if(points.inside.sum() >= 2, jnp.sum(length * part))


def _of_course(course: Course, points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    return area_under(course, points)


KINDS = (
    Kind(
        word="area",
        place=90,
        says="under straight lines between the values; of true values under the course",
        sentence="area under {of} {span}",
        kernel=_area,
        course=_of_course,
        unit=TIMES_HOURS,
        below="LLOQ/2",
        needs=2,
        between="course",
    ),
)

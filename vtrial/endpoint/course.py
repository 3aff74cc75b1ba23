"""A true course between the times of the grid: its extremes and its area.

Between two knots (doses, ends of infusions, occasions) a course is smooth. Each line
from one time to the next is a cubic through four values of the same stretch, if the
curvatures of both sides agree within a factor of ten; otherwise a parabola with the
smaller of the two curvatures, if both bend the same way; otherwise straight. It turns
only where its values turn. So a jump or bend that nobody knew of makes no peak.

References
----------
Harten A, Engquist B, Osher S, Chakravarthy SR (1987) J Comput Phys 71:231-303.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vtrial.endpoint.points import Points, lines, only_if

ALIKE = 10.0  # curvatures within this factor agree
_FOUR = 4


class Course(NamedTuple):
    """How each line between neighbouring times of a grid may bend; static.

    Fields
    ------
    smooth
        Whether the four values of a line are of one stretch.
    places
        Places in the grid of the four, ascending.
    steps
        Where they stand, in lengths of the line from its first end.
    number
        Which of the three lines between the four it is.
    other
        Where the third value of the triple stands that both its ends are of.
    """

    smooth: Bool[np.ndarray, " line"]
    places: Int[np.ndarray, "line four"]
    steps: Float[np.ndarray, "line four"]
    number: Int[np.ndarray, " line"]
    other: Float[np.ndarray, " line"]


class Curve(NamedTuple):
    """One subject's course in an endpoint's span, a polynomial a line.

    Fields
    ------
    start, length
        [h] Of each line.
    coefficients
        Of the powers 0 to 3 of the share of the line that is passed.
    turn
        1 on lines that may hold a highest value, -1 a lowest, else 0.
    inside
        Whether both ends of the line have a value in the span.
    """

    start: Float[Array, " line"]
    length: Float[Array, " line"]
    coefficients: Float[Array, "line four"]
    turn: Float[Array, " line"]
    inside: Bool[Array, " line"]


def course_of(
    time: Float[np.ndarray, " time"],
    after: Bool[np.ndarray, " time"],
    *,
    knots: Float[np.ndarray, " knot"],
    dose: Bool[np.ndarray, " knot"],
    occasion: Bool[np.ndarray, " knot"],
) -> Course:
    """Return which values of a grid lie in one smooth stretch.

    Parameters
    ----------
    time
        [h] Ascending, rounded as `knots` are.
    after
        Which of them are after the dose at their time; others are before it.
    knots, dose, occasion
        [h] Where courses are not smooth; where one is given a dose, so that the value
        before it is no part of what follows, and where an occasion begins, so that the
        value at it is no part of what was before.
    """
    first, last = _stretches(time, after, knots=knots, dose=dose, occasion=occasion)
    stretch = np.where((first[:-1] == last[1:]) & (first[:-1] >= 0), first[:-1], -1)
    count = stretch.size
    change = np.flatnonzero(np.diff(stretch)) + 1
    bounds = np.searchsorted(change, np.arange(count), side="right")
    start, end = np.r_[0, change][bounds], np.r_[change, count][bounds]
    smooth = (stretch >= 0) & (end - start >= _FOUR - 1)
    line = np.arange(count)
    begin = np.clip(line - 1, start, np.maximum(end - _FOUR + 1, start))
    begin = np.where(smooth, begin, 0)
    places = np.minimum(begin[:, None] + np.arange(_FOUR), count)
    length = np.where(smooth, np.diff(time), 1.0)
    steps = (time[places] - time[:-1][:, None]) / length[:, None]
    even = np.broadcast_to(np.arange(_FOUR) - 1.0, steps.shape)
    steps = np.where(smooth[:, None], steps, even)
    number = np.where(smooth, line - begin, 1)
    third = np.array([2, 0, 1])[number]
    return Course(smooth, places, steps, number, steps[line, third])


def curve_of(course: Course, points: Points) -> Curve:
    """Lay one subject's course through its values."""
    value = points.value
    first, second = value[:-1], value[1:]
    four = value[jnp.asarray(course.places)]
    known = jnp.asarray(course.smooth) & points.seen[course.places].all(axis=1)
    steps = jnp.asarray(course.steps, value.dtype)
    rise = jnp.diff(four, axis=1) / jnp.diff(jnp.asarray(steps), axis=1)
    bends = jnp.diff(rise, axis=1) / (steps[:, 2:] - steps[:, :-2])
    bends = jnp.where(known[:, None], bends, 0.0)
    twist = (bends[:, 1] - bends[:, 0]) / (steps[:, 3] - steps[:, 0])
    small, large = jnp.abs(bends).min(axis=1), jnp.abs(bends).max(axis=1)
    way = jnp.where(bends[:, 0] * bends[:, 1] > 0, jnp.sign(bends[:, 0]), 0.0)
    alike = (way != 0) & (large <= ALIKE * small)
    base = jnp.asarray(course.number == _FOUR - 2, int)
    bend = jnp.where(alike, bends[jnp.arange(way.size), base], way * small)
    twist = jnp.where(alike, twist, 0.0)
    inside = points.inside[:-1] & points.inside[1:]
    other = jnp.asarray(course.other, value.dtype)
    parts = (
        first,
        second - first - bend + twist * other,
        bend - twist * (1.0 + other),
        twist,
    )
    coefficients = jnp.where(inside[:, None], jnp.stack(parts, axis=1), 0.0)
    start, length = points.time[:-1], points.time[1:] - points.time[:-1]
    length = jnp.where(inside, length, 0.0)
    return Curve(start, length, coefficients, _turn(course, rise, way), inside)


def _turn(
    course: Course, rise: Float[Array, "line three"], way: Float[Array, " line"]
) -> Float[Array, " line"]:
    """Return on which lines the slope changes sign: 1 for a peak, -1 for a trough."""
    line = jnp.arange(way.size)
    before = jnp.sign(rise[line, np.maximum(course.number - 1, 0)])
    after = jnp.sign(rise[line, np.minimum(course.number + 1, _FOUR - 2)])
    return jnp.where((before == -way) & (after == way), -way, 0.0)


def area_under(course: Course, points: Points) -> Float[Array, ""]:
    """Return the area from the first value in the span to the last; NaN if only one.

    A straight line leads over values that are missing.
    """
    curve = curve_of(course, points)
    each = curve.coefficients @ (1.0 / jnp.arange(1, 5, dtype=points.value.dtype))
    over = lines(points)
    missing = jnp.concatenate([jnp.zeros(1, bool), ~points.inside[:-1]])
    rest = jnp.where(missing, over.length * (over.first + over.second) / 2, 0.0)
    whole = jnp.sum(curve.length * each) + jnp.sum(rest)
    return only_if(points.inside.sum() >= 2, whole)


def extreme(
    course: Course, points: Points, sign: float
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return the highest (`sign` 1) or lowest (-1) of a course, and when [h] it was.

    The first of equal ones; NaN if there is no value in the span.
    """
    curve = curve_of(course, points)
    shares = _flat(curve.coefficients)
    zero, one, two, three = (part[:, None] for part in curve.coefficients.T)
    between = zero + shares * (one + shares * (two + shares * three))
    there = (shares > 0) & (shares < 1) & (sign * curve.turn > 0)[:, None]
    there &= curve.inside[:, None]
    when = curve.start[:, None] + shares * curve.length[:, None]
    nodes = jnp.where(points.inside, sign * points.value, -jnp.inf)
    tops = jnp.where(there, sign * between, -jnp.inf).ravel()
    node = jnp.argmax(nodes)
    if not tops.size:
        return _chosen(points, points.value[node], points.time[node])
    top = jnp.argmax(tops)
    higher = tops[top] > nodes[node]
    value = jnp.where(higher, sign * tops[top], points.value[node])
    time = jnp.where(higher, when.ravel()[top], points.time[node])
    return _chosen(points, value, time)


def _chosen(
    points: Points, value: Float[Array, ""], time: Float[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return value and time, if there is any value in the span."""
    there = points.inside.any()
    return only_if(there, value), only_if(there, time)


def _flat(coefficients: Float[Array, "line four"]) -> Float[Array, "line two"]:
    """Return where each polynomial is level; 0 where it is nowhere.

    Both roots are those of a quadratic in the form that loses no digits.
    """
    _, slope, bend, twist = coefficients.T
    inner = bend**2 - 3.0 * twist * slope
    real = inner > 0
    root = jnp.sqrt(jnp.where(real, inner, 1.0))
    sum_ = -(bend + jnp.where(bend >= 0, root, -root))
    far, near = real & (twist != 0), real & (sum_ != 0)
    one = jnp.where(far, sum_ / jnp.where(far, 3.0 * twist, 1.0), 0.0)
    two = jnp.where(near, slope / jnp.where(near, sum_, 1.0), 0.0)
    return jnp.stack([one, two], axis=1)


def _stretches(
    time: Float[np.ndarray, " time"],
    after: Bool[np.ndarray, " time"],
    *,
    knots: Float[np.ndarray, " knot"],
    dose: Bool[np.ndarray, " knot"],
    occasion: Bool[np.ndarray, " knot"],
) -> tuple[Int[np.ndarray, " time"], Int[np.ndarray, " time"]]:
    """Give the number of the stretch that each value begins, and of what it ends.

    -1 where it does neither: the value before a dose begins none, that after it ends
    none, and neither does that at the beginning of an occasion.
    """
    before, upto = (np.searchsorted(knots, time, side=s) for s in ("left", "right"))
    here = upto > before
    at = np.minimum(before, max(knots.size - 1, 0))
    given = here & dose[at] if knots.size else here
    begun = here & occasion[at] if knots.size else here
    first = np.where(given & ~after, -1, upto)
    last = np.where(after | begun, -1, before)
    return first, last

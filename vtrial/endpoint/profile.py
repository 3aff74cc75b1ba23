"""Areas and the terminal rate of one subject's concentrations: what NCA is made of.

By a rule some lines between values are logarithmic, the others straight. Times and
values are in whatever units they come in.

References
----------
Gabrielsson J, Weiner D (2012) Methods Mol Biol 929:377-389.
Denney W, Duvvuri S, Buckeridge C (2015) J Pharmacokinet Pharmacodyn 42:S65 (PKNCA).
"""

from typing import Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from vtrial.endpoint.points import Points, last, lines, only_if

FEWEST = 3  # values that a terminal rate is made of at least
NEAR = 1e-4  # adjusted R2 so near to the best is as good: the most values win
Rule = Literal["linear up log down", "linear", "linear log"]
UP_DOWN: Rule = "linear up log down"


class Terminal(NamedTuple):
    """The end of a concentration's course; NaN if it has no falling end.

    Fields
    ------
    rate
        [1/time] Of the fall.
    time, value
        When the last value above zero was, and what it was.
    start, values
        When the first value of the fit was, and how many there are.
    square, adjusted
        R2 of the fit, and adjusted for the number of values.
    predicted
        What the fit says at the time of the last value.
    """

    rate: Float[Array, ""]
    time: Float[Array, ""]
    value: Float[Array, ""]
    start: Float[Array, ""]
    values: Float[Array, ""]
    square: Float[Array, ""]
    adjusted: Float[Array, ""]
    predicted: Float[Array, ""]


def terminal(points: Points, *, with_top: Bool[Array, ""] | bool = False) -> Terminal:
    """Fit the terminal rate to the last values, as many as fit best.

    Candidates are the last three values above zero and after the maximum (or from it
    on, `with_top`), the last four and so on; of those whose adjusted R2 is within 1e-4
    of the best and that fall, the one with the most values is taken.
    """
    positive = points.inside & (points.value > 0)
    top = jnp.argmax(jnp.where(points.inside, points.value, -jnp.inf))
    first = top - jnp.asarray(with_top, top.dtype)
    used = positive & (jnp.arange(points.time.size) > first)
    end = last(points.time, positive)
    # Time is counted from the last value, and logarithms too: sums keep their digits.
    time = jnp.where(used, points.time - end, 0.0)
    log = jnp.where(used, jnp.log(jnp.where(used, points.value, 1.0)), 0.0)
    final = last(log, used)
    log = jnp.where(used, log - final, 0.0)
    count, t, y, tt, ty, yy = (
        _from_here(part)
        for part in (
            used.astype(time.dtype),
            time,
            log,
            time * time,
            time * log,
            log * log,
        )
    )
    enough = used & (count >= FEWEST)
    size = jnp.where(enough, count, 1.0)
    across = jnp.where(enough, tt - t * t / size, 1.0)
    along, whole = ty - t * y / size, yy - y * y / size
    slope = along / across
    fits = enough & (slope < 0) & (whole > 0)
    square = along * along / (across * jnp.where(fits, whole, 1.0))
    degrees = jnp.where(fits, count - 2, 1.0)
    adjusted = jnp.where(fits, 1 - (1 - square) * (count - 1) / degrees, -jnp.inf)
    good = fits & (adjusted >= adjusted.max() - NEAR)
    place, there = jnp.argmax(good), good.any()
    rate = only_if(there, -slope[place])
    level = (y - slope * t) / size
    found = (points.time, count, square, adjusted, jnp.exp(level + final))
    start, number, square, adjusted, predicted = (
        only_if(there, part[place]) for part in found
    )
    value = last(points.value, positive)
    return Terminal(rate, end, value, start, number, square, adjusted, predicted)


def until(points: Points, down: Terminal) -> Points:
    """Leave out what lies behind the last value above zero."""
    return points._replace(inside=points.inside & (points.time <= down.time))


def area(points: Points, rule: Rule = UP_DOWN) -> Float[Array, ""]:
    """Add the areas of all lines."""
    length, before, after, start = lines(points)
    bent, ratio = _bends(before, after, rule, start >= top_time(points))
    mean = jnp.where(bent, (before - after) / ratio, (before + after) / 2)
    return jnp.sum(length * mean)


def moment(
    points: Points, begin: Float[Array, ""], rule: Rule = UP_DOWN
) -> Float[Array, ""]:
    """Add the areas under time since `begin` times concentration.

    Where lines are straight, the product is what is taken to be straight, as is the
    custom.
    """
    length, before, after, start = lines(points)
    bent, ratio = _bends(before, after, rule, start >= top_time(points))
    one = jnp.where(length > 0, start - begin, 0.0)
    two = one + length
    rate = ratio / jnp.where(length > 0, length, 1.0)
    rate = jnp.where(rate != 0, rate, 1.0)
    logarithmic = (one * before - two * after) / rate + (before - after) / rate**2
    linear = length * (one * before + two * after) / 2
    return jnp.sum(jnp.where(bent & (length > 0), logarithmic, linear))


def area_to(
    points: Points,
    down: Terminal,
    end: Float[Array, ""] | float,
    rule: Rule = UP_DOWN,
) -> Float[Array, ""]:
    """Return the area up to `end`, where there may be no value.

    It lies between values, or beyond the last of them by the terminal rate.
    """
    whole = area(points, rule)
    time = last(points.time, points.inside)
    value = last(points.value, points.inside)
    late = time >= top_time(points._replace(inside=points.seen))
    later = points.seen & (points.time > time)
    place = jnp.argmax(later)
    gap = jnp.where(later.any(), points.time[place] - time, 1.0)
    next_value = jnp.where(later.any(), points.value[place], value)
    bent, ratio = _bends(value[None], next_value[None], rule, late)
    share = (end - time) / gap
    between = jnp.where(
        bent[0],
        value * jnp.exp(-ratio[0] * share),
        value + (next_value - value) * share,
    )
    beyond = value * jnp.exp(-down.rate * (end - time))
    there = jnp.where(later.any(), between, beyond)
    drops, far = _bends(value[None], there[None], rule, late)
    mean = jnp.where(drops[0], (value - there) / far[0], (value + there) / 2)
    rest = jnp.where(time < end, (end - time) * mean, 0.0)
    return only_if(points.inside.any(), whole + rest)


def top_time(points: Points) -> Float[Array, ""]:
    """Return when the first of the highest values in the span was."""
    place: Int[Array, ""] = jnp.argmax(jnp.where(points.inside, points.value, -jnp.inf))
    return points.time[place]


def _from_here(part: Float[Array, " time"]) -> Float[Array, " time"]:
    """Return the sum from each place to the end."""
    return jnp.cumsum(part[::-1])[::-1]


def _bends(
    before: Float[Array, " line"],
    after: Float[Array, " line"],
    rule: Rule,
    late: Bool[Array, "*line"],
) -> tuple[Bool[Array, " line"], Float[Array, " line"]]:
    """Return which lines are logarithmic, and the log of the ratio of their ends.

    That is 1 for the others. `late` are lines from the maximum on.
    """
    if rule == "linear":
        bent = jnp.zeros(before.shape, bool)
    elif rule == "linear log":
        bent = late & (before > 0) & (after > 0) & (before != after)
    else:
        bent = (after > 0) & (before > after)
    ratio = jnp.where(bent, before, jnp.e) / jnp.where(bent, after, 1.0)
    return bent, jnp.log(ratio)

"""Non-compartmental analysis of one subject's concentrations.

Rules are those of PKNCA and the CDISC parameters AUCLST, AUCIFO, AUCTAU, LAMZ, LAMZHL,
MRTEVIFO and AUCPEO: linear up and logarithmic down; the terminal rate by least squares
on the logarithms of the last values.

References
----------
Gabrielsson J, Weiner D (2012) Methods Mol Biol 929:377-389.
Denney W, Duvvuri S, Buckeridge C (2015) J Pharmacokinet Pharmacodyn 42:S65 (PKNCA).
"""

import functools
import math
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.kind import TIMES_HOURS, Kind
from vtrial.endpoint.points import Points, last, lines, only_if

FEWEST = 3  # values that a terminal rate is made of at least
NEAR = 1e-4  # adjusted R2 so near to the best is as good: the most values win


class Terminal(NamedTuple):
    """The end of a concentration's course; NaN if it has no falling end.

    Fields
    ------
    rate
        [1/h] Of the fall.
    time, value
        [h] When the last value above zero was, and what it was.
    """

    rate: Float[Array, ""]
    time: Float[Array, ""]
    value: Float[Array, ""]


def _auc_last(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    """Return the area from the first value in the span to the last one above zero."""
    upto = _until(points, terminal(points))
    return only_if(upto.inside.sum() >= 2, _area(upto))


def _auc_infinity(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    """Return the same area, and from there on by the terminal rate."""
    down = terminal(points)
    return _area(_until(points, down)) + down.value / down.rate


def _auc_tau(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    """Return the area up to the end of the span.

    It lies between values, or beyond the last of them by the terminal rate.
    """
    return _tau(points, terminal(points), endpoint.end)


def _half_life(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    return jnp.log(2.0) / terminal(points).rate


def _terminal_rate(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    return terminal(points).rate


def _mean_residence_time(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    down = terminal(points)
    upto, rest = _until(points, down), down.value / down.rate
    moment = _moment(upto, points.begin)
    moment += rest * (down.time - points.begin) + rest / down.rate
    return moment / (_area(upto) + rest)


def _extrapolated_share(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    """Return the share of the area to infinity behind the last value [%]."""
    down = terminal(points)
    rest = down.value / down.rate
    return 100.0 * rest / (_area(_until(points, down)) + rest)


def terminal(points: Points) -> Terminal:
    """Fit the terminal rate to the last values, as many as fit best.

    Candidates are the last three values above zero and after the maximum, the last
    four and so on; of those whose adjusted R2 is within 1e-4 of the best and that
    fall, the one with the most values is taken.
    """
    positive = points.inside & (points.value > 0)
    top = jnp.argmax(jnp.where(points.inside, points.value, -jnp.inf))
    used = positive & (jnp.arange(points.time.size) > top)
    end = last(points.time, positive)
    # Time is counted from the last value, and logarithms too: sums keep their digits.
    time = jnp.where(used, points.time - end, 0.0)
    log = jnp.where(used, jnp.log(jnp.where(used, points.value, 1.0)), 0.0)
    log = jnp.where(used, log - last(log, used), 0.0)
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
    rate = only_if(good.any(), -slope[jnp.argmax(good)])
    return Terminal(rate, end, last(points.value, positive))


def _from_here(part: Float[Array, " time"]) -> Float[Array, " time"]:
    """Return the sum from each place to the end."""
    return jnp.cumsum(part[::-1])[::-1]


def _until(points: Points, down: Terminal) -> Points:
    """Leave out what lies behind the last value above zero."""
    return points._replace(inside=points.inside & (points.time <= down.time))


def _area(points: Points) -> Float[Array, ""]:
    """Add the areas of all lines, linear up and logarithmic down."""
    length, before, after, _ = lines(points)
    fall, ratio = _falls(before, after)
    mean = jnp.where(fall, (before - after) / ratio, (before + after) / 2)
    return jnp.sum(length * mean)


def _moment(points: Points, begin: Float[Array, ""]) -> Float[Array, ""]:
    """Add the areas under time since `begin` times concentration.

    Up, the product is what is taken to be straight, as is the custom.
    """
    length, before, after, start = lines(points)
    fall, ratio = _falls(before, after)
    one = jnp.where(length > 0, start - begin, 0.0)
    two = one + length
    rate = ratio / jnp.where(length > 0, length, 1.0)
    rate = jnp.where(rate > 0, rate, 1.0)
    logarithmic = (one * before - two * after) / rate + (before - after) / rate**2
    linear = length * (one * before + two * after) / 2
    return jnp.sum(jnp.where(fall & (length > 0), logarithmic, linear))


def _falls(
    before: Float[Array, " line"], after: Float[Array, " line"]
) -> tuple[Bool[Array, " line"], Float[Array, " line"]]:
    """Return which lines fall, and the log of the ratio of their ends; 1 for others."""
    fall = (after > 0) & (before > after)
    ratio = jnp.where(fall, before, jnp.e) / jnp.where(fall, after, 1.0)
    return fall, jnp.log(ratio)


def _tau(points: Points, down: Terminal, end: float) -> Float[Array, ""]:
    """Return the area up to `end` [h], where there may be no value."""
    area = _area(points)
    time = last(points.time, points.inside)
    value = last(points.value, points.inside)
    later = points.seen & (points.time > time)
    place = jnp.argmax(later)
    gap = jnp.where(later.any(), points.time[place] - time, 1.0)
    next_value = jnp.where(later.any(), points.value[place], value)
    fall, ratio = _falls(value[None], next_value[None])
    share = (end - time) / gap
    between = jnp.where(
        fall[0],
        value * jnp.exp(-ratio[0] * share),
        value + (next_value - value) * share,
    )
    beyond = value * jnp.exp(-down.rate * (end - time))
    there = jnp.where(later.any(), between, beyond)
    drops, far = _falls(value[None], there[None])
    mean = jnp.where(drops[0], (value - there) / far[0], (value + there) / 2)
    rest = jnp.where(time < end, (end - time) * mean, 0.0)
    return only_if(points.inside.any(), area + rest)


_kind = functools.partial(
    Kind, below="zero before first", between="lines", needs=4, slope=True
)
KINDS = (
    _kind(
        word="AUC last",
        place=100,
        says="under lines that are straight up and logarithmic down, to the last "
        "value above zero (the last quantified one)",
        sentence="area under {of} to its last value above zero, {span}",
        kernel=_auc_last,
        unit=TIMES_HOURS,
        needs=2,
        slope=False,
    ),
    _kind(
        word="AUC infinity",
        place=110,
        says="that area, and from there on by the terminal rate",
        sentence="area under {of} to infinity, {span}",
        kernel=_auc_infinity,
        unit=TIMES_HOURS,
    ),
    _kind(
        word="AUC tau",
        place=120,
        says="that area to the end of the span, by the terminal rate if need be",
        sentence="area under {of} over the interval {span}",
        kernel=_auc_tau,
        unit=TIMES_HOURS,
        needs=2,
    ),
    _kind(
        word="half-life",
        place=130,
        says="of the end of the curve: ln 2 by the terminal rate",
        sentence="terminal half-life of {of}, {span}",
        kernel=_half_life,
        unit="h",
        support=(0.0, math.inf),
    ),
    _kind(
        word="terminal rate",
        place=140,
        says="slope of the logarithms of the last three or more values",
        sentence="terminal rate of {of}, {span}",
        kernel=_terminal_rate,
        unit="1/h",
        support=(0.0, math.inf),
    ),
    _kind(
        word="mean residence time",
        place=150,
        says="area under time times value, by `AUC infinity`",
        sentence="mean residence time by {of}, {span}",
        kernel=_mean_residence_time,
        unit="h",
        support=(0.0, math.inf),
    ),
    _kind(
        word="extrapolated share",
        place=160,
        says="how much of `AUC infinity` is behind the last value",
        sentence="share of the area under {of} that is extrapolated, {span}",
        kernel=_extrapolated_share,
        unit="%",
        support=(0.0, 100.0),
    ),
)

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

import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.kind import TIMES_HOURS, Kind
from vtrial.endpoint.points import Points, only_if
from vtrial.endpoint.profile import area, area_to, moment, terminal, until


def _auc_last(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    """Return the area from the first value in the span to the last one above zero."""
    upto = until(points, terminal(points))
    return only_if(upto.inside.sum() >= 2, area(upto))


def _auc_infinity(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    """Return the same area, and from there on by the terminal rate."""
    down = terminal(points)
    return area(until(points, down)) + down.value / down.rate


def _auc_tau(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    """Return the area up to the end of the span.

    It lies between values, or beyond the last of them by the terminal rate.
    """
    return area_to(points, terminal(points), endpoint.end)


def _half_life(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    return jnp.log(2.0) / terminal(points).rate


def _terminal_rate(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    return terminal(points).rate


def _mean_residence_time(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    down = terminal(points)
    upto, rest = until(points, down), down.value / down.rate
    first = moment(upto, points.begin)
    first += rest * (down.time - points.begin) + rest / down.rate
    return first / (area(upto) + rest)


def _extrapolated_share(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    """Return the share of the area to infinity behind the last value [%]."""
    down = terminal(points)
    rest = down.value / down.rate
    return 100.0 * rest / (area(until(points, down)) + rest)


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

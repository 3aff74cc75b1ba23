"""Response of tumours by the sum of their diameters (RECIST 1.1).

References
----------
Eisenhauer EA et al. (2009) Eur J Cancer 45:228-247.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.kind import Kind
from vtrial.endpoint.points import Points, last, only_if, slack

PROGRESSION, STABLE, PARTIAL, COMPLETE = 0.0, 1.0, 2.0, 3.0
GROWTH, SHRINKAGE = 1.2, 0.7
LEAST_GROWTH = 5.0  # mm, on top of the growth by a fifth


def _progressed(points: Points, endpoint: Endpoint) -> Bool[Array, " time"]:
    """Return at which values a tumour has progressed (RECIST 1.1).

    It has where the sum is at least a fifth and 5 mm over the least so far, baseline
    included, or appears again after it was gone (at most the endpoint's `high`).
    """
    none = endpoint.high or 0.0
    value = jnp.where(points.inside, points.value, jnp.inf)
    so_far = jax.lax.cummin(value)
    least = jnp.concatenate([jnp.full(1, jnp.inf), so_far[:-1]])
    least = jnp.minimum(least, points.baseline)
    least = jnp.where(jnp.isfinite(least), least, points.baseline)
    grown = points.value >= GROWTH * least * (1 - slack(1.0, value))
    grown &= (points.value - least) * endpoint.factor >= LEAST_GROWTH * (
        1 - slack(1.0, value)
    )
    again = (least <= none) & (points.value > none)
    return points.inside & (grown | again)


def _best_response(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    """Return the best response before progression: 0 PD, 1 SD, 2 PR, 3 CR.

    A complete response is a sum of at most `high`, a partial one a fall by 30 % from
    baseline. With `confirmed` [h], a response counts if it is still there at a value so
    much later, before any progression; else it is stable disease.
    """
    none, confirmed = endpoint.high or 0.0, endpoint.confirmed
    ended = jnp.cumsum(_progressed(points, endpoint)) > 0
    usable = points.inside & ~ended
    partial = usable & (
        points.value <= SHRINKAGE * points.baseline * (1 + slack(1.0, points.value))
    )
    complete = usable & (points.value <= none)
    best = jnp.where(usable.any(), STABLE, PROGRESSION)
    best = jnp.where(_holds(points, partial, confirmed), PARTIAL, best)
    best = jnp.where(_holds(points, complete, confirmed), COMPLETE, best)
    known = points.inside.any() & jnp.isfinite(points.baseline)
    return only_if(known, best.astype(points.value.dtype))


def _progression(
    points: Points, endpoint: Endpoint
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return the time of progression [h], or of the last value and 0."""
    grown = _progressed(points, endpoint)
    event = grown.any()
    end = last(points.time, points.inside)
    time = jnp.where(event, points.time[jnp.argmax(grown)], end)
    known = jnp.isfinite(points.baseline)
    return only_if(known, time), event.astype(time.dtype)


def _holds(
    points: Points, response: Bool[Array, " time"], confirmed: float
) -> Bool[Array, ""]:
    """Return whether a response is seen, and confirmed so much later."""
    if not confirmed:
        return response.any()
    begin = points.time[jnp.argmax(response)]
    again = response & (points.time >= begin + confirmed - slack(confirmed, begin))
    return response.any() & again.any()


_kind = functools.partial(Kind, high="may", brought_to="mm", baseline=True)
KINDS = (
    _kind(
        word="best response",
        place=270,
        says="of a tumour's sum of diameters, by RECIST 1.1: 0 progression, 1 stable, "
        "2 partial, 3 complete (at most `high`, else 0)",
        sentence="best response of {of} by RECIST 1.1, {span}",
        kernel=_best_response,
        unit="1",
        categories=("progression", "stable", "partial", "complete"),
        confirmed=("hours",),
    ),
    _kind(
        word="time to progression",
        place=280,
        says="by RECIST 1.1: a fifth and 5 mm over the least so far; censored at the "
        "last value",
        sentence="time to progression of {of} by RECIST 1.1, {span}",
        kernel=_progression,
        unit="h",
        support=(0.0, math.inf),
        event=True,
    ),
)

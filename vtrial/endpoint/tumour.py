"""Response of tumours by the sum of their diameters (RECIST 1.1).

References
----------
Eisenhauer EA et al. (2009) Eur J Cancer 45:228-247.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vtrial.endpoint.points import Points, last, only_if, slack

PROGRESSION, STABLE, PARTIAL, COMPLETE = 0.0, 1.0, 2.0, 3.0
GROWTH, SHRINKAGE = 1.2, 0.7
LEAST_GROWTH = 5.0  # mm, on top of the growth by a fifth


def progressed(points: Points, millimetres: float, none: float) -> Bool[Array, " time"]:
    """Say at which values a tumour has progressed.

    It has where the sum is at least a fifth and 5 mm over the least so far, baseline
    included, or appears again after it was gone (at most `none`). `millimetres` are in
    one unit of the output.
    """
    value = jnp.where(points.inside, points.value, jnp.inf)
    so_far = jax.lax.cummin(value)
    least = jnp.concatenate([jnp.full(1, jnp.inf), so_far[:-1]])
    least = jnp.minimum(least, points.baseline)
    least = jnp.where(jnp.isfinite(least), least, points.baseline)
    grown = points.value >= GROWTH * least * (1 - slack(1.0, value))
    grown &= (points.value - least) * millimetres >= LEAST_GROWTH * (
        1 - slack(1.0, value)
    )
    again = (least <= none) & (points.value > none)
    return points.inside & (grown | again)


def best_response(
    points: Points, *, millimetres: float, none: float, confirmed: float
) -> Float[Array, ""]:
    """Return the best response before progression: 0 PD, 1 SD, 2 PR, 3 CR.

    A complete response is a sum of at most `none`, a partial one a fall by 30 % from
    baseline. With `confirmed` [h], a response counts if it is still there at a value so
    much later, before any progression; else it is stable disease.
    """
    ended = jnp.cumsum(progressed(points, millimetres, none)) > 0
    usable = points.inside & ~ended
    partial = usable & (
        points.value <= SHRINKAGE * points.baseline * (1 + slack(1.0, points.value))
    )
    complete = usable & (points.value <= none)
    best = jnp.where(usable.any(), STABLE, PROGRESSION)
    best = jnp.where(_holds(points, partial, confirmed), PARTIAL, best)
    best = jnp.where(_holds(points, complete, confirmed), COMPLETE, best)
    known = points.inside.any() & jnp.isfinite(points.baseline)
    return only_if(known, best)


def progression(
    points: Points, millimetres: float, none: float
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return the time of progression [h], or of the last value and 0."""
    grown = progressed(points, millimetres, none)
    event = grown.any()
    end = last(points.time, points.inside)
    time = jnp.where(event, points.time[jnp.argmax(grown)], end)
    known = jnp.isfinite(points.baseline)
    return only_if(known, time), event.astype(time.dtype)


def _holds(
    points: Points, response: Bool[Array, " time"], confirmed: float
) -> Bool[Array, ""]:
    """Say whether a response is seen, and again so much later."""
    if not confirmed:
        return response.any()
    begin = points.time[jnp.argmax(response)]
    again = response & (points.time >= begin + confirmed - slack(confirmed, begin))
    return response.any() & again.any()

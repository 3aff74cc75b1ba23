"""What values below the limit of quantification count as in an endpoint.

References
----------
Beal SL (2001) J Pharmacokinet Pharmacodyn 28:481-504 (M1, M5, M6, M7).
Denney W, Duvvuri S, Buckeridge C (2015) J Pharmacokinet Pharmacodyn 42:S65 (PKNCA).
"""

import jax.numpy as jnp

from vtrial.endpoint.kind import Below
from vtrial.endpoint.points import Points, place_before


def quantified(points: Points, limit: float, rule: Below) -> Points:
    """Treat a subject's values below the limit by a rule.

    `drop` leaves them out. `zero before first` takes those before the first value in
    the span that is quantified as 0 and leaves out the others. `LLOQ/2` lets them
    stand for half the limit, as they were measured. `LLOQ/2 once` takes those before
    the first as 0, and of each later run of them only the first, as half the limit.
    `zero` takes them as 0.

    Parameters
    ----------
    limit
        [the output's unit] 0 for none.
    """
    if not limit or rule == "LLOQ/2":
        return points
    below = points.seen & (points.value < limit)
    if rule == "zero":
        return points._replace(value=jnp.where(below, 0.0, points.value))
    places = jnp.arange(below.size)
    found = points.inside & ~below
    first = jnp.min(jnp.where(found, places, below.size))
    early = below & (places < first) & (rule != "drop")
    kept = ~below | early
    if rule == "LLOQ/2 once":
        before = place_before(points.seen)
        kept |= below & (before >= 0) & ~below[before]
    return points._replace(
        value=jnp.where(early, 0.0, points.value),
        seen=points.seen & kept,
        inside=points.inside & kept,
    )

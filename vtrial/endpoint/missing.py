"""Why a subject whose equations were solved has no number for an endpoint."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.points import Points
from vtrial.types import Missing


def why_missing(
    endpoint: Endpoint, points: Points, number: Float[Array, ""]
) -> Int[Array, ""]:
    """Return the `Missing` code of a subject's number, 0 if it is there."""
    kind = endpoint.kind
    causes = [(points.counted == 0, Missing.NO_VALUE)]
    if endpoint.lloq:
        told = points.inside & (points.value >= endpoint.lloq)
        causes += [(~told.any(), Missing.NOT_QUANTIFIED)]
    if kind.baseline:
        causes += [
            (jnp.isnan(points.baseline), Missing.NO_BASELINE),
            (points.baseline == 0, Missing.ZERO_BASELINE),
        ]
    if kind.slope:
        causes += [(jnp.array(True), Missing.NO_SLOPE)]
    elif kind.needs > 1:
        causes += [(points.inside.sum() < kind.needs, Missing.TOO_FEW)]
    conditions, codes = zip((jnp.isfinite(number), Missing.NOT), *causes, strict=True)
    codes = [jnp.asarray(int(code), "int8") for code in codes]
    return jnp.select(conditions, codes, jnp.asarray(int(Missing.NOT_FINITE), "int8"))


def left_before(
    reason: Int[Array, " subject"], left: Bool[Array, " subject"]
) -> Int[Array, " subject"]:
    """Give dropout as the reason where values lack of a subject who left early."""
    wants = (Missing.NO_VALUE, Missing.TOO_FEW, Missing.NO_SLOPE, Missing.CUT_OFF)
    lacks = jnp.isin(reason, jnp.asarray([int(code) for code in wants], "int8"))
    return jnp.where(lacks & left, jnp.asarray(int(Missing.LEFT), "int8"), reason)

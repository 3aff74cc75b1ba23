"""Why a subject whose equations were solved has no number for an endpoint."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from vtrial.endpoint.endpoint import NONCOMPARTMENTAL, Endpoint
from vtrial.endpoint.points import Points
from vtrial.types import Missing

_OF_CHANGES = ("change", "percent change")
_OF_LINES = ("area", "time above", "time below", "time in range", "AUC last")
_OF_SLOPES = tuple(take for take in NONCOMPARTMENTAL if take != "AUC last")


def why_missing(
    endpoint: Endpoint, points: Points, number: Float[Array, ""]
) -> Int[Array, ""]:
    """Return the `Missing` code of a subject's number, 0 if it is there."""
    few = points.inside.sum() < 2
    causes = [(points.counted == 0, Missing.NO_VALUE)]
    if endpoint.lloq:
        told = points.inside & (points.value >= endpoint.lloq)
        causes += [(~told.any(), Missing.NOT_QUANTIFIED)]
    if endpoint.take in _OF_CHANGES:
        causes += [
            (jnp.isnan(points.baseline), Missing.NO_BASELINE),
            (points.baseline == 0, Missing.ZERO_BASELINE),
        ]
    if endpoint.take in _OF_LINES:
        causes += [(few, Missing.TOO_FEW)]
    if endpoint.take in _OF_SLOPES:
        causes += [(jnp.array(True), Missing.NO_SLOPE)]
    conditions, codes = zip((jnp.isfinite(number), Missing.NOT), *causes, strict=True)
    codes = [jnp.asarray(int(code), "int8") for code in codes]
    return jnp.select(conditions, codes, jnp.asarray(int(Missing.NOT_FINITE), "int8"))


def left_before(
    reason: Int[Array, " subject"], left: Bool[Array, " subject"]
) -> Int[Array, " subject"]:
    """Give leaving as the reason where values lack of who has left before the end."""
    wants = (Missing.NO_VALUE, Missing.TOO_FEW, Missing.NO_SLOPE, Missing.CUT_OFF)
    lacks = jnp.isin(reason, jnp.asarray([int(code) for code in wants], "int8"))
    return jnp.where(lacks & left, jnp.asarray(int(Missing.LEFT), "int8"), reason)

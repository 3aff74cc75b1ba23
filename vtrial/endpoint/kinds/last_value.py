"""The last value in the span, itself or against the baseline."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.kind import Kind
from vtrial.endpoint.points import Points, last


def _value(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    return last(points.value, points.inside)


def _change(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    return last(points.value, points.inside) - points.baseline


def _percent_change(points: Points, endpoint: Endpoint) -> Float[Array, ""]:
    change = last(points.value, points.inside) - points.baseline
    zero = points.baseline == 0
    ratio = change / jnp.where(zero, 1.0, points.baseline)
    return jnp.where(zero, jnp.nan, 100 * ratio)


def _percent(
    value: Float[np.ndarray, "..."], baseline: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    return 100 * (value - baseline) / np.where(baseline == 0, np.nan, baseline)


KINDS = (
    Kind(
        word="value",
        place=10,
        says="the last value in the span",
        sentence="last value of {of} {span}",
        kernel=_value,
        repeated=lambda value, baseline: value,
        below="LLOQ/2",
    ),
    Kind(
        word="change",
        place=20,
        says="the last value minus the baseline",
        sentence="change of {of} from baseline, {span}",
        kernel=_change,
        repeated=lambda value, baseline: value - baseline,
        baseline=True,
    ),
    Kind(
        word="percent change",
        place=30,
        says="that change in per cent of the baseline",
        sentence="per-cent change of {of} from baseline, {span}",
        kernel=_percent_change,
        repeated=_percent,
        unit="%",
        baseline=True,
        waterfall=True,
    ),
)

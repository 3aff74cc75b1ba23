"""Subjects whose states are finite, while an output that is read is not."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from vtrial.endpoint.endpoint import Endpoint
from vtrial.observe.observation_times import ObservationTimes
from vtrial.protocol.protocol import Protocol

ROUNDING = 1e-9  # [h] at the ends of spans
Truth = Mapping[str, Float[Array, "subject time"]]


def undefined(
    protocol: Protocol, plan: ObservationTimes, truth: Truth
) -> Bool[Array, "#n"]:
    """Return the subjects with a non-finite output where a visit or endpoint reads it.

    The time of an event may be infinite, for it never comes, and so may be a
    cumulative hazard, for it has come. What is told of a day of a flow is missing where
    it is of nobody.
    """
    if protocol.model.flow is not None:  # a mean over nobody fails nobody
        return jnp.zeros(1, bool)
    told = {point.of for point in protocol.endpoints if point.kind.endless}
    found = jnp.zeros(1, bool)
    for name, looked in _looked_at(protocol, plan).items():
        values = truth[name][:, np.flatnonzero(looked)]
        wrong = jnp.isnan(values) if name in told else ~jnp.isfinite(values)
        found = found | jnp.any(wrong, axis=1)
    return found


def _looked_at(protocol: Protocol, plan: ObservationTimes) -> dict[str, np.ndarray]:
    """Return at which observations (visits, then the grid) each output is read."""
    measures = {visit.name: visit.measure for visit in protocol.visits}
    looked = {}
    for output in protocol.model.outputs:
        visits = np.array([output.name in measures[v] for v in plan.visits], bool)
        grid = np.zeros(plan.grid.size, bool)
        for point in protocol.endpoints:
            if output.name in point.reads and point.values == "true":
                places = plan.true_places(point)
                grid[places] |= _within(point, plan.grid[places])
        looked[output.name] = np.concatenate([visits, grid])
        unread = np.zeros_like(grid)
        for name in output.error.computed:
            looked[name] = np.concatenate([visits, unread])
    return {name: where for name, where in looked.items() if where.any()}


def _within(point: Endpoint, grid: np.ndarray) -> np.ndarray:
    """Return which grid times an endpoint reads: its span, and its baseline if used."""
    inside = (grid >= point.start - ROUNDING) & (grid <= point.end + ROUNDING)
    before = np.flatnonzero(grid <= point.baseline + ROUNDING)
    if point.kind.baseline and before.size:
        inside[before[-1]] = True
    return inside

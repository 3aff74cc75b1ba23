"""Which observations lie between which events, for a solution that passes by them."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from vtrial.dosing.doses import Doses, Times
from vtrial.solver.adaptive import AbstractAdaptive
from vtrial.solver.events import FINEST, Table, take
from vtrial.solver.layout import Layout
from vtrial.solver.methods import METHODS

ROWS = 4096  # subjects whose observations are counted at once
GRAIN = 2  # widths that are compiled between a power of two and the next
RICH = 128  # observations between two doses: steps are hardly ever so many


class Windows(NamedTuple):
    """What is asked before each event, and where each observation is found.

    `time` [h] is inf where there is nothing left to ask. `place` counts through all
    windows, one after another, the last of them after the last event.
    """

    time: Float[Array, "event place #lane"]
    place: Int[Array, "#lane time"]


def windows(table: Table, times: Times, width: int) -> Windows:
    """Deal the observations to the intervals between events, up to `width` each."""
    seen, count = table.seen, table.events.time.shape[0]
    lanes = max(seen.shape[0], times.time.shape[0])
    time = jnp.broadcast_to(times.time, (lanes, times.time.shape[1]))
    seen = jnp.where(jnp.isfinite(time), jnp.broadcast_to(seen, time.shape), count)
    order = jnp.lexsort((time, seen), axis=1)
    place = jnp.argsort(order, axis=1)
    events = jnp.arange(count + 1)
    earlier = seen[:, None, :] < events[None, :, None]
    first = jnp.sum(earlier, axis=2, dtype=int)
    asked = first[:, :-1, None] + jnp.arange(width)[None, None]
    there = asked < first[:, 1:, None]
    flat = jnp.minimum(asked, time.shape[1] - 1).reshape(lanes, -1)
    found = take(jnp.take_along_axis(time, order, axis=1), flat).reshape(asked.shape)
    found = jnp.where(there, found, jnp.inf)
    inside = jnp.minimum(place - jnp.take_along_axis(first, seen, axis=1), width - 1)
    return Windows(jnp.transpose(found, (1, 2, 0)), (seen * width + inside).astype(int))


def width_of(layout: Layout, doses: Doses, times: Times) -> int:
    """Return how many observations may lie between two events; 0 if that is no use.

    At every dose's record there is an event: they are counted between these, the ends
    included. It is of use where lanes would wait for each other often (which they do
    more in a stiff method than in others), or where steps would be cut short.
    """
    method = METHODS[layout.method](layout.model, layout.numerics)
    traced = any(isinstance(value, Tracer) for value in (doses.time, times.time))
    if not isinstance(method, AbstractAdaptive) or layout.kernel or traced:
        return 0
    given, seen = np.asarray(doses.time), np.asarray(times.time)
    least = max(given.shape[1], RICH if method.is_dense else 0)
    if seen.shape[1] < least:
        return 0
    rows = max(given.shape[0], seen.shape[0])
    given, seen = (np.broadcast_to(v, (rows, v.shape[1])) for v in (given, seen))
    parts = range(0, rows, ROWS)
    most = max(most_between(given[i : i + ROWS], seen[i : i + ROWS]) for i in parts)
    if method.is_dense and most < RICH:
        return 0
    grain = max(1, (1 << most.bit_length()) // (2 * GRAIN))
    return -(-most // grain) * grain


def most_between(doses: np.ndarray, seen: np.ndarray) -> int:
    """Count the observations between two doses, the most of any subject.

    The subjects are laid one after another on one axis of time.
    """
    real = np.concatenate([doses[np.isfinite(doses)], seen[np.isfinite(seen)]])
    if not real.size:
        return 0
    low, high = real.min() - 1.0, real.max() + 1.0
    count = doses.shape[0]
    ends = np.broadcast_to([low, high], (count, 2))
    borders = np.sort(np.hstack([ends, np.clip(doses, low, high)]), axis=1)
    line = np.sort(np.where(np.isfinite(seen), seen, high + 1.0), axis=1)
    offset = np.arange(count)[:, None] * (high + 2.0 - low)
    line, borders = (line + offset).ravel(), borders + offset
    near = 2 * FINEST
    first = np.searchsorted(line, borders[:, :-1] - near, side="left")
    last = np.searchsorted(line, borders[:, 1:] + near, side="right")
    return int((last - first).max())

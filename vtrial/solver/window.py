"""Which observations lie between which events, for a solution that passes by them."""

from typing import NamedTuple, TypeGuard

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from vtrial.dosing.doses import Times
from vtrial.solver.adaptive import AbstractAdaptive
from vtrial.solver.events import EventTable, take
from vtrial.solver.layout import Layout
from vtrial.solver.method import AbstractMethod
from vtrial.solver.methods import METHODS

GRAIN = 2  # widths that are compiled between a power of two and the next
RICH = 128  # observations between two doses: steps are hardly ever so many


class Windows(NamedTuple):
    """What is asked before each event, and where each observation is found.

    `time` [h] is inf where there is nothing left to ask. `place` counts through all
    windows, one after another, the last of them after the last event. In a `crowded`
    lane more is asked between two events than the width allows.
    """

    time: Float[Array, "event place #lane"]
    place: Int[Array, "#lane time"]
    crowded: Bool[Array, " #lane"]


def windows(table: EventTable, times: Times, width: int) -> Windows:
    """Deal the observations to the intervals between events, up to `width` each."""
    seen, count = table.seen, table.events.time.shape[0]
    lanes = max(seen.shape[0], times.time.shape[0])
    time = jnp.broadcast_to(times.time, (lanes, times.time.shape[1]))
    # Padding, at infinity, goes behind the last event.
    seen = jnp.where(jnp.isfinite(time), jnp.broadcast_to(seen, time.shape), count)
    # A row's observations may stand in any order; a window has them by time.
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
    return Windows(
        time=jnp.transpose(found, (1, 2, 0)),
        place=(seen * width + inside).astype(int),
        crowded=jnp.any(jnp.diff(first, axis=1) > width, axis=1),
    )


def width_of(layout: Layout, between: int | None, given: int, seen: int) -> int:
    """Return the width of a window: observations between two events; 0 if of no use.

    At every dose's record there is an event: `between` of them lie between these, of
    `given` doses and `seen` observations in all. It is of use where lanes would wait
    for each other often (which they do more in a stiff method than in others), or where
    steps would be cut short.
    """
    way = METHODS[layout.method](layout.model, layout.numerics)
    if between is None or layout.kernel or not is_of_use(way, given, seen):
        return 0
    if between < least_between(way):
        return 0
    # Rounded up to one of few widths, so that few programs are compiled.
    grain = max(1, (1 << between.bit_length()) // (2 * GRAIN))
    return -(-between // grain) * grain


def is_of_use(
    method: AbstractMethod, given: int, seen: int
) -> TypeGuard[AbstractAdaptive]:
    """Return whether observations may be read between events, not as events."""
    # Who looks back has outputs that do, and they are computed at events.
    if not isinstance(method, AbstractAdaptive) or method.model.structure.delays:
        return False
    return seen >= max(given, least_between(method))


def least_between(method: AbstractAdaptive) -> int:
    """Return from how many observations between doses on that is of use."""
    return RICH if method.is_dense else 0

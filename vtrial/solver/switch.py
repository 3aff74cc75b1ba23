"""When the clock switches something in the equations, and what holds until then.

Steps end at switches, so that none is stepped over and none lies inside a step. What
holds after a time is looked up a little later, by less than what counts as the same
time.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from vtrial.model.jumps import DOSED, LATER, ULPS, Switch
from vtrial.model.tree import TIME, TIME_AFTER_DOSE, evaluate

SAMPLES = 32  # places in a window where a switch is searched for
TURN = math.pi / 2  # of the fastest wave is such a window
WINDOWS = 16  # of an interval where nothing waves
HALVINGS = 60

T = TypeVar("T")


class Flags(NamedTuple):
    """Flags that hold from now on, and until when [h] from the interval's start."""

    held: tuple[Float[Array, " lane"], ...]
    until: Float[Array, " lane"]


class IntervalClock(NamedTuple):
    """The clocks of an interval: when it starts, when the last dose was given [h].

    `last_dose` is NaN before the first dose; the time after dose stands at 0 then.
    """

    start: Float[Array, " lane"]
    last_dose: Float[Array, " lane"]

    def at(self, time: Float[Array, "*place lane"]) -> dict[str, Array]:
        """Name the clocks some time [h] after the start."""
        now = self.start + time
        dosed = jnp.isfinite(self.last_dose)
        since = jnp.where(dosed, now - jnp.where(dosed, self.last_dose, 0.0), 0.0)
        return {TIME: now, TIME_AFTER_DOSE: since, DOSED: dosed.astype(now.dtype)}


def over_places(values: T) -> T:
    """Give arrays by lane a leading axis, for places in time."""
    return jax.tree.map(lambda value: value[None] if jnp.ndim(value) else value, values)


def flags_after(
    switches: tuple[Switch, ...],
    individual: Mapping[str, Float[Array, " lane"]],
    clock: IntervalClock,
    time: Float[Array, " lane"],
    length: Float[Array, " lane"],
) -> Flags:
    """Return the flags that hold just after a time [h] from the interval's start.

    `length` is that of the interval.
    """
    exact = clock.start.dtype
    coarse = ULPS * float(jnp.finfo(time.dtype).eps)
    after = time.astype(exact)
    # At the switch itself rounding would leave the flag on either side.
    size = jnp.maximum(jnp.abs(clock.start), jnp.abs(clock.start + after))
    later = after + jnp.maximum(LATER, coarse * size)
    values = {name: value.astype(exact) for name, value in individual.items()}
    values |= clock.at(later)
    for switch in switches:
        flag = evaluate(switch.value, values)
        values[switch.flag] = jnp.broadcast_to(flag, later.shape).astype(exact)
    ahead = jnp.full(later.shape, jnp.inf, exact)
    for switch in switches:
        find = _ahead if switch.is_exact else _searched
        found = find(switch, values, clock, later, length)
        ahead = jnp.minimum(ahead, jnp.broadcast_to(found, later.shape))
    held = tuple(values[switch.flag].astype(time.dtype) for switch in switches)
    return Flags(held, (later + ahead).astype(time.dtype))


def _ahead(
    switch: Switch,
    values: Mapping[str, Array],
    clock: IntervalClock,
    later: Float[Array, " lane"],
    length: Float[Array, " lane"],
) -> Float[Array, "*#lane"]:
    """Return how far ahead [h] a switch is whose distance is linear in time."""
    del clock, later, length
    distance, slope = (evaluate(e, values) for e in (switch.distance, switch.slope))
    safe = jnp.where(slope == 0, 1.0, slope)
    if not switch.whole:
        return jnp.where(distance * slope < 0, -distance / safe, jnp.inf)
    # The next whole number ahead, in the direction of the slope.
    above = jnp.floor(distance) + 1 - distance
    below = jnp.ceil(distance) - 1 - distance
    found = jnp.where(slope > 0, above, below) / safe
    return jnp.where(slope == 0, jnp.inf, found)


def _searched(
    switch: Switch,
    values: Mapping[str, Array],
    clock: IntervalClock,
    later: Float[Array, " lane"],
    length: Float[Array, " lane"],
) -> Float[Array, " lane"]:
    """Search a window for a switch; return how far ahead it is, or the window's end.

    The window is looked at in places, and where the distance turns between two of
    them, there, too.
    """
    window = _window(switch, values, length.astype(later.dtype))

    def look(after: Float[Array, "*place lane"], what: str) -> Array:
        known, begun, since = dict(values), clock, later
        if after.ndim > later.ndim:
            known, begun, since = over_places((known, begun, since))
        here = known | begun.at(since + after)
        return jnp.broadcast_to(evaluate(getattr(switch, what), here), after.shape)

    first = look(jnp.zeros_like(later), "distance")

    def switched(after: Float[Array, "*place lane"]) -> Bool[Array, "*place lane"]:
        distance = look(after, "distance")
        was = first if after.ndim == first.ndim else first[None]
        if switch.whole:
            return jnp.floor(distance) != jnp.floor(was)
        return (distance > 0) != (was > 0)

    places = jnp.arange(SAMPLES + 1, dtype=later.dtype)[:, None] / SAMPLES
    after = places * window[None]
    slope = look(after, "slope")
    before, behind = slope[:-1], slope[1:]
    # Between two places the distance may cross and come back: its extreme is looked at.
    turns = before * behind < 0
    part = jnp.where(turns, before / jnp.where(turns, before - behind, 1.0), 0.5)
    between = after[:-1] + part * (after[1:] - after[:-1])
    points = jnp.stack([between, after[1:]], axis=1).reshape(-1, later.shape[0])
    points = jnp.concatenate([jnp.zeros_like(points[:1]), points])
    beyond = switched(points)
    place = jnp.argmax(beyond, axis=0)[None]
    low = jnp.take_along_axis(points, jnp.maximum(place - 1, 0), axis=0)[0]
    high = jnp.take_along_axis(points, place, axis=0)[0]

    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        # Halving keeps a switch between both ends, whatever the curve is like.
        middle = 0.5 * (low + high)
        there = switched(middle)
        return jnp.where(there, low, middle), jnp.where(there, middle, high)

    high = lax.fori_loop(0, HALVINGS, halve, (low, high))[1]
    # Without one the window's end counts as a switch, and the search goes on there.
    return jnp.where(jnp.any(beyond, axis=0), high, window)


def _window(
    switch: Switch, values: Mapping[str, Array], length: Float[Array, " lane"]
) -> Float[Array, " lane"]:
    """Return the window of time [h] that is searched at once."""
    window = length / WINDOWS
    for phase in switch.phases:
        speed = jnp.abs(evaluate(phase, values))
        turn = TURN / jnp.where(speed > 0, speed, 1.0)
        window = jnp.where(speed > 0, jnp.minimum(window, turn), window)
    return jnp.maximum(window, LATER)

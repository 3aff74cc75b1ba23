"""What a rule may look at: measured values that are known, and what was made of them.

Everything is elementwise over subjects. What is not known is NaN and compares as false,
so that nobody is treated for a value that nobody has.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vtrial.model.tree import Expression, evaluate, names_in
from vtrial.protocol.rules import Condition, History, name_of

HOURS_PER_DAY = 24.0
NEAR = 1e-6  # [h] within which two times are the same

Values = Mapping[str, Float[Array, " subject"]]


class Seen(NamedTuple):
    """What was measured of subjects, in the order of the plan's measured times.

    Fields
    ------
    values
        (subject, place) By output, in its unit; NaN where nothing was measured.
    time
        [h] (subject, place) When it was taken; infinite where it was not yet.
    known
        [h] (place) How long it takes until it is known.
    """

    values: dict[str, Float[Array, "subject place"]]
    time: Float[Array, "subject place"]
    known: Float[Array, " place"]

    def at(self, now: Float[Array, " subject"]) -> Bool[Array, "subject place"]:
        """Return what is known by now."""
        return self.time + self.known[None] <= now[:, None] + NEAR


class Marks(NamedTuple):
    """From when on values may count [h]: last change of the dose, and of the cycle."""

    change: Float[Array, " subject"]
    cycle: Float[Array, " subject"]


def latest(seen: Seen, now: Float[Array, " subject"]) -> dict[str, Array]:
    """Return the last known value of every output that rules look at."""
    known = seen.at(now)
    return {
        name: _nth_last(value, known & jnp.isfinite(value), seen.time, 0)
        for name, value in seen.values.items()
    }


def holds(
    when: Condition | None,
    names: Values,
    seen: Seen,
    now: Float[Array, " subject"],
    marks: Marks,
) -> Bool[Array, " subject"]:
    """Return of whom a condition holds; not of those of whom it cannot be told."""
    if when is None:
        return jnp.ones(now.shape, bool)
    made = {
        name_of(place): looked_back(one, names, seen, now, marks)
        for place, one in enumerate(when.histories)
    }
    value = jnp.broadcast_to(evaluate(when.expression, {**names, **made}), now.shape)
    return (value != 0) & jnp.isfinite(value)


def looked_back(
    history: History,
    names: Values,
    seen: Seen,
    now: Float[Array, " subject"],
    marks: Marks,
) -> Float[Array, " subject"]:
    """Return what a history makes of the values that are known by now."""
    value = _of(history.of, seen)
    known = seen.at(now) & jnp.isfinite(value)
    if history.word == "count":
        known &= value != 0
    if history.word in ("last", "previous"):
        return _nth_last(value, known, seen.time, int(history.word == "previous"))
    if history.word == "ago":
        before = seen.time <= _begin(history, now, marks)[:, None] + NEAR
        return _nth_last(value, known & before, seen.time, 0)
    if history.word == "baseline":
        return _nth_last(value, known & (seen.time <= NEAR), seen.time, 0)
    if history.limit is not None:
        limit = jnp.broadcast_to(evaluate(history.limit, names), now.shape)
        held = value < limit[:, None]
        if history.word == "days_above":
            held = value > limit[:, None]
        since = _begin(history, now, marks)
        return _days(held, known, seen.time, now, since)
    since = _begin(history, now, marks)
    inside = known & (seen.time > since[:, None] + NEAR)
    if isinstance(history.since, float | int):
        inside = known & (seen.time >= since[:, None] - NEAR)
    count = inside.sum(axis=1)
    if history.word == "count":
        return count.astype(float)
    if history.word == "nadir":
        found = jnp.min(value, axis=1, where=inside, initial=jnp.inf)
    elif history.word == "peak":
        found = jnp.max(value, axis=1, where=inside, initial=-jnp.inf)
    else:
        total = jnp.sum(value, axis=1, where=inside)
        found = total / jnp.maximum(count, 1).astype(total.dtype)
    return jnp.where(count > 0, found, jnp.nan)


def _of(expression: Expression, seen: Seen) -> Float[Array, "subject place"]:
    """Compute an equation of outputs at every place; NaN where one of them is."""
    value = evaluate(expression, seen.values)
    for name in names_in(expression):
        value = jnp.where(jnp.isfinite(seen.values[name.name]), value, jnp.nan)
    return jnp.broadcast_to(value, seen.time.shape)


def _begin(
    history: History, now: Float[Array, " subject"], marks: Marks
) -> Float[Array, " subject"]:
    """Return from when on values count [h]."""
    if history.since == "change":
        return marks.change
    if history.since == "cycle":
        return marks.cycle
    if history.since == "start":
        return jnp.full_like(now, -jnp.inf)
    return now - history.since


def _nth_last(
    value: Float[Array, "subject place"],
    known: Bool[Array, "subject place"],
    time: Float[Array, "subject place"],
    before: int,
) -> Float[Array, " subject"]:
    """Return the value so many before the last one by time; NaN if there is none."""
    when = jnp.where(known, time, -jnp.inf)
    for _ in range(before):
        place = jnp.argmax(when, axis=1)
        when = jnp.where(
            jnp.arange(when.shape[1])[None] == place[:, None], -jnp.inf, when
        )
    place = jnp.argmax(when, axis=1)[:, None]
    found = jnp.take_along_axis(value, place, axis=1)[:, 0]
    there = jnp.take_along_axis(when, place, axis=1)[:, 0] > -jnp.inf
    return jnp.where(there, found, jnp.nan)


def _days(
    held: Bool[Array, "subject place"],
    known: Bool[Array, "subject place"],
    time: Float[Array, "subject place"],
    now: Float[Array, " subject"],
    since: Float[Array, " subject"],
) -> Float[Array, " subject"]:
    """Return for how many days something held, each value standing until the next."""
    when = jnp.where(known, time, jnp.inf)
    order = jnp.argsort(when, axis=1)
    when = jnp.take_along_axis(when, order, axis=1)
    held = jnp.take_along_axis(held & known, order, axis=1)
    end = jnp.concatenate([when[:, 1:], jnp.full((len(when), 1), jnp.inf)], axis=1)
    end = jnp.minimum(end, now[:, None])
    begin = jnp.maximum(when, since[:, None])
    length = jnp.where(held, jnp.maximum(end - begin, 0.0), 0.0)
    return jnp.sum(length, axis=1) / HOURS_PER_DAY

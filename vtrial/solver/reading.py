"""Observe between ticks: which observations there are, what they see, and solving.

All that is asked here is of one part of a stage, from where subjects stand up to a
tick or an event.
"""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from vtrial.dosing.doses import Doses, Times
from vtrial.dosing.schedule import FINEST
from vtrial.solver.key_parts import key_parts
from vtrial.solver.method import after_dose
from vtrial.solver.standing import (
    Course,
    Standing,
    Values,
    still_values,
    values_of,
)
from vtrial.solver.trajectory import Trajectory
from vtrial.types import Status

Outputs = dict[str, Float[Array, "subject time"]]
Time = Float[Array, " subject"]
Chosen = Bool[Array, " subject"]


class Window(NamedTuple):
    """Some observations of each subject: where they stand, and which are meant."""

    times: Times
    place: Int[Array, "subject time"]
    valid: Bool[Array, "subject time"]


def stopped(standing: Standing, stop: Time) -> Standing:
    """Fail whoever had too many events to reach a time."""
    state = standing.state
    stuck = is_short(standing, stop)
    status = jnp.where(stuck, int(Status.STEP_LIMIT), state.status)
    time = jnp.maximum(stop, state.time)
    return standing._replace(state=state._replace(status=status, time=time))


def is_short(standing: Standing, stop: Time) -> Chosen:
    """Return who has not reached a time, and still can."""
    state = standing.state
    return (stop - state.time > FINEST) & (state.status == Status.SOLVED)


def window_of(course: Course, begin: Time, end: Time) -> Window:
    """Take the observations from a time on, up to another."""
    time, width = course.times.time, course.widths[1]
    first = jnp.sum(time < begin[:, None] - FINEST, axis=1)
    place = first[:, None] + jnp.arange(width)[None]
    there = place < time.shape[1]
    place = jnp.minimum(place, max(time.shape[1] - 1, 0))
    found = jax.tree.map(lambda value: _rows(value, place), course.times)
    valid = there & jnp.isfinite(found.time)
    valid &= (found.time > begin[:, None] - FINEST) & (
        found.time < end[:, None] - FINEST
    )
    return Window(found, place, valid)


def _rows(value: Array, place: Int[Array, "subject time"]) -> Array:
    """Take each subject's places of values that may be shared."""
    if value.shape[0] == 1:
        return jnp.take(value[0], place, axis=0)
    return jnp.take_along_axis(value, place, axis=1)


def only(window: Window) -> Times:
    """Return the times that are meant; others never come."""
    time = jnp.where(window.valid, window.times.time, jnp.inf)
    return window.times._replace(time=time)


def entered(outputs: Outputs, window: Window, found: Values) -> Outputs:
    """Enter what was seen in its place."""
    row = jnp.arange(window.place.shape[0])[:, None]
    entered = {}
    for name, whole in outputs.items():
        old = whole[row, window.place]
        new = jnp.where(window.valid, found[name].astype(float), old)
        # Places behind the last are none: the last itself must not be written twice.
        place = jnp.where(window.valid, window.place, whole.shape[1])
        entered[name] = whole.at[row, place].set(new, mode="drop")
    return entered


def computed(course: Course, standing: Standing, times: Times) -> Values:
    """Compute the outputs where only the clock moves, or none does."""
    wide = {k: v[:, None] for k, v in values_of(course, standing).items()}
    state = standing.state
    finite = jnp.where(jnp.isfinite(times.time), times.time, 0.0)
    amounts = [state.amounts[:, i, None] for i in range(len(course.model.states))]
    since = after_dose(finite, state.last_dose[:, None])
    found = course.model.observe(finite, amounts, wide, after_dose=since)
    fine = (state.status == Status.SOLVED)[:, None]
    return {
        name: jnp.where(fine, jnp.broadcast_to(value, finite.shape), jnp.nan)
        for name, value in found.items()
    }


def solved(
    course: Course, standing: Standing, until: Time | None, times: Times
) -> Trajectory:
    """Solve from where subjects stand, up to a time, as between two events."""
    program = replace(course.program, model=course.model.within)
    still = {k: v[:, None] for k, v in still_values(course, standing).items()}
    if course.model.noisy:
        parts = key_parts(course.keys)
        still |= {name: part[:, None] for name, part in parts.items()}
    begin = standing.state.time
    end = course.until if until is None else until
    path = program.solve(
        course.inputs | still,
        _doses_between(course, begin, end),
        times,
        periods=course.periods,
        start=standing.state,
        until=until,
    )
    like = standing.state
    end_ = jax.tree.map(lambda new, old: new.astype(old.dtype), path.end, like)
    return path._replace(end=end_)


def _doses_between(course: Course, begin: Time, end: Time) -> Doses:
    """Take the doses that may matter between two times."""
    doses, width = course.doses, course.widths[0]
    if not course.model.states and doses.amount.shape[1]:
        # Nothing takes them in but a hazard, which is no place for a dose.
        nothing = jnp.zeros_like(doses.amount)
        doses = doses._replace(amount=nothing, rate=nothing)
    if width >= doses.time.shape[1]:
        return doses
    length = jnp.where(
        doses.rate > 0, doses.amount / jnp.where(doses.rate > 0, doses.rate, 1.0), 0.0
    )
    last = lax.cummax(doses.time + length, axis=1)
    first = jnp.sum(last < begin[:, None] - FINEST, axis=1)
    place = first[:, None] + jnp.arange(width)[None]
    there = place < doses.time.shape[1]
    place = jnp.minimum(place, doses.time.shape[1] - 1)
    taken = jax.tree.map(lambda value: _rows(value, place), doses)
    del end
    return taken._replace(time=jnp.where(there, taken.time, jnp.inf))

"""From one tick to the next: compute where nothing moves, or solve."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from vtrial.dosing.doses import BEFORE_DOSE
from vtrial.dosing.schedule import FINEST
from vtrial.model.chance import needs_of, read
from vtrial.model.tree import TIME, TIME_AFTER_DOSE, names_in
from vtrial.solver.locate import solve_on
from vtrial.solver.reading import (
    Outputs,
    computed,
    entered,
    is_short,
    only,
    solved,
    stopped,
    window_of,
)
from vtrial.solver.standing import (
    Course,
    Standing,
    fire,
    may_come,
    settle,
    values_of,
)

Time = Float[Array, " subject"]
Reached = tuple[Standing, Outputs]
MOST_STOPS = 1000  # events of one subject between two ticks


def advance(
    course: Course, standing: Standing, outputs: Outputs, stop: Time
) -> Reached:
    """Go on to a time, with all events in between, and see what is seen before it."""
    if not is_plain(course):
        return solve_on(course, standing, outputs, stop)
    if not course.hazards:
        return _compute(course, standing, outputs, stop)

    def onward(carry: tuple[Reached, Array]) -> tuple[Reached, Array]:
        (standing, outputs), stops = carry
        return _compute(course, standing, outputs, stop), stops + 1

    def unfinished(carry: tuple[Reached, Array]) -> Array:
        (standing, _), stops = carry
        return jnp.any(is_short(standing, stop)) & (stops < MOST_STOPS)

    begun = ((standing, outputs), jnp.zeros((), int))
    (standing, outputs), _ = lax.while_loop(unfinished, onward, begun)
    return stopped(standing, stop), outputs


def read_last(course: Course, standing: Standing, outputs: Outputs) -> Outputs:
    """See what is seen at the end of a stage, before doses at it unless it is open."""
    end = standing.state.time
    window = window_of(course, end, end + 2 * FINEST)
    if not course.is_open:
        valid = window.valid & (window.times.rank <= BEFORE_DOSE)
        window = window._replace(valid=valid)
    if not course.is_open or not course.doses.time.shape[1]:
        return entered(outputs, window, computed(course, standing, window.times))
    # Without an end the stage lasts up to these observations, doses at it included.
    path = solved(course, standing, None, only(window))
    return entered(outputs, window, path.outputs)


def is_plain(course: Course) -> bool:
    """Return whether nothing that matters moves between two ticks or events.

    There are no states then, and neither hazards nor conditions look at a clock.
    """
    model = course.model
    clocks = {TIME, TIME_AFTER_DOSE}
    if model.states or course.periods.shape[1] > 1:
        return False
    if model.structure.uses_after_dose:
        return False
    for event in course.chance.events:
        needs = [event.of, *(s.expression for s in needs_of(event.of, model.moved))]
        if any(n.name in clocks for one in needs for n in names_in(one)):
            return False
    return True


def _compute(
    course: Course, standing: Standing, outputs: Outputs, stop: Time
) -> Reached:
    """Go to the next event by a hazard, or to the end: hazards are constant so far."""
    state = standing.state
    short = is_short(standing, stop)
    values = values_of(course, standing)
    rates, lefts = [], []
    for place in course.hazards:
        rate = read(course.chance.events[place].of, course.model.moved, values)
        rate = jnp.broadcast_to(rate, short.shape).astype(float)
        left = standing.needs[:, place] - state.amounts[:, course.gone(place)]
        rates.append(rate)
        after = jnp.where(rate > 0, left / jnp.where(rate > 0, rate, 1.0), jnp.inf)
        lefts.append(jnp.where(may_come(course, standing, place), after, jnp.inf))
    reach, who = jnp.maximum(stop, state.time), None
    if lefts:
        waits = jnp.stack(lefts, axis=1)
        soonest = state.time + jnp.min(waits, axis=1)
        comes = short & (soonest < reach)
        reach = jnp.where(comes, soonest, reach)
        who = jnp.where(comes, jnp.argmin(waits, axis=1), -1)
    reach = jnp.where(short, reach, jnp.maximum(state.time, stop))
    window = window_of(course, state.time, reach)
    outputs = entered(outputs, window, computed(course, standing, window.times))
    amounts = state.amounts
    for number, place in enumerate(course.hazards):
        gone = course.gone(place)
        more = rates[number] * (reach - state.time)
        amounts = amounts.at[:, gone].add(jnp.where(short, more, 0.0))
    standing = standing._replace(state=state._replace(time=reach, amounts=amounts))
    if who is None:
        return standing, outputs
    for number, place in enumerate(course.hazards):
        standing = fire(course, standing, place, who == number)
    return settle(course, standing, who >= 0), outputs

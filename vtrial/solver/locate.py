"""Stop at events: solve from one tick to the next, and locate what happens between.

A subject goes through phases. In the first it is solved up to the next tick and looked
at `LOOKS` times on the way. If an event has come between two looks, the time between
them is parted in the same way, `ZOOMS` times; the event is where a straight line
between the last two looks says. Then it is solved up to that time, the event happens,
and the first phase begins again. All subjects go side by side, each in its own phase.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from vtrial.dosing.doses import BEFORE_DOSE, Times
from vtrial.dosing.schedule import FINEST
from vtrial.solver.reading import (
    Outputs,
    Window,
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
    come_true,
    fire,
    may_come,
    settle,
)
from vtrial.solver.trajectory import State, Trajectory

LOOKS = 32  # times between two ticks at which an event is looked for
ZOOMS = 2  # how often the time between two looks is parted in the same way
LAST = ZOOMS + 1  # the phase that ends at an event
MOST_SOLVED = 4000  # phases of one subject between two ticks: 1,000 events

Time = Float[Array, " subject"]
Chosen = Bool[Array, " subject"]
Looks = Float[Array, "subject look"]


class Search(NamedTuple):
    """How far the search for each subject's next event is.

    Fields
    ------
    phase
        0 where none is known of; `LAST` where it is located.
    low, high
        [h] Between which times it lies, or may lie.
    reach
        [h] Where it is, in the last phase.
    crossed
        (subject, event) Which have come by `high`, but not by `low`.
    who
        Which it is; -1: none.
    """

    phase: Int[Array, " subject"]
    low: Time
    high: Time
    reach: Time
    crossed: Bool[Array, "subject event"]
    who: Int[Array, " subject"]


def solve_on(
    course: Course, standing: Standing, outputs: Outputs, stop: Time
) -> tuple[Standing, Outputs]:
    """Solve up to a time, with all events before it, and see what is seen before it."""
    stop = jnp.maximum(stop, standing.state.time)
    if not course.chance.events:
        window = window_of(course, standing.state.time, stop)
        path = solved(course, standing, stop, only(window))
        outputs = entered(outputs, window, path.outputs)
        return standing._replace(state=path.end), outputs

    def unfinished(carry: tuple[Standing, Outputs, Search, Array]) -> Array:
        standing, _, _, count = carry
        return jnp.any(is_short(standing, stop)) & (count < MOST_SOLVED)

    def onward(
        carry: tuple[Standing, Outputs, Search, Array],
    ) -> tuple[Standing, Outputs, Search, Array]:
        standing, outputs, search, count = carry
        return (*_one(course, standing, outputs, search, stop), count + 1)

    search = _anew(course, standing, stop)
    begun = (standing, outputs, search, jnp.zeros((), int))
    standing, outputs, _, _ = lax.while_loop(unfinished, onward, begun)
    return stopped(standing, stop), outputs


def _anew(course: Course, standing: Standing, stop: Time) -> Search:
    """Begin the search for a next event."""
    none = jnp.zeros(stop.shape, int)
    crossed = jnp.zeros((course.count, len(course.chance.events)), bool)
    return Search(none, standing.state.time, stop, stop, crossed, none - 1)


def _one(
    course: Course, standing: Standing, outputs: Outputs, search: Search, stop: Time
) -> tuple[Standing, Outputs, Search]:
    """Solve once, and take each subject one phase further."""
    short = is_short(standing, stop)
    last = short & (search.phase == LAST)
    until = jnp.where(last, search.reach, stop)
    window = window_of(course, standing.state.time, until)
    looks = _looks(search)
    path = solved(course, standing, until, _together(only(window), looks))
    gaps = _gaps(course, standing, path, window)
    found = _first(course, standing, search, looks, gaps)
    met = jnp.any(found.crossed, axis=1)
    done = short & (last | ((search.phase == 0) & ~met))
    standing, outputs = _arrive(
        course, (standing, outputs), window, path, until=until, done=done
    )
    for place, event in enumerate(course.chance.events):
        go = fire if event.by == "hazard" else come_true
        standing = go(course, standing, place, last & (search.who == place))
    # A condition may stay behind its zero by a rounding: only who moved is looked at.
    standing = settle(course, standing, done)
    return standing, outputs, _where(done, _anew(course, standing, stop), found)


def _arrive(
    course: Course,
    so_far: tuple[Standing, Outputs],
    window: Window,
    path: Trajectory,
    *,
    until: Time,
    done: Chosen,
) -> tuple[Standing, Outputs]:
    """Take over the state at the end, and what was seen, of those who are done."""
    standing, outputs = so_far
    seen = {k: v[:, : window.place.shape[1]] for k, v in path.outputs.items()}
    window = window._replace(valid=window.valid & done[:, None])
    outputs = entered(outputs, window, seen)
    end: State = _where(done, path.end._replace(time=until), standing.state)
    return standing._replace(state=end), outputs


def _where(chosen: Chosen, one: Any, other: Any) -> Any:
    """Take each subject's part of one or of the other."""

    def choose(a: Array, b: Array) -> Array:
        return jnp.where(chosen.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(choose, one, other)


def _looks(search: Search) -> Looks:
    """Lay times between two evenly, these included."""
    share = jnp.arange(LOOKS + 1)[None] / LOOKS
    return search.low[:, None] + (search.high - search.low)[:, None] * share


def _together(times: Times, looks: Looks) -> Times:
    """Put looks behind observations."""
    rank = jnp.broadcast_to(times.rank, times.time.shape)
    before = jnp.full(looks.shape, BEFORE_DOSE)
    return Times(
        jnp.concatenate([times.time, looks], axis=1),
        jnp.concatenate([rank, before], axis=1),
    )


def _gaps(
    course: Course, standing: Standing, path: Trajectory, window: Window
) -> Float[Array, "subject event look"]:
    """Return how far each event is from coming; from 0 on it comes."""
    width, parts = window.place.shape[1], []
    for place, event in enumerate(course.chance.events):
        if event.by == "hazard":
            gone = path.outputs[event.gone][:, width:]
            parts.append(gone - standing.needs[:, place][:, None])
        else:
            parts.append(path.outputs[event.gap][:, width:])
    return jnp.stack(parts, axis=1)


def _crossings(
    course: Course,
    standing: Standing,
    search: Search,
    gaps: Float[Array, "subject event look"],
) -> Bool[Array, "subject event look"]:
    """Return at which looks an event has come that had not at the one before."""
    level = jnp.where(jnp.isfinite(standing.level), standing.level, 0.0)[..., None]
    known = search.crossed[..., None]
    # At the first look a condition is what it was told to be.
    first = ~jnp.isfinite(standing.level)[..., None] | known
    crossing = (gaps >= 0) & jnp.concatenate([first, gaps[..., :-1] < level], axis=2)
    # What has come by the last look comes, whatever the last bits of another solution.
    crossing = crossing.at[..., -1].set(crossing[..., -1] | known[..., 0])
    places = range(len(course.chance.events))
    may = jnp.stack([may_come(course, standing, p) for p in places], axis=1)
    zooming = (search.phase > 0)[:, None, None]
    return crossing & may[..., None] & (known | ~zooming)


def _first(
    course: Course,
    standing: Standing,
    search: Search,
    looks: Looks,
    gaps: Float[Array, "subject event look"],
) -> Search:
    """Find the first look behind an event, and the one before it."""
    crossing = _crossings(course, standing, search, gaps)
    at = jnp.where(jnp.any(crossing, axis=2), jnp.argmax(crossing, axis=2), LOOKS + 1)
    soonest = jnp.min(at, axis=1)
    behind = jnp.minimum(soonest, LOOKS)
    before = jnp.maximum(behind - 1, 0)

    def look(place: Int[Array, " subject"]) -> Time:
        return jnp.take_along_axis(looks, place[:, None], axis=1)[:, 0]

    def gap(place: Int[Array, " subject"]) -> Float[Array, "subject event"]:
        return jnp.take_along_axis(gaps, place[:, None, None], axis=2)[..., 0]

    found = Search(
        phase=search.phase + 1,
        low=look(before),
        high=look(behind),
        reach=search.reach,
        crossed=(at == soonest[:, None]) & (at <= LOOKS),
        who=search.who,
    )
    share = _share(course, found, gap(before), gap(behind))
    nearest = jnp.min(share, axis=1)
    reach = found.low + (found.high - found.low) * nearest
    reach = jnp.maximum(reach, standing.state.time)
    return found._replace(reach=reach, who=jnp.argmin(share, axis=1))


def _share(
    course: Course,
    found: Search,
    before: Float[Array, "subject event"],
    behind: Float[Array, "subject event"],
) -> Float[Array, "subject event"]:
    """Return where between two looks events come, as a straight line says; others 2."""
    rise = behind - before
    share = jnp.where(rise > 0, -before / jnp.where(rise > 0, rise, 1.0), 1.0)
    time = course.doses.time
    given = (time >= found.low[:, None] - FINEST) & (time <= found.high[:, None])
    # What jumps, as at a dose, is there only behind the jump.
    share = jnp.where(jnp.any(given, axis=1)[:, None], 1.0, jnp.clip(share, 0.0, 1.0))
    share = jnp.where(before >= 0, 0.0, share)
    return jnp.where(found.crossed, share, 2.0)

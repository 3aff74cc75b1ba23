"""Where subjects of a model with chance stand, and what their equations may read."""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jax.export import register_namedtuple_serialization
from jaxtyping import Array, Bool, Float, Int, Key

from vtrial.dosing.doses import Doses, Times
from vtrial.dosing.schedule import FINEST
from vtrial.model import chance as chances
from vtrial.model.chance import Chance, Event, told
from vtrial.model.model import Model
from vtrial.model.positivity import ASSURED
from vtrial.model.tree import TIME, TIME_AFTER_DOSE
from vtrial.solver.method import after_dose
from vtrial.solver.program import Program
from vtrial.solver.trajectory import State
from vtrial.types import Status

Values = dict[str, Array]
Chosen = Bool[Array, " subject"]


class Standing(NamedTuple):
    """Where every subject stands, with all that chance has made of it so far.

    Fields
    ------
    state
        As in a `Trajectory`; behind the model's states stand the integrated hazards
        since an event last came, in the order of the events that have one.
    held
        (subject, held) The held states.
    fired
        (subject, event) How often each event has come.
    times
        (subject, event, time) [h] When; NaN beyond the last, and beyond the most.
    latest
        (subject, event) [h] When last; minus infinity before the first.
    needs
        (subject, event) The integrated hazard at which it comes next; infinite if it
        does not.
    level
        (subject, event) The gap from which on a condition still counts as true;
        infinite where it is false.
    """

    state: State
    held: Float[Array, "subject held"]
    fired: Int[Array, "subject event"]
    times: Float[Array, "subject event time"]
    latest: Float[Array, "subject event"]
    needs: Float[Array, "subject event"]
    level: Float[Array, "subject event"]


register_namedtuple_serialization(Standing, serialized_name="vtrial:Standing")


@dataclass(frozen=True)
class Course:
    """All that stays the same while subjects go from tick to tick; arrays are traced.

    `widths` bounds how many doses, and how many observations, matter between two
    ticks; `until` is the end of the stage, at which the last of them belong to it if it
    is `open`.
    """

    program: Program
    inputs: Values
    individual: Values
    doses: Doses
    times: Times
    periods: Float[Array, "#subject period"]
    keys: Key[Array, " subject"]
    until: Float[Array, " subject"]
    is_open: bool
    widths: tuple[int, int]

    @property
    def model(self) -> Model:
        """The model, with its chance."""
        return self.program.model

    @property
    def chance(self) -> Chance:
        """What is left to chance."""
        assert self.model.chance is not None  # there is no course without
        return self.model.chance

    @property
    def count(self) -> int:
        """The number of subjects."""
        return self.keys.shape[0]

    @property
    def hazards(self) -> list[int]:
        """Places of the events that have a hazard."""
        events = enumerate(self.chance.events)
        return [place for place, event in events if event.by == "hazard"]

    @property
    def conditions(self) -> list[int]:
        """Places of the events that have a condition."""
        events = enumerate(self.chance.events)
        return [place for place, event in events if event.by == "condition"]

    def gone(self, place: int) -> int:
        """Return where the integrated hazard of an event stands among the amounts."""
        return len(self.model.states) + self.hazards.index(place)


def still_values(course: Course, standing: Standing) -> Values:
    """Return held states and what is told of events, (subject) each."""
    chance, values = course.chance, {}
    for place, name in enumerate(chance.held):
        values[name] = standing.held[:, place]
    for place, event in enumerate(chance.events):
        values[told("count", event.name)] = standing.fired[:, place].astype(float)
        values[told("last", event.name)] = standing.latest[:, place] / chance.clock
    return values


def values_of(course: Course, standing: Standing) -> Values:
    """Return all that ticks and events may read, as it stands now, (subject) each."""
    state, count = standing.state, course.count
    column = jnp.zeros((1,), int)
    if course.periods.shape[1] > 1:
        begun = course.periods <= state.time[:, None] + FINEST
        column = jnp.maximum(jnp.sum(begun, axis=1) - 1, 0)

    def now(value: Array) -> Array:
        if value.shape[1] == 1:
            return jnp.broadcast_to(value[:, 0], (count,))
        wide = jnp.broadcast_to(value, (count, value.shape[1]))
        return jnp.take_along_axis(wide, column[:, None], axis=1)[:, 0]

    known = {name: now(value) for name, value in course.individual.items()}
    known |= {n: state.amounts[:, i] for i, n in enumerate(course.model.states)}
    since = after_dose(state.time, state.last_dose)
    known |= {ASSURED: jnp.ones(count), TIME: state.time, TIME_AFTER_DOSE: since}
    return known | still_values(course, standing)


def with_values(
    course: Course, standing: Standing, changed: Values, chosen: Chosen
) -> Standing:
    """Give the chosen subjects new values of held states and states, by name."""
    held, amounts = standing.held, standing.state.amounts
    for name, value in changed.items():
        new = jnp.broadcast_to(value, chosen.shape)
        if name in course.chance.held:
            place = course.chance.held.index(name)
            held = held.at[:, place].set(jnp.where(chosen, new, held[:, place]))
        else:
            place = course.model.states.index(name)
            new = new.astype(amounts.dtype)
            amounts = amounts.at[:, place].set(
                jnp.where(chosen, new, amounts[:, place])
            )
    return standing._replace(held=held, state=standing.state._replace(amounts=amounts))


def fire(course: Course, standing: Standing, place: int, chosen: Chosen) -> Standing:
    """Let an event come to the chosen subjects, with what follows of it."""
    event, state = course.chance.events[place], standing.state
    ordinal = standing.fired[:, place]
    fired = standing.fired.at[:, place].add(chosen.astype(standing.fired.dtype))
    kept = standing.times[:, place]
    here = (jnp.arange(kept.shape[1])[None] == ordinal[:, None]) & chosen[:, None]
    times = jnp.where(here, state.time[:, None], kept)
    latest = jnp.where(chosen, state.time, standing.latest[:, place])
    standing = standing._replace(
        fired=fired,
        times=standing.times.at[:, place].set(times),
        latest=standing.latest.at[:, place].set(latest),
    )
    if event.by == "hazard":
        needs = _next(event, course.keys, fired[:, place])
        needs = jnp.where(chosen, needs, standing.needs[:, place])
        gone = course.gone(place)
        amounts = state.amounts.at[:, gone].set(
            jnp.where(chosen, 0.0, state.amounts[:, gone])
        )
        standing = standing._replace(
            needs=standing.needs.at[:, place].set(needs),
            state=state._replace(amounts=amounts),
        )
    changed = chances.then(event, course.model.moved, values_of(course, standing))
    return with_values(course, standing, changed, chosen)


def _next(
    event: Event, keys: Key[Array, " subject"], ordinal: Int[Array, " subject"]
) -> Float[Array, " subject"]:
    """Return at which integrated hazard the event of an ordinal comes."""
    drawn = chances.threshold(event, keys, ordinal)
    return drawn if event.recurrent else jnp.where(ordinal > 0, jnp.inf, drawn)


def may_come(course: Course, standing: Standing, place: int) -> Chosen:
    """Return for whom an event may still come."""
    fine = standing.state.status == Status.SOLVED
    if course.chance.events[place].recurrent:
        return fine
    return fine & (standing.fired[:, place] == 0)


def come_true(
    course: Course, standing: Standing, place: int, chosen: Chosen
) -> Standing:
    """Let an event with a condition come; note whether it is still true behind it."""
    return _come_true(course, standing, place, chosen, _gap(course, standing, place))


def _come_true(
    course: Course,
    standing: Standing,
    place: int,
    chosen: Chosen,
    before: Float[Array, " subject"],
) -> Standing:
    """Let an event come whose gap is known."""
    standing = fire(course, standing, place, chosen)
    after = _gap(course, standing, place)
    # Whoever fires is a rounding away from true: what moves no further away stays so.
    holds = after >= jnp.minimum(before, 0.0)
    level = jnp.where(holds, jnp.minimum(after, 0.0), jnp.inf)
    level = jnp.where(chosen, level, standing.level[:, place])
    return standing._replace(level=standing.level.at[:, place].set(level))


def settle(course: Course, standing: Standing, active: Chosen) -> Standing:
    """Let all conditions that have turned true come, and what they make true in turn.

    Those that hold at the same time come in the order of the sheet; each event is
    looked at as often as there are events with a condition.
    """

    def look(_: Array, standing: Standing) -> Standing:
        for place in course.conditions:
            gap = _gap(course, standing, place)
            level = standing.level[:, place]
            was = jnp.isfinite(level)
            fell = active & was & (gap < level)
            level = jnp.where(fell, jnp.inf, level)
            standing = standing._replace(level=standing.level.at[:, place].set(level))
            turned = active & ~was & (gap >= 0) & may_come(course, standing, place)
            standing = _come_true(course, standing, place, turned, gap)
        return standing

    if not course.conditions:
        return standing
    return lax.fori_loop(0, len(course.conditions), look, standing)


def _gap(course: Course, standing: Standing, place: int) -> Float[Array, " subject"]:
    """Compute the gap of an event's condition."""
    event = course.chance.events[place]
    values = values_of(course, standing)
    gap = chances.read(event.of, course.model.moved, values)
    return jnp.broadcast_to(gap, (course.count,)).astype(float)


def do_tick(
    course: Course,
    standing: Standing,
    ordinal: Int[Array, " subject"],
    chosen: Chosen,
) -> Standing:
    """Do what is done at a tick, for the chosen subjects."""
    changed = chances.tick(
        course.chance,
        course.model.moved,
        values_of(course, standing),
        keys=course.keys,
        ordinal=ordinal,
    )
    return with_values(course, standing, changed, chosen)


def begun(course: Course, begin: Float[Array, " subject"]) -> Standing:
    """Return where subjects stand at the start, before anything has happened."""
    chance, model, count = course.chance, course.model, course.count
    events, size = len(chance.events), len(model.states) + len(course.hazards)
    none = jnp.zeros((count, events), int)
    state = State(
        time=begin,
        amounts=jnp.zeros((count, size)),
        rates=jnp.zeros((count, size)),
        running=jnp.zeros((count, size), int),
        last_dose=jnp.full((count,), jnp.nan),
        status=jnp.full((count,), int(Status.SOLVED)),
    )
    needs = [
        _next(event, course.keys, none[:, 0])
        if event.by == "hazard"
        else jnp.full((count,), jnp.inf)
        for event in chance.events
    ]
    standing = Standing(
        state=state,
        held=jnp.zeros((count, len(chance.held))),
        fired=none,
        times=jnp.full((count, events, chance.most), jnp.nan),
        latest=jnp.full((count, events), -jnp.inf),
        needs=jnp.stack(needs, axis=1) if needs else jnp.zeros((count, 0)),
        level=jnp.full((count, events), jnp.inf),
    )
    values = values_of(course, standing)
    starts = {
        s.name: chances.read(s.expression, model.moved, values)
        for s in model.structure.initial
        if s.name in (*model.states, *chance.held)
    }
    everybody = jnp.ones((count,), bool)
    return with_values(course, standing, starts, everybody)

"""A batch of lanes, one subject each: from inputs and events to observations."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.export import register_namedtuple_serialization
from jaxtyping import Array, Bool, Float, Int

from vtrial.dosing.doses import Doses, Times
from vtrial.model.positivity import ASSURED
from vtrial.solver.adaptive import AbstractAdaptive
from vtrial.solver.events import EventTable, same, tabulate, take
from vtrial.solver.layout import Layout
from vtrial.solver.method import AbstractMethod, after_dose
from vtrial.solver.past import first_past
from vtrial.solver.scale import assured, tolerances
from vtrial.solver.scan import (
    Counts,
    Individual,
    PostEventState,
    follow,
    follow_changes,
    follow_reading,
    initial_amounts,
    is_below,
    least_peaks,
    watched_states,
    without_noise,
)
from vtrial.solver.trajectory import State
from vtrial.solver.window import windows
from vtrial.solver.xla.kernel import follow_in_kernel
from vtrial.types import Status


class Batch(NamedTuple):
    """Everything that differs between subjects: the first axis is subjects, or 1.

    `start` without a `State`: where the model's initial values hold [h], NaN for the
    first of time 0 and anything that happens.
    """

    inputs: dict[str, Float[Array, "#subject period"]]
    periods: Float[Array, "#subject period"]
    doses: Doses
    times: Times
    begin: Float[Array, "#subject"] | None
    start: State | None
    until: Float[Array, "#subject"] | None


class Solutions(NamedTuple):
    """Outputs, states and statuses of some lanes."""

    outputs: dict[str, Float[Array, "#lane time"]]
    states: Float[Array, "lane time state"] | None
    status: Int[Array, " lane"]
    steps: Int[Array, " lane"]
    end: State


register_namedtuple_serialization(Solutions, serialized_name="vtrial:Seen")
register_namedtuple_serialization(State, serialized_name="vtrial:State")


class _View(NamedTuple):
    """Amounts at the observations; None for states that nothing reads.

    `past` is what the outputs read of the past, in the order of `Model.recalled`.
    """

    amounts: tuple[Float[Array, "#lane time"] | None, ...]
    since: Float[Array, "#lane time"]
    good: Bool[Array, "#lane time"]
    past: tuple[Float[Array, "#lane time"], ...] = ()


def solve_lanes(
    layout: Layout, method: AbstractMethod, batch: Batch, lanes: int
) -> Solutions:
    """Solve some subjects: every array of the batch is (lanes, ...), or (1, ...)."""
    shape = (lanes, batch.periods.shape[1])
    individual = _individual(layout, batch, shape)
    begin = _begin(batch)
    if layout.model.states:
        individual |= _known(layout, individual, batch, begin, shape)
    start = _start(layout, individual, batch, begin, shape)
    table = tabulate(
        layout,
        individual,
        batch.doses,
        batch.times,
        periods=batch.periods,
        begin=begin,
        until=batch.until,
    )
    so_far = start.status
    # A missing input comes before an impossible dose, which may follow from it.
    verdict = jnp.where(so_far == Status.SOLVED, table.verdict, so_far)
    start = start._replace(status=verdict)
    if layout.merged:
        staged = batch.until is not None
        view, end, steps = _in_passing(
            layout, method, individual, table, start, staged=staged
        )
    elif layout.window:
        view, end, steps = _passing_by(
            layout, method, individual, table, start, batch.times
        )
    else:
        column = _column_at(batch.periods, begin)
        shots, running, steps = follow_changes(
            layout, method, individual, table, start, column
        )
        prepared = method.prepare(individual)
        least = least_peaks(layout, individual, start.amounts[:, 0])
        view = _afterwards(
            layout, method, prepared, shots, table, batch.times, least=least
        )
        end = _end_of(method, prepared, shots, table, running)
        end = end._replace(status=_judged(end.status, view, table))
    return Solutions(
        outputs=_outputs(layout, individual, batch.times, table, view),
        states=_states(layout, view),
        status=end.status,
        steps=steps,
        end=end,
    )


def standing_at(layout: Layout, batch: Batch, lanes: int) -> State:
    """Return how lanes stand before anything has happened, without solving."""
    shape = (lanes, batch.periods.shape[1])
    individual = _individual(layout, batch, shape)
    return _start(layout, individual, batch, _begin(batch), shape)


def _individual(layout: Layout, batch: Batch, shape: tuple[int, int]) -> Individual:
    """Return the individual parameters of lanes, in the precision asked for."""
    real = jnp.dtype(f"float{min(layout.numerics.precision, _widest())}")
    given = {k: v.astype(real) for k, v in batch.inputs.items()}
    individual = {
        name: jnp.broadcast_to(value, shape).astype(real)
        for name, value in layout.model.individual(given).items()
    }
    # A model of numbers only: a name that no equation can use.
    return individual or {"": jnp.zeros(shape, real)}


def _known(
    layout: Layout,
    individual: Individual,
    batch: Batch,
    begin: Float[Array, "#lane"],
    shape: tuple[int, int],
) -> Individual:
    """Return whether nonnegativity is assured, and each state's absolute tolerance."""
    model, numerics = layout.model, layout.numerics
    initial = initial_amounts(layout, individual, _column_at(batch.periods, begin))
    real = initial[0].dtype
    sure = assured(model, individual, initial)
    found = {ASSURED: jnp.broadcast_to(sure, shape).astype(real)}
    # Closed forms and exponentials have no tolerances.
    if layout.is_exact:
        return found
    seen = jnp.where(jnp.isfinite(batch.times.time), batch.times.time, -jnp.inf)
    last = jnp.max(seen, axis=1, initial=-jnp.inf)
    horizon = jnp.maximum(last - begin, 0.0)
    sizes = tolerances(model, numerics, individual, batch.doses, horizon)
    return found | {name: value.astype(real) for name, value in sizes.items()}


def _widest() -> int:
    """Return 64, or 32 where JAX may not go beyond."""
    return 8 * jnp.zeros(()).dtype.itemsize


def _missing(batch: Batch) -> Bool[Array, "#lane"]:
    """Find lanes with an input that is not a number, or a dose at no time."""
    missing = jnp.zeros(1, bool)
    begun = batch.periods < jnp.inf
    for value in batch.inputs.values():
        missing = missing | jnp.any(jnp.isnan(value) & begun, axis=1)
    return missing | jnp.any(jnp.isnan(batch.doses.time), axis=1)


def _begin(batch: Batch) -> Float[Array, "#lane"]:
    """Return the stage's start time: its State's, or the earliest of all events."""
    if batch.start is not None:
        return batch.start.time
    doses, seen = batch.doses.time, batch.times.time
    first = jnp.minimum(
        jnp.min(doses, axis=1, initial=jnp.inf), jnp.min(seen, axis=1, initial=jnp.inf)
    )
    first = jnp.where(jnp.isnan(first), 0.0, first)
    if batch.begin is not None:
        return jnp.minimum(batch.begin, first)
    return jnp.minimum(first, 0.0)


def _start(
    layout: Layout,
    individual: dict[str, Float[Array, "lane period"]],
    batch: Batch,
    begin: Float[Array, "#lane"],
    shape: tuple[int, int],
) -> State:
    """Return the State to start from, a row a lane."""
    lanes, size = shape[0], len(layout.model.states)
    real = next(iter(individual.values())).dtype if individual else begin.dtype
    missing = jnp.broadcast_to(_missing(batch), (lanes,))
    failed = jnp.where(missing, int(Status.MISSING_INPUT), int(Status.SOLVED))
    if batch.start is not None:
        before: State = jax.tree.map(
            lambda v: jnp.broadcast_to(v, (lanes, *v.shape[1:])), batch.start
        )
        # Who failed in an earlier stage stays failed, for the first reason.
        status = jnp.where(before.status == Status.SOLVED, failed, before.status)
        return before._replace(
            amounts=before.amounts.astype(real),
            rates=before.rates.astype(real),
            status=status.astype(int),
        )
    column = _column_at(batch.periods, begin)
    initial = initial_amounts(layout, individual, column)
    amounts = jnp.stack(initial, axis=1) if size else jnp.zeros((lanes, 0), real)
    time = jnp.broadcast_to(begin, (lanes,))
    delayed = {delay.state for delay in layout.model.structure.delays}
    kept = [
        v for v, n in zip(initial, layout.model.states, strict=True) if n in delayed
    ]
    return State(
        time=time,
        amounts=amounts,
        rates=jnp.zeros((lanes, size), real),
        running=jnp.zeros((lanes, size), int),
        # NaN before the first dose, where the time after dose is 0.
        last_dose=jnp.full((lanes,), jnp.nan, begin.dtype),
        status=failed,
        past=first_past(kept, time, layout.numerics.past) if kept else None,
    )


def _column_at(
    periods: Float[Array, "#lane period"], time: Float[Array, "#lane"]
) -> Int[Array, "#lane"]:
    """Find the column that holds at, and just after, a time."""
    begun = same(periods) <= same(time)[:, None]
    return jnp.maximum(jnp.sum(begun, axis=1) - 1, 0).astype(int)


def _in_passing(
    layout: Layout,
    method: AbstractMethod,
    individual: dict[str, Float[Array, "lane period"]],
    table: EventTable,
    start: State,
    *,
    staged: bool,
) -> tuple[_View, State, Int[Array, " lane"]]:
    """Solve with observations as events of the table."""
    go = follow_in_kernel if layout.kernel else follow
    shots, end, tried = go(layout, method, individual, table, start)

    def at(value: Array) -> Array:
        return take(value.T, table.seen)

    view = _View(
        amounts=tuple(None if a is None else at(a) for a in shots.amounts),
        since=at(shots.last_dose),
        good=at(shots.fine) & table.shown,
        past=tuple(map(at, shots.past)),
    )
    # Whoever does not say where a stage ends goes on from none.
    return view, end if staged else end._replace(past=None), tried


def _passing_by(
    layout: Layout,
    method: AbstractMethod,
    individual: dict[str, Float[Array, "lane period"]],
    table: EventTable,
    start: State,
    times: Times,
) -> tuple[_View, State, Int[Array, " lane"]]:
    """Solve from event to event, and read observations in between."""
    assert isinstance(method, AbstractAdaptive)  # the layout says so
    asked = windows(table, times, layout.window)
    # More observations than the schedule has room for are told, not dropped.
    crowded = asked.crowded & (start.status == Status.SOLVED)
    status = jnp.where(crowded, int(Status.UNSCHEDULED), start.status)
    start = start._replace(status=status)
    (shots, end, tried), peaks = follow_reading(
        layout, method, individual, table, start, asked.time
    )

    def at(value: Array) -> Array:
        return take(value.reshape(-1, value.shape[2]).T, asked.place)

    amounts = [None if a is None else at(a) for a in shots.amounts]
    good = at(shots.fine) & table.shown
    good, amounts = _without_negative(layout, amounts, peaks, good, times)
    view = _View(tuple(amounts), at(shots.last_dose), good)
    return view, end._replace(status=_judged(end.status, view, table)), tried


def _without_negative(
    layout: Layout,
    amounts: Sequence[Float[Array, "#lane time"] | None],
    peaks: Sequence[Float[Array, " lane"]],
    good: Bool[Array, "#lane time"],
    times: Times,
) -> tuple[Bool[Array, "#lane time"], list[Float[Array, "#lane time"] | None]]:
    """Drop observations from a negative state on; set noise below zero to zero."""
    held = list(amounts)
    for place, peak in zip(watched_states(layout), peaks, strict=True):
        value = held[place]
        if value is None:
            continue
        below = is_below(layout, value, peak[:, None]) & good
        # A subject fails at its first negative value; what was seen before it stands.
        early = jnp.where(below, times.time, jnp.inf)
        failed = jnp.min(early, axis=1, keepdims=True, initial=jnp.inf)
        good &= times.time < failed
        held[place] = without_noise(value, peak[:, None])
    return good, held


def _reach(
    method: AbstractMethod,
    prepared: object,
    shots: "PostEventState",
    place: Int[Array, "#lane time"],
    time: Float[Array, "#lane time"],
) -> "PostEventState":
    """Solve from the last event before each of some times to these times, at once."""
    here: PostEventState = jax.tree.map(lambda value: take(value.T, place), shots)
    column = here.column
    # A single column broadcasts: a gather would copy it to every time.
    held = jax.tree.map(lambda v: v if v.shape[1] == 1 else take(v, column), prepared)
    # Padded times are infinite, and would make derivatives NaN.
    elapsed = jnp.where(jnp.isfinite(time), time - here.time, 0.0)
    real = here.amounts[0].dtype
    elapsed = jnp.maximum(elapsed, 0.0).astype(real)
    start = here.time.astype(real)
    amounts = method.between(held, start, elapsed, here.amounts, here.rates)
    return here._replace(amounts=amounts)


def _afterwards(
    layout: Layout,
    method: AbstractMethod,
    prepared: object,
    shots: PostEventState,
    table: EventTable,
    times: Times,
    *,
    least: Sequence[Float[Array, " lane"]],
) -> _View:
    """Return observations by the closed form, from the states after events."""
    seen = _reach(method, prepared, shots, table.seen, times.time)
    good = (seen.status == Status.SOLVED) & table.shown
    watched = watched_states(layout)
    peaks = [
        jnp.maximum(jnp.max(jnp.abs(shots.amounts[place]), axis=0), some)
        for place, some in zip(watched, least, strict=True)
    ]
    good, amounts = _without_negative(layout, seen.amounts, peaks, good, times)
    return _View(tuple(amounts), seen.last_dose, good)


def _end_of(
    method: AbstractMethod,
    prepared: object,
    shots: PostEventState,
    table: EventTable,
    running: Counts,
) -> State:
    """Solve up to the end of the stage."""
    time = table.end_time[:, None]
    last = _reach(method, prepared, shots, table.end[:, None], time)
    # The stage may end between events, where nothing has looked yet.
    finite = jnp.all(jnp.stack([jnp.isfinite(a) for a in last.amounts]), axis=0)
    solved = last.status == Status.SOLVED
    status = jnp.where(solved & ~finite, int(Status.NON_FINITE), last.status)[:, 0]
    return State(
        time=jnp.broadcast_to(table.end_time, status.shape),
        amounts=jnp.concatenate(last.amounts, axis=1),
        rates=jnp.concatenate(last.rates, axis=1),
        running=jnp.stack(running, axis=1),
        last_dose=last.last_dose[:, 0],
        status=status,
    )


def _judged(
    status: Int[Array, " lane"], view: _View, table: EventTable
) -> Int[Array, " lane"]:
    """Return the statuses, NEGATIVE where observations of a solved lane were lost."""
    lost = jnp.any(table.shown & ~view.good, axis=1) & (status == Status.SOLVED)
    return jnp.where(lost, int(Status.NEGATIVE), status)


def _states(layout: Layout, view: _View) -> Float[Array, "lane time state"] | None:
    """Return the states themselves, if they are kept."""
    if not layout.keep_states:
        return None
    kept = [a for a in view.amounts if a is not None]
    if not kept:
        return jnp.zeros((*view.good.shape, 0))
    return jnp.where(view.good[..., None], jnp.stack(kept, axis=2), jnp.nan)


def _outputs(
    layout: Layout,
    individual: dict[str, Float[Array, "lane period"]],
    times: Times,
    table: EventTable,
    view: _View,
) -> dict[str, Float[Array, "#lane time"]]:
    """Compute every output at the observations; NaN where a lane has failed."""
    shape = view.good.shape
    held = {
        name: value if value.shape[1] == 1 else take(value, table.seen_column)
        for name, value in individual.items()
    }
    held |= {d.name: v for d, v in zip(layout.model.recalled, view.past, strict=True)}
    finite = jnp.where(jnp.isfinite(times.time), times.time, 0.0)
    real = next((a.dtype for a in view.amounts if a is not None), finite.dtype)
    # Stands for states that no output reads: NaN would show if one did.
    nothing = jnp.full((1, 1), jnp.nan, real)
    values = layout.model.observe(
        finite.astype(real),
        tuple(nothing if a is None else a for a in view.amounts),
        held,
        after_dose=after_dose(finite, view.since).astype(real),
    )
    return {
        name: jnp.where(view.good, jnp.broadcast_to(value, shape), jnp.nan)
        for name, value in values.items()
    }

"""Solve a model that leaves something to chance: from tick to tick, event to event.

One scan over ticks, pure under `jit`: between two of them the equations are solved as
in any other stage, or only computed where nothing moves. An event is looked for at
`LOOKS` times of a stage, and located in between; the stage then ends there.
"""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.export import register_namedtuple_serialization
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Key

from vtrial.dosing.doses import Doses, Times
from vtrial.dosing.schedule import FINEST, schedule_of_doses
from vtrial.model.model import Model
from vtrial.program_cache import kept
from vtrial.solver.between_ticks import Outputs, advance, read_last
from vtrial.solver.events import take
from vtrial.solver.program import Program, compile_program
from vtrial.solver.request import laid_out, refuse_doses
from vtrial.solver.standing import Course, Standing, begun, do_tick, settle
from vtrial.solver.trajectory import Trajectory
from vtrial.solver.xla.compiled import MAKERS
from vtrial.types import Numerics, Status

register_namedtuple_serialization(Trajectory, serialized_name="vtrial:Trajectory")


def solve_by_chance(
    program: Program,
    inputs: Mapping[str, ArrayLike],
    doses: Doses,
    times: Times,
    *,
    keys: Key[Array, " subject"],
    ticks: int,
    start: Standing | None = None,
    until: Float[ArrayLike, "*#subject"] | None = None,
    periods: Float[ArrayLike, "#subject period"] | None = None,
    widths: tuple[int, int] | None = None,
) -> tuple[Trajectory, Standing]:
    """Solve a stage of a model with chance, and observe; pure under `jit`.

    Ticks fall at the multiples of `Chance.every` after time 0. What is observed at a
    tick is seen behind it, and behind the events that it brings; doses at it come
    later. A stage holds the ticks after its start, up to its end and that included.

    Parameters
    ----------
    program
        Of the model, by `compile_program`.
    keys
        The subjects' own, of `vtrial.keys.subject_key`.
    ticks
        Parts of the stage between ticks, at most: see `ticks_of`.
    start
        Where an earlier stage ended.
    until
        [h] Where this one ends; None: after the last observation.
    widths
        How many doses, and how many observations, matter between two ticks, at most;
        None: all may. See `widths_of`.

    Returns
    -------
    The Trajectory, and where a next stage begins.

    Raises
    ------
    SolverError
        If an input is missing, or sizes do not fit together.
    """
    model, count = program.model, keys.shape[0]
    batch = laid_out(
        model,
        inputs,
        doses,
        times,
        begin=None,
        periods=periods,
        start=None,
        until=None if until is None else jnp.asarray(until, float),
    )
    seen_at = jax.tree.map(jnp.asarray, batch.times)
    order = jnp.argsort(seen_at.time, axis=1)
    wide = {k: jnp.asarray(v, float) for k, v in batch.inputs.items()}
    seen = jnp.where(jnp.isfinite(batch.times.time), batch.times.time, -jnp.inf)
    first = jnp.minimum(
        jnp.min(batch.times.time, axis=1, initial=jnp.inf),
        jnp.min(batch.doses.time, axis=1, initial=jnp.inf),
    )
    begin = jnp.broadcast_to(jnp.minimum(first, 0.0), (count,))
    begin = begin if start is None else start.state.time
    end = jnp.max(seen, axis=1, initial=-jnp.inf) if until is None else batch.until
    course = Course(
        program=program,
        inputs=wide,
        individual=_individual(model, wide),
        doses=jax.tree.map(jnp.asarray, batch.doses),
        times=jax.tree.map(lambda value: take(value, order), seen_at),
        periods=jnp.asarray(batch.periods),
        keys=keys,
        until=jnp.maximum(jnp.broadcast_to(jnp.asarray(end), (count,)), begin),
        is_open=until is None,
        widths=_bounded(widths, batch.doses, batch.times),
    )
    standing = start
    if standing is None:
        standing = settle(course, begun(course, begin), jnp.ones(count, bool))
    path, standing = _followed(course, standing, ticks)
    back = jnp.argsort(order, axis=1)
    outputs = {name: take(value, back) for name, value in path.outputs.items()}
    return path._replace(time=seen_at.time, outputs=outputs), standing


def _individual(model: Model, wide: dict[str, Array]) -> dict[str, Array]:
    """Return the individual parameters, (subject, period) each."""
    found = model.individual(wide)
    return {k: v if v.ndim == 2 else v.reshape(1, 1) for k, v in found.items()}


def _bounded(
    widths: tuple[int, int] | None, doses: Doses, times: Times
) -> tuple[int, int]:
    """Return how many doses and observations a part of a stage may hold."""
    all_ = (doses.time.shape[1], times.time.shape[1])
    if widths is None:
        return all_
    return min(widths[0], all_[0]), min(widths[1], all_[1])


def _followed(
    course: Course, standing: Standing, ticks: int
) -> tuple[Trajectory, Standing]:
    """Scan over the parts of a stage."""
    shape = (course.count, course.times.time.shape[1])
    blank: Outputs = {
        name: jnp.full(shape, jnp.nan) for name, _ in course.model.observed
    }

    def part(
        carry: tuple[Standing, Outputs], _: None
    ) -> tuple[tuple[Standing, Outputs], None]:
        standing, outputs = carry
        stop, ordinal, is_tick = _part_end(course, standing)
        active = stop > standing.state.time + FINEST
        standing, outputs = advance(course, standing, outputs, stop)
        if course.chance.steps:
            standing = do_tick(course, standing, ordinal, active & is_tick)
        standing = settle(course, standing, active)
        return (standing, outputs), None

    (standing, outputs), _ = lax.scan(part, (standing, blank), None, length=ticks)
    late = course.until - standing.state.time > FINEST
    status = standing.state.status
    # More ticks than there was room for are told, not dropped.
    status = jnp.where(
        late & (status == Status.SOLVED), int(Status.UNSCHEDULED), status
    )
    standing = standing._replace(state=standing.state._replace(status=status))
    outputs = read_last(course, standing, outputs)
    fine = standing.state.status
    none = jnp.zeros_like(fine)
    path = Trajectory(
        course.times.time, outputs, None, fine, none, none, standing.state
    )
    return path, standing


def next_tick(
    every: float, time: Float[Array, "*any"]
) -> tuple[Int[Array, "*any"], Float[Array, "*any"]]:
    """Return the ordinal of the tick behind a time [h], and when it is [h]."""
    ordinal = jnp.floor((time + FINEST) / every).astype(int) + 1
    ordinal = jnp.maximum(ordinal, 1)
    return ordinal, ordinal.astype(float) * every


def _part_end(
    course: Course, standing: Standing
) -> tuple[Float[Array, " subject"], Array, Bool[Array, " subject"]]:
    """Return where this part ends, the ordinal of the next tick, and whether it is."""
    time, every = standing.state.time, course.chance.every
    if not every:
        none = jnp.zeros(time.shape, int)
        return course.until, none, none > 0
    ordinal, due = next_tick(every, time)
    is_tick = due <= course.until + FINEST
    return jnp.where(is_tick, due, course.until), ordinal, is_tick


def ticks_of(model: Model, begin: float, until: float) -> int:
    """Return how many parts a stage has between two times [h]."""
    every = model.chance.every if model.chance else 0.0
    if not every:
        return 1
    return max(int(np.ceil((until - begin) / every - 1e-9)), 0) + 1


def widths_of(model: Model, doses: Doses, times: Times) -> tuple[int, int]:
    """Return how many doses and observations matter between two ticks, at most.

    The arrays must be no tracers. Steady states and resets reach any way back, and a
    model may delay or stretch what is given: all doses are looked at then.
    """
    assert model.chance is not None  # it is asked of models with chance
    every = model.chance.every
    given, seen = np.asarray(doses.time), np.asarray(times.time)
    if not every:
        return given.shape[1], seen.shape[1]
    sorted_ = np.sort(seen, axis=1)
    observed = _most(sorted_, sorted_, every)
    schedule = schedule_of_doses(doses)
    infused = np.asarray(doses.rate) != 0
    moves = any(s.kind != "F" or infused.any() for s in model.structure.properties)
    if schedule.steady or schedule.resets or moves:
        return given.shape[1], observed
    rate = np.where(infused, doses.rate, 1.0)
    lasts = np.where(infused, np.asarray(doses.amount) / rate, 0.0)
    return _most(given, given + lasts, every), observed


def _most(begin: np.ndarray, end: np.ndarray, every: float) -> int:
    """Count what may reach into the same part between ticks, its ends included.

    Rows are sorted by `begin`; they are laid one after another on one axis of time.
    """
    begin, end = np.broadcast_arrays(begin, end)
    real = np.isfinite(begin)
    if not real.any():
        return 1
    low, slack = begin[real].min(), 1e-4 * every
    high = end[np.isfinite(end)].max() + every
    begin, end = np.minimum(begin, high + every), np.minimum(end, high + every)
    edges = every * np.arange(np.floor(low / every) - 1, np.ceil(high / every) + 1)
    row = (high - low + 8 * every) * np.arange(begin.shape[0])[:, None]
    last = (np.maximum.accumulate(end, axis=1) + row).ravel()
    first = np.searchsorted(last, (edges - slack + row).ravel())
    until = np.searchsorted(
        (begin + row).ravel(), (edges + every + slack + row).ravel()
    )
    most = max(int((until - first).max()), 1)
    return 1 << (most - 1).bit_length()  # so that blocks hardly ever differ in it


def simulate_by_chance(
    model: Model,
    inputs: Mapping[str, ArrayLike],
    doses: Doses,
    times: Times,
    *,
    keys: Key[Array, " subject"],
    periods: Float[ArrayLike, "#subject period"] | None = None,
    numerics: Numerics = Numerics(),  # noqa: B008 (frozen)
) -> Trajectory:
    """Simulate a model with chance for every subject, whose keys are given.

    Raises
    ------
    SolverError
        If an input is missing, sizes do not fit together, or a dose asks for what the
        model does not say.
    """
    batch = laid_out(
        model,
        inputs,
        doses,
        times,
        begin=None,
        periods=periods,
        start=None,
        until=None,
    )
    refuse_doses(model, batch)
    program = compile_program(model, schedule_of_doses(batch.doses), numerics)
    seen = np.asarray(batch.times.time)
    given = np.asarray(batch.doses.time)
    first = min(np.min(seen, initial=0.0), np.min(given, initial=0.0))
    last = np.max(seen[np.isfinite(seen)], initial=0.0)
    return _compiled(
        program,
        ticks_of(model, float(first), float(last)),
        widths_of(model, batch.doses, batch.times),
        {name: jnp.asarray(value) for name, value in batch.inputs.items()},
        jax.tree.map(jnp.asarray, batch.doses),
        jax.tree.map(jnp.asarray, batch.times),
        keys,
        jnp.asarray(batch.periods),
    )


# Not as other programs of the solver: XLA's fusion of several outputs fails on it.
@functools.partial(kept, static=3, makers=MAKERS)
def _compiled(
    program: Program,
    ticks: int,
    widths: tuple[int, int],
    inputs: dict[str, Array],
    doses: Doses,
    times: Times,
    keys: Key[Array, " subject"],
    periods: Float[Array, "#subject period"],
) -> Trajectory:
    """Solve all of a simulation in one call."""
    path, _ = solve_by_chance(
        program,
        inputs,
        doses,
        times,
        keys=keys,
        ticks=ticks,
        periods=periods,
        widths=widths,
    )
    return path

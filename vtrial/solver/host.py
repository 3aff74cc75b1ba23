"""The verb: from a model, inputs, doses and times to a Trajectory.

What values decide is decided here, before anything is compiled: which kinds of events
there are, by which method each subject is solved, on how many cores, and who is solved
again by another method. What is compiled is a `Program`.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Key

from vtrial.dosing.doses import Doses, Times
from vtrial.dosing.schedule import ANYTHING, Schedule, between, schedule_of_doses
from vtrial.errors import SolverError
from vtrial.keys import subject_key
from vtrial.model.model import Model
from vtrial.solver.by_chance import simulate_by_chance
from vtrial.solver.by_flow import simulate_flow
from vtrial.solver.choice import choose_under
from vtrial.solver.fallback import failed_rows, next_methods
from vtrial.solver.grouping import parted
from vtrial.solver.lanes import Batch, Solutions
from vtrial.solver.method import AbstractMethod
from vtrial.solver.methods import METHODS
from vtrial.solver.program import (
    Program,
    bucket,
    compile_program,
    count_of,
    trajectory_of,
    widened,
)
from vtrial.solver.request import laid_out, overlaps_of, refuse_doses
from vtrial.solver.spread import cut, solve_parts, threads
from vtrial.solver.trajectory import State, Trajectory
from vtrial.solver.window import is_of_use, least_between
from vtrial.solver.xla.kernel import is_wanted
from vtrial.types import Method, Numerics, Status

Solve = Callable[[Method | None, Batch, int], Solutions]


def simulate(
    model: Model,
    inputs: Mapping[str, ArrayLike],
    doses: Doses,
    times: Times,
    *,
    periods: Float[ArrayLike, "#subject period"] | None = None,
    numerics: Numerics = Numerics(),  # noqa: B008 (frozen)
    start: State | None = None,
    until: Float[ArrayLike, "*#subject"] | None = None,
    keep_states: bool = False,
    real: int | None = None,
    seed: int | None = None,
) -> Trajectory:
    """Solve a model for every subject, and observe it.

    Whatever differs between subjects has them along its first axis, in the same
    number; what is shared has one row. A subject whose solution fails is data: see
    `Trajectory.status`.

    Parameters
    ----------
    inputs
        Every parameter, covariate and random effect of `model.inputs` by name, in the
        model's units: one number, (subject), or (subject, period). Other names are
        left alone.
    doses, times
        What is given and when is looked, in hours; the same doses at every stage.
    periods
        [h] When each column of the inputs begins to hold, (subject or 1, period),
        ascending, the first -inf.
    start
        Where an earlier stage ended. Doses that act before its time are past; those
        at it are still to be given.
    until
        [h] Where this stage ends: doses at it, and observations after doses at it,
        belong to the next. None: after the last observation.
    keep_states
        Whether the states are kept, too.
    real
        Only so many subjects are solved, the first ones. Those behind them are there
        so that numbers of subjects which differ compile nothing: what is returned for
        them means nothing.
    seed
        Of what the model leaves to chance; each subject draws by its number.

    Raises
    ------
    SolverError
        If an input is missing, sizes do not fit together, a dose asks for what the
        model does not say, a model with chance has no seed, or the method cannot solve
        the model. Nothing has been compiled then.

    Notes
    -----
    The initial values hold at time 0, or at the first dose or observation if that is
    earlier. Under `jax.jit` nothing is known of the doses, and any kind of them is
    compiled for: a `Program` is told beforehand, and is faster there.
    """
    if model.chance is not None or model.flow is not None:
        if seed is None or start is not None or until is not None or keep_states:
            raise _without_seed(model)
        keys = _keys(seed, inputs, doses, times)
        if model.flow is not None:
            return simulate_flow(
                model, inputs, doses, times, keys=keys, periods=periods
            )
        return simulate_by_chance(
            model,
            inputs,
            doses,
            times,
            keys=keys,
            periods=periods,
            numerics=numerics,
        )
    return simulate_from(
        model,
        inputs,
        doses,
        times,
        periods=periods,
        numerics=numerics,
        start=start,
        until=until,
        keep_states=keep_states,
        real=real,
    )


def simulate_from(
    model: Model,
    inputs: Mapping[str, ArrayLike],
    doses: Doses,
    times: Times,
    *,
    numerics: Numerics,
    keep_states: bool,
    begin: Float[ArrayLike, "*#subject"] | None = None,
    real: int | None = None,
    **how: Any,
) -> Trajectory:
    """Simulate, with initial values that hold at `begin` [h] instead of time 0."""
    if model.chance is not None or model.flow is not None:
        raise _without_seed(model)
    batch = laid_out(model, inputs, doses, times, begin=begin, **how)
    make = functools.partial(
        compile_program,
        model,
        numerics=numerics,
        keep_states=keep_states,
        kernel=is_wanted(),
    )
    if _is_traced(batch):
        given = batch.doses
        kinds = (given.event, given.steady, given.rate, given.compartment)
        schedule = ANYTHING if _is_traced(kinds) else schedule_of_doses(given)
        program = make(schedule)
        return program.solve(inputs, doses, times, begin=begin, **how)
    refuse_doses(model, batch)
    schedule = schedule_of_doses(batch.doses)
    if schedule.steady:
        schedule = replace(schedule, overlaps=overlaps_of(model, batch))
    choice = choose_under(model, schedule, numerics)
    room = count_of(batch)
    if real is not None and real < room:
        batch = _part(batch, slice(0, real))

    def solve(method: Method | None, batch: Batch, room: int) -> Solutions:
        way = METHODS[method or "algebra"](model, numerics)
        parts = _looked_at(way, schedule, batch)
        solved = [
            _solve_spread(make(part, method=method), _part(batch, rows), room)
            for part, rows in parts
        ]
        return _joined(solved, [rows for _, rows in parts])

    parts = parted(model, choice, batch.inputs)
    solved = [
        _solve_again(model, solve, method, _part(batch, rows), room)
        for method, rows in parts
    ]
    whole = _joined(solved, [rows for _, rows in parts])
    if count_of(batch) > 1:
        whole = jax.tree.map(functools.partial(_padded, to=room), whole)
    whole = jax.tree.map(functools.partial(jax.device_put, may_alias=True), whole)
    return trajectory_of(whole[0], jnp.asarray(times.time, float), whole[1])


def _without_seed(model: Model) -> SolverError:
    return SolverError(
        at=model.name,
        found="left to chance between visits, which is drawn by a subject's key",
        allowed="simulated in a trial, or from its start with a seed; "
        "`vtrial.solver.by_chance.solve_by_chance` goes by stages",
        write="simulate(..., seed=0)",
    )


def _keys(
    seed: int, inputs: Mapping[str, ArrayLike], doses: Doses, times: Times
) -> Key[Array, " subject"]:
    """Return the keys of subjects by their number, of replicate 0."""
    shapes = [np.shape(value) for value in inputs.values()]
    rows = [shape[0] for shape in shapes if shape]
    count = max([*rows, doses.time.shape[0], times.time.shape[0]])
    return jax.vmap(functools.partial(subject_key, seed, 0))(jnp.arange(count))


def _looked_at(
    way: AbstractMethod, schedule: Schedule, batch: Batch
) -> list[tuple[Schedule, np.ndarray | None]]:
    """Split subjects by how their observations are read; None stands for all.

    It goes by each subject's own times, so that no company changes an answer.
    """
    doses, times = batch.doses, batch.times
    if not is_of_use(way, doses.time.shape[1], times.time.shape[1]):
        return [(schedule, None)]
    found = between(doses, times)
    # By subject, or company would change an answer within the tolerance.
    rich = found >= least_between(way)
    if rich.all() or not rich.any():
        return [(replace(schedule, between=int(found.max(initial=0))), None)]
    return [
        (replace(schedule, between=int(found[rows].max())), rows)
        for rows in (np.flatnonzero(~rich), np.flatnonzero(rich))
    ]


def _is_traced(tree: Any) -> bool:
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(tree))


def _solve_again(
    model: Model, solve: Solve, method: Method | None, batch: Batch, room: int
) -> tuple[Solutions, Any]:
    """Solve a batch; solve failed subjects again by the next methods, on their own.

    Returns by which, too.
    """
    seen = solve(method, batch, room)
    fallback = np.zeros(seen.status.shape, seen.status.dtype)  # compiles nothing
    if method is None:
        return seen, fallback
    rows = failed_rows(np.asarray(seen.status))
    settling = bool((np.asarray(batch.doses.steady) > 0).any())
    for number, other in next_methods(model, method, settling=settling):
        if not rows.size:
            break
        again = solve(other, _part(batch, rows), rows.size)
        good = np.asarray(again.status) == Status.SOLVED
        here, places = rows[good], np.flatnonzero(good)
        if here.size:
            seen = jax.tree.map(lambda a, b: a.at[here].set(b[places]), seen, again)  # noqa: B023 (used at once)
            fallback[here] = number
        rows = rows[~good]
    return seen, fallback


def _joined(parts: Sequence[Any], rows: Sequence[Any]) -> Any:
    """Put subjects back in their order."""
    if len(parts) == 1:
        return parts[0]
    order = np.argsort(np.concatenate(rows))

    def join(*leaves: Any) -> Any:
        if jax.default_backend() != "cpu":
            return jnp.take(jnp.concatenate(leaves), order, axis=0)
        return np.concatenate(leaves)[order]  # compiles nothing

    return jax.tree.map(join, *parts)


def _solve_spread(program: Program, batch: Batch, room: int) -> Solutions:
    """Solve a batch on as many cores as pay off.

    What is compiled holds `room` subjects, and depends on nothing else of their number.
    """
    leaves, count = jax.tree.leaves(batch), count_of(batch)
    sizes, layout = program.sizes(batch), program.layout(batch)
    rows, length = [(0, count)], room if count > 1 else 1
    observed, given = batch.times.time.shape[1], batch.doses.time.shape[1]
    bound = layout.is_exact and observed > given  # by memory, which cores share
    alone = bound or jax.default_backend() != "cpu"
    # Few subjects, or a bound by memory bandwidth, are not worth a thread each.
    if length > 2 * sizes[-1] and not alone:
        rows = cut(count, threads(), sizes[-1])
        length = cut(length, threads(), sizes[-1])[0][1]
    solve = functools.partial(_solve_padded, program, room=length)
    if len(rows) == 1:
        return solve(batch)
    parts = [_part(batch, slice(*ends)) for ends in rows]
    shapes = tuple(leaf.shape[1:] for leaf in leaves)
    known = (layout, bucket(length, sizes), shapes)
    return solve_parts(solve, parts, rows, known)


def _part(batch: Batch, rows: slice | np.ndarray | None) -> Batch:
    """Take some rows; None stands for all.

    On processors NumPy takes them, which compiles nothing for each number of rows.
    """
    if rows is None:
        return batch
    near = jax.default_backend() == "cpu"

    def take(leaf: Any) -> Any:
        if leaf.shape[0] == 1:
            return leaf
        return np.asarray(leaf)[rows] if near else leaf[rows]

    return jax.tree.map(take, batch)


def _solve_padded(program: Program, batch: Batch, *, room: int) -> Solutions:
    """Solve a batch in as many chunks as hold `room` subjects."""
    count = count_of(batch)
    lanes, chunks = bucket(room, program.sizes(batch))
    padded = jax.tree.map(functools.partial(_padded, to=lanes * chunks), batch)
    seen = program.run(padded, np.asarray([count]))
    return jax.tree.map(functools.partial(_first, count=count), seen)


def _padded(value: Any, *, to: int) -> Any:
    """Repeat the last subject until a bucket is full, where the value is."""
    count = value.shape[0]
    if count in (1, to):
        return value
    if jax.default_backend() != "cpu":
        return widened(value, to=to)
    full, held = np.empty((to, *value.shape[1:]), value.dtype), np.asarray(value)
    full[:count], full[count:] = held, held[-1]
    return full


def _first(value: Array, count: int) -> Array:
    """Take the first subjects; where the host holds them, without a copy."""
    if value.shape[0] == count:
        return value
    if jax.default_backend() != "cpu":
        return value[:count]
    return jax.device_put(np.asarray(value)[:count], may_alias=True)

"""The verb: from a model, inputs, doses and times to a Trajectory."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Int

from vtrial.dosing.doses import RESET, RESET_DOSE, Doses, Times
from vtrial.model.model import Model
from vtrial.solver.choice import choose
from vtrial.solver.compiled import compiled
from vtrial.solver.fallback import failed_rows, next_methods
from vtrial.solver.grouping import order_by_cost, parted, reorder
from vtrial.solver.kernel import is_wanted
from vtrial.solver.lanes import Batch, Seen, solve_lanes
from vtrial.solver.layout import Layout
from vtrial.solver.method import AbstractMethod
from vtrial.solver.methods import METHODS
from vtrial.solver.request import checked, overlaps_of
from vtrial.solver.sensitivity import differentiable
from vtrial.solver.spread import cut, solve_parts, threads
from vtrial.solver.trajectory import State, Trajectory
from vtrial.solver.window import width_of
from vtrial.types import Method, Numerics, Status

EXACT = ("algebra", "closed form")  # no loop of unknown length
LANES = (16, 64)  # side by side; more subjects come in chunks of the last
WIDE = (16, 64, 256)  # the same, for closed forms and a schedule that all share
DEVICE = (64, 4096, 65_536)  # the same, where there are thousands of processors
FINE = 8  # numbers of chunks that are compiled between a power of two and the next


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

    Raises
    ------
    SolverError
        If an input is missing, sizes do not fit together, a dose asks for what the
        model does not say, or the method cannot solve the model. Nothing has been
        compiled then.

    Notes
    -----
    The initial values hold at time 0, or at the first dose or observation if that is
    earlier. May be called under `jax.jit`; it is compiled once for each model and
    shape in any case.
    """
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
    )


def simulate_from(
    model: Model,
    inputs: Mapping[str, ArrayLike],
    doses: Doses,
    times: Times,
    *,
    begin: Float[ArrayLike, "*#subject"] | None = None,
    **how: Any,
) -> Trajectory:
    """Simulate, with initial values that hold at `begin` [h] instead of time 0."""
    numerics, keep_states = how.pop("numerics"), how.pop("keep_states")
    choice = choose(model, numerics)
    batch = checked(model, inputs, doses, times, begin=begin, **how)
    if _has_no_closed_form(model, batch.doses) and numerics.method == "auto":
        name: Method = "hybrid explicit" if model.structure.driver else "explicit"
        choice = choice._replace(method=name)
    parts = parted(model, choice, batch.inputs)
    solve = functools.partial(_solve_by, model, numerics, keep_states=keep_states)
    solved = [
        _solve_again(
            model, solve, method, batch if rows is None else _part(batch, rows)
        )
        for method, rows in parts
    ]
    rows = [rows for _, rows in parts]
    seen, fallback = solved[0] if len(solved) == 1 else _joined(solved, rows)
    return Trajectory(
        time=jnp.asarray(times.time, float),
        outputs=seen.outputs,
        states=seen.states,
        status=seen.status,
        steps=seen.steps,
        fallback=fallback,
        end=seen.end,
    )


def _solve_by(
    model: Model,
    numerics: Numerics,
    method: Method | None,
    batch: Batch,
    *,
    keep_states: bool,
) -> Seen:
    """Solve a batch by a method."""
    layout = _layout(model, method or "algebra", numerics, batch, keep_states)
    return _solve_spread(layout, batch)


def _solve_again(
    model: Model,
    solve: Callable[[Method | None, Batch], Seen],
    method: Method | None,
    batch: Batch,
) -> tuple[Seen, Array]:
    """Solve a batch; who fails, by the next methods, as if by themselves.

    Returns by which, too. Where the request is traced it is not known who fails, and
    all is left as it is.
    """
    seen = solve(method, batch)
    fallback = jnp.zeros_like(seen.status)
    traced = any(isinstance(v, Tracer) for v in jax.tree.leaves((batch, seen)))
    if method is None or traced:
        return seen, fallback
    rows = failed_rows(np.asarray(seen.status))
    settling = bool((np.asarray(batch.doses.steady) > 0).any())
    for number, other in next_methods(model, method, settling=settling):
        if not rows.size:
            break
        again = solve(other, _part(batch, rows))
        good = np.asarray(again.status) == Status.SOLVED
        here, places = rows[good], np.flatnonzero(good)
        if here.size:
            seen = jax.tree.map(lambda a, b: a.at[here].set(b[places]), seen, again)  # noqa: B023 (used at once)
            fallback = fallback.at[here].set(number)
        rows = rows[~good]
    return seen, fallback


def _joined(parts: Sequence[Any], rows: Sequence[Any]) -> Any:
    """Put subjects back in their order."""
    order = np.argsort(np.concatenate(rows))

    def join(*leaves: Array) -> Array:
        return jnp.take(jnp.concatenate(leaves), order, axis=0)

    return jax.tree.map(join, *parts)


def bucket(count: int, sizes: tuple[int, ...] = LANES) -> tuple[int, int]:
    """Return how many lanes and chunks hold a number of subjects.

    Examples
    --------
    >>> bucket(5), bucket(64), bucket(527), bucket(10_000)
    ((16, 1), (64, 1), (64, 9), (64, 160))
    """
    lanes = next((size for size in sizes if count <= size), sizes[-1])
    needed = -(-count // lanes)
    grain = max(1, (1 << needed.bit_length()) // (2 * FINE))
    return lanes, -(-needed // grain) * grain


def _solve_spread(layout: Layout, batch: Batch) -> Seen:
    """Solve a batch on as many cores as there are and are worth it."""
    leaves, count = jax.tree.leaves(batch), _count(batch)
    sizes = _sizes(layout, batch)
    rows = [(0, count)]
    traced = any(isinstance(leaf, Tracer) for leaf in leaves)
    observed, given = batch.times.time.shape[1], batch.doses.time.shape[1]
    bound = layout.is_exact and observed > given  # by memory, which cores share
    alone = traced or bound or jax.default_backend() != "cpu"
    if count > 2 * sizes[-1] and not alone:
        rows = cut(count, threads(), sizes[-1])
    if len(rows) == 1:
        return _solve_batch(layout, batch)
    parts = [_part(batch, slice(*ends)) for ends in rows]
    shapes = tuple(leaf.shape[1:] for leaf in leaves)
    program = (layout, bucket(rows[0][1], sizes), shapes)
    return solve_parts(functools.partial(_solve_batch, layout), parts, rows, program)


def _part(batch: Batch, rows: slice | np.ndarray) -> Batch:
    return jax.tree.map(lambda leaf: leaf if leaf.shape[0] == 1 else leaf[rows], batch)


def _solve_batch(layout: Layout, batch: Batch) -> Seen:
    """Solve a batch in a number of chunks for which there may be a program."""
    count = _count(batch)
    lanes, chunks = bucket(count, _sizes(layout, batch))
    padded = jax.tree.map(functools.partial(_padded, to=lanes * chunks), batch)
    seen = _solver(layout, lanes, chunks)((padded, np.asarray([count])))
    return jax.tree.map(functools.partial(_first, count=count), seen)


def _sizes(layout: Layout, batch: Batch) -> tuple[int, ...]:
    """Say how many lanes may go side by side."""
    if jax.default_backend() != "cpu":
        return DEVICE
    shared = batch.doses.time.shape[0] == batch.times.time.shape[0] == 1
    return WIDE if shared and layout.is_exact else LANES


def _count(batch: Batch) -> int:
    return max(leaf.shape[0] for leaf in jax.tree.leaves(batch))


def _padded(value: Any, *, to: int) -> Any:
    """Repeat the last subject until a bucket is full; what is shared stays one row."""
    count = value.shape[0]
    if count in (1, to):
        return value
    if not isinstance(value, np.ndarray):
        widths = [(0, to - count)] + [(0, 0)] * (value.ndim - 1)
        return jnp.pad(value, widths, mode="edge")
    full = np.empty((to, *value.shape[1:]), value.dtype)
    full[:count], full[count:] = value, value[-1]
    return full


def _first(value: Array, count: int) -> Array:
    """Take the first subjects; where the host holds them, without a copy."""
    if value.shape[0] == count:
        return value
    if isinstance(value, Tracer) or jax.default_backend() != "cpu":
        return value[:count]
    return jax.device_put(np.asarray(value)[:count], may_alias=True)


def _has_no_closed_form(model: Model, doses: Doses) -> bool:
    """Say whether something is infused into a state that grows by its own size."""
    growth = [one.state for one in model.structure.growth if one.is_relative]
    if not growth or any(isinstance(value, Tracer) for value in doses):
        return False
    places = [model.states.index(name) for name in growth]
    into, rate = np.asarray(doses.compartment), np.asarray(doses.rate)
    return bool((np.isin(into, places) & (rate != 0)).any())


def _layout(
    model: Model, method: str, numerics: Numerics, batch: Batch, keep_states: bool
) -> Layout:
    """Find out what is compiled: kinds of events, and how is observed."""
    layout = _events(model, method, numerics, batch, keep_states)
    layout = replace(layout, kernel=is_wanted(layout))
    window = width_of(layout, batch.doses, batch.times)
    return replace(layout, merged=False, window=window) if window else layout


def _events(
    model: Model, method: str, numerics: Numerics, batch: Batch, keep_states: bool
) -> Layout:
    """Find out which kinds of events there are; any, where doses are traced."""
    doses = batch.doses
    whole = (doses.event, doses.steady, doses.rate)
    kinds = {s.kind for s in model.structure.properties}
    if not model.states:
        return Layout(model, method, numerics, True, True, False, False, False, 0)
    merged = not METHODS[method](model, numerics).is_closed
    if any(isinstance(value, Tracer) for value in whole):
        return Layout(model, method, numerics, merged, keep_states=keep_states)
    event, steady, rate = (np.asarray(value) for value in whole)
    resets = bool(np.isin(event, (RESET, RESET_DOSE)).any())
    has_steady = bool((steady > 0).any())
    return Layout(
        model=model,
        method=method,
        numerics=numerics,
        merged=merged,
        records=resets or has_steady or "lag" in kinds,
        infusions=bool((rate != 0).any()),
        resets=resets,
        steady=has_steady,
        overlaps=overlaps_of(model, batch) if has_steady else 0,
        keep_states=keep_states,
    )


def _solver(layout: Layout, lanes: int, chunks: int) -> Callable[[Any], Seen]:
    """Return what solves a batch, and can be differentiated in either direction."""
    if layout.method in EXACT:
        return functools.partial(_solve, layout, lanes, chunks)
    return differentiable(_solve, layout, lanes, chunks)


@functools.partial(compiled, static=3, kept=True)
def _solve(
    layout: Layout, lanes: int, chunks: int, asked: tuple[Batch, Int[Array, "1"]]
) -> Seen:
    """Solve all chunks, one after another."""
    batch, (count,) = asked
    method = METHODS[layout.method](layout.model, layout.numerics, layout.infusions)
    if chunks == 1:
        return solve_lanes(layout, method, batch, lanes)
    if layout.is_exact:
        return _in_chunks(layout, method, (batch, None), lanes, chunks)
    order = order_by_cost(layout, method, batch.inputs, count, lanes * chunks)
    asked = (reorder(batch, order), asked[1])
    seen = _in_chunks(layout, method, asked, lanes, chunks)
    return reorder(seen, jnp.argsort(order))


def _in_chunks(
    layout: Layout,
    method: AbstractMethod,
    asked: tuple[Batch, Int[Array, "1"] | None],
    lanes: int,
    chunks: int,
) -> Seen:
    """Go from chunk to chunk; those without a subject of the count are passed over.

    Passing over costs more than closed forms do: these are given no count.
    """
    batch, count = asked
    leaves, tree = jax.tree.flatten(batch)
    own = [leaf.shape[0] > 1 for leaf in leaves]
    split = [
        leaf.reshape(chunks, lanes, *leaf.shape[1:])
        for leaf, mine in zip(leaves, own, strict=True)
        if mine
    ]

    @functools.partial(jax.jit, inline=True)  # traced once, for the shape and the loop
    def one(parts: list[Array]) -> Seen:
        rest = iter(parts)
        full = [
            next(rest) if mine else leaf for leaf, mine in zip(leaves, own, strict=True)
        ]
        return solve_lanes(layout, method, jax.tree.unflatten(tree, full), lanes)

    blank = jax.tree.map(
        lambda like: jnp.zeros(like.shape, like.dtype),
        jax.eval_shape(one, [part[0] for part in split]),
    )

    def maybe(item: tuple[Int[Array, ""], list[Array]]) -> Seen:
        place, parts = item
        if count is None:
            return one(parts)
        return lax.cond(place * lanes < count[0], one, lambda _: blank, parts)

    seen = lax.map(maybe, (jnp.arange(chunks), split))
    return jax.tree.map(lambda v: v.reshape(chunks * lanes, *v.shape[2:]), seen)

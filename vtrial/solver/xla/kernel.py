"""The scan over events of many lanes as one GPU kernel.

Left to XLA every step of the scan, and every step of controlled size in it, starts
kernels and takes the state through memory. Here a program goes with its lanes from the
first event to the last, and holds their state in registers. What is done at an event is
what `scan.follow` does, traced from the same functions; tables of events and individual
parameters are made before, and observations read after, by XLA.
"""

import functools
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from vtrial.solver.adaptive import AbstractAdaptive
from vtrial.solver.events import Event, EventTable
from vtrial.solver.layout import Layout
from vtrial.solver.method import AbstractMethod
from vtrial.solver.methods import METHODS
from vtrial.solver.scan import (
    Carry,
    Individual,
    ScanResult,
    arrive,
    begin,
    event_record_of,
    follow,
    happen,
    least_peaks,
    parts_of,
)
from vtrial.solver.trajectory import State
from vtrial.solver.xla.primitives import rewritten

SWITCH = "VTRIAL_KERNEL"
HELD = 16  # states at most, in registers
BLOCK = 128  # lanes of a program, which wait for each other: one a thread


class _Read(NamedTuple):
    """What the kernel reads: (row, lane), or (row, 1) where all lanes share it.

    Rows of `prepared` are periods, of `amounts`, `rates` and `running` states, of
    `peaks` watched states (and one more); `stands` has the time and that of the last
    dose [h].
    """

    prepared: Any
    amounts: Float[Array, "state lane"]
    rates: Float[Array, "state lane"]
    running: Int[Array, "state lane"]
    peaks: Float[Array, "state lane"]
    stands: Float[Array, "2 lane"]
    status: Int[Array, "1 lane"]
    time: Float[Array, "event #lane"]
    column: Int[Array, "event #lane"]
    compartment: Int[Array, "event #lane"]
    amount: Float[Array, "event #lane"]
    rate: Float[Array, "event #lane"]
    given: Int[Array, "event #lane"]
    end: Int[Array, "1 #lane"]


class _Written(NamedTuple):
    """What the kernel writes: what is kept of every event, and the State at the end.

    `whole` has the status at the end of the stage, and status and steps at last.
    """

    packed: Float[Array, "event part lane"]
    amounts: Float[Array, "state lane"]
    rates: Float[Array, "state lane"]
    running: Int[Array, "state lane"]
    stands: Float[Array, "2 lane"]
    whole: Int[Array, "3 lane"]


def is_wanted() -> bool:
    """Return whether `VTRIAL_KERNEL=1` asks for the kernel, and there is a GPU."""
    return os.environ.get(SWITCH) == "1" and jax.default_backend() == "gpu"


def is_possible(layout: Layout) -> bool:
    """Return whether the kernel covers a layout.

    Steady states and switches of the clock search, and resets begin anew, by programs
    of their own, and large matrices may be inverted whole: these stay with XLA.
    """
    method = METHODS[layout.method](layout.model, layout.numerics, layout.infusions)
    if layout.steady or layout.resets or not isinstance(method, AbstractAdaptive):
        return False
    if layout.model.structure.switches or layout.model.structure.delays:
        return False
    return 0 < len(method.stepped) <= HELD


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def follow_in_kernel(
    layout: Layout,
    method: AbstractMethod,
    individual: Individual,
    table: EventTable,
    start: State,
) -> ScanResult:
    """Go through all events as `scan.follow` does, in one kernel.

    Layouts that have steady states or resets are not eligible: see `is_possible`.
    Derivatives are those of `scan.follow`, by XLA.
    """
    read = _read(layout, method, individual, table, start)
    lanes, events = start.time.shape[0], table.events.time.shape[0]
    wide = -(-lanes // BLOCK) * BLOCK
    read = jax.tree.map(functools.partial(_padded, to=wide), read)
    written = _run(layout, method, read, _shapes(layout, read, events, wide))
    written = jax.tree.map(lambda value: value[..., :lanes], written)
    end = State(
        time=written.stands[0],
        amounts=written.amounts.T,
        rates=written.rates.T,
        running=written.running.T,
        last_dose=written.stands[1],
        status=written.whole[1],
    )
    return (
        event_record_of(layout, written.packed, end.amounts.dtype),
        end,
        written.whole[2],
    )


@follow_in_kernel.defjvp
def _by_xla(
    layout: Layout,
    method: AbstractMethod,
    primals: tuple[Any, ...],
    tangents: tuple[Any, ...],
) -> tuple[ScanResult, Any]:
    """Differentiate what XLA makes of the same scan."""
    return jax.jvp(functools.partial(follow, layout, method), primals, tangents)


def is_interpreted() -> bool:
    """Return whether the kernel is interpreted, for want of a GPU."""
    return jax.default_backend() == "cpu"


def _read(
    layout: Layout,
    method: AbstractMethod,
    individual: Individual,
    table: EventTable,
    start: State,
) -> _Read:
    """Lay out what the kernel reads, lanes last."""
    events, zero = table.events, jnp.zeros_like(start.amounts[:, 0])
    return _Read(
        prepared=jax.tree.map(jnp.transpose, method.prepare(individual)),
        amounts=start.amounts.T,
        rates=start.rates.T,
        running=start.running.T,
        peaks=jnp.stack([*least_peaks(layout, individual, zero), zero]),
        stands=jnp.stack([start.time, start.last_dose]),
        status=start.status[None],
        time=events.time,
        column=events.column,
        compartment=events.compartment,
        amount=events.amount,
        rate=events.rate,
        given=events.given.astype(int),
        end=table.end[None],
    )


def _padded(value: Array, *, to: int) -> Array:
    """Repeat the last lane until all programs are full; what is shared stays."""
    lanes = value.shape[-1]
    if lanes in (1, to):
        return value
    return jnp.pad(value, ((0, 0), (0, to - lanes)), mode="edge")


def _shapes(layout: Layout, read: _Read, events: int, wide: int) -> _Written:
    """Return the shapes and types of what the kernel writes."""
    size, real = read.amounts.shape[0], read.amounts.dtype
    none = jnp.zeros(0, real)
    states = (none,) * size
    blank = Carry(
        time=none,
        amounts=states,
        rates=states,
        running=states,
        status=none,
        tried=none,
        last_dose=none,
        cleared=none,
        peaks=(),
        memory=(),
        end=None,
    )
    parts = len(parts_of(layout, blank))
    shape: Any = jax.ShapeDtypeStruct
    return _Written(
        packed=shape((events, parts, wide), jnp.zeros(()).dtype),
        amounts=shape((size, wide), real),
        rates=shape((size, wide), real),
        running=shape((size, wide), read.running.dtype),
        stands=shape((2, wide), read.stands.dtype),
        whole=shape((3, wide), read.status.dtype),
    )


def _run(layout: Layout, method: AbstractMethod, read: _Read, shapes: Any) -> _Written:
    """Start a program for each block of lanes."""
    from jax.experimental import pallas as pl  # noqa: PLC0415 (slow to load)
    from jax.experimental.pallas import triton  # noqa: PLC0415

    programs = shapes.whole.shape[-1] // BLOCK
    leaves, tree = jax.tree.flatten(read)
    step = rewritten(functools.partial(_step, layout, method))

    def body(place: Any, *refs: Any) -> None:
        lanes = pl.ds(place * BLOCK, BLOCK)
        inside = jax.tree.unflatten(tree, refs[: len(leaves)])
        _walk(layout, method, step, inside, _Written(*refs[len(leaves) :]), lanes)

    call = pl.pallas_call(
        lambda *refs: body(pl.program_id(0), *refs),
        out_shape=tuple(shapes),
        grid=(programs,),
        interpret=is_interpreted(),
        compiler_params=triton.CompilerParams(num_warps=BLOCK // 32),
    )
    return _Written(*call(*leaves))


def _step(
    layout: Layout, method: AbstractMethod, here: Any, carry: Carry, event: Event
) -> tuple[Carry, Carry, list[Array]]:
    """Advance to an event; return the states after and before it, and its record."""
    before = arrive(layout, method, here, carry, event)
    parts = [part.astype(float) for part in parts_of(layout, before)]
    return happen(layout, method, {}, None, before, event), before, parts


def _walk(
    layout: Layout,
    method: AbstractMethod,
    step: Callable[..., tuple[Carry, Carry, list[Array]]],
    read: _Read,
    written: _Written,
    lanes: Any,
) -> None:
    """Go with some lanes from event to event; arguments are references to memory."""
    row = functools.partial(_row, lanes=lanes)
    size = read.amounts.shape[0]
    amounts = tuple(row(read.amounts, i) for i in range(size))
    carry = begin(
        method,
        amounts=amounts,
        rates=tuple(row(read.rates, i) for i in range(size)),
        running=tuple(row(read.running, i) for i in range(size)),
        peaks=tuple(row(read.peaks, i) for i in range(read.peaks.shape[0] - 1)),
        zero=jnp.zeros_like(amounts[0]),
        time=row(read.stands, 0),
        last_dose=row(read.stands, 1),
        status=row(read.status, 0),
    )
    end = row(read.end, 0)

    def one(place: Any, carry: Carry) -> Carry:
        event = _event(read, place, row)
        here = _here(read.prepared, event.column, row)
        carry, before, parts = step(here, carry, event)
        for part, value in enumerate(parts):
            written.packed[place, part, lanes] = value
        _hold(written, before, end == place, lanes)
        return carry

    last = lax.fori_loop(0, read.time.shape[0], one, carry)
    written.whole[1, lanes] = last.status
    written.whole[2, lanes] = last.tried


def _row(ref: Any, place: Any, *, lanes: Any) -> Array:
    """Read a row of a table for some lanes."""
    if ref.shape[1] == 1:
        return jnp.full((BLOCK,), ref[place, 0])
    return ref[place, lanes]


def _event(read: _Read, place: Any, row: Callable[..., Array]) -> Event:
    """Read an event."""
    column = row(read.column, place)
    return Event(
        time=row(read.time, place),
        column=column,
        at=column,
        after=column,
        compartment=row(read.compartment, place),
        amount=row(read.amount, place),
        rate=row(read.rate, place),
        given=row(read.given, place) > 0,
        reset=None,
        steady=None,
        turn=None,
        clears=None,
    )


def _here(prepared: Any, column: Int[Array, " lane"], row: Callable[..., Array]) -> Any:
    """Take each lane's column of what is prepared: look at one after another."""
    first = jax.tree.map(lambda ref: row(ref, 0), prepared)
    moving = [ref for ref in jax.tree.leaves(prepared) if ref.shape[0] > 1]
    if not moving:
        return first

    def pick(period: Any, held: Any) -> Any:
        def take(ref: Any, value: Array) -> Array:
            if ref.shape[0] == 1:
                return value
            return jnp.where(column == period, row(ref, period), value)

        return jax.tree.map(take, prepared, held)

    return lax.fori_loop(1, moving[0].shape[0], pick, first)


def _hold(written: _Written, carry: Carry, ends: Array, lanes: Any) -> None:
    """Record the state where the stage ends: each lane at one event."""

    def put(ref: Any, place: int, value: Array) -> None:
        ref[place, lanes] = jnp.where(ends, value, ref[place, lanes])

    for place in range(len(carry.amounts)):
        put(written.amounts, place, carry.amounts[place])
        put(written.rates, place, carry.rates[place])
        put(written.running, place, carry.running[place])
    put(written.stands, 0, carry.time)
    put(written.stands, 1, carry.last_dose)
    put(written.whole, 0, carry.status)

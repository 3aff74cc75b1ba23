"""One scan over events, for some subjects side by side."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from vtrial.dosing.doses import Doses, Times
from vtrial.solver.events import Event, Table, same, tabulate
from vtrial.solver.layout import Layout
from vtrial.solver.method import AbstractMethod, Amounts, Span, after_dose
from vtrial.solver.steady import Settled, nothing_settled, settle
from vtrial.solver.trajectory import State
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


class Seen(NamedTuple):
    """What is kept of some lanes."""

    outputs: dict[str, Float[Array, "lane time"]]
    states: Float[Array, "lane time state"] | None
    status: Int[Array, " lane"]
    steps: Int[Array, " lane"]
    end: State


class _Carry(NamedTuple):
    time: Float[Array, " lane"]
    amounts: Amounts
    rates: Amounts
    status: Int[Array, " lane"]
    tried: Int[Array, " lane"]
    memory: Any


class _Shot(NamedTuple):
    """What is kept of each event: how things stood before it did anything."""

    amounts: Float[Array, "lane state"]
    rates: Float[Array, "lane state"]
    status: Int[Array, " lane"]


def solve_lanes(layout: Layout, method: AbstractMethod | None, batch: Batch) -> Seen:
    """Solve some subjects; every array of the batch is (lane, ...)."""
    model = layout.model
    shape = batch.periods.shape
    real = jnp.dtype(f"float{min(layout.numerics.precision, _widest())}")
    given = {
        k: jnp.broadcast_to(v, shape).astype(real) for k, v in batch.inputs.items()
    }
    individual = {
        name: jnp.broadcast_to(value, shape).astype(real)
        for name, value in model.individual(given).items()
    }
    missing = _missing(batch, given)
    begin = _begin(batch)
    start = _start(layout, individual, batch, begin, missing)
    table = tabulate(
        layout,
        individual,
        batch.doses,
        batch.times,
        periods=batch.periods,
        begin=begin,
        until=batch.until,
        last_dose=start.last_dose,
    )
    bad = table.impossible & (start.status == Status.SOLVED)
    start = start._replace(status=jnp.where(bad, int(Status.NON_FINITE), start.status))
    if method is None:
        return _algebra(layout, individual, batch, table, start)
    shots, last = _scan(layout, method, individual, table, start)
    return _see(layout, individual, batch.times, table, shots, last)


def _widest() -> int:
    """Return 64, or 32 where JAX may not go beyond."""
    return 8 * jnp.zeros(()).dtype.itemsize


def _missing(
    batch: Batch, inputs: dict[str, Float[Array, "lane period"]]
) -> Bool[Array, " lane"]:
    """Find lanes with an input or dose that is not a number."""
    missing = jnp.zeros(batch.periods.shape[:1], bool)
    begun = batch.periods < jnp.inf
    for value in inputs.values():
        missing |= jnp.any(jnp.isnan(value) & begun, axis=1)
    doses = batch.doses
    real = doses.time < jnp.inf
    for value in (doses.amount, doses.rate, doses.interval):
        missing |= jnp.any(jnp.isnan(value) & real, axis=1)
    return missing | jnp.any(jnp.isnan(doses.time), axis=1)


def _begin(batch: Batch) -> Float[Array, " lane"]:
    """Say where the stage begins: at its State, or before all that happens."""
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
    begin: Float[Array, " lane"],
    missing: Bool[Array, " lane"],
) -> State:
    """Return the State to start from."""
    lanes, size = begin.shape[0], len(layout.model.states)
    real = next(iter(individual.values())).dtype if individual else begin.dtype
    failed = jnp.where(missing, int(Status.MISSING_INPUT), int(Status.SOLVED))
    if batch.start is not None:
        before = batch.start
        status = jnp.where(before.status == Status.SOLVED, failed, before.status)
        return before._replace(
            amounts=before.amounts.astype(real),
            rates=before.rates.astype(real),
            status=status.astype(int),
        )
    column = _column_at(batch.periods, begin)
    initial = _initial(layout, individual, column)
    amounts = jnp.stack(initial, axis=1) if size else jnp.zeros((lanes, 0), real)
    return State(
        time=begin,
        amounts=amounts,
        rates=jnp.zeros((lanes, size), real),
        last_dose=jnp.full((lanes,), jnp.nan, begin.dtype),
        status=failed,
    )


def _column_at(
    periods: Float[Array, "lane period"], time: Float[Array, " lane"]
) -> Int[Array, " lane"]:
    """Find the column that holds at, and just after, a time."""
    begun = same(periods) <= same(time)[:, None]
    return jnp.maximum(jnp.sum(begun, axis=1) - 1, 0).astype(int)


def _initial(
    layout: Layout,
    individual: dict[str, Float[Array, "lane period"]],
    column: Int[Array, " lane"],
) -> Amounts:
    """Return the model's initial values by the inputs of a column."""
    like = next(iter(individual.values()))
    values = layout.model.initial(individual)
    full = [jnp.broadcast_to(v.astype(like.dtype), like.shape) for v in values]
    return tuple(_pick(value, column) for value in full)


def _pick(tree: Any, column: Int[Array, " lane"]) -> Any:
    """Take each lane's column of (lane, period, ...) arrays."""

    def pick(value: Array) -> Array:
        if value.shape[1] == 1:
            return value[:, 0]
        index = column.reshape(-1, *[1] * (value.ndim - 1))
        return jnp.take_along_axis(value, index, axis=1)[:, 0]

    return jax.tree.map(pick, tree)


def _scan(
    layout: Layout,
    method: AbstractMethod,
    individual: dict[str, Float[Array, "lane period"]],
    table: Table,
    start: State,
) -> tuple[_Shot, _Carry]:
    """Go from event to event."""
    prepared = method.prepare(individual)
    size = start.amounts.shape[1]
    amounts = tuple(start.amounts[:, i] for i in range(size))
    carry = _Carry(
        start.time,
        amounts,
        tuple(start.rates[:, i] for i in range(size)),
        start.status,
        jnp.zeros_like(start.status),
        method.begin(amounts[0]),
    )

    def step(carry: _Carry, event: Event) -> tuple[_Carry, _Shot]:
        here = _pick(prepared, event.column)
        active = carry.status == Status.SOLVED
        left = layout.numerics.max_steps - carry.tried
        span = Span(carry.time, event.time, event.last_dose, active, left)
        moved = method.advance(here, span, carry.amounts, carry.rates, carry.memory)
        status = jnp.where(active, moved.status, carry.status)
        fine = status == Status.SOLVED
        amounts = tuple(jnp.where(fine, a, jnp.nan) for a in moved.amounts)
        carry = _Carry(
            event.time,
            amounts,
            carry.rates,
            status,
            carry.tried + jnp.where(active, moved.tried, 0),
            moved.memory,
        )
        shot = _Shot(jnp.stack(amounts, 1), jnp.stack(carry.rates, 1), status)
        return _happen(layout, method, individual, prepared, carry, event), shot

    last, shots = lax.scan(step, carry, table.events)
    return shots, last


def _happen(
    layout: Layout,
    method: AbstractMethod,
    individual: dict[str, Float[Array, "lane period"]],
    prepared: Any,
    carry: _Carry,
    event: Event,
) -> _Carry:
    """Do what the event says: reset, set a steady state, give a dose."""
    amounts, rates = carry.amounts, carry.rates
    real = amounts[0].dtype
    status, tried = carry.status, carry.tried
    if layout.resets or layout.steady:
        initial = _initial(layout, individual, event.at)
    if layout.resets:
        reset = event.reset & (status == Status.SOLVED)
        amounts = tuple(
            jnp.where(reset, i, a) for i, a in zip(initial, amounts, strict=True)
        )
        rates = tuple(jnp.where(reset, 0.0, r) for r in rates)
    if layout.steady:
        regimen = event.steady
        assert regimen is not None  # as the layout says
        asks = (regimen.kind > 0) & (status == Status.SOLVED)
        settled = _settled(layout, method, prepared, carry, event, asks, initial)
        fresh = asks & (regimen.kind == 1)
        amounts = tuple(
            jnp.where(fresh, s, jnp.where(asks, a + s - i, a))
            for s, i, a in zip(settled.amounts, initial, amounts, strict=True)
        )
        rates = tuple(jnp.where(fresh, 0.0, r) for r in rates)
        extra = jnp.where(asks, regimen.running, 0.0).astype(real)
        rates = tuple(
            r + jnp.where(event.compartment == i, extra, 0.0)
            for i, r in enumerate(rates)
        )
        status = jnp.where(asks, settled.status, status)
        tried = tried + jnp.where(asks, settled.tried, 0)
    amount, rate = event.amount.astype(real), event.rate.astype(real)
    places = [event.compartment == i for i in range(len(amounts))]
    amounts = tuple(
        a + jnp.where(p, amount, 0.0) for a, p in zip(amounts, places, strict=True)
    )
    if layout.infusions or layout.steady:
        rates = tuple(
            r + jnp.where(p, rate, 0.0) for r, p in zip(rates, places, strict=True)
        )
    return carry._replace(amounts=amounts, rates=rates, status=status, tried=tried)


def _settled(
    layout: Layout,
    method: AbstractMethod,
    prepared: Any,
    carry: _Carry,
    event: Event,
    asks: Bool[Array, " lane"],
    initial: Amounts,
) -> Settled:
    """Find steady states if any lane asks for one."""
    left = layout.numerics.max_steps - carry.tried
    span = Span(carry.time, carry.time, event.last_dose, asks, left)

    def find() -> Settled:
        return settle(
            method,
            _pick(prepared, event.at),
            event.steady,
            compartment=event.compartment,
            initial=initial,
            span=span,
        )

    return lax.cond(jnp.any(asks), find, lambda: nothing_settled(initial))


def _see(
    layout: Layout,
    individual: dict[str, Float[Array, "lane period"]],
    times: Times,
    table: Table,
    shots: _Shot,
    last: _Carry,
) -> Seen:
    """Read outputs off the states at the observations."""
    model = layout.model
    forbidden = _first_negative(layout, shots, table)
    amounts = jnp.moveaxis(shots.amounts, 0, 1)
    status = shots.status.T
    status = jnp.where(forbidden, int(Status.NEGATIVE), status)
    seen = jnp.take_along_axis(amounts, table.seen[..., None], axis=1)
    good = jnp.take_along_axis(status, table.seen, axis=1) == Status.SOLVED
    good &= table.shown
    since = _at(table.events.last_dose, table.seen)
    outputs = _outputs(layout, individual, times, table, seen, since, good)
    end = table.end[:, None]
    rates = jnp.moveaxis(shots.rates, 0, 1)
    final = jnp.where(last.status == Status.SOLVED, 0, last.status)
    final = jnp.where(jnp.any(forbidden, axis=1), int(Status.NEGATIVE), final)
    stage = jnp.take_along_axis(status, end, axis=1)[:, 0]
    return Seen(
        outputs=outputs,
        states=jnp.where(good[..., None], seen, jnp.nan)
        if layout.keep_states
        else None,
        status=final,
        steps=last.tried,
        end=State(
            time=table.end_time,
            amounts=jnp.where(
                (stage == Status.SOLVED)[:, None],
                jnp.take_along_axis(amounts, end[..., None], axis=1)[:, 0],
                jnp.nan,
            ),
            rates=jnp.take_along_axis(rates, end[..., None], axis=1)[:, 0],
            last_dose=_at(table.events.last_dose, end)[:, 0],
            status=stage if model.states else final,
        ),
    )


def _at(values: Float[Array, "event lane"], place: Int[Array, "lane time"]) -> Array:
    """Take what stands at events."""
    return jnp.take_along_axis(values.T, place, axis=1)


def _outputs(
    layout: Layout,
    individual: dict[str, Float[Array, "lane period"]],
    times: Times,
    table: Table,
    seen: Float[Array, "lane time state"],
    since: Float[Array, "lane time"],
    good: Bool[Array, "lane time"],
) -> dict[str, Float[Array, "lane time"]]:
    """Compute every output at the observations; NaN where a lane has failed."""
    shape = good.shape
    held = {
        name: jnp.take_along_axis(value, table.seen_column, axis=1)
        if value.shape[1] > 1
        else jnp.broadcast_to(value, shape)
        for name, value in individual.items()
    }
    finite = jnp.where(jnp.isfinite(times.time), times.time, 0.0)
    real = seen.dtype
    values = layout.model.observe(
        finite.astype(real),
        tuple(seen[..., i] for i in range(seen.shape[-1])),
        held,
        after_dose=after_dose(finite, since).astype(real),
    )
    return {
        name: jnp.where(good, jnp.broadcast_to(value, shape), jnp.nan)
        for name, value in values.items()
    }


def _first_negative(
    layout: Layout, shots: _Shot, table: Table
) -> Bool[Array, "lane event"]:
    """Say from which event on a state is below zero that may not be.

    What is below by no more than the tolerances allow is noise.
    """
    model, numerics = layout.model, layout.numerics
    status = shots.status.T
    places = [i for i, name in enumerate(model.states) if name in model.nonnegative]
    below = jnp.zeros(status.shape, bool)
    for place in places:
        value = shots.amounts[..., place].T
        peak = lax.cummax(jnp.where(jnp.isfinite(value), jnp.abs(value), 0.0), axis=1)
        noise = 100 * (numerics.atol + numerics.rtol * peak)
        below |= (value < -noise) & (status == Status.SOLVED)
    return lax.cummax(below.astype(int), axis=1) > 0


def _algebra(
    layout: Layout,
    individual: dict[str, Float[Array, "lane period"]],
    batch: Batch,
    table: Table,
    start: State,
) -> Seen:
    """Observe a model without states."""
    good = (start.status == Status.SOLVED)[:, None] & table.shown
    nothing = jnp.zeros((*good.shape, 0), start.amounts.dtype)
    since = _at(table.events.last_dose, table.seen)
    last_dose = _at(table.events.last_dose, table.end[:, None])[:, 0]
    return Seen(
        outputs=_outputs(layout, individual, batch.times, table, nothing, since, good),
        states=nothing if layout.keep_states else None,
        status=start.status,
        steps=jnp.zeros_like(start.status),
        end=start._replace(time=table.end_time, last_dose=last_dose),
    )

"""Subjects side by side: from their inputs and events to what is seen of them."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from vtrial.dosing.doses import Doses, Times
from vtrial.solver.events import Table, same, tabulate
from vtrial.solver.layout import Layout
from vtrial.solver.method import AbstractMethod, after_dose
from vtrial.solver.scan import Carry, Shot, follow, initial_amounts
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


def solve_lanes(layout: Layout, method: AbstractMethod, batch: Batch) -> Seen:
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
    )
    bad = table.impossible & (start.status == Status.SOLVED)
    start = start._replace(status=jnp.where(bad, int(Status.NON_FINITE), start.status))
    shots, last = follow(layout, method, individual, table, start)
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
    initial = initial_amounts(layout, individual, column)
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


def _see(
    layout: Layout,
    individual: dict[str, Float[Array, "lane period"]],
    times: Times,
    table: Table,
    shots: Shot,
    last: Carry,
) -> Seen:
    """Read outputs off what stood at the observations."""
    amounts = jnp.moveaxis(shots.amounts, 0, 1)
    seen = jnp.take_along_axis(amounts, table.seen[..., None], axis=1)
    good = (_at(shots.status, table.seen) == Status.SOLVED) & table.shown
    since = _at(shots.last_dose, table.seen)
    outputs = _outputs(layout, individual, times, table, seen, since, good)
    end = table.end[:, None]
    rates = jnp.moveaxis(shots.rates, 0, 1)
    return Seen(
        outputs=outputs,
        states=jnp.where(good[..., None], seen, jnp.nan)
        if layout.keep_states
        else None,
        status=last.status,
        steps=last.tried,
        end=State(
            time=table.end_time,
            amounts=jnp.take_along_axis(amounts, end[..., None], axis=1)[:, 0],
            rates=jnp.take_along_axis(rates, end[..., None], axis=1)[:, 0],
            last_dose=_at(shots.last_dose, end)[:, 0],
            status=_at(shots.status, end)[:, 0],
        ),
    )


def _at(values: Array, place: Int[Array, "lane time"]) -> Array:
    """Take what stands at events, of (event, lane)."""
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

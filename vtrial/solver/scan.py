"""From event to event: one scan, whatever the method."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from vtrial.solver.events import Event, Table
from vtrial.solver.layout import Layout
from vtrial.solver.method import AbstractMethod, Amounts, Span
from vtrial.solver.steady import Settled, nothing_settled, settle
from vtrial.solver.trajectory import State
from vtrial.types import Status

NOISE = 100.0  # tolerances by which a state may be below zero

Individual = dict[str, Float[Array, "lane period"]]


class Carry(NamedTuple):
    """How things stand between two events, (lane) each.

    `cleared` is the highest turn of a record that has cancelled the earlier ones,
    `peaks` the largest sizes so far of the states that may not be negative.
    """

    time: Float[Array, " lane"]
    amounts: Amounts
    rates: Amounts
    status: Int[Array, " lane"]
    tried: Int[Array, " lane"]
    last_dose: Float[Array, " lane"]
    cleared: Int[Array, " lane"]
    peaks: Amounts
    memory: Any


class Shot(NamedTuple):
    """What is kept of each event: how things stood before it did anything."""

    amounts: Float[Array, "lane state"]
    rates: Float[Array, "lane state"]
    last_dose: Float[Array, " lane"]
    status: Int[Array, " lane"]


def follow(
    layout: Layout,
    method: AbstractMethod,
    individual: Individual,
    table: Table,
    start: State,
) -> tuple[Shot, Carry]:
    """Go through all events; return how things stood before each, and at the end."""
    prepared = method.prepare(individual)
    watched = _watched(layout)

    def step(carry: Carry, event: Event) -> tuple[Carry, Shot]:
        carry = _advance(layout, method, prepared, carry, event)
        carry = _watch(layout, carry, watched)
        shot = Shot(
            _stack(carry.amounts, event.time),
            _stack(carry.rates, event.time),
            carry.last_dose,
            carry.status,
        )
        return _happen(layout, method, individual, prepared, carry, event), shot

    begun = _begun(method, start, len(watched))
    last, shots = lax.scan(step, begun, table.events)
    return shots, last


def _begun(method: AbstractMethod, start: State, watched: int) -> Carry:
    """Lay out a State for the scan."""
    size = start.amounts.shape[1]
    none = jnp.zeros_like(start.status)
    zero = jnp.zeros(start.time.shape, start.amounts.dtype)
    return Carry(
        time=start.time,
        amounts=tuple(start.amounts[:, i] for i in range(size)),
        rates=tuple(start.rates[:, i] for i in range(size)),
        status=start.status,
        tried=none,
        last_dose=start.last_dose,
        cleared=none - 1,
        peaks=(zero,) * watched,
        memory=method.begin(zero),
    )


def _stack(parts: Amounts, like: Float[Array, " lane"]) -> Float[Array, "lane state"]:
    if not parts:
        return jnp.zeros((*like.shape, 0), like.dtype)
    return jnp.stack(parts, axis=1)


def _advance(
    layout: Layout, method: AbstractMethod, prepared: Any, carry: Carry, event: Event
) -> Carry:
    """Solve up to the event; who fails holds NaN from here on."""
    here = pick(prepared, event.column)
    active = carry.status == Status.SOLVED
    left = layout.numerics.max_steps - carry.tried
    span = Span(carry.time, event.time, carry.last_dose, active, left)
    moved = method.advance(here, span, carry.amounts, carry.rates, carry.memory)
    status = jnp.where(active, moved.status, carry.status)
    fine = status == Status.SOLVED
    return carry._replace(
        time=event.time,
        amounts=tuple(jnp.where(fine, a, jnp.nan) for a in moved.amounts),
        status=status,
        tried=carry.tried + jnp.where(active, moved.tried, 0),
        memory=moved.memory,
    )


def _watched(layout: Layout) -> list[int]:
    """List the states that may not be negative."""
    model = layout.model
    return [i for i, name in enumerate(model.states) if name in model.nonnegative]


def _watch(layout: Layout, carry: Carry, watched: list[int]) -> Carry:
    """Fail who is below zero by more than the tolerances allow for noise."""
    numerics, status, peaks = layout.numerics, carry.status, []
    for place, peak in zip(watched, carry.peaks, strict=True):
        value = carry.amounts[place]
        size = jnp.where(jnp.isfinite(value), jnp.abs(value), 0.0)
        peaks.append(jnp.maximum(peak, size))
        below = value < -NOISE * (numerics.atol + numerics.rtol * peaks[-1])
        below &= status == Status.SOLVED
        status = jnp.where(below, int(Status.NEGATIVE), status)
    if not watched:
        return carry
    fine = status == Status.SOLVED
    amounts = tuple(jnp.where(fine, a, jnp.nan) for a in carry.amounts)
    return carry._replace(amounts=amounts, status=status, peaks=tuple(peaks))


def _happen(
    layout: Layout,
    method: AbstractMethod,
    individual: Individual,
    prepared: Any,
    carry: Carry,
    event: Event,
) -> Carry:
    """Do what the event says: reset, set a steady state, give a dose."""
    real = carry.amounts[0].dtype if carry.amounts else event.amount.dtype
    alive = carry.status == Status.SOLVED
    if event.clears is not None and event.turn is not None:
        cleared = jnp.where(event.clears, event.turn, -1)
        carry = carry._replace(cleared=jnp.maximum(carry.cleared, cleared))
        alive &= event.turn >= carry.cleared
    if event.reset is not None:
        reset = event.reset & alive
        carry = _reset(layout, individual, carry, event, reset)
    if event.steady is not None:
        carry = _set_steady(layout, method, individual, prepared, carry, event, alive)
    amount = jnp.where(alive, event.amount, 0.0).astype(real)
    places = [event.compartment == i for i in range(len(carry.amounts))]
    carry = carry._replace(
        amounts=_added(carry.amounts, places, amount),
        last_dose=jnp.where(event.given & alive, event.time, carry.last_dose),
    )
    if not layout.infusions:
        return carry
    rate = jnp.where(alive, event.rate, 0.0).astype(real)
    return carry._replace(rates=_added(carry.rates, places, rate))


def _added(
    values: Amounts, places: list[Bool[Array, " lane"]], extra: Float[Array, " lane"]
) -> Amounts:
    """Add something to the state that each lane's event names."""
    return tuple(
        v + jnp.where(here, extra, 0.0) for v, here in zip(values, places, strict=True)
    )


def _reset(
    layout: Layout,
    individual: Individual,
    carry: Carry,
    event: Event,
    reset: Bool[Array, " lane"],
) -> Carry:
    """Begin anew: initial amounts, no infusions."""
    initial = initial_amounts(layout, individual, event.at)
    return carry._replace(
        amounts=tuple(
            jnp.where(reset, i, a) for i, a in zip(initial, carry.amounts, strict=True)
        ),
        rates=tuple(jnp.where(reset, 0.0, r) for r in carry.rates),
    )


def _set_steady(
    layout: Layout,
    method: AbstractMethod,
    individual: Individual,
    prepared: Any,
    carry: Carry,
    event: Event,
    alive: Bool[Array, " lane"],
) -> Carry:
    """Set a steady state, or add what it stands above the initial state."""
    regimen = event.steady
    assert regimen is not None  # the layout says so
    asks = (regimen.kind > 0) & alive
    fresh = asks & (regimen.kind == 1)
    initial = initial_amounts(layout, individual, event.at)
    left = layout.numerics.max_steps - carry.tried
    span = Span(carry.time, carry.time, carry.last_dose, asks, left)

    def find() -> Settled:
        return settle(
            method,
            pick(prepared, event.at),
            regimen,
            compartment=event.compartment,
            initial=initial,
            span=span,
        )

    settled = lax.cond(jnp.any(asks), find, lambda: nothing_settled(initial))
    status = jnp.where(asks, settled.status, carry.status)
    fine = status == Status.SOLVED
    amounts = tuple(
        jnp.where(fresh, s, jnp.where(asks, a + s - i, a))
        for s, i, a in zip(settled.amounts, initial, carry.amounts, strict=True)
    )
    rates = tuple(jnp.where(fresh, 0.0, r) for r in carry.rates)
    places = [event.compartment == i for i in range(len(amounts))]
    running = jnp.where(asks, regimen.running, 0.0).astype(amounts[0].dtype)
    return carry._replace(
        amounts=tuple(jnp.where(fine, a, jnp.nan) for a in amounts),
        rates=_added(rates, places, running),
        status=status,
        tried=carry.tried + jnp.where(asks, settled.tried, 0),
    )


def initial_amounts(
    layout: Layout,
    individual: dict[str, Float[Array, "lane period"]],
    column: Int[Array, " lane"],
) -> Amounts:
    """Return the model's initial values by the inputs of a column."""
    like = next(iter(individual.values()))
    values = layout.model.initial(individual)
    full = [jnp.broadcast_to(v.astype(like.dtype), like.shape) for v in values]
    return tuple(pick(value, column) for value in full)


def pick(tree: Any, column: Int[Array, " lane"]) -> Any:
    """Take each lane's column of (lane, period, ...) arrays."""

    def pick(value: Array) -> Array:
        if value.shape[1] == 1:
            return value[:, 0]
        index = column.reshape(-1, *[1] * (value.ndim - 1))
        return jnp.take_along_axis(value, index, axis=1)[:, 0]

    return jax.tree.map(pick, tree)

"""From event to event: one scan, whatever the method."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from vtrial.solver.adaptive import AbstractAdaptive
from vtrial.solver.events import Event, EventTable, take
from vtrial.solver.layout import Layout
from vtrial.solver.method import AbstractMethod, Amounts, Span, Step
from vtrial.solver.scale import held_tolerances, is_assured
from vtrial.solver.steady import Settled, nothing_settled, settle
from vtrial.solver.trajectory import State
from vtrial.types import Status

NOISE = 100.0  # tolerances by which a state may be below zero

Individual = dict[str, Float[Array, "lane period"]]
Counts = tuple[Int[Array, " lane"], ...]


class Carry(NamedTuple):
    """The scan's carry between two events, (lane) each.

    `running` counts the infusions into each state, so that rounding leaves no rate of
    those that have ended, `cleared` is the highest turn of a record that has cancelled
    the earlier ones,
    `peaks` the largest sizes so far of the states that may not be negative (infinite
    where one may, after all), `end` how
    things stood at the end of the stage.
    """

    time: Float[Array, " lane"]
    amounts: Amounts
    rates: Amounts
    running: Counts
    status: Int[Array, " lane"]
    tried: Int[Array, " lane"]
    last_dose: Float[Array, " lane"]
    cleared: Int[Array, " lane"]
    peaks: Amounts
    memory: Any
    end: State | None


class EventRecord(NamedTuple):
    """Amounts, last dose and success at events, or at places between them.

    States that no output reads are None. `past` is what outputs read of the past.
    """

    amounts: tuple[Float[Array, " lane"] | None, ...]
    last_dose: Float[Array, " lane"]
    fine: Bool[Array, " lane"]
    past: Amounts = ()


class PostEventState(NamedTuple):
    """The state after an event, with the time and inputs from which it goes on."""

    time: Float[Array, "#lane"]
    column: Int[Array, "#lane"]
    amounts: Amounts
    rates: Amounts
    last_dose: Float[Array, " lane"]
    status: Int[Array, " lane"]


# How things stood before each event, the State at the end of the stage (with the status
# after the last event), and the numbers of steps.
ScanResult = tuple[EventRecord, State, Int[Array, " lane"]]


def follow(
    layout: Layout,
    method: AbstractMethod,
    individual: Individual,
    table: EventTable,
    start: State,
) -> ScanResult:
    """Scan over all events."""
    prepared = method.prepare(individual)

    def step(carry: Carry, item: tuple[Event, Array]) -> tuple[Carry, Array]:
        event, ends = item
        here = pick(prepared, event.column)
        carry = arrive(layout, method, here, carry, event)
        past = method.recalled(here, carry.time, carry.memory)
        sight = _packed(parts_of(layout, carry, past))
        # The State at the end of a stage is the one before any dose at that time.
        carry = carry._replace(end=_held(carry, ends))
        return happen(layout, method, individual, prepared, carry, event), sight

    begun = _begun(layout, method, individual, start)
    begun = begun._replace(end=start._replace(past=None))
    count = table.events.time.shape[0]
    ends = jnp.arange(count)[:, None] == table.end[None]
    last, packed = lax.scan(step, begun, (table.events, ends))
    assert last.end is not None  # it was laid out with one
    # Behind the end of the stage nothing lasts, so that the past ends there, too.
    end = last.end._replace(status=last.status, past=method.past(last.memory))
    return event_record_of(layout, packed, start.amounts.dtype), end, last.tried


def parts_of(layout: Layout, carry: Carry, past: Amounts = ()) -> list[Array]:
    """List what is recorded at an event: amounts that are read, last dose, success.

    Between amounts and last dose stands what is read of the `past`.
    `event_record_of` makes an EventRecord of it.
    """
    kept = zip(carry.amounts, _kept(layout), strict=True)
    seen = [amount for amount, keep in kept if keep]
    return [*seen, *past, carry.last_dose, carry.status == Status.SOLVED]


def event_record_of(
    layout: Layout, packed: Float[Array, "event part *place lane"], real: Any
) -> EventRecord:
    """Unpack what was recorded at all events; amounts have dtype `real`."""
    *seen, last_dose, fine = _unpacked(packed)
    rest = iter(seen)
    amounts = [next(rest).astype(real) if keep else None for keep in _kept(layout)]
    past = tuple(value.astype(real) for value in rest)
    return EventRecord(tuple(amounts), last_dose, fine > 0, past)


def follow_changes(
    layout: Layout,
    method: AbstractMethod,
    individual: Individual,
    table: EventTable,
    start: State,
    column: Int[Array, "#lane"],
) -> tuple[PostEventState, Counts, Int[Array, " lane"]]:
    """Scan a table without observations; return the state after each event.

    The first shot is the start, where the inputs of `column` begin to hold. Then come
    how many infusions run at the end of the stage, and the numbers of steps.
    """
    prepared = method.prepare(individual)

    def step(
        so_far: tuple[Carry, Counts], item: tuple[Event, Array]
    ) -> tuple[tuple[Carry, Counts], Array]:
        (carry, held), (event, ends) = so_far, item
        carry = arrive(layout, method, pick(prepared, event.column), carry, event)
        carry = happen(layout, method, individual, prepared, carry, event)
        return (carry, _where(ends, carry.running, held)), shoot(carry)

    def shoot(carry: Carry) -> Array:
        # Without infusions all rates are zero: recording them would cost memory only.
        rates = carry.rates if layout.infusions else ()
        return _packed([carry.last_dose, carry.status, *carry.amounts, *rates])

    begun = _begun(layout, method, individual, start)
    count = table.events.time.shape[0]
    # `end` counts the states after events, of which the first is the start.
    ends = 1 + jnp.arange(count)[:, None] == table.end[None]
    so_far = (begun, begun.running)
    (last, running), packed = lax.scan(step, so_far, (table.events, ends))
    packed = jnp.concatenate([shoot(begun)[None], packed])
    last_dose, status, *rest = _unpacked(packed)
    size = len(begun.amounts)
    values = [value.astype(begun.amounts[0].dtype) for value in rest]
    rates = values[size:] or [jnp.zeros_like(value) for value in values]
    shots = PostEventState(
        _with_first(start.time, table.events.time),
        _with_first(column, table.events.after),
        tuple(values[:size]),
        tuple(rates),
        last_dose,
        status.astype(int),
    )
    return shots, running, last.tried


def follow_reading(
    layout: Layout,
    method: AbstractAdaptive,
    individual: Individual,
    table: EventTable,
    start: State,
    asked: Float[Array, "event place #lane"],
) -> tuple[ScanResult, Amounts]:
    """Scan a table without observations; read at the times asked between events.

    The sights are (event, place, lane), and of one event more than there are: what is
    seen after the last. Second come the peaks of the states that may not be negative.
    """
    prepared = method.prepare(individual)
    kept = [i for i, keep in enumerate(_kept(layout)) if keep]
    width = asked.shape[1]

    def step(carry: Carry, item: tuple[Event, Array, Array]) -> tuple[Carry, Array]:
        event, ends, time = item
        here, span = pick(prepared, event.column), _span(layout, carry, event)
        moved, values, reached = method.advance_reading(
            here,
            span,
            carry.amounts,
            carry.rates,
            carry.memory,
            time=time,
            states=kept,
        )
        given = jnp.broadcast_to(carry.last_dose[None], reached.shape)
        sight = _packed([*values, given, reached])
        carry = _arrived(layout, carry, event, moved)
        carry = carry._replace(end=_held(carry, ends))
        return happen(layout, method, individual, prepared, carry, event), sight

    begun = _begun(layout, method, individual, start)._replace(end=start)
    count = table.events.time.shape[0]
    ends = jnp.arange(count)[:, None] == table.end[None]
    last, packed = lax.scan(step, begun, (table.events, ends, asked))
    assert last.end is not None  # it was laid out with one
    after = [part[None] for part in parts_of(layout, last)]
    wide = [jnp.broadcast_to(part, (width, *part.shape[1:])) for part in after]
    packed = jnp.concatenate([packed, _packed(wide)[None]])
    end = last.end._replace(status=last.status)
    sight = event_record_of(layout, packed, start.amounts.dtype)
    return (sight, end, last.tried), last.peaks


def _packed(parts: Sequence[Array]) -> Float[Array, "part *place lane"]:
    """Stack what is recorded at an event in one array.

    Several would be written by one fused loop, for which XLA then copies all that was
    written before.
    """
    return jnp.stack([part.astype(float) for part in parts])


def _unpacked(packed: Float[Array, "event part *place lane"]) -> list[Array]:
    return [packed[:, part] for part in range(packed.shape[1])]


def _with_first(
    first: Float[Array, "#lane"] | Int[Array, "#lane"], rest: Array
) -> Array:
    """Put what was at the start before what came at the events."""
    lanes = max(first.shape[0], rest.shape[1])
    rest = jnp.broadcast_to(rest, (rest.shape[0], lanes))
    first = jnp.broadcast_to(first, (lanes,))
    return jnp.concatenate([first[None].astype(rest.dtype), rest])


def _kept(layout: Layout) -> list[bool]:
    """List which states are recorded at events: those that outputs read, or all."""
    structure = layout.model.structure
    read = {state for output in structure.dependence for state in output.reads}
    return [layout.keep_states or state in read for state in structure.states]


def _where(here: Bool[Array, "#lane"], values: Counts, others: Counts) -> Counts:
    """Take values here, and others elsewhere."""
    pairs = zip(values, others, strict=True)
    return tuple(jnp.where(here, value, other) for value, other in pairs)


def _held(carry: Carry, ends: Bool[Array, "#lane"]) -> State:
    """Record the state where the stage ends, and keep it."""
    before = carry.end
    assert before is not None  # `follow` begins with one
    size = len(carry.amounts)

    def pick(values: Amounts | Counts, others: Array) -> Array:
        if not size:
            return others
        return jnp.where(ends[:, None], jnp.stack(values, axis=1), others)

    return State(
        time=jnp.where(ends, carry.time, before.time),
        amounts=pick(carry.amounts, before.amounts),
        rates=pick(carry.rates, before.rates),
        running=pick(carry.running, before.running),
        last_dose=jnp.where(ends, carry.last_dose, before.last_dose),
        status=jnp.where(ends, carry.status, before.status),
    )


def _begun(
    layout: Layout, method: AbstractMethod, individual: Individual, start: State
) -> Carry:
    """Return the carry with which the scan goes on from a State."""
    size = start.amounts.shape[1]
    zero = jnp.zeros(start.time.shape, start.amounts.dtype)
    begun = begin(
        method,
        peaks=least_peaks(layout, individual, zero),
        amounts=tuple(start.amounts[:, i] for i in range(size)),
        rates=tuple(start.rates[:, i] for i in range(size)),
        running=tuple(start.running[:, i] for i in range(size)),
        zero=zero,
        time=start.time,
        last_dose=start.last_dose,
        status=start.status,
    )
    if start.past is None:
        return begun
    return begun._replace(memory=method.resumed(begun.memory, start.past))


def begin(
    method: AbstractMethod,
    *,
    zero: Float[Array, " lane"],
    status: Int[Array, " lane"],
    **stands: Any,
) -> Carry:
    """Return the scan's carry before the first event; `zero` has the states' dtype."""
    none = jnp.zeros_like(status)
    return Carry(
        status=status,
        tried=none,
        # Below the turn of any record, so that nothing is cancelled.
        cleared=none - 1,
        memory=method.begin(zero),
        end=None,
        **stands,
    )


def arrive(
    layout: Layout, method: AbstractMethod, here: Any, carry: Carry, event: Event
) -> Carry:
    """Advance to the event; failed lanes hold NaN from here on.

    `here` is what the method has prepared, for the inputs that hold up to the event.
    """
    span = _span(layout, carry, event)
    moved = method.advance(here, span, carry.amounts, carry.rates, carry.memory)
    return _arrived(layout, carry, event, moved)


def _span(layout: Layout, carry: Carry, event: Event) -> Span:
    """Return the interval up to the event, and the steps that are left for it."""
    active = carry.status == Status.SOLVED
    left = layout.numerics.max_steps - carry.tried
    return Span(carry.time, event.time, carry.last_dose, active, left)


def _arrived(layout: Layout, carry: Carry, event: Event, moved: Step) -> Carry:
    """Return the carry at the event."""
    active = carry.status == Status.SOLVED
    status = jnp.where(active, moved.status, carry.status)
    fine = status == Status.SOLVED
    arrived = carry._replace(
        time=jnp.broadcast_to(event.time, carry.time.shape),
        # NaN from the failure on, so that nothing after it is taken for a result.
        amounts=tuple(jnp.where(fine, a, jnp.nan) for a in moved.amounts),
        status=status,
        tried=carry.tried + jnp.where(active, moved.tried, 0),
        memory=moved.memory,
    )
    return _watch(layout, arrived)


def watched_states(layout: Layout) -> list[int]:
    """List the states that may not be negative, by the sheet or by the equations."""
    model = layout.model
    kept = {*model.nonnegative, *model.structure.nonnegative.states}
    return [i for i, name in enumerate(model.states) if name in kept]


def least_peaks(
    layout: Layout, individual: Individual, like: Float[Array, " lane"]
) -> Amounts:
    """Return sizes of the watched states beside which rounding is no fault.

    They are infinite where the equations of a lane do not keep a state from below
    zero, and the sheet does not say so: there nothing is watched.
    """
    model, numerics = layout.model, layout.numerics
    atol = held_tolerances(model, numerics, individual)
    sure = is_assured(individual, like)
    return tuple(
        jnp.where(
            sure | (model.states[i] in model.nonnegative),
            (atol[i][:, 0] / numerics.rtol).astype(like.dtype),
            jnp.inf,
        )
        for i in watched_states(layout)
    )


def is_below(
    layout: Layout, value: Float[Array, "..."], peak: Float[Array, "..."]
) -> Bool[Array, "..."]:
    """Return where a state is below zero by more than the tolerances' noise."""
    return value < -NOISE * layout.numerics.rtol * peak


def without_noise(
    value: Float[Array, "..."], peak: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Set a watched state to zero where it is negative."""
    return jnp.where(jnp.isfinite(peak), jnp.maximum(value, 0.0), value)


def _watch(layout: Layout, carry: Carry) -> Carry:
    """Fail lanes with a negative state; set noise below zero to zero."""
    watched = watched_states(layout)
    if not watched:
        return carry
    amounts, status, peaks = list(carry.amounts), carry.status, []
    for place, peak in zip(watched, carry.peaks, strict=True):
        value = amounts[place]
        size = jnp.where(jnp.isfinite(value), jnp.abs(value), 0.0)
        peaks.append(jnp.maximum(peak, size))
        below = is_below(layout, value, peaks[-1]) & (status == Status.SOLVED)
        status = jnp.where(below, int(Status.NEGATIVE), status)
        amounts[place] = without_noise(value, peaks[-1])
    fine = status == Status.SOLVED
    held = tuple(jnp.where(fine, a, jnp.nan) for a in amounts)
    return carry._replace(amounts=held, status=status, peaks=tuple(peaks))


def happen(
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
    # NONMEM: a reset (EVID 3, 4) or SS 1 cancels doses recorded before and pending.
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
    # Counted, for rates added and taken off leave rounding (-1e-14) and not 0.
    more = (rate > 0).astype(int) - (rate < 0).astype(int)
    running = _added(carry.running, places, more)
    rates = _added(carry.rates, places, rate)
    rates = tuple(
        jnp.where(count > 0, r, 0.0) for r, count in zip(rates, running, strict=True)
    )
    return carry._replace(rates=rates, running=running)


def _added(
    values: Amounts | Counts, places: list[Bool[Array, "#lane"]], extra: Array
) -> tuple[Array, ...]:
    """Add something to the state that each lane's event names."""
    return tuple(
        v + jnp.where(here, extra, 0) for v, here in zip(values, places, strict=True)
    )


def _reset(
    layout: Layout,
    individual: Individual,
    carry: Carry,
    event: Event,
    reset: Bool[Array, "#lane"],
) -> Carry:
    """Begin anew: initial amounts, no infusions."""
    initial = initial_amounts(layout, individual, event.at)
    return carry._replace(
        amounts=tuple(
            jnp.where(reset, i, a) for i, a in zip(initial, carry.amounts, strict=True)
        ),
        rates=tuple(jnp.where(reset, 0.0, r) for r in carry.rates),
        running=tuple(jnp.where(reset, 0, count) for count in carry.running),
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
    assert event.steady is not None  # the layout says so
    like = carry.status
    regimen = jax.tree.map(lambda v: jnp.broadcast_to(v, like.shape), event.steady)
    compartment = jnp.broadcast_to(event.compartment, like.shape)
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
            compartment=compartment,
            initial=initial,
            span=span,
        )

    # SS records are few and their search is dear: only where some lane asks.
    settled = lax.cond(jnp.any(asks), find, lambda: nothing_settled(initial))
    status = jnp.where(asks, settled.status, carry.status)
    fine = status == Status.SOLVED
    amounts = tuple(
        # SS 1 replaces all; SS 2 adds what the steady state is above the initial one.
        jnp.where(fresh, s, jnp.where(asks, a + s - i, a))
        for s, i, a in zip(settled.amounts, initial, carry.amounts, strict=True)
    )
    rates = tuple(jnp.where(fresh, 0.0, r) for r in carry.rates)
    running = tuple(jnp.where(fresh, 0, count) for count in carry.running)
    places = [compartment == i for i in range(len(amounts))]
    # Infusions of the regimen's earlier doses run on from the record.
    more = jnp.where(asks, regimen.running, 0)
    rate = (more.astype(regimen.rate.dtype) * regimen.rate).astype(amounts[0].dtype)
    return carry._replace(
        amounts=tuple(jnp.where(fine, a, jnp.nan) for a in amounts),
        rates=_added(rates, places, rate),
        running=_added(running, places, more),
        status=status,
        tried=carry.tried + jnp.where(asks, settled.tried, 0),
    )


def initial_amounts(
    layout: Layout,
    individual: dict[str, Float[Array, "lane period"]],
    column: Int[Array, "#lane"],
) -> Amounts:
    """Return the model's initial values by the inputs of a column."""
    like = next(iter(individual.values()))
    values = layout.model.initial(individual)
    full = [jnp.broadcast_to(v.astype(like.dtype), like.shape) for v in values]
    return tuple(pick(value, column) for value in full)


def pick(tree: Any, column: Int[Array, "#lane"]) -> Any:
    """Take each lane's column of (lane, period, ...) arrays."""

    def pick(value: Array) -> Array:
        if value.shape[1] == 1:
            return value[:, 0]
        return take(value, column[:, None])[:, 0]

    return jax.tree.map(pick, tree)

"""One table of events a subject: doses, infusion ends, resets, observations, in order.

Everything here is for some subjects side by side, `lane` below: every array is
(lane, something) until the table, which is (event, lane) for the scan over it.
NONMEM's rules are in `docs/numerics.md`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vtrial.dosing.doses import DOSE, RESET, RESET_DOSE, Doses, Times
from vtrial.dosing.schedule import FINEST
from vtrial.model.model import Model
from vtrial.solver.layout import Layout
from vtrial.solver.order import Key, count_before, key_of, sorted_order
from vtrial.types import Status

BOUNDARY, PERIOD, END, RECORD, START, SEEN = range(6)
FIRST, LAST = np.iinfo(np.int32).min, np.iinfo(np.int32).max


class Given(NamedTuple):
    """Doses with lag, bioavailability and modelled rates applied: (lane, dose)."""

    delay: Float[Array, "#lane dose"]
    amount: Float[Array, "#lane dose"]
    rate: Float[Array, "#lane dose"]
    duration: Float[Array, "#lane dose"]
    column: Int[Array, "#lane dose"]


class Steady(NamedTuple):
    """Steady-state records (SS): (event, lane), kind 0 for none.

    The regimen repeats each `interval`; the state is wanted `phase` after a dose.
    `running` counts the infusions of earlier doses that run on from then.
    """

    kind: Int[Array, "event #lane"]
    amount: Float[Array, "event #lane"]
    rate: Float[Array, "event #lane"]
    duration: Float[Array, "event #lane"]
    interval: Float[Array, "event #lane"]
    phase: Float[Array, "event #lane"]
    running: Int[Array, "event #lane"]


class Event(NamedTuple):
    """Integrate to `time`, then do what is said here; every field is (event, lane).

    `column` of the inputs holds up to the event, `after` from it on, and `at` is that
    of what happens; `amount` enters
    `compartment` at once, `rate` [amount/h] is added to its infusions. `given` says
    that a dose is given here, `turn` which dose in the order of records it belongs to
    (the highest number: none), and `clears` that what was recorded earlier and is
    still to come is cancelled; None where no event can do that.
    """

    time: Float[Array, "event #lane"]
    column: Int[Array, "event #lane"]
    at: Int[Array, "event #lane"]
    after: Int[Array, "event #lane"]
    compartment: Int[Array, "event #lane"]
    amount: Float[Array, "event #lane"]
    rate: Float[Array, "event #lane"]
    given: Bool[Array, "event #lane"]
    reset: Bool[Array, "event #lane"] | None
    steady: Steady | None
    turn: Int[Array, "event #lane"] | None
    clears: Bool[Array, "event #lane"] | None


class EventTable(NamedTuple):
    """The sorted event table of some lanes, and where observations stand in it.

    `seen` and `end` say at, or after, how many events the observations and the end of
    the stage stand, `shown` which observations are in the stage; `verdict` is the
    Status of lanes whose doses cannot be given, and else solved.
    """

    events: Event
    seen: Int[Array, "#lane time"]
    shown: Bool[Array, "#lane time"]
    seen_column: Int[Array, "#lane time"]
    end: Int[Array, "#lane"]
    end_time: Float[Array, "#lane"]
    verdict: Int[Array, "#lane"]


class _Rows(NamedTuple):
    """Unsorted events: (lane, event)."""

    time: Float[Array, "#lane event"]
    rank: Int[Array, "#lane event"]
    kind: Int[Array, "#lane event"]
    dose: Int[Array, "#lane event"]
    amount: Float[Array, "#lane event"]
    rate: Float[Array, "#lane event"]


def same(time: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """Round a time so that what differs by arithmetic only compares as equal."""
    return jnp.round(time / FINEST) * FINEST


def tabulate(
    layout: Layout,
    individual: Mapping[str, Float[Array, "#lane period"]],
    doses: Doses,
    times: Times,
    *,
    periods: Float[Array, "#lane period"],
    begin: Float[Array, "#lane"],
    until: Float[Array, "#lane"] | None,
) -> EventTable:
    """Merge everything that happens to each lane from `begin` on into one table.

    What all lanes share stays one row, unless a lag or duration is a lane's own.
    Without `until` the stage ends at its last observation; what happens at `until` is
    the next stage's, or it would happen twice. `tad` counts from the record of a dose,
    without its lag. Times are clipped to the stage, for padding stands at infinity.
    """
    given = take_up(layout.model, individual, doses, periods)
    boundary = until
    if boundary is None:
        finite = jnp.where(jnp.isfinite(times.time), times.time, -jnp.inf)
        boundary = jnp.maximum(jnp.max(finite, axis=1, initial=-jnp.inf), begin)
    rows, running = _rows(layout, doses, given, times, periods, boundary)
    key = key_of(same(rows.time), rows.rank, rows.kind)
    order = sorted_order(key)
    rows, key = jax.tree.map(lambda field: take(field, order), (rows, key))
    stop = same(boundary)[:, None]
    inside = (key.time < stop) if until is not None else (key.time <= stop)
    inside &= key.time >= same(begin)[:, None]
    event = _of(doses.event, rows.dose)
    resets = (event == RESET) | (event == RESET_DOSE)
    resets &= rows.kind == RECORD
    gives = (event == DOSE) | (event == RESET_DOSE)
    given_here = gives & (rows.kind == (RECORD if layout.records else START))
    steady = turn = clears = None
    if layout.steady:
        steady = _steady(doses, given, rows, inside & gives, running)
    if layout.resets or layout.steady:
        turn = jnp.where(rows.dose < 0, LAST, _of(_turns(doses), rows.dose))
        replaces = (_of(doses.steady, rows.dose) == 1) & given_here
        clears = resets | replaces
    column = _column(periods, rows.time, before=True)
    after = _column(periods, rows.time, before=False)
    at = jnp.where(rows.dose >= 0, _of(given.column, rows.dose), column)
    events = Event(
        time=jnp.clip(rows.time, begin[:, None], boundary[:, None]),
        column=column,
        at=at,
        after=after,
        compartment=_of(doses.compartment, rows.dose),
        amount=jnp.where(inside, rows.amount, 0.0),
        rate=jnp.where(inside, rows.rate, 0.0),
        given=inside & given_here,
        reset=resets & inside if layout.resets else None,
        steady=steady,
        turn=turn,
        clears=clears,
    )
    seen, end = _places(layout, key, order, times, boundary)
    return EventTable(
        events=jax.tree.map(jnp.transpose, events),
        seen=seen,
        shown=_shown(times, begin, until),
        seen_column=_seen_column(times, periods),
        end=end,
        end_time=boundary,
        verdict=_verdict(layout, doses, given),
    )


def _places(
    layout: Layout,
    key: Key,
    order: Int[Array, "#lane event"],
    times: Times,
    boundary: Float[Array, "#lane"],
) -> tuple[Int[Array, "#lane time"], Int[Array, "#lane"]]:
    """Find observations and the end of the stage, in the table or between events."""
    if layout.merged:
        # The inverse permutation: where each unsorted row (observations first) went.
        place = jnp.argsort(order, axis=1)
        count = times.time.shape[1]
        return place[:, :count], place[:, count]
    asked = key_of(same(times.time), times.rank, jnp.full((1, 1), SEEN))
    if layout.window:
        return count_before(key, asked), jnp.argsort(order, axis=1)[:, 0]
    first = jnp.full(boundary[:, None].shape, FIRST)
    end = key_of(same(boundary)[:, None], first, jnp.full((1, 1), BOUNDARY))
    return count_before(key, asked), count_before(key, end)[:, 0]


def _shown(
    times: Times, begin: Float[Array, "#lane"], until: Float[Array, "#lane"] | None
) -> Bool[Array, "#lane time"]:
    """Return which observations fall in the stage: none after a dose at its end."""
    when = same(times.time)
    shown = jnp.isfinite(when) & (when >= same(begin)[:, None])
    if until is None:
        return shown
    stop = same(until)[:, None]
    return shown & ((when < stop) | ((when == stop) & (times.rank <= 0)))


def take(values: Array, index: Int[Array, "#lane place"]) -> Array:
    """Take values (#lane, event, ...) at places, as few rows as that needs."""
    if index.shape[1] == 0:  # of which JAX would lose the lanes
        rows = max(index.shape[0], values.shape[0])
        return jnp.zeros((rows, 0, *values.shape[2:]), values.dtype)
    if index.shape[0] == 1:
        return jnp.take(values, index[0], axis=1)
    if values.shape[0] == 1:
        return jnp.take(values[0], index, axis=0)
    index = index.reshape(*index.shape, *[1] * (values.ndim - 2))
    return jnp.take_along_axis(values, index, axis=1)


def _of(values: Array, dose: Int[Array, "#lane event"]) -> Array:
    """Look up what belongs to each event's dose."""
    if values.shape[1] == 0:
        return jnp.zeros(dose.shape, values.dtype)
    return take(values, jnp.maximum(dose, 0))


def _column(
    periods: Float[Array, "#lane period"],
    time: Float[Array, "#lane event"],
    *,
    before: bool,
) -> Int[Array, "#lane event"]:
    """Find the last column that has begun (or, `before`, had already begun)."""
    if periods.shape[1] == 1:
        return jnp.zeros((1, time.shape[1]), int)
    # A period that starts at this very time has not begun `before` it.
    side = "left" if before else "right"
    find = jax.vmap(lambda a, v: jnp.searchsorted(a, v, side=side))
    lanes = max(periods.shape[0], time.shape[0])
    begun = jnp.broadcast_to(same(periods), (lanes, periods.shape[1]))
    asked = jnp.broadcast_to(same(time), (lanes, time.shape[1]))
    return jnp.maximum(find(begun, asked) - 1, 0).astype(int)


def _seen_column(
    times: Times, periods: Float[Array, "#lane period"]
) -> Int[Array, "#lane time"]:
    """Find the column of the inputs that holds at each observation."""
    if times.period is not None:
        return jnp.clip(times.period, 0, periods.shape[1] - 1)
    before = _column(periods, times.time, before=True)
    after = _column(periods, times.time, before=False)
    return jnp.where(times.rank <= 0, before, after)


def take_up(
    model: Model,
    individual: Mapping[str, Float[Array, "#lane period"]],
    doses: Doses,
    periods: Float[Array, "#lane period"],
) -> Given:
    """Apply lag, bioavailability, modelled rates and durations.

    The lag is that of the dose's record. A dose that enters later than its record,
    after a lag or as an additional one, does so by the inputs that hold when it
    enters: in NONMEM those of the record that ends the interval. What would enter
    within `FINEST` enters at once.
    """
    column = doses.period
    if column is None:
        column = _column(periods, doses.time, before=False)
    column = jnp.clip(column, 0, periods.shape[1] - 1)
    properties = model.properties(individual)
    real = doses.amount.dtype

    def look(kind: str, column: Int[Array, "#lane dose"], other: float) -> Array:
        found = jnp.full((1, column.shape[1]), other, real)
        for (name, state), value in properties.items():
            if name == kind:
                value = value.astype(real).reshape(
                    -1, value.shape[-1] if value.ndim else 1
                )
                here = jnp.broadcast_to(value, (value.shape[0], periods.shape[1]))
                held = take(here, column)
                is_there = doses.compartment == model.states.index(state)
                found = jnp.where(is_there, held, found)
        return found

    delay = look("lag", column, 0.0)
    entry = _column(periods, doses.time + delay, before=True)
    # Without a lag a dose enters by the inputs of its own record.
    entry = jnp.maximum(entry, column)
    amount = look("F", entry, 1.0) * doses.amount
    modelled = look("rate", entry, jnp.nan)
    # NaN makes the dose impossible: RATE -1 and -2 need a rate or duration above 0.
    modelled = jnp.where(modelled > 0, modelled, jnp.nan)
    rate = jnp.where(doses.rate == -1, modelled, doses.rate)
    length = look("duration", entry, jnp.nan)
    length = jnp.where(length > 0, length, jnp.nan)
    timed = doses.rate == -2
    # The inner `where` keeps 0 * 1/NaN out of reverse derivatives.
    rate = jnp.where(timed, amount / jnp.where(timed, length, 1.0), rate)
    rate = jnp.where(doses.rate < 0, jnp.where(rate >= 0, rate, jnp.nan), rate)
    # NONMEM: SS with AMT 0 and a RATE is a constant infusion, without an end.
    endless = (doses.steady > 0) & (doses.amount == 0)
    rate = jnp.where((amount < FINEST * rate) & ~endless, 0.0, rate)
    positive = jnp.where(rate > 0, rate, 1.0)
    duration = jnp.where(rate > 0, amount / positive, 0.0)
    return Given(delay, amount, rate, duration, column)


def _verdict(layout: Layout, doses: Doses, given: Given) -> Int[Array, "#lane"]:
    """Return the Status of lanes with an impossible dose, or too long a train of them.

    A dose is none if its amount, lag, rate or duration, as taken up, is no finite
    number or below zero.
    """
    real = jnp.isfinite(doses.time) & _gives(doses)
    taken = (given.amount, given.rate, given.delay, given.duration)
    whole = jnp.isfinite(sum(taken)) & ~jnp.isnan(doses.interval)
    bad = real & ~(whole & (given.amount >= 0) & (given.delay >= 0))
    verdict = jnp.where(jnp.any(bad, axis=1), int(Status.BAD_DOSE), int(Status.SOLVED))
    odd = _unscheduled(layout, doses, given)
    verdict = jnp.where(jnp.any(odd, axis=1), int(Status.UNSCHEDULED), verdict)
    if layout.steady:
        steady = real & (doses.steady > 0) & (doses.interval > 0)
        train = given.delay + given.duration
        long = steady & ~(train <= layout.overlaps * doses.interval) & ~bad
        lost = jnp.any(long, axis=1) & (verdict == Status.SOLVED)
        verdict = jnp.where(lost, int(Status.NON_FINITE), verdict)
    return verdict


def _unscheduled(
    layout: Layout, doses: Doses, given: Given
) -> Bool[Array, "#lane dose"]:
    """Find doses of kinds that the program was not compiled for."""
    real = jnp.isfinite(doses.time)
    odd = jnp.zeros_like(real)
    if not layout.model.states:
        return odd
    if not layout.infusions:
        odd |= real & _gives(doses) & (given.rate > 0)
    if not layout.resets:
        odd |= real & ((doses.event == RESET) | (doses.event == RESET_DOSE))
    if not layout.steady:
        odd |= real & _gives(doses) & (doses.steady > 0)
    return odd


def _gives(doses: Doses) -> Bool[Array, "#lane dose"]:
    return (doses.event == DOSE) | (doses.event == RESET_DOSE)


def _rows(
    layout: Layout,
    doses: Doses,
    given: Given,
    times: Times,
    periods: Float[Array, "#lane period"],
    boundary: Float[Array, "#lane"],
) -> tuple[_Rows, Int[Array, "#lane dose"]]:
    """Lay out all events, observations first; and how many run on at a steady state."""
    parts = []
    if layout.merged:
        parts.append(_row(times.time, times.rank, SEEN))
    if layout.merged or layout.window:
        first = jnp.full((1, 1), FIRST)
        parts.append(_row(boundary[:, None], first, BOUNDARY))
    if periods.shape[1] > 1:
        start = jnp.where(jnp.isfinite(periods), periods, jnp.inf)[:, 1:]
        first = jnp.full((1, start.shape[1]), FIRST)
        parts.append(_row(start, first, PERIOD))
    if layout.records:
        parts.append(_record(doses))
    running = jnp.zeros((1, doses.time.shape[1]), int)
    given_now = _train(doses, given, jnp.zeros(()))
    implied = [_implied(layout, doses, given)] if layout.steady else []
    for starts, ends, still in [given_now, *implied]:
        running += still
        parts.append(starts)
        if layout.infusions:
            parts.append(ends)
    return _Rows(*map(_side_by_side, zip(*parts, strict=True))), running


def _side_by_side(parts: Sequence[Array]) -> Array:
    """Put rows one after another; what all lanes share is repeated if it must be."""
    lanes = max(part.shape[0] for part in parts)
    wide = [jnp.broadcast_to(part, (lanes, part.shape[1])) for part in parts]
    return jnp.concatenate(wide, axis=1)


def _row(time: Array, rank: Array, kind: int) -> _Rows:
    shape = (1, time.shape[1])
    nothing, whole = jnp.zeros(shape), jnp.zeros(shape, int)
    return _Rows(time, rank.astype(int), whole + kind, whole - 1, nothing, nothing)


def _record(doses: Doses) -> _Rows:
    """Events at the dose records themselves, before any lag."""
    row = _row(doses.time, doses.rank, RECORD)
    return row._replace(dose=_number(doses))


def _number(doses: Doses) -> Int[Array, "#lane dose"]:
    return jnp.arange(doses.time.shape[1])[None]


def _implied(
    layout: Layout, doses: Doses, given: Given
) -> tuple[_Rows, _Rows, Int[Array, "#lane dose"]]:
    """Lay out starts and ends of all doses that steady states imply, side by side."""
    backs = jnp.arange(1.0, layout.overlaps + 1)
    starts, ends, still = jax.vmap(lambda back: _train(doses, given, back))(backs)

    def flat(rows: Array) -> Array:
        return jnp.moveaxis(rows, 0, 1).reshape(rows.shape[1], -1)

    return _Rows(*map(flat, starts)), _Rows(*map(flat, ends)), jnp.sum(still, axis=0)


def _train(
    doses: Doses, given: Given, back: Float[Array, ""]
) -> tuple[_Rows, _Rows, Int[Array, "#lane dose"]]:
    """Lay out starts and ends of the doses, or of one that steady state implies.

    `back` counts the intervals from the dose itself (0) to the implied dose before
    it. Of those only what comes after the record is laid out: starts if the lag is
    longer than the interval, ends if the infusion is; whether one is running at the
    record is returned, to be set with the steady state.
    """
    # A constant infusion at steady state stops at its record, and gives nothing later.
    constant = (doses.steady > 0) & (doses.amount == 0) & (doses.rate != 0)
    gives = _gives(doses) & ~constant
    start = doses.time + given.delay - back * doses.interval
    end = start + given.duration
    now = same(doses.time)
    periodic = gives & (doses.steady > 0) & (doses.interval > 0)
    starts = jnp.where(back > 0, periodic & (same(start) >= now), gives)
    ends = jnp.where(back > 0, periodic & (same(end) > now), gives)
    still = (back > 0) & ends & ~starts & (given.rate > 0)
    ends = ends & (given.rate > 0)
    bolus = jnp.where(given.rate > 0, 0.0, given.amount)
    blank = _row(start, doses.rank, START)._replace(dose=_number(doses))
    begins = blank._replace(
        # Rows that are not used sort last.
        time=jnp.where(starts, start, jnp.inf),
        amount=jnp.where(starts, bolus, 0.0),
        rate=jnp.where(starts, given.rate, 0.0),
    )
    finishes = blank._replace(
        time=jnp.where(ends, end, jnp.inf),
        kind=jnp.full((1, start.shape[1]), END),
        rate=jnp.where(ends, -given.rate, 0.0),
    )
    return begins, finishes, still.astype(int)


def _turns(doses: Doses) -> Int[Array, "#lane dose"]:
    """Return each dose's place in the order of records."""
    time, rank = jnp.broadcast_arrays(same(doses.time), doses.rank)
    return jnp.argsort(jnp.lexsort((rank, time), axis=1), axis=1)


def _steady(
    doses: Doses,
    given: Given,
    rows: _Rows,
    gives: Bool[Array, "#lane event"],
    running: Int[Array, "#lane dose"],
) -> Steady:
    """Return the events that set a steady state (SS records), and their regimens."""
    asks = (_of(doses.steady, rows.dose) > 0) & gives & (rows.kind == RECORD)
    interval, delay = doses.interval, given.delay
    constant = (doses.amount == 0) & (given.rate > 0)
    # Doses without an interval must not divide by 0; what they give is not used.
    safe = jnp.where(interval > 0, interval, 24.0)
    # A lagged regimen is `passed` intervals less the lag after its last dose's entry.
    passed = jnp.floor(same(delay / safe)) + 1.0
    duration = jnp.where(constant, safe, given.duration)
    values = (
        jnp.where(given.rate > 0, 0.0, given.amount),
        given.rate,
        duration,
        safe,
        jnp.where(constant, safe, passed * safe - delay),
        jnp.where(constant, 0, running),
    )
    kind = jnp.where(asks, _of(doses.steady, rows.dose), 0)
    return Steady(kind, *(_of(value, rows.dose) for value in values))

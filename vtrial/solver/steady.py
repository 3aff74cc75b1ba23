"""Steady states: exact where the model is linear, by search where it is not."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from vtrial.model.tree import evaluate
from vtrial.solver.dense import inverse
from vtrial.solver.events import Steady
from vtrial.solver.explicit import Explicit
from vtrial.solver.method import AbstractMethod, Amounts, Span, Step
from vtrial.solver.repetition import (
    DOUBLINGS,
    Follow,
    Following,
    Tolerances,
    closed,
    search,
)
from vtrial.types import Status

STABLE = 1.5  # rate times step, half of what Tsitouras' method is stable for
FINEST = 1000  # pieces of an interval
MOST_REPEATS = 64  # intervals until a rhythm and the doses meet again
SAME = 1e-9  # of their number, by which turns of a rhythm may be no whole ones


class Settled(NamedTuple):
    """Steady amounts at the wanted phase, and how it went."""

    amounts: Amounts
    status: Int[Array, " lane"]
    tried: Int[Array, " lane"]


class _Asked(NamedTuple):
    """A steady state to be found, lane by lane, and in which compartment.

    What repeats itself are `repeats` intervals, where the equations look at the clock:
    until clock and doses stand to each other as before.
    """

    prepared: Any
    regimen: Steady
    compartment: Int[Array, " lane"]
    initial: Amounts
    span: Span
    repeats: Int[Array, " lane"] | None = None
    pieces: Float[Array, " lane"] | None = None

    @property
    def entry(self) -> Float[Array, " lane"]:
        """When the last of the endless doses has entered [h]."""
        return self.span.start - self.regimen.phase


def settle(
    method: AbstractMethod,
    prepared: Any,
    regimen: Steady,
    *,
    compartment: Int[Array, " lane"],
    initial: Amounts,
    span: Span,
) -> Settled:
    """Find the periodic state of a regimen at its wanted phase.

    `regimen` has (lane) fields. The state is that of an endless past, in which the
    clock went on as it does: a rhythm of 24 h under doses every 12 h repeats itself
    every second interval. `span` says which lanes ask, and how many steps they may
    take.
    """
    asked = _Asked(prepared, regimen, compartment, initial, span)
    if method.is_linear:
        return _settle_linear(method, asked)
    repeats = _repeats(method, asked)
    if repeats is None:
        return _settle_nonlinear(method, asked)
    lost = span.active & (repeats == 0)
    span = span._replace(active=span.active & ~lost)
    asked = asked._replace(span=span, repeats=jnp.maximum(repeats, 1))
    settled = _settle_nonlinear(method, asked)
    status = jnp.where(lost, int(Status.UNSETTLED), settled.status)
    return settled._replace(status=status)


def _repeats(method: AbstractMethod, asked: _Asked) -> Int[Array, " lane"] | None:
    """Count the dosing intervals after which the clock's rhythms recur.

    0 where there is no such number up to `MOST_REPEATS`, None where nothing looks at
    the clock's time. What is no rhythm is taken as it is in the interval before.
    """
    structure = method.model.structure
    if not structure.uses_time:
        return None
    interval = asked.regimen.interval
    counts = jnp.arange(1.0, MOST_REPEATS + 1)[:, None]
    fits = jnp.ones((MOST_REPEATS, interval.shape[0]), bool)
    for rhythm in structure.rhythms:
        period = evaluate(rhythm, asked.prepared.read).astype(interval.dtype)
        turns = counts * interval[None] / jnp.where(period > 0, period, 1.0)
        near = jnp.abs(turns - jnp.round(turns)) <= SAME * turns
        fits &= near | (period <= 0) | ~jnp.isfinite(period)
    return jnp.where(jnp.any(fits, axis=0), jnp.argmax(fits, axis=0) + 1, 0)


def _pattern(
    method: AbstractMethod,
    asked: _Asked,
    amounts: Amounts,
    memory: Any,
    *,
    begin: Float[Array, " lane"],
    length: Float[Array, " lane"],
) -> Step:
    """Give a dose at `begin` and follow it for `length`, infusions overlapping.

    An infusion longer than the interval runs `n` times over all the while, and once
    more until its rest is over. Where the equations look at the time after dose, that
    begins anew at the record of the next dose, before this enters if it lags. All parts
    begin with the same memory.
    """
    regimen, span = asked.regimen, asked.span
    # Rounding must not take one off a duration of whole intervals.
    whole = jnp.floor(regimen.duration / regimen.interval * (1 + 1e-12))
    rest = jnp.maximum(regimen.duration - whole * regimen.interval, 0.0)
    rest = jnp.minimum(rest, length)
    places = [asked.compartment == i for i in range(len(amounts))]
    real = amounts[0].dtype
    dosed = tuple(
        a + jnp.where(here, regimen.amount, 0.0).astype(real)
        for a, here in zip(amounts, places, strict=True)
    )
    none = jnp.zeros(span.active.shape, int)

    def solve(so_far: Step, part: tuple[Array, ...]) -> tuple[Step, None]:
        start, stop, times, last_dose = part
        status, tried = so_far.status, so_far.tried
        rates = tuple(
            jnp.where(here, times * regimen.rate, 0.0).astype(real) for here in places
        )
        here = span._replace(
            start=begin + start,
            stop=begin + stop,
            last_dose=begin + last_dose,
            active=span.active & (status == Status.SOLVED),
            left=span.left - tried,
        )
        begun = Step(so_far.amounts, memory, none, none)
        step = _advanced(method, asked, here, begun, rates)
        status = jnp.where(status == Status.SOLVED, step.status, status)
        return step._replace(status=status, tried=tried + step.tried), None

    ends = [jnp.zeros_like(rest), rest, length]
    if method.model.structure.uses_after_dose:
        record = jnp.minimum(regimen.phase, length)
        # `tad` begins anew at the next record: the interval is cut there, too.
        ends[1:2] = [jnp.minimum(rest, record), jnp.maximum(rest, record)]
    starts, stops = jnp.stack(ends[:-1]), jnp.stack(ends[1:])
    lasting, phase, interval = rest[None], regimen.phase[None], regimen.interval[None]
    times = jnp.where(starts < lasting, whole[None] + 1.0, whole[None])
    record = phase - jnp.where(starts < phase, interval, 0.0)
    parts = (starts, stops, times, record)
    return lax.scan(solve, Step(dosed, memory, none, none), parts)[0]


def _period(
    method: AbstractMethod, asked: _Asked, amounts: Amounts, memory: Any
) -> Step:
    """Follow one period of the regimen, one interval or some, to the last entry."""
    interval = asked.regimen.interval
    if asked.repeats is None:
        begin = asked.entry - interval
        return _pattern(method, asked, amounts, memory, begin=begin, length=interval)
    repeats = asked.repeats
    none = jnp.zeros(asked.span.active.shape, int)

    def more(so_far: tuple[Array, Step]) -> Bool[Array, ""]:
        return jnp.any(asked.span.active & (so_far[0] < repeats))

    def once(so_far: tuple[Array, Step]) -> tuple[Array, Step]:
        done, step = so_far
        active = asked.span.active & (step.status == Status.SOLVED) & (done < repeats)
        span = asked.span._replace(active=active, left=asked.span.left - step.tried)
        part = asked._replace(span=span)
        # Counted back from the last entry, so that each has its own time of the clock.
        begin = asked.entry - (repeats - done).astype(interval.dtype) * interval
        new = _pattern(method, part, step.amounts, memory, begin=begin, length=interval)

        def keep(now: Array, before: Array) -> Array:
            return jnp.where(active, now, before)

        return done + 1, Step(
            jax.tree.map(keep, new.amounts, step.amounts),
            jax.tree.map(keep, new.memory, step.memory),
            keep(new.status, step.status),
            step.tried + keep(new.tried, none),
        )

    begun = Step(amounts, memory, none, none)
    return lax.while_loop(more, once, (none[0], begun))[1]


def _advanced(
    method: AbstractMethod, asked: _Asked, span: Span, begun: Step, rates: Amounts
) -> Step:
    """Solve from `span.start` to `span.stop`, in pieces if it is so asked."""
    if asked.pieces is None:
        return method.advance(asked.prepared, span, begun.amounts, rates, begun.memory)
    pieces, length = asked.pieces, (span.stop - span.start) / asked.pieces

    def more(so_far: tuple[Array, Step]) -> Bool[Array, ""]:
        return jnp.any(span.active & (so_far[0] < pieces))

    def once(so_far: tuple[Array, Step]) -> tuple[Array, Step]:
        done, step = so_far
        start = span.start + done * length
        here = span._replace(
            start=start,
            stop=jnp.where(done + 1 == pieces, span.stop, start + length),
            active=span.active & (step.status == Status.SOLVED) & (done < pieces),
            left=span.left - step.tried,
        )
        new = method.advance(asked.prepared, here, step.amounts, rates, step.memory)
        status = jnp.where(here.active, new.status, step.status)
        tried = step.tried + jnp.where(here.active, new.tried, 0)
        return done + 1, new._replace(status=status, tried=tried)

    return lax.while_loop(more, once, (jnp.zeros_like(pieces), begun))[1]


def _pieces(method: AbstractMethod, asked: _Asked) -> Float[Array, " lane"] | None:
    """Return into how many pieces an interval is cut, so that steps are stable.

    Near a steady state the error tells nothing of the steps that an explicit method
    can make: changes of what does not move would grow from step to step, and so would
    derivatives. The fastest rate is seen by following changes for a little while.
    """
    if not isinstance(method, Explicit):
        return None
    span, interval, initial = asked.span, asked.regimen.interval, asked.initial
    size, little = len(initial), interval / FINEST
    short = span._replace(stop=span.start + little)
    none = tuple(jnp.zeros_like(a) for a in initial)

    def after(amounts: Amounts) -> Amounts:
        memory = method.begin(amounts[0])
        return method.advance(asked.prepared, short, amounts, none, memory).amounts

    def along(unit: Float[Array, " state"]) -> Amounts:
        direction = tuple(jnp.full_like(a, unit[i]) for i, a in enumerate(initial))
        return jax.jvp(after, (initial,), (direction,))[1]

    change = jnp.stack(jax.vmap(along)(jnp.eye(size, dtype=initial[0].dtype)))
    change = change - jnp.eye(size, dtype=change.dtype)[..., None]
    # The 1-norm bounds the eigenvalues of the Jacobian, here times the interval.
    rate = jnp.max(jnp.sum(jnp.abs(change), axis=1), axis=0) * FINEST
    rate = jnp.where(jnp.isfinite(rate), rate, 0.0)
    return jnp.clip(jnp.ceil(rate / STABLE), 1, FINEST).astype(span.start.dtype)


def _settle_linear(method: AbstractMethod, asked: _Asked) -> Settled:
    """Solve (I - E) x = g, where an interval takes x to E x + g."""
    regimen, zero = asked.regimen, tuple(jnp.zeros_like(a) for a in asked.initial)
    memory = method.begin(zero[0])
    # From zero amounts an interval leads to g.
    gained = _period(method, asked, zero, memory).amounts
    real = zero[0].dtype
    kept = method.transition(asked.prepared, regimen.interval.astype(real))
    identity = jnp.eye(len(zero), dtype=real)[None]
    # Idle lanes solve with the identity, which is never singular.
    system = jnp.where(asked.span.active[:, None, None], identity - kept, identity)
    solved = jnp.einsum("lij,lj->li", inverse(system), jnp.stack(gained, axis=1))
    start = tuple(solved[:, i] for i in range(len(zero)))
    step = _last(method, asked, start, memory)
    # A fixed point that repetition would leave is no steady state.
    settles = jnp.all(jnp.isfinite(solved), axis=1) & _fades(kept)
    status = jnp.where(asked.span.active & ~settles, int(Status.UNSETTLED), step.status)
    return Settled(step.amounts, status, step.tried)


def _last(method: AbstractMethod, asked: _Asked, amounts: Amounts, memory: Any) -> Step:
    """Give the last of the endless doses, and follow it until it is looked at."""
    length = asked.regimen.phase
    return _pattern(method, asked, amounts, memory, begin=asked.entry, length=length)


def _fades(kept: Float[Array, "lane state state"]) -> Bool[Array, " lane"]:
    """Return where the powers of an interval's transition matrix stay bounded."""

    def square(_: Array, power: Array) -> Array:
        return jnp.einsum("lij,ljk->lik", power, power, precision="highest")

    power = lax.fori_loop(0, DOUBLINGS, square, kept)
    return jnp.all(jnp.abs(power) <= 1.0, axis=(1, 2))


def _settle_nonlinear(method: AbstractMethod, asked: _Asked) -> Settled:
    """Search for what repetition leads to, then solve once more, for derivatives."""
    span = asked.span
    asked = asked._replace(
        pieces=_pieces(method, jax.tree.map(lax.stop_gradient, asked))
    )

    def following(asked: _Asked) -> Follow:
        def follow(amounts: Amounts, how: Following) -> Step:
            left = asked.span.left - how.tried
            part = asked.span._replace(active=how.active, left=left)
            again = asked._replace(span=part)
            return _period(method, again, amounts, how.memory)

        return follow

    # The search is not differentiated: the interval after it carries all derivatives.
    frozen = jax.tree.map(lax.stop_gradient, asked)
    begun = method.begin(frozen.initial[0])
    tolerances = Tolerances(method.numerics.rtol, method.absolute(frozen.prepared))
    found = search(following(frozen), frozen.initial, begun, span.active, tolerances)
    how = Following(span.active & found.settled, found.tried, found.memory)
    step = following(asked)(found.amounts, how)
    amounts = closed(step.amounts, found, asked.initial)
    status = jnp.where(found.status == Status.SOLVED, step.status, found.status)
    lost = span.active & ~found.settled & (status == Status.SOLVED)
    status = jnp.where(lost, int(Status.UNSETTLED), status)
    tried = found.tried + step.tried
    part = span._replace(
        active=span.active & (status == Status.SOLVED), left=span.left - tried
    )
    again = asked._replace(span=part)
    step = _last(method, again, amounts, found.memory)
    status = jnp.where(status == Status.SOLVED, step.status, status)
    return Settled(step.amounts, status, tried + step.tried)


def nothing_settled(initial: Amounts) -> Settled:
    """Return zero amounts, for where no lane asks for a steady state."""
    none = jnp.zeros(initial[0].shape, int)
    return Settled(jax.tree.map(jnp.zeros_like, initial), none, none)

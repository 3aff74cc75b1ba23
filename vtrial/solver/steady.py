"""Steady states: exact where the model is linear, by search where it is not."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from vtrial.solver.dense import inverse
from vtrial.solver.events import Steady
from vtrial.solver.explicit import Explicit
from vtrial.solver.method import AbstractMethod, Amounts, Span, Step
from vtrial.solver.repetition import Follow, Following, Tolerances, closed, search
from vtrial.types import Status

STABLE = 1.5  # rate times step, half of what Tsitouras' method is stable for
FINEST = 1000  # pieces of an interval


class Settled(NamedTuple):
    """Steady amounts at the wanted phase, and how it went."""

    amounts: Amounts
    status: Int[Array, " lane"]
    tried: Int[Array, " lane"]


class _Asked(NamedTuple):
    """A steady state to be found, lane by lane, and in which compartment."""

    prepared: Any
    regimen: Steady
    compartment: Int[Array, " lane"]
    initial: Amounts
    span: Span
    pieces: Float[Array, " lane"] | None = None


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

    `regimen` has (lane) fields. The state repeats itself from interval to interval;
    `span` says which lanes ask, and how many steps they may take.
    """
    asked = _Asked(prepared, regimen, compartment, initial, span)
    settle_one = _settle_linear if method.is_linear else _settle_nonlinear
    return settle_one(method, asked)


def _pattern(
    method: AbstractMethod,
    asked: _Asked,
    amounts: Amounts,
    length: Float[Array, " lane"],
    memory: Any,
) -> Step:
    """Give a dose and follow it for `length` of the interval, infusions overlapping.

    An infusion longer than the interval runs `n` times over all the while, and once
    more until its rest is over. Both parts begin with the same memory.
    """
    regimen, span = asked.regimen, asked.span
    whole = jnp.floor(regimen.duration / regimen.interval * (1 + 1e-12))
    rest = jnp.maximum(regimen.duration - whole * regimen.interval, 0.0)
    rest = jnp.minimum(rest, length)
    places = [asked.compartment == i for i in range(len(amounts))]
    real = amounts[0].dtype
    dosed = tuple(
        a + jnp.where(here, regimen.amount, 0.0).astype(real)
        for a, here in zip(amounts, places, strict=True)
    )
    begin, middle, end = span.start, span.start + rest, span.start + length
    none = jnp.zeros(span.active.shape, int)

    def solve(so_far: Step, part: tuple[Array, Array, Array]) -> tuple[Step, None]:
        times, start, stop = part
        status, tried = so_far.status, so_far.tried
        rates = tuple(
            jnp.where(here, times * regimen.rate, 0.0).astype(real) for here in places
        )
        here = span._replace(
            start=start,
            stop=stop,
            active=span.active & (status == Status.SOLVED),
            left=span.left - tried,
        )
        begun = Step(so_far.amounts, memory, none, none)
        step = _advanced(method, asked, here, begun, rates)
        status = jnp.where(status == Status.SOLVED, step.status, status)
        return step._replace(status=status, tried=tried + step.tried), None

    times = jnp.stack([whole + 1.0, whole])
    starts, stops = jnp.stack([begin, middle]), jnp.stack([middle, end])
    parts = (times, starts, stops)
    return lax.scan(solve, Step(dosed, memory, none, none), parts)[0]


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
    """Return into how many pieces an interval is cut, so that a change stays small.

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
    rate = jnp.max(jnp.sum(jnp.abs(change), axis=1), axis=0) * FINEST
    rate = jnp.where(jnp.isfinite(rate), rate, 0.0)
    return jnp.clip(jnp.ceil(rate / STABLE), 1, FINEST).astype(span.start.dtype)


def _settle_linear(method: AbstractMethod, asked: _Asked) -> Settled:
    """Solve (I - E) x = g, where an interval takes x to E x + g."""
    regimen, zero = asked.regimen, tuple(jnp.zeros_like(a) for a in asked.initial)
    memory = method.begin(zero[0])
    gained = _pattern(method, asked, zero, regimen.interval, memory).amounts
    real = zero[0].dtype
    kept = method.transition(asked.prepared, regimen.interval.astype(real))
    identity = jnp.eye(len(zero), dtype=real)[None]
    system = jnp.where(asked.span.active[:, None, None], identity - kept, identity)
    solved = jnp.einsum("lij,lj->li", inverse(system), jnp.stack(gained, axis=1))
    start = tuple(solved[:, i] for i in range(len(zero)))
    step = _pattern(method, asked, start, regimen.phase, memory)
    finite = jnp.all(jnp.isfinite(solved), axis=1)
    status = jnp.where(asked.span.active & ~finite, int(Status.UNSETTLED), step.status)
    return Settled(step.amounts, status, step.tried)


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
            interval = asked.regimen.interval
            return _pattern(method, again, amounts, interval, how.memory)

        return follow

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
    step = _pattern(method, again, amounts, asked.regimen.phase, found.memory)
    status = jnp.where(status == Status.SOLVED, step.status, status)
    return Settled(step.amounts, status, tried + step.tried)


def nothing_settled(initial: Amounts) -> Settled:
    """Return the answer where no lane asks."""
    none = jnp.zeros(initial[0].shape, int)
    return Settled(jax.tree.map(jnp.zeros_like, initial), none, none)

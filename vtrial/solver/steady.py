"""Steady states: exact where the model is linear, by repetition where it is not."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from vtrial.solver.events import Steady
from vtrial.solver.method import AbstractMethod, Amounts, Span
from vtrial.types import Status

MOST = 20_000  # intervals that a nonlinear regimen may take to settle


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
) -> tuple[Amounts, Int[Array, " lane"], Int[Array, " lane"]]:
    """Give a dose and follow it for `length` of the interval, infusions overlapping.

    An infusion longer than the interval runs `n` times over all the while, and once
    more until its rest is over.
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
    begin = span.start
    parts = ((whole + 1.0, begin, begin + rest), (whole, begin + rest, begin + length))
    status = jnp.zeros(span.active.shape, int)
    tried = jnp.zeros(span.active.shape, int)
    for times, start, stop in parts:
        rates = tuple(
            jnp.where(here, times * regimen.rate, 0.0).astype(real) for here in places
        )
        part = span._replace(
            start=start,
            stop=stop,
            active=span.active & (status == Status.SOLVED),
            left=span.left - tried,
        )
        step = method.advance(
            asked.prepared, part, dosed, rates, method.begin(amounts[0])
        )
        dosed, tried = step.amounts, tried + step.tried
        status = jnp.where(status == Status.SOLVED, step.status, status)
    return dosed, status, tried


def _settle_linear(method: AbstractMethod, asked: _Asked) -> Settled:
    """Solve (I - E) x = g, where an interval takes x to E x + g."""
    regimen, zero = asked.regimen, tuple(jnp.zeros_like(a) for a in asked.initial)
    gained, _, _ = _pattern(method, asked, zero, regimen.interval)
    real = zero[0].dtype
    kept = method.transition(asked.prepared, regimen.interval.astype(real))
    identity = jnp.eye(len(zero), dtype=real)[None]
    system = jnp.where(asked.span.active[:, None, None], identity - kept, identity)
    solved = jnp.linalg.solve(system, jnp.stack(gained, axis=1)[..., None])[..., 0]
    start = tuple(solved[:, i] for i in range(len(zero)))
    amounts, status, tried = _pattern(method, asked, start, regimen.phase)
    finite = jnp.all(jnp.isfinite(solved), axis=1)
    status = jnp.where(asked.span.active & ~finite, int(Status.UNSETTLED), status)
    return Settled(amounts, status, tried)


class _Search(NamedTuple):
    amounts: Amounts
    change: Float[Array, " lane"]
    settled: Bool[Array, " lane"]
    status: Int[Array, " lane"]
    tried: Int[Array, " lane"]
    rounds: Int[Array, ""]


def _settle_nonlinear(method: AbstractMethod, asked: _Asked) -> Settled:
    """Repeat the interval until what is still to come is within tolerance.

    Successive changes shrink by some factor r, so that r / (1 - r) of the last change
    is still missing.
    """
    rtol, atol = method.numerics.rtol, method.numerics.atol
    span, regimen = asked.span, asked.regimen
    none = jnp.zeros(span.active.shape, int)

    def wanted(search: _Search) -> Bool[Array, " lane"]:
        return span.active & ~search.settled & (search.status == Status.SOLVED)

    def more(search: _Search) -> Bool[Array, ""]:
        return jnp.any(wanted(search)) & (search.rounds < MOST)

    def once(search: _Search) -> _Search:
        still = wanted(search)
        part = span._replace(active=still, left=span.left - search.tried)
        again = asked._replace(span=part)
        after, status, tried = _pattern(method, again, search.amounts, regimen.interval)
        pairs = list(zip(search.amounts, after, strict=True))
        weighed = [
            jnp.abs(b - a) / (atol + rtol * jnp.maximum(jnp.abs(a), jnp.abs(b)))
            for a, b in pairs
        ]
        change = jnp.max(jnp.stack(weighed), axis=0)
        ratio = jnp.clip(change / jnp.maximum(search.change, 1e-30), 0.0, 0.9999)
        near = change * jnp.maximum(ratio / (1.0 - ratio), 0.1) < 1.0
        return _Search(
            tuple(jnp.where(still, b, a) for a, b in pairs),
            jnp.where(still, change, search.change),
            search.settled | (still & near),
            jnp.where(still, status, search.status),
            search.tried + tried,
            search.rounds + 1,
        )

    like = asked.initial[0]
    first = _Search(
        asked.initial,
        jnp.full(like.shape, 1e30, like.dtype),
        jnp.zeros(like.shape, bool),
        none,
        none,
        jnp.zeros((), int),
    )
    search = lax.while_loop(more, once, first)
    lost = span.active & ~search.settled & (search.status == Status.SOLVED)
    status = jnp.where(lost, int(Status.UNSETTLED), search.status)
    part = span._replace(
        active=span.active & (status == Status.SOLVED), left=span.left - search.tried
    )
    amounts, ended, tried = _pattern(
        method, asked._replace(span=part), search.amounts, regimen.phase
    )
    status = jnp.where(status == Status.SOLVED, ended, status)
    return Settled(amounts, status, search.tried + tried)


def nothing_settled(initial: Amounts) -> Settled:
    """Return the answer where no lane asks."""
    none = jnp.zeros(initial[0].shape, int)
    return Settled(jax.tree.map(jnp.zeros_like, initial), none, none)

"""Fixed points of a repeated interval (nonlinear steady states), in few repetitions.

An interval takes amounts x to F(x). Near a state that repeats itself a change of x is
multiplied by the matrix A = F'(x) each time, so that what is still to come after x is

    (I + A + A^2 + ...) (F(x) - x),

which doubling sums: as many terms as two to the number of doublings. To go on by it is
Newton's method, but one that keeps what repetition keeps (the total of a receptor that
is neither made nor lost, where I - A has no inverse) and that sees where repetition
leads nowhere: the sum is infinite then, or never small.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from vtrial.solver.method import Amounts, Step
from vtrial.solver.tolerance import tolerated
from vtrial.types import Status

DOUBLINGS = 16  # 65,536 repetitions ahead
PLAIN = 3  # repetitions before the first leap
MOST = 1000  # intervals that are solved before a lane is given up
LESSENED = 0.9  # to so much a leap must bring the change from interval to interval
ROUNDING = 16.0  # units in the last place: a change within them is none

Matrix = Float[Array, "lane state state"]


class Following(NamedTuple):
    """How to follow an interval: which lanes, after how many steps, with what memory.

    `memory` is the method's, the same each time, so that equal amounts lead to equal
    ones. It is that after the first interval: a step size that is chosen anew depends
    on the amounts, wildly so where little moves, and derivatives would follow it.
    """

    active: Bool[Array, " lane"]
    tried: Int[Array, " lane"]
    memory: Any


class Tolerances(NamedTuple):
    """Tolerances of a change: relative to the amounts, and absolute."""

    relative: float
    absolute: Amounts


Follow = Callable[[Amounts, Following], Step]


class Ahead(NamedTuple):
    """The long-run effect of a change: `total` sums it up, `rest` is what stays."""

    total: Matrix
    rest: Matrix


class Search(NamedTuple):
    """State of the search, lane by lane.

    `amounts` are a leap's where `leapt`; `fallback` are what plain repetition had come
    to, with the `change` that a leap must lessen, in units of `weights`. A lane leaps
    when it has repeated `wait` times, and after a leap that failed waits twice as
    long, `pause`.
    """

    amounts: Amounts
    fallback: Amounts
    weights: Amounts
    change: Float[Array, " lane"]
    leapt: Bool[Array, " lane"]
    wait: Int[Array, " lane"]
    pause: Int[Array, " lane"]
    settled: Bool[Array, " lane"]
    ahead: Ahead
    memory: Any
    status: Int[Array, " lane"]
    tried: Int[Array, " lane"]
    rounds: Int[Array, ""]


def search(
    follow: Follow,
    start: Amounts,
    memory: Any,
    active: Bool[Array, " lane"],
    tolerances: Tolerances,
) -> Search:
    """Find the fixed point that repeating `follow` leads to.

    A lane has settled if what is still to come, by the sum above, is within tolerance;
    no lane depends on another. Do not differentiate this, but `closed`.
    """

    def wanted(found: Search) -> Bool[Array, " lane"]:
        return active & ~found.settled & (found.status == Status.SOLVED)

    def more(found: Search) -> Bool[Array, ""]:
        return jnp.any(wanted(found)) & (found.rounds < MOST)

    def once(found: Search) -> Search:
        return _round(follow, found, wanted(found), tolerances)

    return lax.while_loop(more, once, _begun(start, memory))


def closed(after: Amounts, found: Search, start: Amounts) -> Amounts:
    """Add to the amounts found what is still to come.

    `after` is an interval later than these. Derivatives pass through `after` as
    through the implicit function: dx = (I + A + ...) dF, and through `start` as far as
    something of it stays for ever.
    """
    before = lax.stop_gradient(found.amounts)
    ahead = lax.stop_gradient(found.ahead)
    gone = _times(ahead.total, _change(before, after))
    stays = _times(ahead.rest, tuple(s - lax.stop_gradient(s) for s in start))
    return tuple(b + g + s for b, g, s in zip(before, gone, stays, strict=True))


def _begun(start: Amounts, memory: Any) -> Search:
    lanes, size, real = start[0].shape[0], len(start), start[0].dtype
    none, no = jnp.zeros((lanes,), int), jnp.zeros((lanes,), bool)
    empty = jnp.zeros((lanes, size, size), real)
    ones = tuple(jnp.ones_like(a) for a in start)
    change = jnp.zeros((lanes,), real)
    ahead = Ahead(empty, empty)
    return Search(
        start,
        start,
        ones,
        change,
        no,
        none + PLAIN,
        none + PLAIN,
        no,
        ahead,
        memory,
        none,
        none,
        none[0],
    )


def _round(
    follow: Follow,
    found: Search,
    still: Bool[Array, " lane"],
    tolerances: Tolerances,
) -> Search:
    """Repeat once more, and leap where it is time to."""
    leaps = still & (found.wait == 0)
    how = Following(still, found.tried, found.memory)
    step, kept = _followed(follow, found.amounts, how, jnp.any(leaps))
    before, after = found.amounts, step.amounts
    weights = tuple(
        tolerated(tolerances.relative, least, a, b)
        for least, a, b in zip(tolerances.absolute, before, after, strict=True)
    )
    change = _change(before, after)
    # A leap is kept only if successive intervals are nearer to each other after it.
    good = _largest(change, found.weights) <= LESSENED * found.change
    good &= step.status == Status.SOLVED
    back = still & found.leapt & ~good
    fine = still & ~back
    ahead = _summed(kept)
    rest = _times(ahead.total, change)
    settled = fine & leaps & (_largest(rest, weights) < 1.0)
    leapt, target = _leap(before, after, rest)
    leapt = leapt & fine & leaps & ~settled
    failed = back | (fine & leaps & ~settled & ~leapt)
    plain = fine & ~settled & ~leapt
    # Far from the steady state the linearisation misleads: repeat plainly for longer.
    pause = jnp.where(failed, 2 * found.pause, found.pause)

    def choose(here: Array, new: Amounts, old: Amounts) -> Amounts:
        return tuple(jnp.where(here, n, o) for n, o in zip(new, old, strict=True))

    amounts = choose(back, found.fallback, before)
    amounts = choose(plain, after, choose(leapt, target, amounts))
    place = settled[:, None, None]
    wait = jnp.where(failed, pause, jnp.maximum(found.wait - 1, 0))
    return Search(
        amounts=amounts,
        fallback=choose(leapt, after, found.fallback),
        weights=choose(leapt, weights, found.weights),
        change=jnp.where(leapt, _largest(change, weights), found.change),
        leapt=leapt,
        wait=jnp.where(still, wait, found.wait),
        pause=pause,
        settled=found.settled | settled,
        ahead=jax.tree.map(partial(jnp.where, place), ahead, found.ahead),
        memory=jax.tree.map(
            partial(jnp.where, found.rounds == 0), step.memory, found.memory
        ),
        status=jnp.where(fine, step.status, found.status),
        tried=found.tried + jnp.where(still, step.tried, 0),
        rounds=found.rounds + 1,
    )


def _followed(
    follow: Follow, amounts: Amounts, how: Following, leaps: Bool[Array, ""]
) -> tuple[Step, Matrix]:
    """Solve an interval; with its matrix, a tangent for each state, if a lane leaps."""
    lanes, size, real = amounts[0].shape[0], len(amounts), amounts[0].dtype

    def plain() -> tuple[Step, Matrix]:
        return follow(amounts, how), jnp.zeros((lanes, size, size), real)

    def linearised() -> tuple[Step, Matrix]:
        def after(amounts: Amounts) -> tuple[Amounts, Step]:
            step = follow(amounts, how)
            return step.amounts, step

        def along(unit: Float[Array, " state"]) -> tuple[Amounts, Amounts, Step]:
            direction = tuple(s * unit[i] for i, s in enumerate(sizes))
            return jax.jvp(after, (amounts,), (direction,), has_aux=True)

        # Sensitivities of the solution's own size, as the error norm wants them.
        sizes = [jnp.where(a == 0, 1.0, jnp.abs(a)) for a in amounts]
        units = jnp.eye(size, dtype=real)
        # All directions share one solution and its steps.
        _, change, step = jax.vmap(along, out_axes=(None, 0, None))(units)
        change = jnp.stack(change) / jnp.stack(sizes)[None]
        return step, jnp.moveaxis(change, 2, 0)

    return lax.cond(leaps, linearised, plain)


def _summed(kept: Matrix) -> Ahead:
    """Sum the powers of a matrix from 0 on."""
    lanes, size, _ = kept.shape
    identity = jnp.broadcast_to(jnp.eye(size, dtype=kept.dtype), kept.shape)

    def double(_: Array, ahead: Ahead) -> Ahead:
        total, power = ahead
        return Ahead(total + _product(power, total), _product(power, power))

    return lax.fori_loop(0, DOUBLINGS, double, Ahead(identity, kept))


def _product(first: Matrix, second: Matrix) -> Matrix:
    # By default accelerators multiply 32-bit matrices in fewer bits.
    return jnp.einsum("lij,ljk->lik", first, second, precision=lax.Precision.HIGHEST)


def _times(matrix: Matrix, amounts: Amounts) -> Amounts:
    """Multiply by a matrix in each lane."""
    vector = jnp.stack(amounts, axis=1)
    found = jnp.einsum("lij,lj->li", matrix, vector, precision=lax.Precision.HIGHEST)
    return tuple(found[:, i] for i in range(len(amounts)))


def _change(before: Amounts, after: Amounts) -> Amounts:
    """Return the change, but zero for rounding; its derivatives stay."""
    noise = ROUNDING * jnp.finfo(before[0].dtype).eps
    changes = []
    for a, b in zip(before, after, strict=True):
        nothing = jnp.where(jnp.abs(b - a) <= noise * jnp.abs(a), b - a, 0.0)
        changes.append(b - a - lax.stop_gradient(nothing))
    return tuple(changes)


def _largest(change: Amounts, weights: Amounts) -> Float[Array, " lane"]:
    """Return the largest change in units of weights; NaN stays NaN."""
    parts = [jnp.abs(c) / w for c, w in zip(change, weights, strict=True)]
    return jnp.max(jnp.stack(parts), axis=0)


def _leap(
    before: Amounts, after: Amounts, rest: Amounts
) -> tuple[Bool[Array, " lane"], Amounts]:
    """Return where a leap may go: to what is finite, and negative only if it was."""
    target = tuple(b + r for b, r in zip(before, rest, strict=True))
    good = jnp.ones(before[0].shape, bool)
    for value, old, new in zip(target, before, after, strict=True):
        lowest = jnp.minimum(jnp.minimum(old, new), 0.0)
        good &= jnp.isfinite(value) & (value >= lowest)
    return good, target

"""Matrix exponentials, for linear models with constant rates of any size."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from vtrial.solver.dense import exponential
from vtrial.solver.method import AbstractMethod, Amounts, Span, Step, arrived


class System(NamedTuple):
    """dx/dt = matrix x + constant, for each lane (and period)."""

    matrix: Float[Array, "lane *period state state"]
    constant: Float[Array, "lane *period state"]


class Propagator(NamedTuple):
    """The last interval's propagator; on regular grids the next one is the same."""

    time: Float[Array, " lane"]
    system: System
    whole: Float[Array, "lane augmented augmented"]


@dataclass(frozen=True)
class MatrixExponential(AbstractMethod):
    """Propagate by the exponential of the rate matrix, an infusion as one more state.

    It is computed in float64 if it can be: in 32 bits its squarings lose everything.
    """

    @property
    def is_linear(self) -> bool:
        """Whether `transition` is defined: the model is linear."""
        return True

    def prepare(self, individual: Mapping[str, Float[Array, "lane period"]]) -> System:
        """Compute each lane's rate matrix and constant inflow."""
        like = next(iter(individual.values())).astype(float)

        def full(entry: Array | None) -> Array:
            value = jnp.zeros((), float) if entry is None else entry.astype(float)
            return jnp.broadcast_to(value, like.shape)

        rows = self.model.linear_matrix(individual)
        matrix = [jnp.stack([full(e) for e in row], axis=-1) for row in rows]
        constant = [full(e) for e in self.model.linear_constant(individual)]
        return System(jnp.stack(matrix, axis=-2), jnp.stack(constant, axis=-1))

    def begin(self, like: Float[Array, " lane"]) -> Propagator:
        """Return the propagator of an interval of length zero."""
        size, lanes = len(self.model.states), like.shape[0]
        zero = jnp.zeros((lanes,), float)
        system = System(jnp.zeros((lanes, size, size)), jnp.zeros((lanes, size)))
        return Propagator(zero, system, _identity(lanes, size + 1))

    def advance(
        self,
        prepared: System,
        span: Span,
        amounts: Amounts,
        rates: Amounts,
        memory: Propagator,
    ) -> Step:
        """Propagate, with the last interval's propagator where that is the same."""
        time = (span.stop - span.start).astype(float)
        forced = prepared.constant + jnp.stack(rates, axis=1).astype(float)
        system = System(prepared.matrix, forced)
        moves = span.active & (span.stop > span.start)
        again = _is_same(memory, time, system, span) | ~moves
        # One predicate for all lanes: by lane, XLA would compute both branches.
        kept = lax.cond(
            jnp.all(again), lambda: memory, lambda: _propagator(time, system)
        )
        before = jnp.stack(amounts, axis=1).astype(float)
        size = before.shape[1]
        after = jnp.einsum("lij,lj->li", kept.whole[:, :size, :size], before)
        after = after + kept.whole[:, :size, size]
        real = amounts[0].dtype
        reached = tuple(after[:, i].astype(real) for i in range(size))
        return arrived(span, amounts, reached, kept)

    def transition(
        self, prepared: System, duration: Float[Array, " lane"]
    ) -> Float[Array, "lane state state"]:
        """Return the exponential of the rate matrix."""
        time = duration.astype(float)[:, None, None]
        return exponential(prepared.matrix * time).astype(duration.dtype)


def _identity(lanes: int, size: int) -> Float[Array, "lane state state"]:
    return jnp.broadcast_to(jnp.eye(size)[None], (lanes, size, size))


def _is_same(
    kept: Propagator, time: Float[Array, " lane"], system: System, span: Span
) -> Bool[Array, " lane"]:
    """Find lanes whose interval (up to rounding) and rates are those of the cache."""
    rounding = 4 * jnp.finfo(time.dtype).eps * jnp.abs(span.stop)
    equal = jnp.abs(kept.time - time) <= rounding
    equal &= jnp.all(kept.system.matrix == system.matrix, axis=(1, 2))
    return equal & jnp.all(kept.system.constant == system.constant, axis=1)


def _propagator(time: Float[Array, " lane"], system: System) -> Propagator:
    """Exponentiate the matrix, with the forcing as one more column of like size."""
    matrix, constant = system
    lanes, size = constant.shape
    norm = jnp.max(jnp.abs(matrix), axis=(1, 2))
    most = jnp.max(jnp.abs(constant), axis=1)
    # A forcing far larger than the rates would set the number of squarings.
    scale = jnp.where(
        (most > 0) & (norm > 0), most / jnp.where(norm > 0, norm, 1.0), 1.0
    )
    scale = jnp.where(scale > 0, scale, 1.0)
    column = (constant / scale[:, None])[..., None]
    # exp([[A, b], [0, 0]] t) holds the response to b, too (Van Loan 1978).
    upper = jnp.concatenate([matrix, column], axis=2)
    full = jnp.concatenate([upper, jnp.zeros((lanes, 1, size + 1))], axis=1)
    whole = exponential(full * time[:, None, None])
    weights = jnp.concatenate([jnp.ones((lanes, size)), scale[:, None]], axis=1)
    return Propagator(time, system, whole * weights[:, None, :])

"""Diffrax: the general door, and an independent opinion in tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from vtrial.solver.field import Field, read_by_derivatives
from vtrial.solver.method import AbstractMethod, Amounts, Span, Step
from vtrial.types import Status

SMALLEST = 1e-12  # [h] step


@dataclass(frozen=True)
class Diffrax(AbstractMethod):
    """Kvaerno's L-stable method of order 5 from diffrax, each lane by itself."""

    def prepare(self, individual: Mapping[str, Float[Array, "lane period"]]) -> Any:
        """Keep the individual parameters that the derivatives read."""
        return read_by_derivatives(self.model, individual)

    def advance(
        self,
        prepared: Any,
        span: Span,
        amounts: Amounts,
        rates: Amounts,
        memory: object,
    ) -> Step:
        """Solve an interval."""
        real = amounts[0].dtype
        span = span._replace(stop=jnp.broadcast_to(span.stop, span.start.shape))
        length = (span.stop - span.start).astype(real)
        moves = span.active & (length > 0)
        ready = tuple(jnp.where(moves, a, 0.0) for a in amounts)
        length = jnp.where(moves, length, 0.0)
        after, status, tried = jax.vmap(self._solve)(
            prepared, span, length, ready, rates
        )
        amounts = tuple(
            jnp.where(moves, b, a) for a, b in zip(amounts, after, strict=True)
        )
        status = jnp.where(moves, status, int(Status.SOLVED))
        status = jnp.where(
            (status == Status.SOLVED) & moves & (tried > span.left),
            int(Status.STEP_LIMIT),
            status,
        )
        return Step(amounts, memory, status, jnp.where(moves, tried, 0))

    def _solve(
        self,
        individual: Any,
        span: Span,
        length: Float[Array, ""],
        amounts: Amounts,
        rates: Amounts,
    ) -> tuple[Amounts, Int[Array, ""], Int[Array, ""]]:
        """Solve for one subject."""
        field = Field(self.model, individual, span, rates, range(len(amounts)))
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, y, args: field(jnp.asarray(t, length.dtype), y)),  # noqa: ARG005
            diffrax.Kvaerno5(),
            t0=jnp.zeros_like(length),
            t1=length,
            dt0=None,
            y0=amounts,
            stepsize_controller=diffrax.PIDController(
                rtol=self.numerics.rtol,
                atol=self.numerics.atol,
                pcoeff=0.3,
                icoeff=0.4,
                dtmin=SMALLEST,
            ),
            saveat=diffrax.SaveAt(t1=True),
            adjoint=diffrax.ForwardMode(),
            max_steps=self.numerics.max_steps,
            throw=False,
        )
        assert solution.ys is not None
        after = tuple(value[0] for value in solution.ys)
        results = diffrax.RESULTS
        finite = jnp.all(jnp.stack([jnp.isfinite(a) for a in after]))
        status = jnp.where(finite, int(Status.SOLVED), int(Status.NON_FINITE))
        bad = solution.result != results.successful
        status = jnp.where(bad, int(Status.NON_FINITE), status)
        for result, code in (
            (results.max_steps_reached, Status.STEP_LIMIT),
            (results.dt_min_reached, Status.STEP_TOO_SMALL),
        ):
            status = jnp.where(solution.result == result, int(code), status)
        return after, status, jnp.asarray(solution.stats["num_steps"], int)

"""Diffrax's solvers, as an independent reference for our own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from vtrial.solver.field import Field, read_by_derivatives
from vtrial.solver.method import AbstractMethod, Amounts, Span, Step
from vtrial.solver.scale import held_tolerances
from vtrial.types import Status

SMALLEST = 1e-12  # [h] step


class ReadParameters(NamedTuple):
    """What the derivatives read, and the states' absolute tolerances."""

    read: dict[str, Float[Array, "lane period"]]
    atol: tuple[Float[Array, "#lane 1"], ...]


class _Stand(NamedTuple):
    """How far one subject has come in an interval."""

    time: Float[Array, ""]
    amounts: Amounts
    status: Int[Array, ""]
    tried: Int[Array, ""]


@dataclass(frozen=True)
class Diffrax(AbstractMethod):
    """A Runge-Kutta method of diffrax by its name there, each lane by itself.

    By default it is Kvaerno's L-stable method of order 5.
    """

    solver: str = "Kvaerno5"

    def prepare(
        self, individual: Mapping[str, Float[Array, "lane period"]]
    ) -> ReadParameters:
        """Keep the individual parameters that the derivatives read."""
        read = read_by_derivatives(self.model, individual)
        lanes = next(iter(individual.values())).shape[0] if individual else 1
        atol = held_tolerances(self.model, self.numerics, individual)
        return ReadParameters(
            read, tuple(jnp.broadcast_to(value, (lanes, 1)) for value in atol)
        )

    def absolute(self, prepared: ReadParameters) -> Amounts:
        """Return the absolute tolerances of all states."""
        return prepared.atol

    def advance(
        self,
        prepared: ReadParameters,
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
        prepared: ReadParameters,
        span: Span,
        length: Float[Array, ""],
        amounts: Amounts,
        rates: Amounts,
    ) -> tuple[Amounts, Int[Array, ""], Int[Array, ""]]:
        """Solve for one subject, from switch to switch of the clock."""
        places = range(len(amounts))
        field = Field(self.model, prepared.read, span, rates, places)
        begun = _Stand(jnp.zeros_like(length), amounts, jnp.asarray(0), jnp.asarray(0))
        if not self.model.structure.switches:
            end = self._solve_smooth(field, prepared.atol, begun, length)
            return end.amounts, end.status, end.tried

        # The clock's flags are those of lanes: this subject is one by itself.
        read, ends, given = jax.tree.map(
            lambda value: value[None], (prepared.read, span, rates)
        )
        lane = Field(self.model, read, ends, given, places)

        def go_on(stand: _Stand) -> _Stand:
            found = lane.flags_after(stand.time[None], length[None])
            assert found is not None  # there are switches
            flags = jax.tree.map(lambda value: value[0], found)
            here = field.holding_until_switch(flags)
            stop = jnp.minimum(flags.until, length)
            return self._solve_smooth(here, prepared.atol, stand, stop)

        def is_left(stand: _Stand) -> Bool[Array, ""]:
            return (stand.time < length) & (stand.status == Status.SOLVED)

        end = lax.while_loop(is_left, go_on, begun)
        return end.amounts, end.status, end.tried

    def _solve_smooth(
        self, field: Field, atol: Amounts, begun: _Stand, stop: Float[Array, ""]
    ) -> _Stand:
        """Solve while nothing is switched.

        Diffrax knows one absolute tolerance, so that states are counted in parts of
        their own.
        """
        least = self.numerics.atol
        units = [lax.stop_gradient(a).astype(stop.dtype) / least for a in atol]

        def flow(time: Any, parts: Amounts, _: object) -> Amounts:
            whole = tuple(p * u for p, u in zip(parts, units, strict=True))
            slopes = field(jnp.asarray(time, stop.dtype), whole)
            return tuple(s / u for s, u in zip(slopes, units, strict=True))

        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(flow),
            getattr(diffrax, self.solver)(),
            t0=begun.time,
            t1=stop,
            dt0=None,
            y0=tuple(a / u for a, u in zip(begun.amounts, units, strict=True)),
            stepsize_controller=diffrax.PIDController(
                rtol=self.numerics.rtol,
                atol=least,
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
        after = tuple(v[0] * u for v, u in zip(solution.ys, units, strict=True))
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
        tried = begun.tried + jnp.asarray(solution.stats["num_steps"], int)
        return _Stand(stop, after, status, tried)

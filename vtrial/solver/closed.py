"""Closed forms: compartments, and what they drive by growth that does not look back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.model.growth import Growth, Term
from vtrial.solver.differences import mean_decay
from vtrial.solver.linear_pk import Body, body_of, integral_of_body, solve_body
from vtrial.solver.method import AbstractMethod, Amounts, Span, Step, arrived

Real = Float[Array, "..."]
Rates = tuple[tuple[tuple[Real, Real | None], ...], ...]


class ClosedRates(NamedTuple):
    """The driver's rates and eigenvalues, and the rates of all growth."""

    body: Body | None
    growth: Rates


class _Interval(NamedTuple):
    """An interval of the driver: from `start` [h], with amounts at both ends."""

    start: Real
    time: Real
    before: Amounts
    after: Amounts
    rates: Amounts | None


@dataclass(frozen=True)
class ClosedForm(AbstractMethod):
    """Solve recognised compartments, and growth that they drive, exactly."""

    @property
    def is_linear(self) -> bool:
        """Whether `transition` is defined: without growth the solution is linear."""
        return not self.model.structure.growth

    @property
    def is_closed(self) -> bool:
        """Whether `between` is defined: closed forms hold at any time."""
        return True

    def prepare(
        self, individual: Mapping[str, Float[Array, "lane period"]]
    ) -> ClosedRates:
        """Compute rates and eigenvalues."""
        structure = self.model.structure
        body = body_of(self.model, individual) if structure.driver else None
        like = next(iter(individual.values())) if individual else jnp.zeros((1, 1))

        def full(rate: Array | None) -> Array | None:
            if rate is None:
                return None
            return jnp.broadcast_to(rate.astype(like.dtype), like.shape)

        growth = self.model.growth_rates(individual)
        return ClosedRates(body, jax.tree.map(full, growth))

    def advance(
        self,
        prepared: ClosedRates,
        span: Span,
        amounts: Amounts,
        rates: Amounts,
        memory: object,
    ) -> Step:
        """Solve an interval between two events."""
        time = (span.stop - span.start).astype(amounts[0].dtype)
        start = span.start.astype(time.dtype)
        after = self.between(prepared, start, time, amounts, rates)
        return arrived(span, amounts, after, memory)

    def between(
        self,
        prepared: ClosedRates,
        start: Real,
        elapsed: Real,
        amounts: Amounts,
        rates: Amounts,
    ) -> Amounts:
        """Return amounts at many elapsed times at once."""
        structure, states = self.model.structure, self.model.states
        shape, found = structure.driver, dict(zip(states, amounts, strict=True))
        forcing = dict(zip(states, rates, strict=True))
        course = None
        if shape is not None and prepared.body is not None:
            before = tuple(found[name] for name in shape.states)
            given = tuple(forcing[n] for n in shape.states) if self.forced else None
            after = solve_body(shape, prepared.body, elapsed, before, given)
            found |= dict(zip(shape.states, after, strict=True))
            course = _Interval(start, elapsed, before, after, given)
        for growth, terms in zip(structure.growth, prepared.growth, strict=True):
            total = jnp.zeros_like(elapsed)
            for term, known in zip(growth.terms, terms, strict=True):
                total = total + self._gained(
                    prepared, term, known, start, elapsed, course
                )
            found[growth.state] = _grown(
                growth, found[growth.state], total, elapsed * forcing[growth.state]
            )
        return tuple(found[name] for name in states)

    def _gained(
        self,
        prepared: ClosedRates,
        term: Term,
        known: tuple[Real, Real | None],
        start: Real,
        elapsed: Real,
        course: _Interval | None,
    ) -> Real:
        """Integrate a term of a state's growth over an interval."""
        factor, fading = known
        if fading is not None:
            # Fading counts from time 0 of the trial, not from the interval's start.
            factor = factor * jnp.exp(-fading * start)
        shape = self.model.structure.driver
        # Without a driver the term is a constant, or fades by itself.
        if not term.driver:
            if fading is None:
                return factor * elapsed
            return factor * elapsed * mean_decay(fading * elapsed)
        assert shape is not None  # the term has a driver
        assert course is not None
        assert prepared.body is not None
        integrals = integral_of_body(
            shape,
            prepared.body,
            fading,
            elapsed,
            before=course.before,
            after=course.after,
            rates=course.rates,
        )
        return factor * integrals[shape.states.index(term.driver)]

    def transition(
        self, prepared: ClosedRates, duration: Float[Array, " lane"]
    ) -> Float[Array, "lane state state"]:
        """Return the transition matrix: solutions for a unit amount in each state."""
        lanes, size = duration.shape[0], len(self.model.states)
        units = jnp.broadcast_to(
            jnp.eye(size, dtype=duration.dtype)[:, :, None], (size, size, lanes)
        )

        def column(unit: Float[Array, "state lane"]) -> Float[Array, "state lane"]:
            nothing = (jnp.zeros_like(duration),) * size
            amounts = tuple(unit[i] for i in range(size))
            return jnp.stack(
                self.between(prepared, nothing[0], duration, amounts, nothing)
            )

        return jnp.moveaxis(jax.vmap(column)(units), (0, 1, 2), (2, 1, 0))


def _grown(growth: Growth, amount: Real, total: Real, infused: Real) -> Real:
    """Let a state grow; an infusion into what grows relatively has no closed form."""
    if not growth.is_relative:
        return amount + total + infused
    # `choose` keeps such infusions from this method; NaN if one comes anyway.
    lost = jnp.where(infused == 0, 0.0, jnp.nan)
    return amount * jnp.exp(total) + lost

"""Steps of error-controlled size, each lane its own, for any one-step method."""

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from vtrial.model.model import Model
from vtrial.model.tree import names_in
from vtrial.solver.method import AbstractMethod, Amounts, Span, Step, after_dose
from vtrial.types import Status

SAFETY = 0.9
SHRINK, GROW = 0.2, 5.0
WORST = 1e4  # stands for an error that is not a number


class Memory(NamedTuple):
    """The step size to begin with [h], 0 where there is none yet."""

    size: Float[Array, " lane"]


class Trial(NamedTuple):
    """What one tried step gives: the amounts, the scaled error, what is carried on."""

    amounts: Amounts
    error: Float[Array, " lane"]
    carried: Any


class _Course(NamedTuple):
    """Where every lane is on its way."""

    time: Float[Array, " lane"]
    amounts: Amounts
    carried: Any
    size: Float[Array, " lane"]
    error: Float[Array, " lane"]
    status: Int[Array, " lane"]
    tried: Int[Array, " lane"]


@dataclass(frozen=True)
class AbstractAdaptive(AbstractMethod):
    """Control the step size by an error estimate of order `order`.

    Time counts from the start of the interval, so that small steps late in a long
    trial are not rounded away.
    """

    @property
    @abc.abstractmethod
    def order(self) -> int:
        """Order of the error of one step of the embedded method."""

    @abc.abstractmethod
    def enter(self, field: "Field", amounts: Amounts) -> Any:
        """Compute what is carried from step to step, at the start of an interval."""

    @abc.abstractmethod
    def attempt(
        self,
        field: "Field",
        time: Float[Array, " lane"],
        amounts: Amounts,
        size: Float[Array, " lane"],
        carried: Any,
    ) -> Trial:
        """Try one step."""

    def prepare(self, individual: Mapping[str, Float[Array, "lane period"]]) -> Any:
        """Keep the individual parameters that the derivatives read."""
        return read_by_derivatives(self.model, individual)

    def begin(self, like: Float[Array, " lane"]) -> Memory:
        """Begin without a step size."""
        return Memory(jnp.zeros_like(like))

    def advance(
        self,
        prepared: Any,
        span: Span,
        amounts: Amounts,
        rates: Amounts,
        memory: Memory,
    ) -> Step:
        """Step through an interval until every lane has arrived or failed."""
        field = Field(self.model, prepared, span, rates)
        length = (span.stop - span.start).astype(amounts[0].dtype)
        length = jnp.where(span.active, jnp.maximum(length, 0.0), 0.0)
        carried = self.enter(field, amounts)
        size = self._first_size(field, amounts, length, memory.size)
        none = jnp.zeros(length.shape, int)
        ones = jnp.ones_like(length)
        begun = _Course(
            jnp.zeros_like(length), amounts, carried, size, ones, none, none
        )

        def going(course: _Course) -> Bool[Array, " lane"]:
            return (course.time < length) & (course.status == Status.SOLVED)

        def body(course: _Course) -> _Course:
            return self._step(field, course, going(course), length, span.left)

        course = lax.while_loop(lambda c: jnp.any(going(c)), body, begun)
        return Step(course.amounts, Memory(course.size), course.status, course.tried)

    def _first_size(
        self,
        field: "Field",
        amounts: Amounts,
        length: Float[Array, " lane"],
        before: Float[Array, " lane"],
    ) -> Float[Array, " lane"]:
        """Choose a step size: as before an event, or a hundredth of the time scale.

        Hairer, Norsett, Wanner (1993) Solving ODEs I, II.4, first half of the rule.
        """
        flow = field(jnp.zeros_like(length), amounts)
        weights = [self._scale(a, a) for a in amounts]
        extent = _mean_square([a / w for a, w in zip(amounts, weights, strict=True)])
        speed = _mean_square([f / w for f, w in zip(flow, weights, strict=True)])
        usable = (speed > 0) & jnp.isfinite(speed) & (extent > 0)
        guess = 0.01 * extent / jnp.where(usable, speed, 1.0)
        guess = jnp.where(usable, guess, 1e-3 * length)
        guess = jnp.where(guess > 0, guess, 1e-6)
        return jnp.where(before > 0, before, guess)

    def _scale(
        self, before: Float[Array, " lane"], after: Float[Array, " lane"]
    ) -> Float[Array, " lane"]:
        """Return the tolerated error of a state."""
        size = jnp.maximum(jnp.abs(before), jnp.abs(after))
        return self.numerics.atol + self.numerics.rtol * size

    def scaled(
        self, errors: Amounts, before: Amounts, after: Amounts
    ) -> Float[Array, " lane"]:
        """Return the root mean square of errors over what is tolerated."""
        return _mean_square(
            [
                e / self._scale(a, b)
                for e, a, b in zip(errors, before, after, strict=True)
            ]
        )

    def _step(
        self,
        field: "Field",
        course: _Course,
        going: Bool[Array, " lane"],
        length: Float[Array, " lane"],
        left: Int[Array, " lane"],
    ) -> _Course:
        """Try a step in the lanes that are going, and accept or refuse it."""
        rest = length - course.time
        last = course.size >= rest * (1 - 1e-12)
        size = jnp.where(going, jnp.minimum(course.size, rest), 1.0)
        trial = self.attempt(field, course.time, course.amounts, size, course.carried)
        finite = jnp.isfinite(trial.error)
        error = jnp.where(finite, trial.error, WORST)
        good = (error <= 1.0) & going
        factor = SAFETY * _power(error, -0.7 / self.order)
        factor = factor * _power(course.error, 0.4 / self.order)
        factor = jnp.clip(factor, SHRINK, jnp.where(error <= 1.0, GROW, 1.0))
        grown = size * factor.astype(size.dtype)
        grown = jnp.where(good & last, jnp.maximum(course.size, grown), grown)
        tried = course.tried + going.astype(int)
        status = _judged(
            course.status,
            going & ~good,
            finite,
            grown < 1e-13 * length + jnp.finfo(size.dtype).tiny,
            tried >= left,
            going & ~(good & last),
        )
        moved = jnp.where(last, length, course.time + size)

        def keep(new: Array, old: Array) -> Array:
            return jnp.where(good, new, old)

        return _Course(
            keep(moved, course.time),
            jax.tree.map(keep, trial.amounts, course.amounts),
            jax.tree.map(keep, trial.carried, course.carried),
            jnp.where(going, grown, course.size),
            keep(jnp.maximum(error, 1e-4), course.error),
            status,
            tried,
        )


class Field:
    """The derivatives of an interval: the model's, and the infusions'.

    Times are counted from the start of the interval.
    """

    def __init__(
        self, model: Model, individual: Any, span: Span, rates: Amounts
    ) -> None:
        self.model, self.individual = model, individual
        self.span, self.rates = span, rates

    def __call__(self, time: Float[Array, "*any"], amounts: Amounts) -> Amounts:
        """Return d/dt of every state [amount/h]."""
        clock, since = self.clocks(time)
        slopes = self.model.derivative(
            clock, amounts, self.individual, after_dose=since
        )
        return tuple(
            jnp.broadcast_to(slope, rate.shape).astype(rate.dtype) + rate
            for slope, rate in zip(slopes, self.rates, strict=True)
        )

    def clocks(
        self, time: Float[Array, "*any"]
    ) -> tuple[Float[Array, "*any"], Float[Array, "*any"]]:
        """Return the time and the time after the last dose [h]."""
        clock = self.span.start + time.astype(self.span.start.dtype)
        since = after_dose(clock, self.span.last_dose)
        return clock.astype(time.dtype), since.astype(time.dtype)


def read_by_derivatives(
    model: Model, individual: Mapping[str, Float[Array, "lane period"]]
) -> dict[str, Float[Array, "lane period"]]:
    """Keep the individual parameters that derivatives and Jacobian read."""
    structure = model.structure
    statements = (*structure.dynamic, *structure.derivatives, *structure.slopes)
    expressions = [s.expression for s in statements]
    expressions += [e for row in structure.jacobian for e in row if e is not None]
    read = {name.name for e in expressions for name in names_in(e)}
    return {name: value for name, value in individual.items() if name in read}


def _judged(
    status: Int[Array, " lane"],
    refused: Bool[Array, " lane"],
    finite: Bool[Array, " lane"],
    tiny: Bool[Array, " lane"],
    spent: Bool[Array, " lane"],
    unfinished: Bool[Array, " lane"],
) -> Int[Array, " lane"]:
    """Say which lanes have failed, and why."""
    why = jnp.where(finite, int(Status.STEP_TOO_SMALL), int(Status.NON_FINITE))
    status = jnp.where(refused & tiny, why, status)
    limit = spent & unfinished & (status == Status.SOLVED)
    return jnp.where(limit, int(Status.STEP_LIMIT), status)


def _mean_square(parts: list[Float[Array, " lane"]]) -> Float[Array, " lane"]:
    """Return the root of the mean of squares."""
    total = sum((part * part for part in parts[1:]), parts[0] * parts[0])
    positive = total > 0
    root = jnp.sqrt(jnp.where(positive, total, 1.0) / len(parts))
    return jnp.where(positive, root, jnp.where(total == 0, 0.0, total))


def _power(value: Float[Array, " lane"], exponent: float) -> Float[Array, " lane"]:
    """Raise to a power in single precision: the controller needs no more."""
    floor = jnp.maximum(lax.stop_gradient(value), 1e-10).astype(jnp.float32)
    return jnp.exp2(jnp.log2(floor) * exponent)

"""Steps of error-controlled size, each lane its own, for any one-step method."""

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from vtrial.model.model import Model
from vtrial.model.tree import names_in
from vtrial.solver.body import Body, body_of, solve_body
from vtrial.solver.driver import Driver
from vtrial.solver.method import AbstractMethod, Amounts, Span, Step, after_dose
from vtrial.solver.tolerance import mean_square, scaled, tolerated
from vtrial.types import Status

SAFETY = 0.9
SHRINK, GROW = 0.2, 5.0
WORST = 1e4  # stands for an error that is not a number


class Memory(NamedTuple):
    """The step size to begin with [h], 0 where there is none yet."""

    size: Float[Array, " lane"]


class Prepared(NamedTuple):
    """What the derivatives read, and the body that drives if one does."""

    read: dict[str, Float[Array, "lane period"]]
    body: Body | None


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
    trial are not rounded away. A `hybrid` has the model's driver in closed form and
    steps through the other equations only.
    """

    hybrid: bool = False

    @property
    @abc.abstractmethod
    def order(self) -> int:
        """Order of the error of one step of the embedded method."""

    @property
    def gains(self) -> tuple[float, float]:
        """How the next step's size follows this error, and the one before.

        Hairer, Wanner (1996) Solving ODEs II, IV.2: with the second a method that
        works at the border of its stability does so smoothly.
        """
        return 1.0, 0.0

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

    @property
    def stepped(self) -> tuple[int, ...]:
        """Positions of the states that are stepped through."""
        driver = self.driver
        driven = driver.shape.states if driver else ()
        states = enumerate(self.model.states)
        return tuple(i for i, name in states if name not in driven)

    @property
    def driver(self) -> Driver | None:
        """What drives in closed form, if anything does."""
        shape = self.model.structure.driver
        return Driver(shape, self.forced) if self.hybrid and shape else None

    def prepare(
        self, individual: Mapping[str, Float[Array, "lane period"]]
    ) -> Prepared:
        """Keep the individual parameters that the derivatives read."""
        read = read_by_derivatives(self.model, individual)
        body = body_of(self.model, individual) if self.driver else None
        return Prepared(read, body)

    def begin(self, like: Float[Array, " lane"]) -> Memory:
        """Begin without a step size."""
        return Memory(jnp.zeros_like(like))

    def advance(
        self,
        prepared: Prepared,
        span: Span,
        amounts: Amounts,
        rates: Amounts,
        memory: Memory,
    ) -> Step:
        """Step through an interval until every lane has arrived or failed."""
        length = (span.stop - span.start).astype(amounts[0].dtype)
        length = jnp.where(span.active, jnp.maximum(length, 0.0), 0.0)
        drive = self._drive(prepared, amounts, rates)
        field = Field(self.model, prepared.read, span, rates, self.stepped, drive)
        whole, amounts = amounts, tuple(amounts[i] for i in self.stepped)
        carried = self.enter(field, amounts)
        size = self._first_size(field, amounts, length, memory.size)
        size = lax.stop_gradient(size)
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
        reached = self._driven(prepared, whole, rates, length)
        for place, amount in zip(self.stepped, course.amounts, strict=True):
            reached[place] = amount
        after = tuple(reached[place] for place in range(len(whole)))
        return Step(after, Memory(course.size), course.status, course.tried)

    def _drive(
        self, prepared: Prepared, amounts: Amounts, rates: Amounts
    ) -> Callable[[Array], dict[int, Array]] | None:
        """Return the driver's amounts, by position, as a function of time."""
        driver, body = self.driver, prepared.body
        if driver is None or body is None:
            return None
        places = [self.model.states.index(name) for name in driver.shape.states]
        course = driver.course(
            body, tuple(amounts[i] for i in places), tuple(rates[i] for i in places)
        )
        return lambda time: dict(zip(places, driver.at(course, time), strict=True))

    def _driven(
        self,
        prepared: Prepared,
        amounts: Amounts,
        rates: Amounts,
        length: Float[Array, " lane"],
    ) -> dict[int, Array]:
        """Solve the driver up to the end of the interval; return it by position."""
        driver, body = self.driver, prepared.body
        if driver is None or body is None:
            return {}
        places = [self.model.states.index(name) for name in driver.shape.states]
        forcing = tuple(rates[i] for i in places) if self.forced else None
        after = solve_body(
            driver.shape, body, length, tuple(amounts[i] for i in places), forcing
        )
        return {
            place: jnp.where(length > 0, value, amounts[place])
            for place, value in zip(places, after, strict=True)
        }

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
        rtol, atol = self.numerics.rtol, self.numerics.atol
        weights = [tolerated(rtol, atol, a, a) for a in amounts]
        extent = mean_square([a / w for a, w in zip(amounts, weights, strict=True)])
        speed = mean_square([f / w for f, w in zip(flow, weights, strict=True)])
        usable = (speed > 0) & jnp.isfinite(speed) & (extent > 0)
        guess = 0.01 * extent / jnp.where(usable, speed, 1.0)
        guess = jnp.where(usable, guess, 1e-3 * length)
        guess = jnp.where(guess > 0, guess, 1e-6)
        return jnp.where(before > 0, before, guess)

    def scaled(
        self, errors: Amounts, before: Amounts, after: Amounts
    ) -> Float[Array, " lane"]:
        """Return the root mean square of errors over what is tolerated."""
        rtol, atol = self.numerics.rtol, self.numerics.atol
        return scaled(rtol, atol, errors, before, after)

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
        now, before = self.gains
        factor = SAFETY * _power(error, -now / self.order)
        if before:
            factor = factor * _power(course.error, before / self.order)
        factor = jnp.clip(factor, SHRINK, jnp.where(error <= 1.0, GROW, 1.0))
        grown = lax.stop_gradient(size) * factor.astype(size.dtype)
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

    Times are counted from the start of the interval. Amounts and derivatives are of
    the states at the positions `stepped`; `drive` gives the others at a time.
    """

    def __init__(
        self,
        model: Model,
        individual: Any,
        span: Span,
        rates: Amounts,
        stepped: Sequence[int],
        drive: Callable[[Array], dict[int, Array]] | None = None,
    ) -> None:
        self.model, self.individual = model, individual
        self.span, self.rates = span, rates
        self.stepped, self.drive = tuple(stepped), drive

    def __call__(self, time: Float[Array, "*any"], amounts: Amounts) -> Amounts:
        """Return d/dt of every stepped state [amount/h]."""
        clock, since = self.clocks(time)
        whole = self.whole(time, amounts)
        slopes = self.model.derivative(clock, whole, self.individual, after_dose=since)
        return tuple(
            jnp.broadcast_to(slopes[i], self.rates[i].shape).astype(self.rates[i].dtype)
            + self.rates[i]
            for i in self.stepped
        )

    def whole(self, time: Float[Array, "*any"], amounts: Amounts) -> Amounts:
        """Return the amounts of all states."""
        found = {} if self.drive is None else self.drive(time)
        found |= dict(zip(self.stepped, amounts, strict=True))
        return tuple(found[place] for place in range(len(found)))

    @property
    def is_autonomous(self) -> bool:
        """Whether the derivatives are the same at all times of the interval."""
        structure = self.model.structure
        clock = structure.uses_time or structure.uses_after_dose
        return self.drive is None and not clock

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


def _power(value: Float[Array, " lane"], exponent: float) -> Float[Array, " lane"]:
    """Raise to a power in single precision: the controller needs no more."""
    floor = jnp.maximum(lax.stop_gradient(value), 1e-10).astype(jnp.float32)
    return jnp.exp2(jnp.log2(floor) * exponent)

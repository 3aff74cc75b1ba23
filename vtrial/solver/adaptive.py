"""Steps of error-controlled size, each lane its own, for any one-step method."""

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from vtrial.model.positivity import ASSURED
from vtrial.solver.dense_output import (
    ROWS,
    Parts,
    Passage,
    Polynomial,
    Reading,
    blank,
    inside,
    opened,
    read,
    written,
)
from vtrial.solver.drives import unseen
from vtrial.solver.field import Drive, Field, read_by_derivatives
from vtrial.solver.first import SHRINK, first_size, nearer
from vtrial.solver.forcing import Driver
from vtrial.solver.interval import Interval, Progress, judged
from vtrial.solver.linear_pk import Body, body_of, solve_body
from vtrial.solver.method import AbstractMethod, Amounts, Span, Step
from vtrial.solver.scale import held_tolerances
from vtrial.solver.tolerance import leap, scaled

SAFETY = 0.9
GROW = 5.0
WORST = 1e4  # stands for an error that is not a number

DEGREE = 4  # of the polynomials inside steps
DEFECT = 0.25  # of a polynomial's defect in the middle of a step is its error there


class Memory(NamedTuple):
    """Step size carried from event to event [h], 0 where there is none yet.

    `back` is what a method that looks back remembers beside it.
    """

    size: Float[Array, " lane"]
    back: Any = None


class Prepared(NamedTuple):
    """Parameters that the derivatives read, and the driver's rates if there is one.

    `atol` are the states' absolute tolerances, `sure` says (1 or 0) whose nonnegative
    states the equations keep so.
    """

    read: dict[str, Float[Array, "lane period"]]
    body: Body | None
    atol: tuple[Float[Array, "#lane 1"], ...]
    sure: Float[Array, "#lane #period"]


class TrialStep(NamedTuple):
    """A trial step: its result, its scaled error, and what the next step carries on.

    `stages` are what `inside` makes a course of, by stage and state.
    """

    amounts: Amounts
    error: Float[Array, " lane"]
    carried: Any
    stages: Sequence[Amounts] = ()


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
        """Gains of the step-size controller: on this error, and on the one before.

        Hairer, Wanner (1996) Solving ODEs II, IV.2: with the second a method that
        works at the border of its stability does so smoothly.
        """
        return 1.0, 0.0

    @abc.abstractmethod
    def enter(self, field: Field, amounts: Amounts, time: Float[Array, " lane"]) -> Any:
        """Compute what steps carry, such as a slope, where derivatives start anew."""

    @abc.abstractmethod
    def attempt(
        self,
        field: Field,
        time: Float[Array, " lane"],
        amounts: Amounts,
        size: Float[Array, " lane"],
        carried: Any,
    ) -> TrialStep:
        """Try one step."""

    @property
    def is_dense(self) -> bool:
        """Whether steps have dense output (`inside`), so that none ends to be read."""
        return False

    def inside(
        self,
        state: int,
        before: Float[Array, " lane"],
        size: Float[Array, " lane"],
        trial: TrialStep,
    ) -> Polynomial:
        """Return a state's dense output in a step, as coefficients by rising power.

        The polynomial is of degree `DEGREE` in the part of the step that is done, 0 to
        1. `before` is the state at the step's beginning.
        """
        raise TypeError(f"{type(self).__name__} is not read inside steps")

    def misfit(
        self,
        field: Field,
        time: Float[Array, " lane"],
        amounts: Amounts,
        size: Float[Array, " lane"],
        trial: TrialStep,
    ) -> Float[Array, " lane"]:
        """Return the scaled error of the dense output in the middle of a step.

        It is known by its defect there (Enright (2000) Numer. Algorithms 23:69): how
        far its slope is from the derivatives.
        """
        half, slopes = [], []
        for state, before in enumerate(amounts):
            course = self.inside(state, before, size, trial)
            half.append(sum((c / 2**k for k, c in enumerate(course[1:], 1)), before))
            slope = [k * c / 2 ** (k - 1) for k, c in enumerate(course[1:], 1)]
            slopes.append(sum(slope[1:], slope[0]))
        wanted = field(time + 0.5 * size, tuple(half))
        defects = tuple(
            DEFECT * (size * w - s) for w, s in zip(wanted, slopes, strict=True)
        )
        return self.scaled(field, defects, amounts, trial.amounts)

    @property
    def stepped(self) -> tuple[int, ...]:
        """Positions of the states that are stepped numerically."""
        driven = self.model.structure.driven if self.hybrid else ()
        states = enumerate(self.model.states)
        return tuple(i for i, name in states if name not in driven)

    @property
    def _curved(self) -> tuple[int, ...]:
        """Positions of the stepped states that are nonlinear in themselves."""
        curved = self.model.structure.curved
        return tuple(i for i in self.stepped if self.model.states[i] in curved)

    @property
    def _guarded(self) -> tuple[int, ...]:
        """Positions of those that the equations keep nonnegative."""
        kept = self.model.structure.nonnegative.states
        return tuple(i for i in self._curved if self.model.states[i] in kept)

    @property
    def _is_looked_into(self) -> bool:
        """Whether the embedded error estimate may be small by chance.

        It may at a bend of a state that is not linear in itself, and where something
        drives that comes and goes between the places that a step looks at.
        """
        structure = self.model.structure
        clock = structure.uses_time or structure.uses_after_dose
        return bool(self._curved) or self.hybrid or clock

    @property
    def driver(self) -> Driver | None:
        """Linear compartments in closed form that force the stepped states, if any."""
        shape = self.model.structure.driver
        return Driver(shape, self.forced) if self.hybrid and shape else None

    def prepare(
        self, individual: Mapping[str, Float[Array, "lane period"]]
    ) -> Prepared:
        """Keep the individual parameters that the derivatives read."""
        read = read_by_derivatives(self.model, individual)
        body = body_of(self.model, individual) if self.driver else None
        atol = held_tolerances(self.model, self.numerics, individual)
        sure = individual.get(ASSURED, jnp.ones((1, 1)))
        return Prepared(read, body, atol, sure)

    def absolute(self, prepared: Prepared) -> Amounts:
        """Return the absolute tolerances of all states."""
        return prepared.atol

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
        way = self._set_out(prepared, span, amounts, rates, memory)

        def body(course: Progress) -> Progress:
            return self._step(way, course)[0]

        # Lanes that have arrived idle until the slowest has: it sets the cost.
        course = lax.while_loop(lambda c: jnp.any(way.going(c)), body, way.begun)
        return self._arrived(prepared, way, course, amounts, rates)

    def advance_reading(
        self,
        prepared: Prepared,
        span: Span,
        amounts: Amounts,
        rates: Amounts,
        memory: Memory,
        *,
        time: Float[Array, "place #lane"],
        states: Sequence[int],
    ) -> tuple[Step, tuple[Float[Array, "place lane"], ...], Bool[Array, "place lane"]]:
        """Advance, and read some states at times [h] between the two events.

        No lane waits at them for the others. A method that is dense does not even end
        a step there. Second come the values of the `states`, by position, and third
        which of them were reached.
        """
        way = self._set_out(prepared, span, amounts, rates, memory)
        since = (time - span.start[None]).astype(way.length.dtype)
        # Unused places of a window ask at infinity; they read the end, unused.
        since = jnp.clip(since, 0.0, way.length[None])
        if self.is_dense:
            way = way._replace(inside=True)
        else:
            # Observations at the start hold the values there already, and are no stops.
            passed = jnp.sum(since <= 0, axis=0, dtype=int)
            way = way._replace(stops=since, begun=way.begun._replace(passed=passed))
        seen = [i for i in self.stepped if i in states]
        reading = opened(since, tuple(amounts[i] for i in seen))
        places = [self.stepped.index(i) for i in seen]
        course, reading = self._read_along(way, reading, places)
        found = dict(zip(seen, reading.values, strict=True))
        if way.drive is not None:
            found |= way.drive(since)
        reached = span.active[None] & (since <= course.time[None])
        step = self._arrived(prepared, way, course, amounts, rates)
        return step, tuple(found[i] for i in states), reached

    def _read_along(
        self, way: Interval, reading: Reading, places: Sequence[int]
    ) -> tuple[Progress, Reading]:
        """Step to the end; read observations whenever the buffer of steps is full."""
        dense = way.inside

        def standing(course: Progress) -> Parts:
            return [course.time, *(course.amounts[i] for i in places)]

        def step(carry: tuple[Progress, Passage]) -> tuple[Progress, Passage]:
            before, passage = carry
            after, trial, size = self._step(way, before)
            if not dense:  # what is computed here would be so twice if it were kept
                return after, written(passage, standing(before))
            courses = [self.inside(i, before.amounts[i], size, trial) for i in places]
            return after, written(
                passage, inside(before.time, after.time, size, courses)
            )

        def go_on(carry: tuple[Progress, Passage]) -> Bool[Array, ""]:
            # One row stays free for the end, which is written behind the steps.
            return jnp.any(way.going(carry[0])) & (carry[1].filled < ROWS - 1)

        def pass_on(carry: tuple[Progress, Reading]) -> tuple[Progress, Reading]:
            before, reading = carry
            parts = 3 + (DEGREE + 1) * len(places) if dense else 1 + len(places)
            fresh = (before, blank(parts, way.length))
            after, passage = lax.while_loop(go_on, step, fresh)
            if not dense:
                passage = written(passage, standing(after))
            ends = {"since": before.time, "until": after.time}
            return after, read(passage, reading, **ends, dense=dense)

        return lax.while_loop(
            lambda carry: jnp.any(way.going(carry[0])), pass_on, (way.begun, reading)
        )

    def _set_out(
        self,
        prepared: Prepared,
        span: Span,
        amounts: Amounts,
        rates: Amounts,
        memory: Memory,
    ) -> Interval:
        """Set up an interval: vector field, length and first step size of each lane."""
        length = (span.stop - span.start).astype(amounts[0].dtype)
        # Idle lanes have no length, so that the loop does not wait for them.
        length = jnp.where(span.active, jnp.maximum(length, 0.0), 0.0)
        drive = self._drive(prepared, amounts, rates)
        atol = tuple(prepared.atol[i] for i in self.stepped)
        field = Field(self.model, prepared.read, span, rates, self.stepped, drive, atol)
        field = self.informed(field, memory)
        amounts = tuple(amounts[i] for i in self.stepped)
        none = jnp.zeros(length.shape, int)
        zero, ones = jnp.zeros_like(length), jnp.ones_like(length)
        # Flags are control, as step sizes are: derivatives are the branch's.
        flags = lax.stop_gradient(field.flags_after(zero, length))
        here = field.holding_until_switch(flags)
        carried = self.enter(here, amounts, zero)
        size = first_size(here, self.numerics.rtol, zero, amounts, length, memory.size)
        size = jnp.minimum(size, jnp.where(length > 0, length, size))
        if drive is not None:
            size = nearer(here, self.numerics.rtol, size, amounts)
        begun = Progress(zero, amounts, carried, size, ones, none, none, none, flags)
        return Interval(field, begun, length, span.left, drive, prepared.sure > 0)

    def informed(self, field: Field, memory: Any) -> Field:
        """Tell the vector field, where an interval begins, what the memory knows."""
        del memory
        return field

    def _arrived(
        self,
        prepared: Prepared,
        way: Interval,
        course: Progress,
        amounts: Amounts,
        rates: Amounts,
    ) -> Step:
        """Collect the amounts of all states at the end of the interval."""
        reached = self._driven(prepared, amounts, rates, way.length)
        for place, amount in zip(self.stepped, course.amounts, strict=True):
            reached[place] = amount
        after = tuple(reached[place] for place in range(len(amounts)))
        return Step(after, Memory(course.size), course.status, course.tried)

    def _drive(
        self, prepared: Prepared, amounts: Amounts, rates: Amounts
    ) -> Drive | None:
        """Return the driver's amounts, by position, as a function of time.

        The times may be (lane), or (place, lane).
        """
        driver, body = self.driver, prepared.body
        if driver is None or body is None:
            return None
        places = [self.model.states.index(name) for name in driver.shape.states]
        course = driver.course(
            body, tuple(amounts[i] for i in places), tuple(rates[i] for i in places)
        )

        def at(time: Float[Array, "*place lane"]) -> dict[int, Array]:
            wide = course
            if time.ndim > 1:
                wide = jax.tree.map(lambda value: value[None], course)
            return dict(zip(places, driver.at(wide, time), strict=True))

        return at

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

    def scaled(
        self, field: Field, errors: Amounts, before: Amounts, after: Amounts
    ) -> Float[Array, " lane"]:
        """Return the error norm: the root mean square of errors over tolerances."""
        return scaled(self.numerics.rtol, field.atol, errors, before, after)

    def _beyond(
        self,
        way: Interval,
        error: Float[Array, " lane"],
        before: Amounts,
        after: Amounts,
    ) -> Float[Array, " lane"]:
        """Raise the error of a step that takes a nonnegative state below zero.

        The step tried next ends where a straight line would be at a tenth.
        """
        rtol, guarded = self.numerics.rtol, self._guarded
        parts = zip(self.stepped, way.field.atol, before, after, strict=True)
        for place, least, was, now in parts:
            if place in guarded:
                ratio = jnp.where(way.sure, leap(rtol, least, was, now), 0.0)
                # The controller's root undoes this power: the ratio divides the step.
                error = jnp.maximum(error, lax.stop_gradient(ratio) ** self.order)
        return error

    def _jumped(
        self,
        field: Field,
        time: Float[Array, " lane"],
        before: Amounts,
        size: Float[Array, " lane"],
        after: Amounts,
    ) -> Float[Array, " lane"]:
        """Return the scaled error of a step in which a condition on states switches.

        The step is as if the derivatives had been those of the beginning until the end;
        they are compared with what they are in the middle and at the end. Where they
        jump, the step has to be so short that the jump's part in it is tolerated.
        """
        held = field.holding(field.conditions(time, before))
        error = jnp.zeros_like(size)
        opened, closed = field(time, before), field(time + size, after)
        # The cubic Hermite interpolant in the middle of the step.
        middle = tuple(
            0.5 * (b + a) + 0.125 * size * (o - c)
            for b, a, o, c in zip(before, after, opened, closed, strict=True)
        )
        for part, amounts in ((0.5, middle), (1.0, after)):
            real, smooth = (f(time + part * size, amounts) for f in (field, held))
            jumps = tuple(size * (r - s) for r, s in zip(real, smooth, strict=True))
            error = jnp.maximum(error, self.scaled(field, jumps, before, after))
        return error

    def _error(
        self,
        way: Interval,
        course: Progress,
        size: Float[Array, " lane"],
        trial: TrialStep,
    ) -> Float[Array, " lane"]:
        """Return the scaled error of a step: its estimate, and what that cannot see."""
        field = way.field.holding_until_switch(course.flags)
        error = trial.error
        if way.inside or (self._is_looked_into and self.is_dense):
            inside = self.misfit(field, course.time, course.amounts, size, trial)
            error = jnp.maximum(error, inside)
        structure = self.model.structure
        if not (structure.drives or structure.conditions):
            return error
        # What follows finds errors only: no sensitivities are followed through it.
        still = field.still()
        ends = lax.stop_gradient((course.time, course.amounts, size, trial.amounts))
        if structure.drives:
            time, before, size, after = ends

            def scaled(errors: Amounts) -> Float[Array, " lane"]:
                return self.scaled(still, errors, before, after)

            error = jnp.maximum(error, unseen(still, time, size, before, after, scaled))
        if structure.conditions:
            error = jnp.maximum(error, self._jumped(still, *ends))
        return error

    def _step(
        self, way: Interval, course: Progress
    ) -> tuple[Progress, TrialStep, Float[Array, " lane"]]:
        """Try a step in the lanes that are going, and accept or refuse it.

        Returns what was tried and its size, too.
        """
        length, stop = way.length, way.stop(course)
        rest = stop - course.time
        here = way.going(course) & (rest <= 0)  # two stops at one time
        going = way.going(course) & ~here
        # Rounding must not leave a sliver of a step before a stop; and the step to it
        # is the rest itself, of which it has the derivative, not one of equal size.
        last = course.size >= rest * (1 - 1e-12)
        # Idle lanes compute, too: a size of 0 would make their 1/size infinite.
        size = jnp.where(going, jnp.where(last, rest, course.size), 1.0)
        field = way.field.holding_until_switch(course.flags)
        trial = self.attempt(field, course.time, course.amounts, size, course.carried)
        trial = trial._replace(error=self._error(way, course, size, trial))
        finite = jnp.isfinite(trial.error)
        # A step that overflows is refused, not failed: a shorter one may be finite.
        error = jnp.where(finite, trial.error, WORST)
        error = self._beyond(way, error, course.amounts, trial.amounts)
        good = (error <= 1.0) & going
        # The PI controller of Hairer, Wanner (1996) IV.2 where there is a second gain.
        now, before = self.gains
        factor = SAFETY * _power(error, -now / self.order)
        if before:
            factor = factor * _power(course.error, before / self.order)
        # A refused step never grows, whatever the controller remembers.
        factor = jnp.clip(factor, SHRINK, jnp.where(error <= 1.0, GROW, 1.0))
        # Step sizes count as constants of the solution when it is differentiated.
        grown = lax.stop_gradient(size) * factor.astype(size.dtype)
        # A step cut short by a stop says nothing against the size that was cut.
        grown = jnp.where(good & last, jnp.maximum(course.size, grown), grown)
        tried = course.tried + going.astype(int)
        status = judged(
            course.status,
            going & ~good,
            finite,
            grown < 1e-13 * length + jnp.finfo(size.dtype).tiny,
            tried >= way.left,
            going & ~(good & last & (stop >= length)),
        )
        moved = jnp.where(last, stop, course.time + size)

        def keep(new: Array, old: Array) -> Array:
            return jnp.where(good, new, old)

        time = keep(moved, course.time)
        passed = way.going(course) & (time >= way.following(course))
        after = Progress(
            time,
            jax.tree.map(keep, trial.amounts, course.amounts),
            jax.tree.map(keep, trial.carried, course.carried),
            jnp.where(going, grown, course.size),
            # As in Hairer's DOPRI5: a lucky error must not throw the next size.
            keep(jnp.maximum(error, 1e-4), course.error),
            status,
            tried,
            course.passed + passed.astype(int),
            course.flags,
        )
        return self._switched(way, after), trial, size

    def _switched(self, way: Interval, course: Progress) -> Progress:
        """Restart with new flags where the clock has come to a switch."""
        flags = course.flags
        if flags is None:
            return course
        there = way.going(course) & (course.time >= flags.until)
        fresh = lax.stop_gradient(way.field.flags_after(course.time, way.length))
        field = way.field.holding_until_switch(fresh)
        # A slope that was carried on is that of the old flags.
        carried = self.enter(field, course.amounts, course.time)
        rest = way.length - course.time
        standing = course.time, course.amounts, rest, course.size
        size = first_size(field, self.numerics.rtol, *standing)

        def change(new: Array, old: Array) -> Array:
            return jnp.where(there, new, old)

        return course._replace(
            flags=jax.tree.map(change, fresh, flags),
            carried=jax.tree.map(change, carried, course.carried),
            size=change(size, course.size),
        )


def _power(value: Float[Array, " lane"], exponent: float) -> Float[Array, " lane"]:
    """Raise to a power in single precision: the controller needs no more."""
    floor = jnp.maximum(lax.stop_gradient(value), 1e-10).astype(jnp.float32)
    return jnp.exp2(jnp.log2(floor) * exponent)

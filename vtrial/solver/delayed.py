"""The method of steps: an explicit method that reads its own past.

What was before a step is known by the dense output of earlier ones, for no step is
longer than the shortest delay. Where the solution jumps or bends, at its start and at
doses, it does so again a delay later, in a derivative one order higher: steps end
there, until the method's order no longer notices.

References
----------
Bellen A, Zennaro M (2003) Numerical Methods for Delay Differential Equations, ch. 3-4.
Shampine LF, Thompson S (2001) Appl. Numer. Math. 37:441-458.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from vtrial.model.tree import evaluate
from vtrial.solver.adaptive import Memory, Prepared, TrialStep
from vtrial.solver.explicit import Explicit
from vtrial.solver.field import Field, Recall
from vtrial.solver.interval import Interval, Progress
from vtrial.solver.method import Amounts, Span, Step
from vtrial.solver.past import (
    is_kept,
    mark_at,
    marks_before,
    slack,
    value_at,
    with_mark,
    with_step,
)
from vtrial.solver.trajectory import Past
from vtrial.types import Status

SHORTEST = 1e-9  # [h] a delay: below, steps would get lost in the clock's rounding
LAST = 5  # order of the derivative whose jumps the method still notices
NEAR, LONGER = 1e-9, 1 + 1e-6  # of a step that ends where it is to stop
NOTICED = 1e-3  # of the tolerance: what a jump of the slope does within a delay


class Back(NamedTuple):
    """The past, and the last amounts and slopes; NaN: none yet."""

    past: Past
    amounts: Amounts
    slopes: Amounts


class _Course(NamedTuple):
    """Progress, the past, and how many marks each delay has passed."""

    progress: Progress
    past: Past
    passed: tuple[Int[Array, " lane"], ...]


@dataclass(frozen=True)
class Delayed(Explicit):
    """Tsitouras' method by the method of steps, for equations that look back."""

    @property
    def kept(self) -> tuple[int, ...]:
        """Positions of the states whose past is kept."""
        delayed = {delay.state for delay in self.model.structure.delays}
        return tuple(i for i, name in enumerate(self.model.states) if name in delayed)

    def prepare(
        self, individual: Mapping[str, Float[Array, "lane period"]]
    ) -> Prepared:
        """Keep what the derivatives read, and every delay [h] behind its name."""
        prepared = super().prepare(individual)
        by = {
            _time_of(delay.name): jnp.asarray(evaluate(delay.by, individual), float)
            for delay in self.model.structure.delays
        }
        like = next(iter(individual.values()))
        wide = {name: jnp.broadcast_to(value, like.shape) for name, value in by.items()}
        return prepared._replace(read=prepared.read | wide)

    def begin(self, like: Float[Array, " lane"]) -> Memory:
        """Begin without a step size; the past is that of the State at the start."""
        none = (jnp.full_like(like, jnp.nan),) * len(self.model.states)
        nothing: Any = None
        return Memory(jnp.zeros_like(like), Back(nothing, none, none))

    def resumed(self, memory: Memory, past: Past) -> Memory:
        """Return the memory with the past of a State."""
        return memory._replace(back=memory.back._replace(past=past))

    def past(self, memory: Memory) -> Past:
        """Return what a next stage has to know."""
        return memory.back.past

    def recalled(
        self, prepared: Prepared, time: Float[Array, " lane"], memory: Memory
    ) -> Amounts:
        """Return what outputs read of the past at a time [h], before what happens."""
        wanted = {delay.name for delay in self.model.recalled}
        if not wanted:
            return ()
        back = jnp.full_like(time, -1.0)
        found = self._look(prepared.read, memory.back.past, time[None], back[None])
        return tuple(v[0] for name, v in found.items() if name in wanted)

    def informed(self, field: Field, memory: Memory) -> Field:
        """Tell of the past where an interval begins, after what happened there."""
        return field.recalling(self._recall(field, memory.back.past, None))

    def attempt(
        self,
        field: Field,
        time: Float[Array, " lane"],
        amounts: Amounts,
        size: Float[Array, " lane"],
        carried: Amounts,
    ) -> TrialStep:
        """Try one step; its whole past is looked up at once.

        The first slope is computed anew, for what was a delay ago may have jumped.
        """
        del carried
        assert field.recall is not None  # it was informed
        nodes = (0.0, *self.tableau.nodes)
        seen = field.recall(jnp.stack([time + node * size for node in nodes]))

        def at(place: int) -> Field:
            here = {name: value[place] for name, value in seen.items()}
            return field.recalling(lambda _: here)

        first, *fields = map(at, range(len(nodes)))
        return self.through(fields, time, amounts, size, first(time, amounts))

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
        # The past is read inside steps: they have to be accurate there.
        way = way._replace(inside=True)
        begun = self._begun(way, amounts, memory)

        def body(course: _Course) -> _Course:
            return self._stepped(way, course)

        def is_going(course: _Course) -> Bool[Array, ""]:
            return jnp.any(way.going(course.progress))

        last = lax.while_loop(is_going, body, begun)
        step = self._arrived(prepared, way, last.progress, amounts, rates)
        moves = way.length > 0

        def now(values: Amounts, others: Amounts) -> Amounts:
            pairs = zip(values, others, strict=True)
            return tuple(jnp.where(moves, new, old) for new, old in pairs)

        amounts = now(step.amounts, memory.back.amounts)
        slopes = now(last.progress.carried, memory.back.slopes)
        kept = Memory(last.progress.size, Back(last.past, amounts, slopes))
        return step._replace(memory=kept)

    def _begun(self, way: Interval, amounts: Amounts, memory: Memory) -> _Course:
        """Set out: mark the beginning where something has happened."""
        by, start = self._delays(way.field), way.field.span.start
        moves = way.length > 0
        shortest, longest = by[0], by[0]
        for each in by[1:]:
            shortest, longest = jnp.minimum(shortest, each), jnp.maximum(longest, each)
        jumped, bent = jnp.zeros_like(moves), jnp.zeros_like(moves)
        for now, before in zip(amounts, memory.back.amounts, strict=True):
            jumped |= ~(now == before)
        slopes = zip(way.begun.carried, memory.back.slopes, amounts, strict=True)
        for (now, before, amount), atol in zip(slopes, way.field.atol, strict=True):
            tolerated = NOTICED * (atol + self.numerics.rtol * jnp.abs(amount))
            bent |= ~(jnp.abs(now - before) * shortest <= tolerated)
        order = jnp.where(jumped, 0, 1)
        past = with_mark(memory.back.past, start, order, moves & (jumped | bent))
        passed = tuple(
            marks_before(past, start - each + slack(start, each)) for each in by
        )
        sound = (shortest > SHORTEST) & jnp.isfinite(longest)
        kept = is_kept(past, start - longest + slack(start, longest))
        why = jnp.where(sound, int(Status.PAST_LOST), int(Status.BAD_DELAY))
        status = jnp.where(moves & ~(sound & kept), why, way.begun.status)
        return _Course(way.begun._replace(status=status), past, passed)

    def _stepped(self, way: Interval, course: _Course) -> _Course:
        """Try a step in every lane; keep it, and go on behind what it has reached."""
        by, start = self._delays(way.field), way.field.span.start
        before, past = course.progress._replace(passed=way.begun.passed), course.past
        marks = [mark_at(past, number) for number in course.passed]
        stops = [time + each - start for (time, _), each in zip(marks, by, strict=True)]
        nearest = before.time + by[0]
        for stop, each in zip(stops, by, strict=True):
            nearest = jnp.minimum(nearest, jnp.minimum(stop, before.time + each))
        # What stops at the interval's end stops there by the interval, for derivatives.
        late = nearest >= way.length - slack(start + way.length, by[0])
        here = way._replace(stops=jnp.where(late, jnp.inf, nearest)[None])
        stop = here.stop(before)
        # Between equals a minimum has half of each one's derivative: let none be equal.
        rest = stop - before.time
        equal = jnp.abs(before.size - rest) <= NEAR * rest
        before = before._replace(
            size=jnp.where(equal, before.size * LONGER, before.size)
        )
        middle = 0.5 * (before.time + stop)
        recall = self._recall(way.field, past, middle)
        here = here._replace(field=way.field.recalling(recall))
        after, trial, size = self._step(here, before)
        moved = after.time > before.time
        courses = [self.inside(i, before.amounts[i], size, trial) for i in self.kept]
        past = with_step(past, start + before.time, size, courses, moved)
        clock = start + after.time
        place, order, passed = clock, jnp.full_like(after.tried, LAST + 1), []
        parts = zip(course.passed, marks, stops, by, strict=True)
        for number, (mark, old), stop, each in parts:
            reached = after.time >= stop - slack(clock, each)
            # Equal to the clock, but for derivatives.
            place = jnp.where(reached, mark + each, place)
            order = jnp.where(reached, jnp.minimum(order, old + 1), order)
            passed.append(number + reached.astype(int))
        if before.flags is not None:
            switched = moved & (after.time >= before.flags.until)
            order = jnp.where(switched, 1, order)
        past = with_mark(past, place, order, way.going(before) & (order <= LAST))
        status = jnp.where(
            (after.status == Status.SOLVED) & self._lost(past, clock, passed, by),
            int(Status.PAST_LOST),
            after.status,
        )
        return _Course(after._replace(status=status), past, tuple(passed))

    def _lost(
        self,
        past: Past,
        clock: Float[Array, " lane"],
        passed: list[Int[Array, " lane"]],
        by: tuple[Float[Array, " lane"], ...],
    ) -> Bool[Array, " lane"]:
        """Return which lanes have made more steps in a delay than are kept."""
        lost = jnp.zeros(clock.shape, bool)
        for number, each in zip(passed, by, strict=True):
            lost |= ~is_kept(past, clock - each + slack(clock, each))
            lost |= past.marks - number > past.mark.shape[1]
        return lost

    def _delays(self, field: Field) -> tuple[Float[Array, " lane"], ...]:
        """Return every delay [h]."""
        names = (_time_of(delay.name) for delay in self.model.structure.delays)
        return tuple(field.individual[name] for name in names)

    def _recall(
        self, field: Field, past: Past, middle: Float[Array, " lane"] | None
    ) -> Recall:
        """Return what tells of the past at a time from the interval's start [h].

        Where the past jumps, it is that towards the `middle` [h] of what lies between
        two jumps; None: that behind the jump.
        """

        def recall(time: Float[Array, "*place lane"]) -> dict[str, Array]:
            wide = time if time.ndim > 1 else time[None]
            lean = jnp.ones_like(wide)
            if middle is not None:
                lean = jnp.where(wide < middle[None], 1.0, -1.0)
            start = field.span.start
            clock = start[None] + wide.astype(start.dtype)
            found = self._look(field.individual, past, clock, lean)
            if time.ndim > 1:
                return found
            return {name: value[0] for name, value in found.items()}

        return recall

    def _look(
        self,
        read: Mapping[str, Array],
        past: Past,
        clock: Float[Array, "place lane"],
        lean: Float[Array, "place lane"],
    ) -> dict[str, Float[Array, "place lane"]]:
        """Return every delay's value at some times [h], by name."""
        found = {}
        for delay in self.model.structure.delays:
            by = jnp.broadcast_to(read[_time_of(delay.name)][None], clock.shape)
            number = self.kept.index(self.model.states.index(delay.state))
            away = lean * slack(clock, by)
            found[delay.name] = value_at(past, clock - by, away, number)
        return found


def _time_of(name: str) -> str:
    """Name how long ago something was, among what the derivatives read."""
    return f"{name} by"

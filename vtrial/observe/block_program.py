"""A trial ready to be simulated in one process: the pure functions of a block.

Everything here is elementwise over subjects and compiled once for each arm's shape of
doses: a padded number of subjects stands for any number below it. The solver is called
between two compiled functions and not inside one, since it looks at the doses to see
which kinds of events there are.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.export import register_namedtuple_serialization
from jaxtyping import Array, Bool, Float, Int, Key

from vtrial.cohort.cohort import Cohort
from vtrial.cohort.subjects import WIDTH, Subjects
from vtrial.dosing.doses import Doses, Times
from vtrial.observe.alike import shape_of
from vtrial.observe.bringing import (
    Identity,
    Inputs,
    brought,
    first_occasion,
    padded,
    periods_of,
)
from vtrial.observe.course import Decisions
from vtrial.observe.course_program import follow_courses
from vtrial.observe.departure import Left, hazards_of, numbers_of, seen_to_leave
from vtrial.observe.ends import Ends, codes_of, stopped_under
from vtrial.observe.measuring import (
    Who,
    covariates_asked,
    leaving,
    measure,
    outcomes_of,
    share_attended,
)
from vtrial.observe.observation_times import ObservationTimes
from vtrial.observe.realised import Ledger
from vtrial.observe.scheme import MAKERS, Scheme
from vtrial.observe.screening import enrolled
from vtrial.observe.series import planned_ledger, series_of
from vtrial.observe.undefined import undefined
from vtrial.program_cache import kept
from vtrial.protocol.intercurrent import asks_of_stop
from vtrial.protocol.protocol import Arm, Protocol
from vtrial.sketch import sketch
from vtrial.solver.by_chance import simulate_by_chance
from vtrial.solver.by_flow import simulate_flow
from vtrial.solver.host import simulate
from vtrial.solver.program import bucket
from vtrial.solver.trajectory import Trajectory
from vtrial.types import Numerics, Status

RARELY = 4.0  # standard deviations


class Ready(NamedTuple):
    """What subjects under an arm bring to the solver, and their keys.

    Only the first `real` are there; the others fill the shape that is compiled for.
    `given` is the ledger of who may miss doses.
    """

    inputs: Inputs
    doses: Doses
    times: Times
    keys: Key[Array, " subject"]
    real: int | None = None
    given: Ledger | None = None


class Seen(NamedTuple):
    """What simulated subjects leave; the arrays that the protocol keeps.

    Fields
    ------
    status
        (subject) How their solutions ended.
    fallback
        (subject) By which method after the first they were solved: its number in
        `FALLBACKS`, from 1 on; 0 for the first.
    outcome, baseline, event
        (subject, endpoint) NaN for failed subjects.
    reason
        (subject, endpoint) `Missing` codes of solved subjects.
    measured, taken
        (subject, visit, output) in the outputs' units and (subject, visit) [h].
    values
        (subject, output, time) True values on the grid.
    sketch, counted
        (output, time, bin) and (output, time).
    left, cause
        (subject) When subjects left [h] and the code of the reason; NaN and 0 for who
        stayed to the end.
    given, decisions
        What was given and decided, where an arm has rules.
    stopped, stop_cause
        (subject) When they stopped treatment and the code of the cause, as of leaving;
        None where no endpoint asks.
    """

    status: Int[Array, " subject"]
    fallback: Int[Array, " subject"]
    outcome: Float[Array, "subject endpoint"]
    baseline: Float[Array, "subject endpoint"]
    event: Float[Array, "subject endpoint"]
    reason: Int[Array, "subject endpoint"]
    measured: Float[Array, "subject visit output"] | None
    taken: Float[Array, "subject visit"] | None
    values: Float[Array, "subject output time"] | None
    sketch: Float[Array, "output time bin"] | None
    counted: Int[Array, "output time"] | None
    left: Float[Array, " subject"]
    cause: Int[Array, " subject"]
    given: Ledger | None = None
    decisions: Decisions | None = None
    stopped: Float[Array, " subject"] | None = None
    stop_cause: Int[Array, " subject"] | None = None


class Course(NamedTuple):
    """How subjects under an arm fared, padded, with their keys.

    `left` is when they left and why, and `decisions` what was decided; None where an
    arm has no rules.
    """

    path: Trajectory
    keys: Key[Array, " subject"]
    left: Left | None = None
    given: Ledger | None = None
    decisions: Decisions | None = None


register_namedtuple_serialization(Doses, serialized_name="vtrial:Doses")
register_namedtuple_serialization(Times, serialized_name="vtrial:Times")
register_namedtuple_serialization(Ready, serialized_name="vtrial:Ready")
register_namedtuple_serialization(Seen, serialized_name="vtrial:observe.Seen")


@dataclass(frozen=True, eq=False)
class Trial:
    """A protocol with its cohort, and the functions compiled for them."""

    protocol: Protocol
    cohort: Cohort

    def identity(self, block: int) -> Identity:
        """Return who a block's rows are."""
        row = block * self.protocol.block + np.arange(self.protocol.size(block))
        return Identity(*np.divmod(row, self.protocol.subjects))

    def people(self, who: Identity) -> Subjects:
        """Draw subjects, padded to the height of a block with the last of them."""
        return self.drawn(
            Identity(*(padded(part, self.protocol.height) for part in who))
        )

    def drawn(self, who: Identity) -> Subjects:
        """Draw subjects by identity."""
        return self.drawn_as(who.replicate, who.number, seed=self.protocol.seed)

    def drawn_as(
        self,
        replicate: Int[np.ndarray, " subject"],
        number: Int[np.ndarray, " subject"],
        *,
        seed: int,
    ) -> Subjects:
        """Draw subjects by identity in the trial of a seed."""
        after = self.protocol.run_in is not None
        return enrolled(
            self.protocol,
            self.cohort,
            seed=seed,
            replicate=replicate,
            number=number,
            qualify=self.in_trial_of(seed).qualified if after else None,
            wide=self.capacity if after else WIDTH,
        )

    def in_trial_of(self, seed: int) -> "Trial":
        """Return the same trial with another seed."""
        if seed == self.protocol.seed:
            return self
        return Trial(replace(self.protocol, seed=seed), self.cohort)

    def qualified(
        self, people: Subjects, chosen: Int[np.ndarray, " candidate"]
    ) -> Bool[np.ndarray, " candidate"]:
        """Return who of some candidates is randomised after the run-in.

        They are followed under the first arm, for all are the same until then. Who
        cannot be solved is randomised, and counted as failed.
        """
        asked, found = self.protocol.run_in, np.zeros(chosen.size, bool)
        assert asked is not None, "everybody is randomised"
        names = [point.name for point in self.protocol.endpoints]
        place, arm = names.index(asked.endpoint), self.protocol.arms[0]
        for start in range(0, chosen.size, self.capacity):
            some = chosen[start : start + self.capacity]
            seen, here = self.observe(arm, people, some), slice(some.size)
            failed = np.asarray(seen.status)[here] != Status.SOLVED
            met = np.asarray(seen.outcome)[here, place] == 1
            found[start : start + some.size] = met | failed
        return found

    def observe(self, arm: Arm, people: Subjects, chosen: np.ndarray) -> Seen:
        """Simulate the chosen subjects under an arm and return what is seen of them.

        `chosen` holds places among `people`; the result is padded behind them to a
        number that the solver compiles for.
        """
        course = self.course(arm, people, chosen)
        path = course.path
        real = jnp.arange(course.keys.size) < chosen.size
        place = jnp.asarray(padded(chosen, course.keys.size))
        asked = covariates_asked(self.protocol)
        who = Who(
            course.keys,
            jnp.asarray(hazards_of(self.protocol, arm.name)),
            jnp.asarray(numbers_of(self.protocol)),
            {name: people.covariates[name][place] for name in asked},
            course.left,
            share_attended(self.protocol, arm),
            stopped_under(
                self.protocol, arm, course.keys, course.given, course.decisions
            ),
            codes_of(self.protocol, arm) if course.left is not None else None,
        )
        ledger = series_of(self.protocol, arm, course.given, course.decisions)
        seen = _reduce(
            self.scheme, path.outputs, path.status, who, path.time, real, ledger
        )
        seen = seen._replace(fallback=path.fallback)
        if not arm.kept:
            return seen
        return seen._replace(given=course.given, decisions=course.decisions)

    def course(
        self,
        arm: Arm,
        people: Subjects,
        chosen: np.ndarray,
        numerics: Numerics | None = None,
    ) -> Course:
        """Solve the chosen subjects under an arm, padded, as its rules will have it."""
        numerics = numerics or self.protocol.numerics
        if not arm.rules:
            ready = self.ready(arm, people, chosen)
            given = ready.given or planned_ledger(ready.doses, ready.keys.size)
            return Course(self.solve(ready, numerics), ready.keys, given=given)
        found, keys = follow_courses(
            self.scheme,
            self.protocol,
            arm,
            people,
            chosen,
            cohort=self.cohort,
            capacity=self.room(chosen),
            numerics=numerics,
        )
        return Course(found.path, keys, found.left, found.given, found.decisions)

    def room(self, chosen: np.ndarray) -> int:
        """Return for how many subjects it is compiled."""
        return max(self.capacity, math.prod(bucket(chosen.size)))

    def ready(self, arm: Arm, people: Subjects, chosen: np.ndarray) -> Ready:
        """Return what the chosen subjects under an arm bring to the solver, padded."""
        shape, place = shape_of(arm), jnp.asarray(padded(chosen, self.room(chosen)))
        seed = np.int64(self.protocol.seed)
        ready = _prepare(self.scheme, shape.arm, shape.values(), people, place, seed)
        return ready._replace(real=chosen.size)

    @functools.cached_property
    def capacity(self) -> int:
        """How many of a block's subjects may come under an arm; rarely there are more.

        It is the same for all arms and blocks, so that they share what is compiled.
        """
        design, height = self.protocol.design.allocation, self.protocol.height
        most = height
        if self.protocol.potential == "allocated":
            mean = height * max(design.weights) / sum(design.weights)
            begun = 1 + height // self.protocol.subjects  # batches that are not whole
            even = design.by in ("permuted block", "counts")
            most_uneven = design.block * begun if even else math.inf
            chance = min(most_uneven, RARELY * math.sqrt(mean))
            most = min(height, math.ceil(mean + chance))
        return math.prod(bucket(most))

    def solve(self, ready: Ready, numerics: Numerics) -> Trajectory:
        """Solve what is ready; where nothing differs, one solution is everybody's."""
        columns = any(value.ndim == 2 for value in ready.inputs.values())
        go = functools.partial(simulate, real=ready.real)
        if self.protocol.model.chance is not None:
            go = functools.partial(simulate_by_chance, keys=ready.keys)
        if self.protocol.model.flow is not None:
            go = functools.partial(simulate_flow, keys=ready.keys)
        path = go(
            self.protocol.model,
            ready.inputs,
            ready.doses,
            ready.times,
            periods=periods_of(self.protocol) if columns else None,
            numerics=numerics,
        )
        count = ready.keys.size
        outputs = {
            name: jnp.broadcast_to(value, (count, value.shape[1]))
            for name, value in path.outputs.items()
        }
        status, fallback = (
            jnp.broadcast_to(one, (count,)) for one in (path.status, path.fallback)
        )
        return path._replace(outputs=outputs, status=status, fallback=fallback)

    def reduction_ready(self) -> None:
        """Compile what reduces solutions, while what makes them is still compiled."""
        count, schedule = self.capacity, self.scheme.schedule

        def like() -> tuple[object, ...]:
            keys = jax.random.split(jax.random.key(0), count)
            times = schedule.times(schedule.taken(keys)).time
            real = f"float{self.protocol.numerics.precision}"
            values = jnp.zeros((count, times.shape[1]), real)
            truth = {name: values for name, _ in self.protocol.model.observed}
            asked = covariates_asked(self.protocol)
            covariates = {name: jnp.zeros(count) for name in asked}
            attends = share_attended(self.protocol, self.protocol.arms[0])
            causes = jnp.zeros(len(self.protocol.design.dropout.causes))
            numbers = jnp.zeros(numbers_of(self.protocol).size)
            stopped = None
            if asks_of_stop(self.protocol):
                stopped = Left(jnp.zeros(count), jnp.zeros(count, int))
            who = Who(keys, causes, numbers, covariates, None, attends, stopped)
            status, here = jnp.zeros(count, int), jnp.zeros(count, bool)
            return truth, status, who, times, here, {}

        _reduce.stored.ready(self.scheme, *jax.eval_shape(like))

    @functools.cached_property
    def scheme(self) -> Scheme:
        """What its compiled functions depend on."""
        return Scheme(self.protocol)

    @property
    def schedule(self) -> ObservationTimes:
        """When everybody is observed."""
        return self.scheme.schedule

    @functools.cached_property
    def individual(self):  # noqa: ANN202
        """Compile the individual parameters that are kept, before any arm's `set`."""
        names = self.protocol.keep.individual

        def find(people: Subjects) -> Inputs:
            values = self.protocol.model.individual(people.inputs())
            shape = people.subject.shape
            return {
                name: jnp.broadcast_to(first_occasion(values[name]), shape)
                for name in names
            }

        return jax.jit(find)


@functools.partial(kept, static=2, makers=MAKERS)
def _prepare(
    scheme: Scheme,
    shape: Arm,
    numbers: Inputs,
    people: Subjects,
    place: Int[Array, " place"],
    seed: Int[Array, ""],
) -> Ready:
    """Return what some subjects under an arm of a shape bring to the solver."""
    inputs, doses, keys, given = brought(
        scheme.protocol, shape, numbers, people, place, seed
    )
    taken = scheme.schedule.taken(keys)
    return Ready(inputs, doses, scheme.schedule.times(taken), keys, given=given)


@functools.partial(kept, static=1, makers=MAKERS)
def _reduce(
    scheme: Scheme,
    truth: dict[str, Float[Array, "subject time"]],
    status: Int[Array, " subject"],
    who: Who,
    time: Float[Array, "#subject time"],
    real: Bool[Array, " subject"],
    ledger: dict[str, tuple[Float[Array, "subject row"], Float[Array, "subject row"]]],
) -> Seen:
    """Measure, make outcomes, and reduce to what is kept."""
    protocol, plan = scheme.protocol, scheme.schedule
    taken = time[:, : plan.planned.size]
    left = leaving(protocol, plan, truth, who)
    noisy = measure(protocol, plan, truth, taken, who, left.time)
    lost = undefined(protocol, plan, truth) & (status == Status.SOLVED)
    status = jnp.where(lost, int(Status.OUTPUT_NOT_FINITE), status)
    solved = (status == Status.SOLVED) & real
    found = outcomes_of(protocol, plan, taken, noisy, truth, who, left, ledger)
    parts = [jnp.stack(part, axis=1) for part in zip(*found, strict=True)]
    parts = parts or [*[jnp.zeros((real.size, 0))] * 3, jnp.zeros((real.size, 0), int)]
    *parts, reason = parts
    outcome, baseline, event = (
        jnp.where(solved[:, None], part, jnp.nan) for part in parts
    )
    reason = jnp.where(solved[:, None], reason, 0).astype("int8")
    whole = _kept(protocol, plan, taken, noisy, truth, real)
    measured, times, values, sketches, counts = whole
    seen = Seen(
        status,
        jnp.zeros_like(status),
        outcome,
        baseline,
        event,
        reason,
        measured,
        times,
        values,
        sketches,
        counts,
        *seen_to_leave(left, time, solved),
    )
    if who.stopped is None:
        return seen
    ends = Ends(protocol, left, who.stopped)
    stopped = seen_to_leave(ends.seen_to_stop(), time, solved)
    return seen._replace(stopped=stopped.time, stop_cause=stopped.cause)


def _kept(
    protocol: Protocol,
    plan: ObservationTimes,
    taken: Float[Array, "#subject visit"],
    noisy: Mapping[str, Float[Array, "subject visit"]],
    truth: Mapping[str, Float[Array, "subject time"]],
    real: Bool[Array, " subject"],
) -> tuple[Array | None, ...]:
    """Return measurements, their times, true values, their sketch and count."""
    names = [output.name for output in protocol.model.outputs]
    measurements = times = values = sketches = counts = None
    if protocol.keep.measurements:
        shape = (real.size, len(plan.visits))
        missing = jnp.full(shape, jnp.nan)
        every = [noisy.get(name, missing).astype(float) for name in names]
        measurements = jnp.stack(every, axis=2)
        times = jnp.broadcast_to(taken, shape)
    if protocol.keep.trajectories == "nothing":
        return measurements, times, None, None, None
    places = len(plan.visits) + plan.kept
    every = [truth[name][:, places] for name in names]
    values = jnp.where(real[:, None, None], jnp.stack(every, axis=1), jnp.nan)
    if protocol.keep.trajectories == "quantiles":
        sketches = jnp.stack([sketch(values[:, i]) for i in range(len(names))])
        counts = jnp.isfinite(values).sum(axis=0)
        values = None
    return measurements, times, values, sketches, counts

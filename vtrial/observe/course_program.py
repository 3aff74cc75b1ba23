"""Courses of a block's subjects: the scan over moments, compiled and run on all cores.

Values decide here, before anything is compiled: by which method each subject is solved,
how many earlier doses may still act, and who is solved again by another method.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from vtrial.cohort.cohort import Cohort
from vtrial.cohort.subjects import Subjects
from vtrial.model.model import Model
from vtrial.observe.adherence import attended
from vtrial.observe.alike import shape_of
from vtrial.observe.bringing import (
    Inputs,
    asked_by,
    first_occasion,
    habits_under,
    inputs_under,
    padded,
    periods_of,
)
from vtrial.observe.course import Followed, follow
from vtrial.observe.decisions import People
from vtrial.observe.departure import (
    Left,
    Risk,
    by_constants,
    covariates_of_causes,
    hazards_of,
    numbers_of,
    risk_of,
)
from vtrial.observe.frame import Frame, regimens_of
from vtrial.observe.particle_people import particles_of
from vtrial.observe.realised import Rows, as_doses, tables_of, with_habits
from vtrial.observe.scheme import MAKERS, Scheme
from vtrial.observe.stages import Brought
from vtrial.program_cache import Compiled, kept
from vtrial.protocol.protocol import Arm, Protocol
from vtrial.solver.choice import choose_under
from vtrial.solver.events import take_up
from vtrial.solver.fallback import failed_rows, next_methods
from vtrial.solver.grouping import parted
from vtrial.solver.program import bucket, compile_program
from vtrial.solver.spread import cut, solve_parts, threads
from vtrial.solver.xla.compiled import compiled
from vtrial.types import Method, Numerics, Status

GRAIN = 64  # subjects that go to one core at least


def follow_courses(
    scheme: Scheme,
    protocol: Protocol,
    arm: Arm,
    people: Subjects,
    chosen: np.ndarray,
    *,
    cohort: Cohort,
    capacity: int,
    numerics: Numerics,
) -> tuple[Followed, Key[Array, " subject"]]:
    """Follow the chosen subjects under an arm with rules, padded to a capacity.

    Whoever a method fails on is followed again by the next ones, from the start. Their
    keys are returned, too.
    """
    shape, place = shape_of(arm), padded(chosen, capacity)
    leaves = hazards_of(protocol, arm.name), numbers_of(protocol)
    brought = _bring(
        scheme,
        shape.arm,
        shape.values(),
        people,
        jnp.asarray(place),
        np.int64(protocol.seed),
        *leaves,
    )
    frame = Frame(scheme, shape.arm, _recent(scheme, shape.arm, brought))
    who = tuple(
        particles_of(protocol, cohort, people, place, watch, brought.inputs)
        for watch in frame.watches
    )
    brought = brought._replace(alike=who)
    model = protocol.model
    choice = choose_under(model, frame.schedule, numerics)
    wide = {
        k: np.asarray(v)[: chosen.size].reshape(chosen.size, -1)
        for k, v in brought.inputs.items()
    }
    parts = parted(model, choice, wide or {"": np.zeros((chosen.size, 1))})
    found: Any = None
    for method, rows in parts:
        mine = np.arange(chosen.size) if rows is None else rows
        some = _followed(frame, brought, mine, capacity, method, numerics)
        full = rows is None and chosen.size == capacity
        found = some if full else _put(found, some, mine, capacity)
    return found, brought.people.keys


def _followed(
    frame: Frame,
    brought: Brought,
    rows: Int[np.ndarray, " row"],
    capacity: int,
    method: Method | None,
    numerics: Numerics,
) -> Followed:
    """Follow some rows by a method, and those that it fails on by the next."""
    model = frame.protocol.model
    seen = _spread(frame, brought, rows, capacity, method, numerics)
    fallback = np.zeros(rows.size, int)
    left = failed_rows(np.asarray(seen.path.status)) if method else np.zeros(0, int)
    for number, other in next_methods(
        model, method or "explicit", settling=frame.schedule.steady
    ):
        if not left.size:
            break
        again = _spread(frame, brought, rows[left], left.size, other, numerics)
        good = np.asarray(again.path.status) == Status.SOLVED
        seen = _put(seen, _rows(again, good), left[good], rows.size)
        fallback[left[good]] = number
        left = left[~good]
    path = seen.path._replace(fallback=fallback)
    return seen._replace(path=path)


def _spread(
    frame: Frame,
    brought: Brought,
    rows: Int[np.ndarray, " row"],
    room: int,
    method: Method | None,
    numerics: Numerics,
) -> Followed:
    """Follow rows on as many cores as pay off; `room` of them are compiled for."""
    length = room
    ends = [(0, rows.size)]
    if room > GRAIN and jax.default_backend() == "cpu":
        ends = cut(rows.size, threads(), GRAIN)
        length = cut(room, threads(), GRAIN)[0][1]
    length = math.prod(bucket(max(length, ends[0][1])))

    def solve(part: np.ndarray) -> Any:
        some = _part(brought, padded(part, length))
        go = _follow_by_chance if frame.protocol.model.chance else _follow
        go = _follow_watched if frame.watches else go
        seen = go(frame.scheme, frame.arm, frame.recent, method, numerics, some)
        return jax.tree.map(lambda value: np.asarray(value)[: part.size], seen)

    if len(ends) == 1:
        return solve(rows)
    known = (frame.scheme, frame.arm, frame.recent, method, numerics, length)
    return solve_parts(solve, [rows[slice(*end)] for end in ends], ends, known)


def _all_followed(
    scheme: Scheme,
    shape: Arm,
    recent: int,
    method: Method | None,
    numerics: Numerics,
    brought: Brought,
) -> Followed:
    """Follow subjects by one method."""
    frame = Frame(scheme, shape, recent)
    program = compile_program(
        scheme.protocol.model, frame.schedule, numerics, method=method
    )
    return follow(frame, program, brought)


_follow = compiled(_all_followed, static=5, kept=True, beside=MAKERS)
# XLA's fusion of several outputs fails on ticks and events: as in the solver.
_follow_by_chance = kept(_all_followed, static=5, makers=(*MAKERS, "solver"))
# Particles make its loops long: XLA's larger kernels gain more there than they cost.
_follow_watched = Compiled(
    _all_followed, static=5, makers=(*MAKERS, "solver"), options={}
)


@functools.partial(kept, static=2, makers=MAKERS)
def _bring(
    scheme: Scheme,
    shape: Arm,
    numbers: Inputs,
    people: Subjects,
    place: Int[Array, " place"],
    seed: Int[Array, ""],
    hazards: Float[Array, " cause"],
    coefficients: Float[Array, " number"],
) -> Brought:
    """Return what subjects under an arm with rules bring."""
    protocol = scheme.protocol
    inputs = inputs_under(shape, numbers, people, place)
    alike = {n: jnp.broadcast_to(v, place.shape) for n, v in numbers.items()}
    known = {name: first_occasion(value) for name, value in inputs.items()} | alike
    regimens = regimens_of(shape)
    tables = tables_of(regimens, asked_by(regimens, inputs, numbers))
    keys = people.keys(seed, place)
    habits = habits_under(shape, keys)
    if habits is not None:
        tables = with_habits(tables, habits.missed, habits.late)
    left, risk = _leaving(protocol, people, place, keys, hazards, coefficients)
    attends = None
    if shape.adherence is not None and shape.adherence.visits < 1:
        share = jnp.asarray(shape.adherence.visits)
        attends = attended(keys, scheme.schedule.counts(), share)
    asked = set(protocol.model.inputs)
    mine = {name: value for name, value in inputs.items() if name in asked}
    columns = any(value.ndim == 2 for value in mine.values())
    return Brought(
        mine,
        People(known, keys),
        tables,
        scheme.schedule.taken(keys),
        left,
        risk,
        attends,
        periods_of(protocol) if columns else None,
    )


def _leaving(
    protocol: Protocol,
    people: Subjects,
    place: Int[Array, " place"],
    keys: Key[Array, " subject"],
    hazards: Float[Array, " cause"],
    numbers: Float[Array, " number"],
) -> tuple[Left, Risk | None]:
    """Return when subjects leave at constant hazards, and what decides otherwise."""
    asked = covariates_of_causes(protocol)
    covariates = {name: people.covariates[name][place] for name in asked}
    count = keys.shape[0]
    hazards, numbers = (
        jnp.broadcast_to(v[None], (count, v.size)) for v in (hazards, numbers)
    )
    risk = risk_of(protocol, keys, hazards, numbers, covariates)
    followed = protocol.design.dropout.followed
    return by_constants(protocol, risk), risk if followed else None


def _recent(scheme: Scheme, shape: Arm, brought: Brought) -> int:
    """Count how many doses before a moment may not have had all their effect yet.

    Rounded up to a power of two, so that few programs are compiled.
    """
    model, tables = scheme.protocol.model, brought.tables
    most = tables.group.shape[1]
    kinds = {statement.kind for statement in model.structure.properties}
    infused = bool((np.asarray(tables.doses.rate) != 0).any())
    if not most or not (infused or kinds & {"lag", "rate", "duration"}):
        return 0
    rate = np.asarray(tables.doses.rate)
    grows = (rate > 0) & ~np.asarray(tables.scales)[:, None]
    if (grows | (rate == -1)).any():
        return most  # the more is given the longer it takes
    longest = _longest(model, brought)
    counts = [0]
    for time in np.asarray(tables.doses.time).min(axis=1):
        real = np.sort(time[np.isfinite(time)])
        first = np.searchsorted(real, real - longest - 1e-6, side="left")
        counts.append(int((np.arange(real.size) - first + 1).max(initial=0)))
    wanted = max(counts)
    return min(most, 1 << (wanted - 1).bit_length() if wanted > 1 else wanted)


def _longest(model: Model, brought: Brought) -> float:
    """Return how long it takes from a dose's record until it is in, at most [h]."""
    count = brought.people.keys.shape[0]
    first = {k: first_occasion(jnp.asarray(v)) for k, v in brought.inputs.items()}
    individual = {
        name: jnp.broadcast_to(value, (count,))[:, None]
        for name, value in model.individual(first).items()
    }
    longest = 0.0
    for place in range(brought.tables.group.shape[0]):
        rows = jax.tree.map(lambda v: v[place], brought.tables.doses)  # noqa: B023
        doses = as_doses(rows)
        periods = jnp.full((1, 1), -jnp.inf)
        given = take_up(model, individual, doses, periods)
        length = jnp.where(jnp.isfinite(doses.time), given.delay + given.duration, 0.0)
        longest = max(longest, float(jnp.max(length, initial=0.0)))
    return longest


def _part(brought: Brought, rows: Int[np.ndarray, " row"]) -> Brought:
    """Take some subjects; what they share stays."""
    count = brought.people.keys.shape[0]

    def take(value: Any) -> Any:
        return on_host(value)[rows] if value.shape[0] == count else value

    def on_host(value: Any) -> Any:
        keys = jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
        return value if keys else np.asarray(value)

    tables = brought.tables
    doses = [on_host(v)[:, rows] if v.shape[1] == count else v for v in tables.doses]
    missed = None if tables.missed is None else take(tables.missed)
    return Brought(
        inputs=jax.tree.map(take, brought.inputs),
        people=jax.tree.map(take, brought.people),
        tables=tables._replace(doses=Rows(*doses), missed=missed),
        taken=take(brought.taken),
        left=jax.tree.map(take, brought.left),
        risk=jax.tree.map(take, brought.risk),
        attends=None if brought.attends is None else take(brought.attends),
        periods=brought.periods,
        alike=jax.tree.map(take, brought.alike),
    )


def _rows(tree: Any, rows: np.ndarray) -> Any:
    """Take rows of all arrays."""
    return jax.tree.map(lambda value: np.asarray(value)[rows], tree)


def _put(whole: Any, part: Any, rows: np.ndarray, count: int) -> Any:
    """Put rows into arrays of all subjects, in place; made if there are none yet."""
    if whole is None:
        whole = jax.tree.map(lambda v: np.zeros((count, *v.shape[1:]), v.dtype), part)

    def put(all_: Any, some: Any) -> Any:
        full = all_ if _is_ours(all_) else np.array(all_)
        full[rows] = np.asarray(some)
        return full

    return jax.tree.map(put, whole, part)


def _is_ours(array: Any) -> bool:
    """Say whether it may be written to."""
    return isinstance(array, np.ndarray) and array.flags.writeable

"""A model under a schedule of events, as one pure function of arrays."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, ArrayLike, Float, Int

from vtrial.dosing.doses import Doses, Times, no_doses
from vtrial.dosing.schedule import Schedule
from vtrial.errors import SolverError
from vtrial.model.model import Model
from vtrial.solver.choice import choose_under
from vtrial.solver.grouping import order_by_cost, reorder
from vtrial.solver.lanes import Batch, Solutions, solve_lanes, standing_at
from vtrial.solver.layout import Layout
from vtrial.solver.method import AbstractMethod
from vtrial.solver.methods import METHODS
from vtrial.solver.request import laid_out
from vtrial.solver.trajectory import State, Trajectory
from vtrial.solver.window import width_of
from vtrial.solver.xla.compiled import compiled
from vtrial.solver.xla.kernel import is_possible
from vtrial.solver.xla.sensitivity import differentiable
from vtrial.types import Method, Numerics

EXACT = ("algebra", "closed form")  # no loop of unknown length
LANES = (16, 64)  # side by side; more subjects come in chunks of the last
WIDE = (16, 64, 256)  # the same, for closed forms and a schedule that all share
DEVICE = (64, 4096, 65_536)  # the same, where there are thousands of processors
FINE = 8  # numbers of chunks that are compiled between a power of two and the next


@dataclass(frozen=True)
class Program:
    """What solves a model: a pure function under `jit`, `vmap`, `scan` and `grad`.

    It looks at shapes only, never at values, so that it is the same program inside a
    larger one. Make it with `compile_program`.
    """

    model: Model
    schedule: Schedule
    numerics: Numerics
    method: str
    keep_states: bool = False
    kernel: bool = False

    def solve(
        self,
        inputs: Mapping[str, ArrayLike],
        doses: Doses,
        times: Times,
        *,
        periods: Float[ArrayLike, "#subject period"] | None = None,
        start: State | None = None,
        until: Float[ArrayLike, "*#subject"] | None = None,
        begin: Float[ArrayLike, "*#subject"] | None = None,
    ) -> Trajectory:
        """Solve for every subject, and observe.

        Parameters are those of `simulate`; initial values hold at `begin` [h], of
        which that says when it is None. Every subject is solved by the program's
        method, and who fails is not solved again: `fallback` is 0. Derivatives, in
        either direction, are those with respect to anything real.

        Raises
        ------
        SolverError
            If an input is missing, or sizes do not fit together.
        """
        batch = laid_out(
            self.model,
            inputs,
            doses,
            times,
            begin=begin,
            periods=periods,
            start=start,
            until=until,
        )
        count = count_of(batch)
        lanes, chunks = bucket(count, self.sizes(batch))
        wide = jax.tree.map(functools.partial(widened, to=lanes * chunks), batch)
        seen = self.run(wide, jnp.asarray([count]))
        seen = jax.tree.map(lambda value: value[:count], seen)
        time = jnp.asarray(times.time, float)
        return trajectory_of(seen, time, jnp.zeros_like(seen.status))

    def start(
        self,
        inputs: Mapping[str, ArrayLike],
        begin: Float[ArrayLike, "*#subject"],
        *,
        periods: Float[ArrayLike, "#subject period"] | None = None,
    ) -> State:
        """Return the State of every subject at `begin` [h], where nothing happened yet.

        Raises
        ------
        SolverError
            If an input is missing, or sizes do not fit together.
        """
        batch = laid_out(
            self.model,
            inputs,
            no_doses(),
            Times(jnp.zeros((1, 0)), jnp.zeros((1, 0), int)),
            begin=begin,
            periods=periods,
            start=None,
            until=begin,
        )
        batch = jax.tree.map(jnp.asarray, batch)
        return standing_at(self.layout(batch), batch, count_of(batch))

    def run(self, batch: Batch, count: Int[ArrayLike, "1"]) -> Solutions:
        """Solve a batch that is a bucket's size, of whose subjects `count` are real."""
        lanes, chunks = bucket(count_of(batch), self.sizes(batch))
        layout = self.layout(batch)
        if layout.method in EXACT:
            return _solve(layout, lanes, chunks, (batch, count))
        return differentiable(_solve, layout, lanes, chunks)((batch, count))

    def sizes(self, batch: Batch) -> tuple[int, ...]:
        """Return how many lanes may go side by side."""
        if jax.default_backend() != "cpu":
            return DEVICE
        shared = batch.doses.time.shape[0] == batch.times.time.shape[0] == 1
        return WIDE if shared and self.layout(batch).is_exact else LANES

    def layout(self, batch: Batch) -> Layout:
        """Return the static layout that is compiled for a batch of these shapes."""
        layout = _layout(self)
        given, seen = (part.time.shape[1] for part in (batch.doses, batch.times))
        window = width_of(layout, self.schedule.between, given, seen)
        return replace(layout, merged=False, window=window) if window else layout


def compile_program(
    model: Model,
    schedule: Schedule,
    numerics: Numerics = Numerics(),  # noqa: B008 (frozen)
    *,
    method: Method | None = None,
    keep_states: bool = False,
    kernel: bool = False,
) -> Program:
    """Choose how a model is solved under a schedule.

    The code itself is compiled for each shape of the arguments, when they first come,
    and kept. `method` stands for that which the model's typical subject asks for, and
    `kernel` for one kernel of a graphics processor, where there can be one.

    Raises
    ------
    SolverError
        If the method that `numerics` asks for cannot solve the model.
    """
    if model.flow is not None:
        raise SolverError(
            at=model.name,
            found="a flow, whose days are no solutions of equations",
            allowed="a model of equations; `simulate(..., seed=0)` simulates days",
            write="",
        )
    choice = choose_under(model, schedule, numerics)
    chosen = method or choice.method or choice.other
    program = Program(model, schedule, numerics, chosen, keep_states)
    return replace(program, kernel=kernel and is_possible(_layout(program)))


@functools.lru_cache(maxsize=1024)
def _layout(program: Program) -> Layout:
    """Return a program's static layout, with its observations as events."""
    model, schedule = program.model, program.schedule
    if not model.states:
        return Layout(
            model, program.method, program.numerics, True, True, False, False, False, 0
        )
    kinds = {statement.kind for statement in model.structure.properties}
    return Layout(
        model=model,
        method=program.method,
        numerics=program.numerics,
        merged=not METHODS[program.method](model, program.numerics).is_closed,
        records=schedule.resets or schedule.steady or "lag" in kinds,
        infusions=schedule.infusions,
        resets=schedule.resets,
        steady=schedule.steady,
        overlaps=schedule.overlaps,
        keep_states=program.keep_states,
        kernel=program.kernel,
    )


def trajectory_of(
    seen: Solutions,
    time: Float[Array, "#subject time"],
    fallback: Int[Array, " subject"],
) -> Trajectory:
    """Return what was seen as a Trajectory."""
    return Trajectory(
        time=time,
        outputs=seen.outputs,
        states=seen.states,
        status=seen.status,
        steps=seen.steps,
        fallback=fallback,
        end=seen.end,
    )


def bucket(count: int, sizes: tuple[int, ...] = LANES) -> tuple[int, int]:
    """Return how many lanes and chunks hold a number of subjects.

    Examples
    --------
    >>> bucket(5), bucket(64), bucket(527), bucket(10_000)
    ((16, 1), (64, 1), (64, 9), (64, 160))
    """
    lanes = next((size for size in sizes if count <= size), sizes[-1])
    needed = -(-count // lanes)
    grain = max(1, (1 << needed.bit_length()) // (2 * FINE))
    return lanes, -(-needed // grain) * grain


def count_of(batch: Batch) -> int:
    """Count the subjects of a batch."""
    return max(leaf.shape[0] for leaf in jax.tree.leaves(batch))


def widened(value: Any, *, to: int) -> Any:
    """Repeat the last subject until a bucket is full; what is shared stays one row."""
    count = value.shape[0]
    if count in (1, to):
        return value
    widths = [(0, to - count)] + [(0, 0)] * (value.ndim - 1)
    return jnp.pad(value, widths, mode="edge")


@functools.partial(compiled, static=3, kept=True)
def _solve(
    layout: Layout, lanes: int, chunks: int, asked: tuple[Batch, Int[Array, "1"]]
) -> Solutions:
    """Solve all chunks, one after another."""
    batch, (count,) = asked
    method = METHODS[layout.method](layout.model, layout.numerics, layout.infusions)
    if chunks == 1:
        return solve_lanes(layout, method, batch, lanes)
    if layout.is_exact:
        return _in_chunks(layout, method, (batch, None), lanes, chunks)
    # A chunk takes as long as its slowest lane: like goes with like.
    order = order_by_cost(layout, method, batch.inputs, count, lanes * chunks)
    asked = (reorder(batch, order), asked[1])
    seen = _in_chunks(layout, method, asked, lanes, chunks)
    return reorder(seen, jnp.argsort(order))


def _in_chunks(
    layout: Layout,
    method: AbstractMethod,
    asked: tuple[Batch, Int[Array, "1"] | None],
    lanes: int,
    chunks: int,
) -> Solutions:
    """Go from chunk to chunk; those without a subject of the count are passed over.

    Passing over costs more than closed forms do: these are given no count.
    """
    batch, count = asked
    leaves, tree = jax.tree.flatten(batch)
    own = [leaf.shape[0] > 1 for leaf in leaves]
    split = [
        leaf.reshape(chunks, lanes, *leaf.shape[1:])
        for leaf, mine in zip(leaves, own, strict=True)
        if mine
    ]

    @functools.partial(jax.jit, inline=True)  # traced once, for the shape and the loop
    def one(parts: list[Array]) -> Solutions:
        rest = iter(parts)
        full = [
            next(rest) if mine else leaf for leaf, mine in zip(leaves, own, strict=True)
        ]
        return solve_lanes(layout, method, jax.tree.unflatten(tree, full), lanes)

    # Chunks of padding only are given zeros without being solved.
    blank = jax.tree.map(
        lambda like: jnp.zeros(like.shape, like.dtype),
        jax.eval_shape(one, [part[0] for part in split]),
    )

    def maybe(item: tuple[Int[Array, ""], list[Array]]) -> Solutions:
        place, parts = item
        if count is None:
            return one(parts)
        # In `lax.map` a predicate is a scalar: only one branch is computed.
        return lax.cond(place * lanes < count[0], one, lambda _: blank, parts)

    seen = lax.map(maybe, (jnp.arange(chunks), split))
    return jax.tree.map(lambda v: v.reshape(chunks * lanes, *v.shape[2:]), seen)

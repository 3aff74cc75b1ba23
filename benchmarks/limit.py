"""Ask how near to this core's limits each way of solving comes, and where time goes.

`python -m benchmarks.limit [--subjects N]` pins itself to one core, measures what the
core can do (a product of matrices, a sum of long vectors), and sets beside it what each
method does on a workload.

Operations are counted in the program as it is traced: what a loop of fixed length does
times its length, and what a loop of unknown length does times the subject's steps. A
division or an exponential counts as one, though it takes the time of many, and lanes
that wait for a slower one do nothing. XLA's own count takes every loop once; it is more
where the compiler does work twice. Bytes are XLA's, too, most of them in caches.
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

import jax
import numpy as np

from benchmarks.workloads import Crowd, crowd, model_of, schedule_of
from vtrial.model.model import Model
from vtrial.solver.choice import choose
from vtrial.solver.host import simulate
from vtrial.types import Method, Numerics

LANES = 64
REPEATS = 5
ROWS: tuple[tuple[str, str], ...] = (
    ("W1", "closed form"),
    ("W1-own", "closed form"),
    ("W4", "matrix exponential"),
    ("W2", "explicit"),
    ("W2", "stiff"),
    ("W3", "stiff"),
    ("W2", "hybrid explicit"),
    ("W5", "closed form"),
)


class Peak(NamedTuple):
    """What the core does at best: [1/s] operations, [1/s] bytes to and from memory."""

    operations: float
    bytes: float


class Found(NamedTuple):
    """What a method does on a workload.

    Seconds are of CPU time for the whole crowd: `total` by the verb, `program` of its
    compiled part, `last` where only the last time is observed, `table` where nothing
    but the beginning is. `steps` are mean numbers a subject, `operations` are a
    subject's, and `counted` and `bytes` XLA's for a lane with every loop once.
    """

    name: str
    method: str
    subjects: int
    steps: float
    steps_last: float
    operations: float
    counted: float
    bytes: float
    total: float
    program: float
    last: float
    table: float

    @property
    def seconds(self) -> float:
        """[s] of the compiled part for one subject."""
        return self.program / self.subjects


def peak() -> Peak:
    """Measure the core: matrices that fit its cache, vectors that do not."""
    side, length = 384, 4_000_000
    square = jax.numpy.ones((side, side))
    long = jax.numpy.ones(length)
    product = jax.jit(lambda a: a @ a)
    added = jax.jit(lambda a, b: a + 2.0 * b)
    return Peak(
        2.0 * side**3 / _best(lambda: product(square), 20),
        3.0 * 8.0 * length / _best(lambda: added(long, long), 5),
    )


def look(name: str, method: str, subjects: int) -> Found:
    """Time a method on a workload, in variants that leave parts of the work out."""
    model, group = model_of(name), crowd(name, subjects)
    numerics = Numerics(method=method, rtol=1e-6, atol=1e-8)  # type: ignore[arg-type]
    last = group._replace(observations=group.observations[:, -1:])
    none = group._replace(observations=0.0 * group.observations[:1, :1])
    solved, by_verb = _verb(model, name, group, numerics)
    steps = _steps(solved, group)
    few = _solution(model, name, crowd(name, LANES), numerics)
    counted: Any = jax.jit(few[0]).lower(*few[1]).compile().cost_analysis()
    seconds = [_run(model, name, part, numerics) for part in (group, last, none)]
    return Found(
        name,
        choose(model, numerics).method or "algebra",
        subjects,
        steps,
        _steps(_verb(model, name, last, numerics)[0], last),
        operations(jax.make_jaxpr(few[0])(*few[1]).jaxpr, steps) / LANES,
        counted["flops"] / LANES,
        counted["bytes accessed"] / LANES,
        by_verb,
        *seconds,
    )


def operations(program: Any, steps: float) -> float:
    """Count the operations of a traced program.

    The body of a loop of unknown length counts `steps` times in all, however often the
    loop is begun; of alternatives in a loop, the dearest counts once, and the cheapest
    every other time.
    """
    fixed, rare, stepped = _counted(program)
    return fixed + rare + steps * stepped


def _counted(program: Any) -> tuple[float, float, float]:
    """Count what is done each time, what only once, and what in every step."""
    fixed, rare, stepped = 0.0, 0.0, 0.0
    for equation in program.eqns:
        fixed += _operations(equation)
        inner = [_counted(part) for part in _parts(equation)]
        kind = equation.primitive.name
        if kind == "while":
            stepped += sum(map(sum, inner))
        elif inner:
            each, once, step = zip(*inner, strict=True)
            length = equation.params["length"] if kind == "scan" else 1
            fixed += length * min(each)
            rare += max(once) + max(each) - min(each)
            stepped += max(step)
    return fixed, rare, stepped


def _operations(equation: Any) -> float:
    """Count the operations of one equation, whatever is within it apart."""
    size = max((out.aval.size for out in equation.outvars), default=0)
    if equation.primitive.name in _ARITHMETIC:
        return size
    if equation.primitive.name != "dot_general":
        return 0.0
    (contracted, _), _ = equation.params["dimension_numbers"]
    shape = equation.invars[0].aval.shape
    return 2.0 * size * float(np.prod([shape[axis] for axis in contracted]))


def _parts(equation: Any) -> list[Any]:
    """List the programs within an equation; of alternatives, all."""
    found = []
    for value in equation.params.values():
        for one in value if isinstance(value, list | tuple) else [value]:
            inner = getattr(one, "jaxpr", one)
            if hasattr(inner, "eqns"):
                found.append(inner)
    return found


_ARITHMETIC = frozenset(
    ["add", "sub", "mul", "div", "neg", "abs", "max", "min", "pow", "integer_pow"]
    + ["exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "square", "add_any"]
)


def _verb(
    model: Model, name: str, group: Crowd, numerics: Numerics
) -> tuple[Any, float]:
    """Solve by the verb, and time it."""
    doses, times = schedule_of(name, group)

    def solve() -> Any:
        return simulate(model, group.values, doses, times, numerics=numerics)

    return solve(), _best(solve, 1)


def _solution(
    model: Model, name: str, part: Crowd, numerics: Numerics
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return a solution to compile, and its arguments.

    Times and amounts are arguments, so that nothing is computed from them while it
    is compiled; kinds of events are known, as they are to the verb.
    """
    doses, times = schedule_of(name, part)

    def solve(values: Any, given: Any, amount: Any, seen: Any) -> Any:
        return simulate(
            model,
            values,
            doses._replace(time=given, amount=amount),
            times._replace(time=seen),
            numerics=numerics,
        )  # with everything that the verb gives, or the compiler leaves work out

    return solve, (part.values, doses.time, doses.amount, times.time)


def _run(model: Model, name: str, part: Crowd, numerics: Numerics) -> float:
    """[s] Time the compiled part alone."""
    solve, given = _solution(model, name, part, numerics)
    program = jax.jit(solve).lower(*given).compile()
    return _best(lambda: program(*given), 1)


def _steps(solved: Any, group: Crowd) -> float:
    """Count steps a subject; for exact methods, intervals between its events."""
    steps = float(np.mean(np.asarray(solved.steps)))
    if steps > 0:
        return steps
    events = np.concatenate([group.doses[0], group.observations[0]])
    return max(1.0, float(np.unique(events).size - 1))


def _best(work: Callable[[], Any], times: int) -> float:
    """[s] Return the least CPU time of work, after a first time that may compile."""
    spent = []
    for _ in range(REPEATS + 1):
        begun = time.process_time()
        for _ in range(times):
            jax.block_until_ready(work())
        spent.append((time.process_time() - begun) / times)
    return min(spent[1:])


def table(found: list[Found], best: Peak) -> str:
    """Write what was found."""
    giga = f"{best.operations / 1e9:.1f} GFLOP/s, {best.bytes / 1e9:.1f} GB/s"
    lines = [f"this core at best: {giga}", "", _HEAD]
    for row in found:
        rate = row.operations / row.seconds
        lines.append(
            f"{row.name:<7} {row.method:<19}{row.subjects / row.total:>10,.0f}"
            f"{row.steps:>8.0f}{row.seconds / row.steps * 1e9:>9.1f}"
            f"{row.operations / row.steps:>10.0f}{rate / 1e9:>9.2f}"
            f"{rate / best.operations:>8.1%}{row.counted:>12,.0f}{row.bytes:>12,.0f}"
        )
    lines += ["", _SHARES]
    for row in found:
        parts = (row.total - row.program, row.table, row.last - row.table)
        shares = [max(0.0, part) / row.total for part in parts]
        shares.append(max(0.0, row.program - row.last) / row.total)
        lines.append(
            f"{row.name:<7} {row.method:<19}"
            + "".join(f"{share:>12.0%}" for share in shares)
            + f"{row.steps_last:>20.0f}"
        )
    return "\n".join(lines)


_HEAD = (
    f"{'':<27}{'subjects/s':>10}{'steps':>8}{'ns/step':>9}{'flop/step':>10}"
    f"{'GFLOP/s':>9}{'of peak':>8}{'XLA: flop':>12}{'bytes':>12}"
)
_SHARES = (
    f"{'where the time goes':<27}{'host':>12}{'tabulating':>12}{'stepping':>12}"
    f"{'observing':>12}{'steps, one seen':>20}"
)


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, measure, and print."""
    parser = argparse.ArgumentParser(description="How near to the core's limits.")
    parser.add_argument("--subjects", type=int, default=1024)
    parser.add_argument("--workloads", nargs="+", default=[name for name, _ in ROWS])
    given = parser.parse_args(arguments)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    best, methods = peak(), get_args(Method)
    found = [
        look(name, method, given.subjects)
        for name, method in ROWS
        if method in methods and name in given.workloads
    ]
    print(table(found, best))


if __name__ == "__main__":
    main()

"""Search without a gradient: Bayesian optimisation over the real points.

Numbers of cycles, thresholds of rules, whatever decides and has no slope: a Gaussian
process learns the goal, with a price on limits that are overstepped, from candidates
that were looked at, all on the same people, and says where to look next.

References
----------
Jones DR, Schonlau M, Welch WJ (1998) J Global Optim 13:455-492.
Nogueira F (2014) Bayesian Optimization: open source constrained global optimization
tool for Python (the package `bayesian-optimization`).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from vtrial.errors import ProtocolError
from vtrial.optimise.aims import Worth, gap, worth_of
from vtrial.optimise.crowd import People
from vtrial.optimise.descent import Try, written
from vtrial.optimise.problem import Point, Problem

FIRST = 5  # candidates before the process is asked, beside the start
PRICE = 10.0  # of overstepping a limit by its size, in sizes of the goal


def search_real(
    problem: Problem, people: People, tell: Callable[[str], None]
) -> tuple[list[Try], dict[Point, Worth]]:
    """Look at real candidates until the evaluations are used up.

    Where there are no more candidates than evaluations, all of them are looked at.

    Raises
    ------
    ProtocolError
        If the library is not installed.
    """
    rows = [np.array(one.real) for one in problem.variables]
    known: dict[Point, Worth] = {}
    tried: list[Try] = []

    def look(point: Point) -> Worth:
        if point not in known:
            values = people.observe(point)
            worth = worth_of(problem, values, people.replicate)
            known[point] = worth
            tried.append(Try(1, 0.0, point, worth.goal.value, worth))
            tell(f"candidate {len(known)}: {written(problem, point)}")
        return known[point]

    budget = problem.asked.evaluations
    total = int(np.prod([row.size for row in rows], dtype=float))
    if total <= budget:
        grid = np.stack(np.meshgrid(*rows, indexing="ij"), axis=-1)
        for row in grid.reshape(-1, len(rows)):
            look(tuple(row.tolist()))
        return tried, known
    scale = abs(look(_nearest(rows, problem.start)).goal.value) or 1.0
    optimiser = _optimiser(problem, rows)
    asked = budget * 4  # suggestions, for some are of points that are known
    generator = np.random.default_rng(people.crowd.seed)
    first = [tuple(generator.choice(row) for row in rows) for _ in range(FIRST)]
    for turn in range(asked):
        if len(known) >= budget:
            break
        if turn < FIRST:
            point: Point = tuple(map(float, first[turn]))
        else:
            point = _nearest(rows, _suggested(problem, optimiser))
        if point in known and turn >= FIRST:
            free = [tuple(map(float, (generator.choice(r) for r in rows)))]
            point = free[0]
        worth = look(point)
        names = [one.name for one in problem.variables]
        optimiser.register(
            params=dict(zip(names, point, strict=True)),
            target=_target(problem, worth, scale),
        )
    return tried, known


def _optimiser(problem: Problem, rows: list[np.ndarray]) -> Any:
    """Make the optimiser of the library."""
    try:
        from bayes_opt import (  # pyright: ignore[reportMissingImports] # an extra
            BayesianOptimization,
        )
    except ImportError as error:
        raise ProtocolError(
            at="optimise",
            found=f"a search without a gradient ({problem.why_not or 'as is asked'}), "
            "for which the package `bayesian-optimization` is not installed",
            allowed="installed, or so few real values that all are looked at "
            f"(`evaluations` is {problem.asked.evaluations})",
            write="pip install 'vtrial[optimise]'",
        ) from error
    bounds = {
        one.name: (float(row[0]), float(row[-1]))
        for one, row in zip(problem.variables, rows, strict=True)
    }
    seed = problem.asked.search.seed % (2**31)
    return BayesianOptimization(
        f=None,
        pbounds=bounds,
        random_state=seed,
        verbose=0,
        allow_duplicate_points=True,
    )


def _suggested(problem: Problem, optimiser: Any) -> Point:
    """Ask where to look next."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a process that is fitted to few points
        found = optimiser.suggest()
    return tuple(float(found[one.name]) for one in problem.variables)


def _target(problem: Problem, worth: Worth, scale: float) -> float:
    """Return what is to be as high as possible."""
    sign = 1.0 if problem.asked.sense == "maximise" else -1.0
    value = sign * worth.goal.value / scale
    for limit, mean in zip(problem.asked.limits, worth.limits, strict=True):
        over = max(gap(limit, mean), 0.0)
        size = limit.confidence or abs(limit.bound) or 1.0
        value -= PRICE * over / size
    return value if np.isfinite(value) else -PRICE * (1 + PRICE)


def _nearest(rows: list[np.ndarray], point: Point) -> Point:
    """Return the real point next to one."""
    return tuple(
        float(row[np.argmin(np.abs(row - value))])
        for row, value in zip(rows, point, strict=True)
    )

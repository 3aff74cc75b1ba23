"""Solve a workload's subjects with vtrial, and with each peer that is installed.

`SOLVERS[name](workload, crowd, tolerance)` gives a function that solves the crowd and
returns the outputs (subject, time); what it compiles, it compiles in its first call.
A dose or an end of an infusion begins a new integration in every peer.
"""

import importlib.metadata
from collections.abc import Callable

import numpy as np

from benchmarks.problem import Outputs, Problem, Segments, Tolerance, problem_of
from benchmarks.translate import (
    load_source,
    numba_source,
    parameters_of,
    python_source,
    sbml_source,
)
from benchmarks.workloads import Crowd, model_of, schedule_of

MOST_STEPS = 100_000
Solve = Callable[[], Outputs]


def solve_with_vtrial(name: str, group: Crowd, tolerance: Tolerance) -> Solve:
    """Solve as a user does, from arrays to arrays."""
    from vtrial.solver.host import simulate
    from vtrial.types import Numerics

    model, (doses, times) = model_of(name), schedule_of(name, group)
    numerics = Numerics(
        rtol=tolerance.rtol,
        atol=tolerance.atol,
        precision=64 if tolerance.bits == 64 else 32,
    )

    def solve() -> Outputs:
        solved = simulate(model, group.values, doses, times, numerics=numerics)
        return {output: np.asarray(seen) for output, seen in solved.outputs.items()}

    return solve


def solve_with_scipy(name: str, group: Crowd, tolerance: Tolerance) -> Solve:
    """Let SciPy's LSODA solve equations in Python."""
    from scipy.integrate import solve_ivp

    model = model_of(name)
    derivative = load_source(python_source(model, "math"), f"{name}_math").derivative

    def integrate(
        state: np.ndarray, parameters: list[float], rate: float, points: np.ndarray
    ) -> np.ndarray:
        return solve_ivp(
            derivative,
            (points[0], points[-1]),
            state,
            method="LSODA",
            t_eval=points,
            args=(parameters, rate),
            rtol=tolerance.rtol,
            atol=tolerance.atol,
        ).y.T

    return _stepwise(problem_of(name, group), group, integrate)


def solve_with_roadrunner(name: str, group: Crowd, tolerance: Tolerance) -> Solve:
    """Let libRoadRunner's CVODE solve equations in SBML."""
    import roadrunner  # pyright: ignore[reportMissingImports] (only for bench)

    model, task = model_of(name), problem_of(name, group)
    roadrunner.Logger.setLevel(roadrunner.Logger.LOG_FATAL)
    runner = roadrunner.RoadRunner(sbml_source(model))
    runner.timeCourseSelections = list(model.states)
    runner.integrator.setValue("relative_tolerance", tolerance.rtol)
    runner.integrator.setValue("absolute_tolerance", tolerance.atol)
    runner.integrator.setValue("maximum_num_steps", MOST_STEPS)
    names = parameters_of(model)

    def integrate(
        state: np.ndarray, parameters: list[float], rate: float, points: np.ndarray
    ) -> np.ndarray:
        if points[0] == 0.0:
            runner.reset()
            for key, value in zip(names, parameters, strict=True):
                runner[key] = value
        runner["rate_"] = rate
        for key, value in zip(model.states, state, strict=True):
            runner[key] = value
        return np.array(runner.simulate(times=list(points)))

    return _stepwise(task, group, integrate)


def _stepwise(task: Problem, group: Crowd, integrate: Callable) -> Solve:
    """Go from segment to segment, subject after subject."""
    cut, seen = task.segments, group.observations

    def solve() -> Outputs:
        states = np.empty((group.size, seen.shape[1], task.start.shape[1]))
        for i, parameters in enumerate(task.parameters.tolist()):
            row = i if len(cut.begin) > 1 else 0
            state = task.start[i].copy()
            states[i, : cut.first[row, 0]] = state
            for k, (first, last) in enumerate(
                zip(cut.first[row], cut.last[row], strict=True)
            ):
                state[0] += cut.bolus[row, k]
                points = _points(cut.begin[row, k], seen[row, first:last], cut, row, k)
                found = integrate(state, parameters, cut.rate[row, k], points)
                states[i, first:last] = found[1 : 1 + last - first]
                state = found[-1].copy()
        return task.observe(states)

    return solve


def _points(
    begin: float, inside: np.ndarray, cut: Segments, row: int, k: int
) -> np.ndarray:
    """List the times of a segment: begin, observations, and end, each once."""
    end = cut.end[row, k]
    rest = [] if inside.size and inside[-1] == end else [end]
    return np.concatenate([[begin], inside, rest])


def solve_with_numbalsoda(name: str, group: Crowd, tolerance: Tolerance) -> Solve:
    """Let numbalsoda's LSODA solve compiled equations, in a compiled loop."""
    from benchmarks.compiled import integrate

    task = problem_of(name, group)
    written = load_source(numba_source(model_of(name)), f"{name}_numba")
    shape = (group.size, group.observations.shape[1], task.start.shape[1])

    def solve() -> Outputs:
        states = np.empty(shape)
        how = (tolerance.rtol, tolerance.atol, MOST_STEPS)
        integrate(
            written.derivative.address,
            task.start,
            task.parameters,
            tuple(task.segments),
            group.observations,
            how,
            states,
        )
        return task.observe(states)

    return solve


def solve_with_diffrax(name: str, group: Crowd, tolerance: Tolerance) -> Solve:
    """Let diffrax solve chunks of subjects at once by `vmap`, one after another."""
    from benchmarks.vmapped import integrator

    task = problem_of(name, group)
    written = load_source(python_source(model_of(name), "jax.numpy"), f"{name}_jax")
    run = integrator(written.derivative, tolerance, MOST_STEPS)
    return lambda: task.observe(run(task, group))


SOLVERS: dict[str, Callable[[str, Crowd, Tolerance], Solve]] = {
    "vtrial": solve_with_vtrial,
    "numbalsoda": solve_with_numbalsoda,
    "libroadrunner": solve_with_roadrunner,
    "diffrax": solve_with_diffrax,
    "scipy": solve_with_scipy,
}
MODULES = {
    "vtrial": "vtrial.solver.host",
    "numbalsoda": "benchmarks.compiled",
    "libroadrunner": "roadrunner",
    "diffrax": "diffrax",
    "scipy": "scipy.integrate",
}


def version_of(solver: str) -> str:
    """Return a solver's version; empty where it is not installed."""
    try:
        return importlib.metadata.version(solver)
    except importlib.metadata.PackageNotFoundError:
        return ""

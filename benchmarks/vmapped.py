"""Diffrax under `vmap`, as its users write it: a scan over doses, all lanes at once."""

from collections.abc import Callable

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from benchmarks.problem import Problem, Tolerance
from benchmarks.workloads import Crowd


def integrator(
    derivative: Callable, tolerance: Tolerance, most: int
) -> Callable[[Problem, Crowd], np.ndarray]:
    """Make the function that gives the states (subject, time, state)."""
    term = diffrax.ODETerm(
        lambda t, y, args: jnp.stack(derivative(t, list(y), list(args[0]), args[1]))
    )
    solver = getattr(diffrax, tolerance.method)()
    control = diffrax.PIDController(rtol=tolerance.rtol, atol=tolerance.atol)

    def one(start: Array, parameters: Array, cut: list[Array]) -> Array:
        def segment(state: Array, part: list[Array]) -> tuple[Array, Array]:
            begin, end, bolus, rate, points = part
            found = diffrax.diffeqsolve(
                term,
                solver,
                begin,
                end,
                None,
                state.at[0].add(bolus),
                (parameters, rate),
                saveat=diffrax.SaveAt(ts=points, t1=True),
                stepsize_controller=control,
                adjoint=diffrax.ForwardMode(),
                max_steps=most,
                throw=False,
            ).ys
            return found[-1], found[:-1]  # pyright: ignore[reportOptionalSubscript]

        return jax.lax.scan(segment, start, cut)[1]

    @jax.jit
    def run(start: Array, parameters: Array, cut: list[Array]) -> Array:
        own = cut[0].ndim > 2
        chunk = jax.vmap(one, in_axes=(0, 0, 0 if own else None))
        if own:
            whole = (start, parameters, cut)
            return jax.lax.map(lambda part: chunk(part[0], part[1], part[2]), whole)
        return jax.lax.map(
            lambda part: chunk(part[0], part[1], cut), (start, parameters)
        )

    return lambda task, group: _run(run, task, group, tolerance.chunk)


def _run(run: Callable, task: Problem, group: Crowd, chunk: int) -> np.ndarray:
    """Pad to whole chunks, solve, and put each observation in its place."""
    cut, times = task.segments, group.observations
    width = int((cut.last - cut.first).max())
    column = cut.first[..., None] + np.arange(width)  # (row, segment, point)
    inside = column < cut.last[..., None]
    row = np.arange(len(times))[:, None, None]
    at = times[row, np.minimum(column, times.shape[1] - 1)]
    points = np.where(inside, at, cut.end[..., None])
    parts = [cut.begin, cut.end, cut.bolus, cut.rate, points]
    fill = -group.size % chunk

    def chunked(value: np.ndarray) -> np.ndarray:
        padded = np.concatenate([value, np.repeat(value[-1:], fill, axis=0)])
        return padded.reshape(-1, chunk, *value.shape[1:])

    own = len(cut.begin) > 1
    given = [chunked(part) if own else part[0] for part in parts]
    found = np.asarray(run(chunked(task.start), chunked(task.parameters), given))
    found = found.reshape(-1, *found.shape[2:])[: group.size]
    states = np.empty((group.size, times.shape[1], task.start.shape[1]))
    states[:] = task.start[:, None]
    for i in range(group.size):
        mine = i if own else 0
        states[i, column[mine][inside[mine]]] = found[i][inside[mine]]
    return states

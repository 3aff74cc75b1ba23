"""The loop over subjects and segments, compiled, for numbalsoda."""

import numpy as np
from numba import njit  # pyright: ignore[reportMissingImports] (only for bench)
from numbalsoda import lsoda  # pyright: ignore[reportMissingImports]


@njit
def integrate(
    derivative: int,
    start: np.ndarray,
    parameters: np.ndarray,
    segments: tuple,
    observations: np.ndarray,
    how: tuple,
    states: np.ndarray,
) -> None:
    """Fill the states (subject, time, state) of every subject."""
    begin, end, bolus, rate, first, last = segments
    rtol, atol, most = how
    data = np.empty(parameters.shape[1] + 1)
    for i in range(len(start)):
        row = i if len(begin) > 1 else 0
        state = start[i].copy()
        data[:-1] = parameters[i]
        states[i, : first[row, 0]] = state
        for k in range(begin.shape[1]):
            state[0] += bolus[row, k]
            data[-1] = rate[row, k]
            inside = last[row, k] - first[row, k]
            points = np.empty(inside + 2)
            points[0] = begin[row, k]
            points[1:-1] = observations[row, first[row, k] : last[row, k]]
            points[-1] = end[row, k]
            found, solved = lsoda(derivative, state, points, data, rtol, atol, most)
            if not solved:
                found[:] = np.nan
            states[i, first[row, k] : last[row, k]] = found[1:-1]
            state = found[-1].copy()

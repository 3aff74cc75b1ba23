"""From a point of the search to what can be given: values that are real, and near."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from vtrial.optimise.aims import Worth, rank
from vtrial.optimise.problem import Point, Problem
from vtrial.protocol.optimisation import Variable

MOST = 400  # neighbours that are compared
WIDER = 3  # times the neighbourhood is widened


def real_values(variable: Variable) -> np.ndarray:
    """Return all values of a variable that are real, ascending.

    Examples
    --------
    >>> real_values(Variable("a", 10.0, 25.0, 10.0, step=5.0)).tolist()
    [10.0, 15.0, 20.0, 25.0]
    """
    if variable.values:
        return np.array(variable.values)
    count = int(np.floor((variable.high - variable.low) / variable.step + 1e-9))
    found = variable.low + variable.step * np.arange(count + 1)
    return np.array([float(f"{value:.12g}") for value in found])


def neighbours(problem: Problem, point: Point, reach: int) -> Iterator[Point]:
    """Yield the real points around one: `reach` values to either side of each.

    `reach` 0 is the nearest two of each; too many are left out from the far end.
    """
    rows = []
    for variable, value in zip(problem.variables, point, strict=True):
        real = real_values(variable)
        above = int(np.searchsorted(real, value - 1e-9 * abs(value)))
        low, high = max(above - 1 - reach, 0), min(above + reach, real.size - 1)
        exact = above < real.size and abs(real[above] - value) <= 1e-9 * abs(value)
        if exact and not reach:
            low = high = above
        near = real[low : high + 1]
        rows.append(near[np.argsort(np.abs(near - value), kind="stable")].tolist())
    yield from itertools.islice(itertools.product(*rows), MOST)


def ranked(
    problem: Problem, points: list[Point], worth: Callable[[Point], Worth]
) -> list[tuple[Point, Worth]]:
    """Compare points on the same people; the best that keeps all limits first."""
    found = [(point, worth(point)) for point in points]
    return sorted(found, key=lambda one: (rank(problem, one[1]), one[0]))

"""From a point of the search to what can be given: values that are real, and near."""

import itertools
from collections.abc import Iterator, Mapping

import numpy as np

from vtrial.optimise.aims import Worth, rank
from vtrial.optimise.problem import Point, Problem

MOST = 400  # neighbours that are compared
WIDER = 3  # times the neighbourhood is widened


def neighbours(problem: Problem, point: Point, reach: int) -> Iterator[Point]:
    """Yield the real points around one: `reach` values to either side of each.

    `reach` 0 is the nearest two of each; too many are left out from the far end.
    """
    rows = []
    for variable, value in zip(problem.variables, point, strict=True):
        real = np.array(variable.real)
        above = int(np.searchsorted(real, value - 1e-9 * abs(value)))
        low, high = max(above - 1 - reach, 0), min(above + reach, real.size - 1)
        exact = above < real.size and abs(real[above] - value) <= 1e-9 * abs(value)
        if exact and not reach:
            low = high = above
        near = real[low : high + 1]
        rows.append(near[np.argsort(np.abs(near - value), kind="stable")].tolist())
    yield from itertools.islice(itertools.product(*rows), MOST)


def ranked(problem: Problem, known: Mapping[Point, Worth]) -> list[tuple[Point, Worth]]:
    """Sort points by what the same people came to: the best that keeps limits first."""
    return sorted(known.items(), key=lambda one: (rank(problem, one[1]), one[0]))

"""The front: the best of the goal for each bound on what it is traded against.

Points are found by bounds that are evenly spread between the least that the other
endpoint can be and what it is where the goal alone is best (epsilon constraints).

References
----------
Haimes YY, Lasdon LS, Wismer DA (1971) IEEE Trans Syst Man Cybern 1:296-297.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from vtrial.optimise.aims import Worth
from vtrial.optimise.crowd import People
from vtrial.optimise.descent import Descent, written
from vtrial.optimise.problem import Point, Problem
from vtrial.protocol.optimisation import Limit

SLACK = 0.02  # of the range of the bounds, to which the first one is loosened


class FrontPoint(NamedTuple):
    """A candidate of the front, and what people come to under it.

    `search` is of those on whom was searched, `verified` of fresh ones, both without
    smoothing.
    """

    point: Point
    search: Worth
    verified: Worth


def front_of(
    descent: Descent, begin: Point, fresh: People, tell: Callable[[str], None]
) -> list[FrontPoint]:
    """Find the front by gradient, from the best of the goal down, each from the last.

    There the goal has a slope; where the other endpoint is at its least it may have
    none. `begin` is where the search ended. Limits on the endpoint that the goal is
    traded against are left out.
    """
    problem, asked = descent.problem, descent.problem.asked
    front = asked.front
    assert front is not None, "the caller has looked"
    kept = tuple(one for one in asked.limits if one.endpoint != front.against)
    width = asked.widths[-1]
    lower = front.better == "lower"
    descent.stage += 1
    best = descent.descend(begin, width, limits=kept)
    sense = "minimise" if lower else "maximise"
    least = descent.descend(best, width, goal=front.against, sense=sense, limits=kept)
    high, low = (_other(descent, one) for one in (best, least))
    low += SLACK * (high - low)  # where it is least, the goal may be far from its best
    found, at = [], best
    for bound in np.linspace(high, low, front.points):
        if found:
            side = "at most" if lower else "at least"
            more = Limit(front.against, side, float(bound))
            at = descent.descend(at, width, limits=(*kept, more))
        found.append(FrontPoint(at, descent.hard(at), descent.hard(at, fresh)))
        tell(f"front: {len(found)} of {front.points}, {written(problem, at)}")
    return undominated(problem, found)


def undominated(problem: Problem, found: Sequence[FrontPoint]) -> list[FrontPoint]:
    """Leave out what another beats in all; sort by the other endpoint."""
    front = problem.asked.front
    assert front is not None, "the caller has looked"
    goal = 1.0 if problem.asked.sense == "maximise" else -1.0
    against = -1.0 if front.better == "lower" else 1.0
    marks = []
    for one in found:
        other = one.search.other
        assert other is not None, "there is a front"
        marks.append((goal * one.search.goal.value, against * other.value))
    kept = [
        one
        for one, (a, b) in zip(found, marks, strict=True)
        if not any(c >= a and d >= b and (c, d) != (a, b) for c, d in marks)
    ]
    kept = list({one.point: one for one in kept}.values())
    return sorted(kept, key=lambda one: one.search.other.value)  # type: ignore[union-attr]


def _other(descent: Descent, point: Point) -> float:
    """Return the smooth mean of what is traded against."""
    asked = descent.problem.asked
    assert asked.front is not None, "the caller has looked"
    looked = descent.look(point, asked.widths[-1])
    column = looked.smooth[:, descent.problem.needed.index(asked.front.against)]
    return float(np.nanmean(column))

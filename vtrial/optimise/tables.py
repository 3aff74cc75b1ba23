"""What was searched and verified, as tables: a column a variable, then the numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from vtrial.optimise.aims import Worth, gap, holds, settled
from vtrial.optimise.crowd import Mean
from vtrial.optimise.descent import Try
from vtrial.optimise.front import FrontPoint
from vtrial.optimise.problem import Point, Problem
from vtrial.protocol.optimisation import Limit


def course_table(problem: Problem, tried: Sequence[Try]) -> pd.DataFrame:
    """Return a row for each candidate that the search looked at.

    `goal` is without smoothing, `smooth` with it; then the mean that each limit is of.
    """
    rows = [
        {"evaluation": number, "stage": one.stage, "width": one.width}
        | _values(problem, one.point)
        | {"smooth": one.smooth, "goal": one.worth.goal.value}
        | dict(zip(_names(problem), (m.value for m in one.worth.limits), strict=True))
        for number, one in enumerate(tried, start=1)
    ]
    return pd.DataFrame(rows)


def candidate_table(
    problem: Problem,
    order: Sequence[tuple[Point, Worth]],
    verified: Mapping[Point, Worth],
) -> pd.DataFrame:
    """Return a row for each real candidate, the best on the search's people first."""
    none = float("nan")
    rows = []
    for point, search in order:
        fresh = verified.get(point)
        row: dict[str, Any] = _values(problem, point)
        row |= {"goal": search.goal.value}
        row |= {"goal verified": fresh.goal.value if fresh else none}
        for k, name in enumerate(_names(problem)):
            row[name] = search.limits[k].value
            row[f"{name} verified"] = fresh.limits[k].value if fresh else none
        row["verified"] = fresh is not None
        kept = holds(problem.asked.limits, fresh) if fresh else False
        row["holds"] = {True: "yes", False: "no"}[kept] if fresh else ""
        rows.append(row)
    return pd.DataFrame(rows)


def verification_table(problem: Problem, search: Worth, fresh: Worth) -> pd.DataFrame:
    """Return a row for the goal and each limit: the search's number and the verified.

    `low` and `high` are the limits of the 95 % interval of the Monte Carlo error.
    """
    asked = problem.asked
    unit = problem.protocol.endpoint(asked.endpoint).unit
    rows = [_row(asked.sense, asked.endpoint, "", search.goal, fresh.goal, unit, "")]
    for one, before, after in zip(
        asked.limits, search.limits, fresh.limits, strict=True
    ):
        unit = problem.protocol.endpoint(one.endpoint).unit
        verdict = "holds" if gap(one, after) <= 0 else "violated"
        if not settled(one, after):
            verdict += ", within its Monte Carlo error"
        rows.append(
            _row(
                "limit" if one.confidence is None else "limit, share of replicates",
                one.endpoint,
                bound_words(one),
                before,
                after,
                unit,
                verdict,
            )
        )
    return pd.DataFrame(rows)


def front_table(problem: Problem, front: Sequence[FrontPoint]) -> pd.DataFrame:
    """Return a row for each point of the front, by what the goal is traded against."""
    rows = []
    for one in front:
        row: dict[str, Any] = _values(problem, one.point)
        for name, worth in (("", one.search), (" verified", one.verified)):
            other = worth.other
            assert other is not None, "there is a front"
            row |= {f"goal{name}": worth.goal.value, f"against{name}": other.value}
        other = one.verified.other
        assert other is not None, "there is a front"
        row |= {"goal error": one.verified.goal.error, "against error": other.error}
        rows.append(row)
    return pd.DataFrame(rows)


def bound_words(limit: Limit) -> str:
    """Write a bound.

    Examples
    --------
    >>> bound_words(Limit("grade 4", "at most", 0.2, 0.9))
    'at most 0.2 in 90 % of replicates'
    """
    words = f"{limit.side} {limit.bound:g}"
    if limit.confidence is None:
        return words
    return f"{words} in {100 * limit.confidence:g} % of replicates"


def _row(
    role: str,
    endpoint: str,
    bound: str,
    search: Mean,
    fresh: Mean,
    unit: str,
    verdict: str,
) -> dict[str, Any]:
    return {
        "endpoint": endpoint,
        "role": role,
        "bound": bound,
        "search": search.value,
        "verified": fresh.value,
        "mc_error": fresh.error,
        "low": fresh.low,
        "high": fresh.high,
        "subjects": fresh.many,
        "unit": unit,
        "verdict": verdict,
    }


def _names(problem: Problem) -> list[str]:
    """Name the limits, each once."""
    names: list[str] = []
    for one in problem.asked.limits:
        same = sum(name.split(" (")[0] == one.endpoint for name in names)
        names.append(f"{one.endpoint} ({same + 1})" if same else one.endpoint)
    return names


def _values(problem: Problem, point: Point) -> dict[str, float]:
    """Return the variables by name."""
    names = [one.name for one in problem.variables]
    return dict(zip(names, np.asarray(point).tolist(), strict=True))

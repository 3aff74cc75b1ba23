"""Search by gradient: smooth surrogates ever nearer to the endpoints themselves.

Each stage is sequential quadratic programming (SLSQP of SciPy) on the same people, with
the surrogate of the stage's width, from where the last one ended. Variables run from 0
to 1 there, and all means are in standard deviations of what they are of.

References
----------
Kraft D (1988) A software package for sequential quadratic programming. DFVLR-FB 88-28.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from vtrial.optimise.aims import Worth, smooth_limit, smooth_mean, worth_of
from vtrial.optimise.crowd import People
from vtrial.optimise.problem import Point, Problem
from vtrial.optimise.surrogate import Looked, Surrogate
from vtrial.protocol.optimisation import Limit

MOST_STEPS, CLOSE = 40, 1e-7
LEAST = 1e-12


class Try(NamedTuple):
    """One candidate that was looked at; `width` is 0 where nothing was smoothed."""

    stage: int
    width: float
    point: Point
    smooth: float
    worth: Worth


@dataclass(eq=False)
class Descent:
    """A search on some people; it keeps what it has looked at."""

    problem: Problem
    surrogate: Surrogate
    people: People
    tried: list[Try] = field(default_factory=list)
    stage: int = 0
    _known: dict[Any, Looked] = field(default_factory=dict)

    def search(self, tell: Callable[[str], None]) -> Point:
        """Go through all stages; return where the last one ended."""
        point = self.problem.start
        for width in self.problem.asked.widths:
            self.stage += 1
            point = self.descend(point, width)
            tell(f"stage {self.stage}, width {width:g}: {written(self.problem, point)}")
        return point

    def descend(
        self,
        begin: Point,
        width: float,
        *,
        goal: str = "",
        sense: str = "",
        limits: tuple[Limit, ...] | None = None,
    ) -> Point:
        """Go down from a point with a surrogate of a width; return where it ended.

        Goal and limits are those of the problem unless others are given.
        """
        from scipy.optimize import minimize

        asked = self.problem.asked
        goal, sense = goal or asked.endpoint, sense or asked.sense
        limits = asked.limits if limits is None else limits
        low, reach = self._box()
        sign = -1.0 if sense == "maximise" else 1.0
        place = self.problem.needed.index

        def seen(x: np.ndarray) -> Looked:
            return self.look(tuple((low + reach * x).tolist()), width)

        def target(x: np.ndarray) -> tuple[float, np.ndarray]:
            looked, k = seen(x), place(goal)
            assert looked.slope is not None, "it was asked for"
            value, rise = smooth_mean(looked.smooth[:, k], looked.slope[:, k])
            scale = self.spread[k] if not self._binary(goal) else 1.0
            return sign * value / scale, sign * rise * reach / scale

        def kept(x: np.ndarray, one: Limit) -> tuple[float, np.ndarray]:
            looked, k = seen(x), place(one.endpoint)
            assert looked.slope is not None, "it was asked for"
            value, rise = smooth_limit(
                one, looked.smooth[:, k], looked.slope[:, k], self.people.replicate
            )
            scale = self.spread[k] if not self._binary(one.endpoint) else 1.0
            return value / scale, rise * reach / scale

        constraints = [
            {
                "type": "ineq",
                "fun": lambda x, one=one: kept(x, one)[0],
                "jac": lambda x, one=one: kept(x, one)[1],
            }
            for one in limits
        ]
        found = minimize(
            target,
            (np.array(begin) - low) / reach,
            jac=True,
            bounds=[(0.0, 1.0)] * len(begin),
            constraints=constraints,
            method="SLSQP",
            options={"maxiter": MOST_STEPS, "ftol": CLOSE},
        )
        return tuple((low + reach * np.clip(found.x, 0.0, 1.0)).tolist())

    def look(self, point: Point, width: float) -> Looked:
        """Look at a candidate once, and note what it comes to."""
        if (point, width) in self._known:
            return self._known[point, width]
        looked = self.surrogate.look(
            point,
            self.people.subjects,
            seed=self.people.crowd.seed,
            widths=width * self.spread,
        )
        self._known = {(point, width): looked}  # a step asks for one point at a time
        worth = worth_of(self.problem, looked.hard, self.people.replicate)
        place = self.problem.needed.index(self.problem.asked.endpoint)
        smooth = float(np.nanmean(looked.smooth[:, place]))
        self.tried.append(Try(self.stage, width, point, smooth, worth))
        return looked

    def hard(self, point: Point, people: People | None = None) -> Worth:
        """Return what people come to under a candidate, without smoothing."""
        people = people or self.people
        looked = self.surrogate.look(
            point,
            people.subjects,
            seed=people.crowd.seed,
            widths=self.spread,
            slopes=False,
        )
        return worth_of(self.problem, looked.hard, people.replicate)

    @functools.cached_property
    def spread(self) -> Float[np.ndarray, " endpoint"]:
        """Standard deviation of each endpoint's number at the start."""
        looked = self.surrogate.look(
            self.problem.start,
            self.people.subjects,
            seed=self.people.crowd.seed,
            widths=np.ones(len(self.problem.needed)),
            slopes=False,
        )
        return spread_of(looked.number)

    def _binary(self, name: str) -> bool:
        return self.problem.protocol.endpoint(name).binary

    def _box(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the lower ends of all variables, and how far they reach."""
        low = np.array([one.low for one in self.problem.variables])
        high = np.array([one.high for one in self.problem.variables])
        return low, high - low


def spread_of(
    number: Float[np.ndarray, "subject endpoint"],
) -> Float[np.ndarray, " endpoint"]:
    """Return standard deviations of those who have a number; never 0."""
    found = []
    for column in number.T:
        known = column[np.isfinite(column)]
        wide = float(known.std()) if known.size else 0.0
        size = float(np.abs(known).mean()) if known.size else 0.0
        found.append(wide if wide > LEAST * size and wide > 0 else size or 1.0)
    return np.array(found)


def written(problem: Problem, point: Point) -> str:
    """Write a candidate in words."""
    pairs = zip(problem.variables, point, strict=True)
    return ", ".join(f"{v.name} {x:.5g} {v.unit}".strip() for v, x in pairs)


def bounded(limit: Limit, bound: float) -> Limit:
    """Return a limit with another bound."""
    return replace(limit, bound=bound)

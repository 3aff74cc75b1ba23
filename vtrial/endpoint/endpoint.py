"""The Endpoint: one number for each subject, as data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vtrial.model.tree import Expression

Take = Literal[
    "value",
    "change",
    "percent change",
    "minimum",
    "maximum",
    "time of minimum",
    "time of maximum",
    "mean",
    "area",
    "AUC last",
    "AUC infinity",
    "AUC tau",
    "half-life",
    "terminal rate",
    "mean residence time",
    "extrapolated share",
    "time above",
    "time below",
    "time in range",
    "share above",
    "share below",
    "share in range",
    "time to",
    "event by hazard",
    "event time",
    "number of events",
    "best response",
    "time to progression",
]
Derived = Literal["equals", "first of"]
NONCOMPARTMENTAL = (
    "AUC last",
    "AUC infinity",
    "AUC tau",
    "half-life",
    "terminal rate",
    "mean residence time",
    "extrapolated share",
)
EVENTS = ("time to", "event by hazard", "event time", "time to progression")
MOST_CATEGORIES = 12  # that shares are shown of
OF_COURSES = ("minimum", "maximum", "time of minimum", "time of maximum", "area")
OF_CROSSINGS = ("time above", "time below", "time in range")
OF_LINES = (*OF_CROSSINGS, *NONCOMPARTMENTAL)
DRAWN = ("event by hazard", "number of events")
Strategy = Literal[
    "treatment policy", "hypothetical", "while on treatment", "composite"
]
DROPOUT = "dropout"
Below = Literal["zero before first", "drop", "LLOQ/2", "LLOQ/2 once", "zero"]


def up_to(grades: Sequence[float]) -> tuple[float, ...]:
    """Return the grades that limits make, from 0 on; none without limits."""
    return tuple(map(float, range(len(grades) + 1))) if grades else ()


@dataclass(frozen=True)
class Endpoint:
    """One number for each subject.

    `take` says how it is made of the values of output `of` from `start` to `end` [h],
    both included (`value`, `change`, `percent change`: the last one in that span; the
    baseline is the last value at or before `baseline` [h]). `low` and `high` are the
    limits of `time above` (low), `time below` (high), `time in range` and `time to`
    (first value at or above `low`, or at or below `high`, `confirmed` by so many values
    or hours of values). `grades` are limits that make a grade of the number, from 1 on.
    `below` or `above` turn the number into a response: 1 if it is under (over) that
    limit, else 0. Values are the measured ones of the visits (residual error included),
    or the true ones on the grid; those below `lloq`, in the output's unit, are taken as
    `below_quantification` says. `factor` brings the output's unit to h (`event time`)
    or mm (tumours).

    `equals` is an equation of other endpoints and covariates, `first_of` names times to
    events of which the first counts. `intercurrent` says by which strategy (ICH E9(R1))
    events, by their endpoints' names, are dealt with; `failure` is the outcome after an
    event of the composite strategy.
    """

    name: str
    of: str
    take: Take | Derived
    start: float
    end: float
    baseline: float = 0.0
    confirmed: float = 0.0
    confirmed_by: Literal["hours", "values"] = "hours"
    grades: tuple[float, ...] = ()
    factor: float = 1.0
    equals: Expression | None = None
    first_of: tuple[str, ...] = ()
    intercurrent: tuple[tuple[str, Strategy], ...] = ()
    failure: float | None = None
    low: float | None = None
    high: float | None = None
    below: float | None = None
    above: float | None = None
    values: Literal["measured", "true"] = "measured"
    lloq: float = 0.0
    below_quantification: Below = "LLOQ/2"
    visits: tuple[str, ...] = ()
    unit: str = "1"
    title: str = ""

    @property
    def binary(self) -> bool:
        """Whether it is a response (0 or 1)."""
        return self.below is not None or self.above is not None

    @property
    def follows(self) -> bool:
        """Whether it follows a true course wherever that goes, whatever the grid."""
        return self.values == "true" and self.take in (*OF_COURSES, *OF_CROSSINGS)

    @property
    def event(self) -> bool:
        """Whether it is a time to an event, which may be censored."""
        return self.take in (*EVENTS, "first of") and not self.binary

    @property
    def categories(self) -> tuple[float, ...]:
        """The values that it may have, if these are few whoever is looked at."""
        if self.binary:
            return (0.0, 1.0)
        if self.take == "best response" and not self.grades:
            return (0.0, 1.0, 2.0, 3.0)
        return up_to(self.grades)

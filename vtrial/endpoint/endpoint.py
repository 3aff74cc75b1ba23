"""The Endpoint: one number for each subject, as data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vtrial.endpoint.kind import Below, Kind
from vtrial.endpoint.registry import kind_of
from vtrial.model.tree import Expression

MOST_CATEGORIES = 12  # that shares are shown of
Strategy = Literal[
    "treatment policy", "hypothetical", "while on treatment", "composite"
]
Values = Literal["measured", "true", "ledger"]
DROPOUT = "dropout"
STOP = "stop"  # of treatment


def up_to(grades: Sequence[float]) -> tuple[float, ...]:
    """Return the grades that limits make, from 0 on; none without limits."""
    return tuple(map(float, range(len(grades) + 1))) if grades else ()


@dataclass(frozen=True)
class Intercurrent:
    """By which strategy (ICH E9(R1)) an event is dealt with.

    `event` is `dropout`, `stop` (of treatment), or the name of an endpoint that is a
    time to one. Of dropout and stop it is of some `causes` alone, if there are any.
    """

    event: str
    strategy: Strategy
    causes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What tells it from others of an endpoint, in words.

        Examples
        --------
        >>> Intercurrent("stop", "composite", ("adherence", "rule low")).name
        'stop of treatment (adherence, rule low)'
        """
        event = "stop of treatment" if self.event == STOP else self.event
        causes = ", ".join(self.causes)
        return f"{event} ({causes})" if causes else event

    @property
    def of_endpoint(self) -> bool:
        """Whether the event is an endpoint."""
        return self.event not in (DROPOUT, STOP)


@dataclass(frozen=True)
class Endpoint:
    """One number for each subject.

    `take` names the kind, which says how it is made of the values of output `of` from
    `start` to `end` [h], both included. The baseline is the last value at or before
    `baseline` [h]. `low` and `high` are limits on values, for kinds that have some; an
    event is `confirmed` by so many values or hours of values. `grades` are limits that
    make a grade of the number, from 1 on. `below` or `above` turn the number into a
    response: 1 if it is under (over) that limit, else 0. Values are the measured ones
    of the visits (residual error included), the true ones on the grid, or those of the
    ledger: doses given, or that a rule acted. Those below `lloq`, in the output's unit,
    are taken as `below_quantification` says. `factor`
    brings the output's unit to the one that the kind wants.

    Where `of` is an equation of outputs and covariates, and no output, it is `formula`,
    of `outputs`, in `of_unit`. `share` of the values are below a percentile.

    `equals` is an equation of other endpoints and covariates, `first_of` names times to
    events of which the first counts. `intercurrent` says by which strategy (ICH E9(R1))
    events are dealt with; `failure` is the outcome after an
    event of the composite strategy. In a crossover it is of the `period` that begins
    then [h], and of whole ones, unless `intercurrent` says what dropout does.
    """

    name: str
    of: str
    take: str
    start: float
    end: float
    baseline: float = 0.0
    confirmed: float = 0.0
    confirmed_by: Literal["hours", "values"] = "hours"
    grades: tuple[float, ...] = ()
    factor: float = 1.0
    equals: Expression | None = None
    first_of: tuple[str, ...] = ()
    intercurrent: tuple[Intercurrent, ...] = ()
    failure: float | None = None
    period: float | None = None
    low: float | None = None
    high: float | None = None
    share: float = 0.0
    formula: Expression | None = None
    outputs: tuple[str, ...] = ()
    of_unit: str = ""
    below: float | None = None
    above: float | None = None
    values: Values = "measured"
    lloq: float = 0.0
    below_quantification: Below = "LLOQ/2"
    visits: tuple[str, ...] = ()
    unit: str = "1"
    title: str = ""

    @property
    def kind(self) -> Kind:
        """What there is to know about the word that it takes."""
        return kind_of(self.take)

    @property
    def reads(self) -> tuple[str, ...]:
        """The outputs whose values it is made of."""
        return self.outputs or ((self.of,) if self.of else ())

    @property
    def binary(self) -> bool:
        """Whether it is a response (0 or 1)."""
        return self.below is not None or self.above is not None

    @property
    def follows(self) -> bool:
        """Whether it follows a true course wherever that goes, whatever the grid."""
        return self.values == "true" and self.kind.between == "course"

    @property
    def event(self) -> bool:
        """Whether it is a time to an event, which may be censored."""
        return self.kind.event and not self.binary

    @property
    def categories(self) -> tuple[float, ...]:
        """The values that it may have, if these are few for every subject."""
        if self.binary:
            return (0.0, 1.0)
        if self.kind.categories and not self.grades:
            return tuple(map(float, range(len(self.kind.categories))))
        return up_to(self.grades)

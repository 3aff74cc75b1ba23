"""The Protocol: a trial as data, with every time in hours and every name resolved."""

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Literal

from vtrial.dosing.regimen import Regimen
from vtrial.model.model import Model, Source
from vtrial.model.tree import Expression
from vtrial.types import Numerics

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
Measure = Literal[
    "difference of means",
    "ratio of geometric means",
    "difference by ranks",
    "MMRM",
    "rate ratio",
    "Poisson rate ratio",
    "risk difference",
    "risk ratio",
    "odds ratio",
    "hazard ratio",
    "log-rank",
    "difference of restricted means",
    "ratio of restricted means",
    "milestone difference",
    "win ratio",
    "win odds",
    "net benefit",
]
OF_NUMBERS = (
    "difference of means",
    "ratio of geometric means",
    "difference by ranks",
    "MMRM",
)
OF_COUNTS = ("rate ratio", "Poisson rate ratio")
OF_RESPONSES = ("risk difference", "risk ratio", "odds ratio")
OF_TIMES = (
    "hazard ratio",
    "log-rank",
    "difference of restricted means",
    "ratio of restricted means",
    "milestone difference",
)
OF_TIERS = ("win ratio", "win odds", "net benefit")
OF_SHARES = ("risk difference", "milestone difference", "net benefit")
RATIOS = (
    "ratio of geometric means",
    "rate ratio",
    "Poisson rate ratio",
    "risk ratio",
    "odds ratio",
    "hazard ratio",
    "log-rank",
    "ratio of restricted means",
    "win ratio",
    "win odds",
)
Procedure = Literal[
    "Bonferroni", "Holm", "Hochberg", "Hommel", "fixed sequence", "graph"
]
Covariance = Literal[
    "unstructured",
    "heterogeneous Toeplitz",
    "Toeplitz",
    "heterogeneous autoregressive",
    "autoregressive",
    "heterogeneous compound symmetry",
    "compound symmetry",
]
Freedom = Literal["Kenward-Roger", "Satterthwaite"]
Ties = Literal["Efron", "Breslow", "exact"]
Statistic = Literal["mean", "sd", "median", "geometric mean", "share"]
Correct = Literal["nothing", "prediction", "prediction and variability"]


@dataclass(frozen=True)
class Arm:
    """What is done to a group: doses, values that it sets, or only a name.

    `set` replaces parameters, covariates or random effects by equations of the
    subject's covariates and parameters.
    """

    name: str
    title: str = ""
    regimen: Regimen | None = None
    set: tuple[tuple[str, Expression], ...] = ()


@dataclass(frozen=True)
class Visit:
    """Times [h] at which outputs are measured; each is moved by up to +-`window` [h].

    At the time of a dose it is before the dose, unless `after_dose`.
    """

    name: str
    times: tuple[float, ...]
    window: float = 0.0
    measure: tuple[str, ...] = ()
    after_dose: bool = False


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


@dataclass(frozen=True)
class Tier:
    """One endpoint of a hierarchy: which way is better, and by how much one wins."""

    endpoint: str
    higher: bool = True
    margin: float = 0.0


@dataclass(frozen=True)
class Comparison:
    """An arm against a reference arm on an endpoint; `adjust` names covariates.

    `baseline` in `adjust` is the endpoint's own baseline value. `strata` are covariates
    whose values make strata, `where` chooses subjects by their covariates. `until` [h]
    is the horizon of restricted means and the time of a milestone, `weights` are those
    of Fleming and Harrington, `score` asks for Miettinen and Nurminen's interval.
    `above` and `below` are margins that the effect is to be shown above, below, or
    between. `tiers` are the endpoints of a hierarchy, the first of which is `endpoint`.
    `ties` says how Cox's regression takes events at the same time.
    """

    name: str
    arm: str
    reference: str
    endpoint: str
    by: Measure
    adjust: tuple[str, ...] = ()
    level: float = 0.95
    strata: tuple[str, ...] = ()
    where: Expression | None = None
    until: float | None = None
    weights: tuple[float, float] = (0.0, 0.0)
    score: bool = False
    above: float | None = None
    below: float | None = None
    tiers: tuple[Tier, ...] = ()
    covariance: Covariance = "unstructured"
    freedom: Freedom = "Kenward-Roger"
    ties: Ties = "Efron"

    @property
    def alpha(self) -> float:
        """The p-value below which the trial has shown what it was to show."""
        margin = self.above is not None or self.below is not None
        return (1 - self.level) / (2 if margin else 1)


def effect_kind(by: str, endpoint: Endpoint) -> tuple[str, str]:
    """Say what an effect is, and its unit: a `number`, or a `difference` of shares.

    Examples
    --------
    >>> peak = Endpoint("peak", "conc", "maximum", 0.0, 24.0, unit="mg/L")
    >>> effect_kind("difference of means", peak), effect_kind("win ratio", peak)
    (('number', 'mg/L'), ('number', '1'))
    """
    if by in OF_SHARES:
        return "difference", "1"
    if by in RATIOS:
        return "number", "1"
    return ("difference", "1") if endpoint.binary else ("number", endpoint.unit)


def effect_unit(by: str, endpoint: Endpoint) -> str:
    """Return an effect's unit as it is written: percentages differ by points (pp).

    Examples
    --------
    >>> change = Endpoint("loss", "weight", "percent change", 0.0, 1.0, unit="%")
    >>> effect_unit("difference of means", change)
    'pp'
    """
    unit = effect_kind(by, endpoint)[1]
    return "pp" if unit == "%" and by not in RATIOS else unit


@dataclass(frozen=True)
class Multiplicity:
    """How the p-values of several comparisons are adjusted.

    `weights` and `transitions` make the graph of Bretz and others (2009).
    """

    method: Procedure = "Holm"
    comparisons: tuple[str, ...] = ()
    alpha: float = 0.05
    weights: tuple[float, ...] = ()
    transitions: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Published:
    """What a real trial saw, and how near the simulated value should be.

    Either `arm` and `endpoint`, or `comparison`, say of what; shares are fractions.
    `low` and `high` bound the simulated values that count as within. `where` chooses
    subjects of the arm by their covariates.
    """

    value: float
    low: float
    high: float
    endpoint: str = ""
    arm: str = ""
    comparison: str = ""
    statistic: Statistic = "mean"
    verified: bool = True
    source: Source = Source()
    where: Expression | None = None


@dataclass(frozen=True)
class Allocation:
    """How subjects are randomised: weights by arm, and the method."""

    weights: tuple[int, ...]
    by: Literal["simple", "permuted block", "stratified"] = "simple"
    block: int = 0
    strata: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dropout:
    """Who leaves: a constant hazard [1/h] for each arm; 0 for nobody."""

    hazards: tuple[float, ...] = ()


@dataclass(frozen=True)
class Keep:
    """What the record holds beside the outcomes.

    `trajectories` is `nothing`, `quantiles`, `all`, or how many subjects. `predictions`
    are the population's, for every measured value; with variability, how much such a
    value varies, too.
    """

    trajectories: Literal["nothing", "quantiles", "all"] | int = "quantiles"
    measurements: bool = False
    predictions: Correct = "nothing"
    covariates: bool = True
    individual: tuple[str, ...] = ()


@dataclass(frozen=True)
class Observed:
    """Measured points of a real study, shown beside the simulated bands.

    `correct` says to what the predictive check brings the points: nothing, or the
    median prediction of their time; then `subject` is each point's place among the
    subjects, whose `covariates` stand by name, and `bound` is the lowest value that the
    output can have. The values of an output may be `logarithms`. With `grades`
    (limits from grade 1 on), or where values are `categories` themselves, the check is
    of shares.
    """

    output: str
    time: tuple[float, ...]
    value: tuple[float, ...]
    arm: str = ""
    source: Source = Source()
    correct: Correct = "nothing"
    bound: float = 0.0
    logarithms: bool = False
    subject: tuple[int, ...] = ()
    covariates: tuple[tuple[str, tuple[float, ...]], ...] = ()
    grades: tuple[float, ...] = ()
    categories: bool = False


@dataclass(frozen=True)
class ObservedOutcomes:
    """What a real study saw of an endpoint: a number for each of its subjects.

    Times to an event are in h, `event` 1 where it happened and 0 where the subject was
    censored; any other endpoint is a response, a grade or another category.
    """

    endpoint: str
    value: tuple[float, ...]
    event: tuple[float, ...] = ()
    arm: str = ""
    source: Source = Source()


@dataclass(frozen=True, eq=False)
class Protocol:
    """A whole trial. `cohort` names a cohort sheet, to be found beside `path`.

    `grid` are the times of true values [h], ascending; one that stands twice is before
    and after the dose at it. Those at the places `added` are there for what courses do
    where they jump or bend, and no endpoint counts them. If the sheet gives a grid,
    `given`, they are no part of the trajectories that are kept, either.
    """

    name: str
    model: Model
    cohort: str
    subjects: int
    arms: tuple[Arm, ...]
    title: str = ""
    replicates: int = 1
    seed: int = 0
    block: int = 1000
    potential: Literal["allocated", "all"] = "allocated"
    uncertainty: bool = True
    allocation: Allocation = Allocation((1,))
    dropout: Dropout = Dropout()
    visits: tuple[Visit, ...] = ()
    grid: tuple[float, ...] = ()
    added: tuple[int, ...] = ()
    given: bool = False
    occasions: tuple[float, ...] = (0.0,)
    endpoints: tuple[Endpoint, ...] = ()
    analysis: tuple[Comparison, ...] = ()
    multiplicity: Multiplicity | None = None
    keep: Keep = Keep()
    published: tuple[Published, ...] = ()
    observed: tuple[Observed, ...] = ()
    observed_outcomes: tuple[ObservedOutcomes, ...] = ()
    numerics: Numerics = Numerics()
    sources: tuple[Source, ...] = ()
    path: str = ""
    text: str = ""
    data: Mapping[str, object] = field(default_factory=dict)

    @functools.cached_property
    def digest(self) -> str:
        """Name what is simulated; how many replicates and what is asked of it aside.

        It is made of what the sheet means, not of how it is spelt: comments, the order
        of keys, titles and units do not count, but the order of arms, visits and
        endpoints does. Whoever knows the cohort adds its digest.
        """
        content = {
            name: _content(getattr(self, name))
            for name in self.__dataclass_fields__
            if name not in _ASIDE
        }
        content["model"] = self.model.digest
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def uncertain(self) -> bool:
        """Whether parameters differ between trials: asked for, and not all known."""
        known = not any(map(any, self.model.population))
        known &= not any(parameter.error for parameter in self.model.parameters)
        return self.uncertainty and not known

    @property
    def height(self) -> int:
        """How many subjects are simulated together: a block, or all there are."""
        return min(self.block, self.subjects * self.replicates)

    def arm(self, name: str) -> Arm:
        """Return an arm by name."""
        return next(arm for arm in self.arms if arm.name == name)

    def endpoint(self, name: str) -> Endpoint:
        """Return an endpoint by name."""
        return next(point for point in self.endpoints if point.name == name)


def name_points(observed: Sequence[Observed]) -> str:
    """Name what the predictions of corrected points depend on, besides the trial."""
    parts = [
        (o.output, o.arm, o.correct, o.time, o.subject, o.covariates)
        for o in observed
        if o.correct != "nothing"
    ]
    return hashlib.sha256(repr(parts).encode()).hexdigest() if parts else ""


_ASIDE = {
    *("model", "title", "replicates", "analysis", "multiplicity"),
    *("published", "observed", "observed_outcomes"),
    *("sources", "path", "text", "data"),
}
WORDS = {"title", "words", "source", "sources"}


def _content(thing: object) -> object:
    """Return what a noun means as plain data, without its words or where they stood."""
    if isinstance(thing, tuple):
        return [_content(part) for part in thing]
    if is_dataclass(thing):
        parts = {
            part.name: _content(getattr(thing, part.name))
            for part in fields(thing)
            if part.compare and part.name not in WORDS
        }
        return [type(thing).__name__, parts]
    return thing if isinstance(thing, str | int | bool | None) else repr(thing)

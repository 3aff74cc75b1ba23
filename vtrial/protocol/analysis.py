"""What is asked of a trial: comparisons of arms, and how p-values are adjusted."""

from dataclasses import dataclass
from typing import Literal

from vtrial.endpoint.endpoint import Endpoint
from vtrial.measure.kind import Measure
from vtrial.measure.registry import measures
from vtrial.model.tree import Expression

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
Random = Literal["sites", "subjects"]
Choice = Literal["AIC", "statistic", "average"]
Ties = Literal["Efron", "Breslow", "exact"]


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
    of Fleming and Harrington, `interval` asks for Miettinen and Nurminen's.
    `above` and `below` are margins that the effect is to be shown above, below, or
    between. `tiers` are the endpoints of a hierarchy, the first of which is `endpoint`.
    `ties` says how Cox's regression takes events at the same time. `doses` are those of
    arms, from the lowest on, and `shapes` candidates of a dose-response with guesses of
    their parameters; `choose` says by what one is chosen, `target` which effect over
    the lowest dose the target dose is to have. `random` says what has a random
    intercept, and `freedom` by whom degrees of freedom are counted then.
    """

    name: str
    arm: str
    reference: str
    endpoint: str
    by: str
    adjust: tuple[str, ...] = ()
    level: float = 0.95
    strata: tuple[str, ...] = ()
    where: Expression | None = None
    until: float | None = None
    weights: tuple[float, float] = (0.0, 0.0)
    interval: Literal["score"] | None = None
    above: float | None = None
    below: float | None = None
    tiers: tuple[Tier, ...] = ()
    covariance: Covariance = "unstructured"
    freedom: Freedom = "Kenward-Roger"
    ties: Ties = "Efron"
    doses: tuple[tuple[str, float], ...] = ()
    shapes: tuple[tuple[str, tuple[float, ...]], ...] = ()
    choose: Choice = "AIC"
    target: float | None = None
    cells: tuple[tuple[str, float], ...] = ()
    random: Random | None = None

    @property
    def sites(self) -> bool:
        """Whether it asks from which site each subject is."""
        return self.measure.sites or self.random == "sites"

    @property
    def measure(self) -> Measure:
        """What there is to know about the word that it is made by."""
        return measures()[self.by]

    @property
    def pools(self) -> dict[str, tuple[str, ...]]:
        """The arms that each side is made of, where that is not one arm."""
        signs = ((self.arm, 1.0), (self.reference, -1.0))
        return {
            name: tuple(arm for arm, weight in self.cells if weight * sign > 0)
            for name, sign in signs
            if self.cells
        }

    @property
    def alpha(self) -> float:
        """The p-value below which the trial has shown what it was to show."""
        margin = self.above is not None or self.below is not None
        return (1 - self.level) / (2 if margin else 1)


def effect_kind(by: str, endpoint: Endpoint) -> tuple[str, str]:
    """Return an effect's kind, `number` or `difference` of proportions, and its unit.

    Examples
    --------
    >>> peak = Endpoint("peak", "conc", "maximum", 0.0, 24.0, unit="mg/L")
    >>> effect_kind("difference of means", peak), effect_kind("win ratio", peak)
    (('number', 'mg/L'), ('number', '1'))
    """
    if measures()[by].shares:
        return "difference", "1"
    if measures()[by].ratio:
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
    return "pp" if unit == "%" and not measures()[by].ratio else unit


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
class Analysis:
    """What is asked: comparisons, and how the p-values of several are adjusted."""

    comparisons: tuple[Comparison, ...] = ()
    multiplicity: Multiplicity | None = None

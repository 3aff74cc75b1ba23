"""What is to be optimised of a trial, as data; no record depends on it."""

from dataclasses import dataclass, field, replace
from typing import Literal

Sense = Literal["maximise", "minimise"]
Side = Literal["at most", "at least"]
Way = Literal["gradient", "Bayesian"]
REPLICATES = 25  # over which people are spread where parameters are uncertain
WIDTHS = (0.5, 0.15, 0.05)  # of the smooth surrogate, in standard deviations


@dataclass(frozen=True)
class Variable:
    """A number of the sheet, in braces there, that is looked for.

    Fields
    ------
    low, high, start
        Between which it lies, and where the search begins, in `unit`.
    unit
        As the sheet writes it; empty for a bare number.
    values
        All that it may be at last, ascending: the strengths that there are. Empty if
        the sheet names none; then any multiple of `step` is real.
    step
        The distance of real values, which begin at `low`.
    """

    name: str
    low: float
    high: float
    start: float
    unit: str = ""
    values: tuple[float, ...] = ()
    step: float = 0.0

    @property
    def real(self) -> tuple[float, ...]:
        """All values that are real, ascending.

        Examples
        --------
        >>> Variable("amount", 10.0, 25.0, 10.0, step=5.0).real
        (10.0, 15.0, 20.0, 25.0)
        """
        if self.values:
            return self.values
        count = int((self.high - self.low) / self.step + 1e-9)
        steps = (self.low + self.step * place for place in range(count + 1))
        return tuple(float(f"{value:.12g}") for value in steps)

    def nearest(self, value: float) -> float:
        """Return the real value next to one."""
        return min(self.real, key=lambda real: abs(real - value))

    def written(self, value: float) -> str:
        """Write a value as it stands in the sheet.

        Examples
        --------
        >>> Variable("amount", 40.0, 120.0, 75.0, "mg/m2").written(82.5)
        '82.5 mg/m2'
        """
        return f"{value:.12g} {self.unit}".strip()


@dataclass(frozen=True)
class Limit:
    """What an endpoint's mean over the population must keep to.

    Of a response (0 or 1) the mean is its probability. With `confidence` the mean of
    each replicate trial, which has population parameters of its own, keeps to it in at
    least this share of the replicates.
    """

    endpoint: str
    side: Side
    bound: float
    confidence: float | None = None


@dataclass(frozen=True)
class Front:
    """A trade of the goal against another endpoint's mean, at so many points."""

    against: str
    better: Literal["lower", "higher"] = "lower"
    points: int = 8


@dataclass(frozen=True)
class Crowd:
    """Who is simulated for each candidate: the same people for all of them.

    `subjects` in all are spread evenly over `replicates`, each with population
    parameters of its own; 0 where the sheet does not say over how many.
    """

    subjects: int
    replicates: int
    seed: int

    def settled(self, *, uncertain: bool) -> "Crowd":
        """Return it with a number of replicates, and as many subjects in each."""
        usual = min(REPLICATES, self.subjects) if uncertain else 1
        count = min(self.replicates or usual, self.subjects)
        return replace(self, replicates=count, subjects=self.subjects // count * count)


@dataclass(frozen=True)
class Optimisation:
    """What is varied, what is aimed at, and what must hold.

    `arm` is whom all means are of. `by` is how is searched; None: by gradient where
    there is one. `widths` are those of the smooth surrogate, one stage of the search
    each, in standard deviations of the endpoint's number. `evaluations` are as many as
    a search without a gradient has.
    """

    arm: str
    variables: tuple[Variable, ...]
    endpoint: str
    sense: Sense = "maximise"
    limits: tuple[Limit, ...] = ()
    front: Front | None = None
    search: Crowd = field(default_factory=lambda: Crowd(1000, 1, 0))
    verify: Crowd = field(default_factory=lambda: Crowd(4000, 1, 1))
    by: Way | None = None
    widths: tuple[float, ...] = WIDTHS
    evaluations: int = 40

    @property
    def asked(self) -> tuple[str, ...]:
        """The endpoints that decide, the goal first, each once."""
        others = [one.endpoint for one in self.limits]
        others += [self.front.against] if self.front else []
        return tuple(dict.fromkeys([self.endpoint, *others]))

"""The Cohort: a population as distributions, formulas and an eligibility condition."""

import functools
import hashlib
import math
from dataclasses import dataclass
from typing import Literal

from vtrial.model.grammar import write_expression
from vtrial.model.model import Source
from vtrial.model.tree import Expression, Statement

Kind = Literal[
    "normal",
    "lognormal",
    "uniform",
    "gamma",
    "beta",
    "weibull",
    "categorical",
    "empirical",
    "constant",
]
Draw = Literal["with replacement", "in order"]


@dataclass(frozen=True)
class Marginal:
    """The distribution of one characteristic.

    `normal`: `first` is the mean, `second` the standard deviation. `lognormal`: both
    of the logarithm. `uniform`: from `first` to `second`. `gamma` and `weibull`: shape
    and scale. `beta`: alpha and beta, between the two `values`. `categorical`: `values`
    with `shares`, and `labels` if the sheet names them by words. `empirical`: `values`,
    each as likely. `constant`: `first`. Those with tails can be truncated to `low` and
    `high`; what lies beyond `floor` and `ceiling` is put there.
    """

    kind: Kind
    first: float = 0.0
    second: float = 0.0
    values: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    floor: float = -math.inf
    ceiling: float = math.inf
    labels: tuple[str, ...] = ()

    @property
    def codes(self) -> tuple[float, ...] | None:
        """The only values it can take; None if it is continuous."""
        if self.kind == "constant":
            return (self.first,)
        if self.kind == "categorical":
            pairs = zip(self.values, self.shares, strict=True)
            return tuple(value for value, share in pairs if share > 0)
        return self.values if self.kind == "empirical" else None


@dataclass(frozen=True)
class Trait:
    """A characteristic that is drawn.

    It has one marginal, or one for each value of `by`, or several of which each subject
    takes one, with probabilities `shares`.
    """

    name: str
    marginals: tuple[Marginal, ...]
    unit: str = "1"
    title: str = ""
    by: str = ""
    cases: tuple[float, ...] = ()
    source: Source = Source()
    shares: tuple[float, ...] = ()

    @property
    def labels(self) -> dict[float, str]:
        """The words by which the sheet names its values; empty if it names none."""
        first = self.marginals[0]
        return dict(zip(first.values, first.labels, strict=False))

    @property
    def codes(self) -> tuple[float, ...] | None:
        """The only values it can take; None if it is continuous."""
        codes = [marginal.codes for marginal in self.marginals]
        if any(values is None for values in codes):
            return None
        return tuple(sorted({value for values in codes for value in values or ()}))


@dataclass(frozen=True)
class Derived:
    """A characteristic that is computed from others; `statement` assigns it."""

    statement: Statement
    unit: str = "1"
    title: str = ""
    source: Source = Source()

    @property
    def name(self) -> str:
        """The name that it assigns."""
        return self.statement.name


@dataclass(frozen=True)
class Table:
    """Rows of real subjects, of which each subject takes one whole.

    `in order` gives subject i of any replicate row i modulo the number of rows. Rows
    that are taken in order may hold random effects, too, by their names (`eta.CL`).
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    titles: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]
    draw: Draw = "with replacement"
    file: str = ""
    effects: tuple[str, ...] = ()
    effect_rows: tuple[tuple[float, ...], ...] = ()

    def column(self, name: str) -> tuple[float, ...]:
        """Return the values of a column."""
        index = self.names.index(name)
        return tuple(row[index] for row in self.rows)


@dataclass(frozen=True, eq=False)
class Cohort:
    """A frozen cohort; two with the same content are equal and hash alike.

    `traits` and `derived` stand in an order in which each needs only earlier ones.
    `correlation` is that of the normal scores of the traits named in `correlated`.
    `text` is for people and does not count as content.
    """

    name: str
    title: str = ""
    traits: tuple[Trait, ...] = ()
    correlated: tuple[str, ...] = ()
    correlation: tuple[tuple[float, ...], ...] = ()
    derived: tuple[Derived, ...] = ()
    eligibility: Expression | None = None
    table: Table | None = None
    sources: tuple[Source, ...] = ()
    text: str = ""

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Cohort) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @functools.cached_property
    def digest(self) -> str:
        """Name the content of the cohort; comments and positions do not count."""
        names = set(self.__dataclass_fields__) - {"text", "eligibility", "derived"}
        content: list[object] = [getattr(self, name) for name in sorted(names)]
        content += [
            (
                d.name,
                d.unit,
                d.title,
                d.source,
                write_expression(d.statement.expression),
            )
            for d in self.derived
        ]
        content.append(write_expression(self.eligibility) if self.eligibility else None)
        return hashlib.sha256(repr(content).encode()).hexdigest()

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that it gives: columns of the table, traits, derived ones."""
        columns = self.table.names if self.table else ()
        traits = tuple(trait.name for trait in self.traits)
        return (*columns, *traits, *(derived.name for derived in self.derived))

    @functools.cached_property
    def _labels(self) -> dict[str, tuple[str, str]]:
        table = self.table
        labels: dict[str, tuple[str, str]] = {}
        if table:
            pairs = zip(table.units, table.titles, strict=True)
            labels |= dict(zip(table.names, pairs, strict=True))
        labels |= {trait.name: (trait.unit, trait.title) for trait in self.traits}
        return labels | {d.name: (d.unit, d.title) for d in self.derived}

    def unit(self, name: str) -> str:
        """Return the unit of something that it gives."""
        return self._labels[name][0]

    def label(self, name: str) -> str:
        """Return the title of something that it gives; empty if it has none."""
        return self._labels[name][1]

    def labels(self, name: str) -> dict[float, str]:
        """Return the words for the values of something; empty if it has none."""
        return next((t.labels for t in self.traits if t.name == name), {})

    def codes(self, name: str) -> tuple[float, ...] | None:
        """Return the only values that something can take; None if any, or unknown."""
        if self.table and name in self.table.names:
            return tuple(sorted(set(self.table.column(name))))
        known = {trait.name: trait.codes for trait in self.traits}
        return known.get(name)

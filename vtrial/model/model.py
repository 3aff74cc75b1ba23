"""The Model: equations, parameters, random effects, outputs, and how to compute them.

Everything a Model computes is elementwise: give scalars for one subject or arrays for
a crowd, in any shapes that broadcast.
"""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike

from vtrial.errors import Fault
from vtrial.model.chance import Chance, bare, read
from vtrial.model.delays import Delay
from vtrial.model.flow import Flow
from vtrial.model.positivity import ASSURED
from vtrial.model.structure import Structure, analyse
from vtrial.model.tree import (
    TIME,
    TIME_AFTER_DOSE,
    Expression,
    Name,
    Number,
    Statement,
    evaluate,
    names_in,
)

Row = tuple[Array | None, ...]
KEY_PARTS = ("key(0)", "key(1)", "key(2)", "key(3)")  # of a subject, where noise is

_NOTHING: Mapping[str, ArrayLike] = MappingProxyType({})


@dataclass(frozen=True)
class Source:
    """Where a number or a model comes from."""

    cite: str = ""
    doi: str = ""
    url: str = ""
    note: str = ""


@dataclass(frozen=True)
class Parameter:
    """A population value. `error` is its standard error (0: known), in its unit.

    The prior of a parameter with `scale` "log" is log-normal about its value, with
    `error / value` as the standard deviation of the logarithm; "identity" is normal.
    """

    name: str
    value: float
    unit: str = "1"
    title: str = ""
    error: float = 0.0
    scale: Literal["log", "identity"] = "log"
    source: Source = Source()


@dataclass(frozen=True)
class Covariate:
    """What the equations ask of a subject; `values` lists the codes of a category."""

    name: str
    unit: str = "1"
    title: str = ""
    typical: float = float("nan")
    values: tuple[float, ...] = ()


Level = Literal["subject", "occasion", "study"]


@dataclass(frozen=True)
class RandomBlock:
    """Random effects that vary together: `eta.<name>` ~ N(0, covariance).

    Fields
    ------
    level
        Whether they are drawn once a subject, anew each occasion, or once for all
        subjects of a replicate.
    freedom
        Degrees of freedom n of the covariance, which replicates then draw from the
        inverse Wishart distribution of n and n times the covariance; 0: it is known.
    student
        Degrees of freedom of a multivariate t distribution; 0: they are normal.
    box_cox
        The shape b by which a normal effect x becomes (exp(b x) - 1) / b; 0: x itself.
    """

    names: tuple[str, ...]
    covariance: tuple[tuple[float, ...], ...]
    level: Level = "subject"
    source: Source = Source()
    freedom: float = 0.0
    student: float = 0.0
    box_cox: float = 0.0


@dataclass(frozen=True)
class Classes:
    """Classes of subjects, counted from 1: `name` is the class of a subject.

    Fields
    ------
    probabilities
        Of parameters and covariates; they are divided by their sum.
    typical
        The class of the typical subject, the most probable one.
    """

    name: str
    probabilities: tuple[Expression, ...]
    typical: float = 1.0
    source: Source = Source()


Law = Literal["normal", "log", "logit", "beta", "student"]


@dataclass(frozen=True)
class ResidualError:
    """Residual error of an output; standard deviations, all zero for none.

    `log` is the standard deviation of the logarithm; otherwise the standard deviation
    is the root of additive^2 + (proportional * prediction)^2.

    Fields
    ------
    law
        Of what the error is: the value, its logarithm or its logit; or a beta
        distribution about the prediction, or Student's t.
    spread
        Name of what the equations give the standard deviation by (the precision of a
        beta distribution), instead of numbers; empty if numbers do.
    bias
        Name of what is added to the prediction; empty if nothing is.
    low, high
        [the output's unit] Between which a logit or a beta distribution lies.
    freedom
        Degrees of freedom of Student's t.
    memory
        [h] Time in which the correlation of two errors of a subject falls to 1/e.
    """

    additive: float = 0.0
    proportional: float = 0.0
    log: float = 0.0
    law: Law = "normal"
    spread: str = ""
    bias: str = ""
    low: float = 0.0
    high: float = 1.0
    freedom: float = 0.0
    memory: float = 0.0

    def __post_init__(self) -> None:
        if self.log:
            object.__setattr__(self, "law", "log")

    @property
    def varies(self) -> bool:
        """Whether measured values vary about the prediction and its bias."""
        return bool(self.additive or self.proportional or self.log or self.spread)

    @property
    def draws_more(self) -> bool:
        """Whether its law is made of more than one normal variate."""
        return self.law in ("student", "beta")

    @property
    def computed(self) -> tuple[str, ...]:
        """Name what the equations compute for it at each observation."""
        return tuple(name for name in (self.spread, self.bias) if name)


@dataclass(frozen=True)
class Output:
    """What can be observed: a variable or state of the equations, with its error.

    Below `lloq` a measurement is reported as censored (the limit's half by default).
    """

    name: str
    equals: str
    unit: str = "1"
    title: str = ""
    error: ResidualError = ResidualError()
    lloq: float = 0.0


@dataclass(frozen=True, eq=False)
class Model:
    """A frozen model; two models with the same content are equal and hash alike.

    Equations are in hours whatever unit the sheet was written in (`time` keeps the
    sheet's word for printing and for reading tables); amounts are in `amount`.
    `population` is the joint covariance of all parameters, in their order, each on
    its scale (zero rows for those that are known); empty, each has its own `error`.
    `draws` are values of the parameters `drawn`, of which a replicate takes a row.
    `error_correlation` is that of the residual errors of the outputs `error_names` at
    the same time.
    `chance` is what happens between visits by draws, events and noise, None if nothing
    does; `step` [h] lies between two steps of a solution with noise; `flow` is what
    stands in the place of equations where people come, wait and are served;
    `unit` what a subject is called in a report, empty for a subject.
    `text` and `warnings` are for people and do not count as content.
    """

    name: str
    statements: tuple[Statement, ...]
    parameters: tuple[Parameter, ...] = ()
    covariates: tuple[Covariate, ...] = ()
    random: tuple[RandomBlock, ...] = ()
    outputs: tuple[Output, ...] = ()
    population: tuple[tuple[float, ...], ...] = ()
    drawn: tuple[str, ...] = ()
    draws: tuple[tuple[float, ...], ...] = ()
    error_names: tuple[str, ...] = ()
    error_correlation: tuple[tuple[float, ...], ...] = ()
    title: str = ""
    time: str = "h"
    amount: str = "mg"
    molar_mass: float = 0.0
    nonnegative: tuple[str, ...] = ()
    classes: tuple[Classes, ...] = ()
    chance: Chance | None = None
    step: float = 0.0
    flow: Flow | None = None
    unit: str = ""
    text: str = ""
    sources: tuple[Source, ...] = ()
    warnings: tuple[Fault, ...] = ()

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Model) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @functools.cached_property
    def digest(self) -> str:
        """Name the content of the model; comments and positions do not count."""
        content = [getattr(self, name) for name in sorted(_CONTENT)]
        content += [(s.kind, s.name, bare(s.expression)) for s in self.statements]
        if self.classes:
            rows = [(c.name, *map(bare, c.probabilities)) for c in self.classes]
            content.append(("classes", rows))
        if self.chance is not None:
            content.append(("chance", self.chance.content))
        if self.step:
            content.append(("step", self.step))
        if self.flow is not None:
            content.append(("flow", self.flow.content))
        if self.unit:
            content.append(("unit", self.unit))
        return hashlib.sha256(repr(content).encode()).hexdigest()

    @functools.cached_property
    def structure(self) -> Structure:
        """What depends on what (see `vtrial.model.structure`)."""
        outputs = tuple(equals for _, equals in self.observed)
        still = self.chance.names if self.chance else ()
        if self.flow is not None:
            still = outputs  # which the flow tells, and no equation
        return analyse(self.statements, outputs, self.nonnegative, still)

    @functools.cached_property
    def within(self) -> "Model":
        """The model between two ticks or events, without chance.

        What stands still there is a covariate; each hazard is integrated by a state
        behind the model's own, and it and the gap of each condition are outputs, by
        the names that `Event.gone` and `Event.gap` give.
        """
        chance = self.chance
        if chance is None:
            return self
        hazards = [e for e in chance.events if e.by == "hazard"]
        rates = [Statement("derivative", e.gone, e.of) for e in hazards]
        gaps = [
            Statement("assign", e.gap, e.of)
            for e in chance.events
            if e.by == "condition"
        ]
        keys = KEY_PARTS if self.noisy else ()
        still = tuple(Covariate(name) for name in (*chance.names, *keys))
        watched = (*rates, *gaps)
        return replace(
            self,
            statements=(*self.statements, *gaps, *rates),
            covariates=(*self.covariates, *still),
            outputs=(*self.outputs, *(Output(s.name, s.name) for s in watched)),
            chance=None,
        )

    @functools.cached_property
    def noisy(self) -> tuple[str, ...]:
        """The states that have noise."""
        return tuple(s.name for s in self.statements if s.kind == "noise")

    @functools.cached_property
    def moved(self) -> tuple[Statement, ...]:
        """The assignments that are no individual parameters, in order."""
        static = {s.name for s in self.structure.static}
        return tuple(
            s for s in self.statements if s.kind == "assign" and s.name not in static
        )

    @functools.cached_property
    def recalled(self) -> tuple[Delay, ...]:
        """The delays that outputs read."""
        structure = self.structure
        read = {n.name for s in structure.observed for n in names_in(s.expression)}
        return tuple(delay for delay in structure.delays if delay.name in read)

    @property
    def observed(self) -> tuple[tuple[str, str], ...]:
        """What is computed at observations, and as what the equations know it.

        The outputs, and then what their residual errors ask for.
        """
        asked = (name for output in self.outputs for name in output.error.computed)
        outputs = ((output.name, output.equals) for output in self.outputs)
        return (*outputs, *((name, name) for name in asked))

    @property
    def states(self) -> tuple[str, ...]:
        """The states, in the order of their first equation; doses go to the first."""
        return self.structure.states

    @property
    def etas(self) -> tuple[str, ...]:
        """The random effects, as the equations write them: `eta.CL`."""
        return tuple(f"eta.{name}" for block in self.random for name in block.names)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Everything that must be given from outside: parameters, covariates, etas.

        The class of a subject is given, too.
        """
        names = [p.name for p in self.parameters] + [c.name for c in self.covariates]
        return (*names, *self.etas, *(c.name for c in self.classes))

    def typical(self) -> dict[str, float]:
        """Return the inputs of the typical subject: random effects zero."""
        values = {p.name: p.value for p in self.parameters}
        values |= {c.name: c.typical for c in (*self.covariates, *self.classes)}
        return values | dict.fromkeys(self.etas, 0.0)

    def individual(self, inputs: Mapping[str, ArrayLike]) -> dict[str, Array]:
        """Return the individual parameters: what needs neither time nor states.

        The result holds the inputs, too, so that it is all that the other methods
        need.
        """
        values = {name: jnp.asarray(value) for name, value in inputs.items()}
        for statement in self.structure.static:
            values[statement.name] = evaluate(statement.expression, values)
        return values

    def initial(self, individual: Mapping[str, ArrayLike]) -> tuple[Array, ...]:
        """Return the states at the start; 0 where the equations say nothing."""
        known = {s.name: s.expression for s in self.structure.initial}
        return tuple(
            evaluate(known[state], individual) if state in known else _zero()
            for state in self.states
        )

    def derivative(
        self,
        time: ArrayLike,
        state: Sequence[ArrayLike],
        individual: Mapping[str, ArrayLike],
        *,
        after_dose: ArrayLike = 0.0,
        held: Mapping[str, ArrayLike] = _NOTHING,
    ) -> tuple[Array, ...]:
        """Return d/dt of every state, per hour, without the rates of infusions.

        Flags that are `held` stay as they are given (see `vtrial.model.jumps`).
        """
        values = self._values(time, state, individual, after_dose)
        _assign(self.structure.dynamic, values, held)
        rates = {s.name: s.expression for s in self.structure.derivatives}
        return tuple(evaluate(rates[name], values) for name in self.states)

    def jacobian(
        self,
        time: ArrayLike,
        state: Sequence[ArrayLike],
        individual: Mapping[str, ArrayLike],
        *,
        after_dose: ArrayLike = 0.0,
        held: Mapping[str, ArrayLike] = _NOTHING,
    ) -> tuple[Row, ...]:
        """Return d(derivative i)/d(state j) [1/h] as rows; None is a structural zero.

        The pattern of None is `structure.pattern`; entries broadcast like everything
        else. Compiled together with `derivative`, what they share is computed once.
        """
        values = self._values(time, state, individual, after_dose)
        statements = (*self.structure.dynamic, *self.structure.slopes)
        _assign(statements, values, held)
        return tuple(_row(row, values) for row in self.structure.jacobian)

    def conditions(
        self,
        time: ArrayLike,
        state: Sequence[ArrayLike],
        individual: Mapping[str, ArrayLike],
        *,
        after_dose: ArrayLike = 0.0,
        held: Mapping[str, ArrayLike] = _NOTHING,
    ) -> dict[str, ArrayLike]:
        """Return the flags that look at states, `structure.conditions`, by name."""
        values = self._values(time, state, individual, after_dose)
        _assign(self.structure.dynamic, values, held)
        return {name: values[name] for name in self.structure.conditions}

    def linear_matrix(self, individual: Mapping[str, ArrayLike]) -> tuple[Row, ...]:
        """Return the matrix [1/h] of `structure.linear`, rows of derivatives.

        With x the states of that block, dx/dt = matrix x + `linear_constant`, and no
        other state matters. None is a structural zero.
        """
        block = self.structure.block
        values = _computed(block.statements, individual)
        return tuple(_row(row, values) for row in block.entries)

    def linear_constant(self, individual: Mapping[str, ArrayLike]) -> Row:
        """Return what d/dt of each state of `structure.linear` is at zero; or None."""
        block = self.structure.block
        return _row(block.constants, _computed(block.statements, individual))

    def compartment_rates(
        self, individual: Mapping[str, ArrayLike]
    ) -> dict[str, Array | tuple[Array, ...]]:
        """Return the rates [1/h] of `structure.driver` by the names there.

        `elimination`, `absorption` if there is a depot, and the tuples `outward` and
        `inward`, one a peripheral compartment; empty if no shape was recognised.
        """
        shape = self.structure.driver
        if shape is None:
            return {}
        rates: dict[str, Array | tuple[Array, ...]] = {
            "elimination": evaluate(shape.elimination, individual),
            "outward": tuple(evaluate(rate, individual) for rate in shape.outward),
            "inward": tuple(evaluate(rate, individual) for rate in shape.inward),
        }
        if shape.absorption is not None:
            rates["absorption"] = evaluate(shape.absorption, individual)
        return rates

    def growth_rates(
        self, individual: Mapping[str, ArrayLike]
    ) -> tuple[tuple[tuple[Array, Array | None], ...], ...]:
        """Return factor and fading [1/h] of every term of `structure.growth`."""
        return tuple(
            tuple(
                (
                    evaluate(term.factor, individual),
                    None if term.fading is None else evaluate(term.fading, individual),
                )
                for term in growth.terms
            )
            for growth in self.structure.growth
        )

    def observe(
        self,
        time: ArrayLike,
        state: Sequence[ArrayLike],
        individual: Mapping[str, ArrayLike],
        *,
        after_dose: ArrayLike = 0.0,
    ) -> dict[str, Array]:
        """Return every output, true and without residual error, by `observed`."""
        values = self._values(time, state, individual, after_dose)
        for statement in self.structure.observed:
            values[statement.name] = evaluate(statement.expression, values)
        return {name: evaluate(Name(equals), values) for name, equals in self.observed}

    def noise(
        self,
        time: ArrayLike,
        state: Sequence[ArrayLike],
        individual: Mapping[str, ArrayLike],
        *,
        after_dose: ArrayLike = 0.0,
    ) -> tuple[Array, ...]:
        """Return the noise of every state, per root of an hour; 0 for none."""
        values = self._values(time, state, individual, after_dose)
        known = {s.name: s.expression for s in self.statements if s.kind == "noise"}
        return tuple(
            read(known[name], self.moved, values) if name in known else _zero()
            for name in self.states
        )

    def properties(
        self, individual: Mapping[str, ArrayLike]
    ) -> dict[tuple[str, str], Array]:
        """Return the compartment properties: ("F", "depot") and so on."""
        return {
            (s.kind, s.name): evaluate(s.expression, individual)
            for s in self.structure.properties
        }

    def _at_first(self, individual: Mapping[str, ArrayLike]) -> dict[str, ArrayLike]:
        """Return what stands still between ticks, as it starts, unless it is given."""
        if self.chance is None:
            return {}
        starts = {s.name: s.expression for s in self.structure.initial}
        first: dict[str, ArrayLike] = {
            name: evaluate(starts[name], individual) if name in starts else _zero()
            for name in self.chance.held
            if name not in individual
        }
        return {**self.chance.before, **first}

    def _values(
        self,
        time: ArrayLike,
        state: Sequence[ArrayLike],
        individual: Mapping[str, ArrayLike],
        after_dose: ArrayLike,
    ) -> dict[str, ArrayLike]:
        """Lay out the names that equations of time and states can see."""
        known = {TIME: time, TIME_AFTER_DOSE: after_dose}
        now = dict(zip(self.states, state, strict=True))
        # Where the past is not given it was as it is now.
        past = {delay.name: now[delay.state] for delay in self.structure.delays}
        return (
            {ASSURED: 1.0}
            | past
            | self._at_first(individual)
            | dict(individual)
            | now
            | known
        )


def _assign(
    statements: Sequence[Statement],
    values: dict[str, ArrayLike],
    held: Mapping[str, ArrayLike],
) -> None:
    """Compute assignments one after another, but for those that are held."""
    for statement in statements:
        value = held.get(statement.name)
        if value is None:
            value = evaluate(statement.expression, values)
        values[statement.name] = value


def _zero() -> Array:
    """Return a zero without a precision of its own."""
    return evaluate(Number(0.0), {})


def _row(row: Sequence[Expression | None], values: Mapping[str, ArrayLike]) -> Row:
    return tuple(None if entry is None else evaluate(entry, values) for entry in row)


def _computed(
    statements: Sequence[Statement], individual: Mapping[str, ArrayLike]
) -> dict[str, ArrayLike]:
    values = dict(individual)
    for statement in statements:
        values[statement.name] = evaluate(statement.expression, values)
    return values


# What is content whatever it holds; what is newer counts where something is given.
_CONTENT = frozenset(Model.__dataclass_fields__) - {
    *("statements", "text", "warnings"),
    *("classes", "chance", "step", "flow", "unit"),
}

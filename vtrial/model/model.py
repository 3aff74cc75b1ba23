"""The Model: equations, parameters, random effects, outputs, and how to compute them.

Everything a Model computes is elementwise: give scalars for one subject or arrays for
a crowd, in any shapes that broadcast.
"""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Array, ArrayLike

from vtrial.model.structure import Structure, analyse
from vtrial.model.tree import (
    TIME,
    TIME_AFTER_DOSE,
    Name,
    Statement,
    evaluate,
)


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


@dataclass(frozen=True)
class RandomBlock:
    """Random effects that vary together: `eta.<name>` ~ N(0, covariance).

    `level` says whether they are drawn once a subject or anew each occasion.
    """

    names: tuple[str, ...]
    covariance: tuple[tuple[float, ...], ...]
    level: Literal["subject", "occasion"] = "subject"
    source: Source = Source()


@dataclass(frozen=True)
class ResidualError:
    """Residual error of an output; standard deviations, all zero for none.

    `log` is the standard deviation of the logarithm; otherwise the standard deviation
    is the root of additive^2 + (proportional * prediction)^2.
    """

    additive: float = 0.0
    proportional: float = 0.0
    log: float = 0.0


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
    """

    name: str
    statements: tuple[Statement, ...]
    parameters: tuple[Parameter, ...] = ()
    covariates: tuple[Covariate, ...] = ()
    random: tuple[RandomBlock, ...] = ()
    outputs: tuple[Output, ...] = ()
    population: tuple[tuple[float, ...], ...] = ()
    title: str = ""
    time: str = "h"
    amount: str = "mg"
    molar_mass: float = 0.0
    nonnegative: tuple[str, ...] = ()
    text: str = ""
    sources: tuple[Source, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @functools.cached_property
    def digest(self) -> str:
        """Name the content of the model."""
        content = [getattr(self, name) for name in self.__dataclass_fields__]
        return hashlib.sha256(repr(content).encode()).hexdigest()

    @functools.cached_property
    def structure(self) -> Structure:
        """What depends on what (see `vtrial.model.structure`)."""
        return analyse(self.statements, tuple(o.equals for o in self.outputs))

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
        """Everything that must be given from outside: parameters, covariates, etas."""
        names = [p.name for p in self.parameters] + [c.name for c in self.covariates]
        return (*names, *self.etas)

    def typical(self) -> dict[str, float]:
        """Return the inputs of the typical subject: random effects zero."""
        values = {p.name: p.value for p in self.parameters}
        values |= {c.name: c.typical for c in self.covariates}
        return values | dict.fromkeys(self.etas, 0.0)

    def individual(self, inputs: Mapping[str, ArrayLike]) -> dict[str, Array]:
        """Return the individual parameters: what needs neither time nor states.

        The result holds the inputs, too, so that it is all that the other methods
        need.
        """
        values = dict(inputs)
        for statement in self.structure.static:
            values[statement.name] = evaluate(statement.expression, values)
        return values  # type: ignore[return-value]

    def initial(self, individual: Mapping[str, ArrayLike]) -> tuple[Array, ...]:
        """Return the states at the start; 0 where the equations say nothing."""
        known = {s.name: s.expression for s in self.structure.initial}
        return tuple(
            evaluate(known[state], individual) if state in known else _ZERO()
            for state in self.states
        )

    def derivative(
        self,
        time: ArrayLike,
        state: Sequence[ArrayLike],
        individual: Mapping[str, ArrayLike],
        *,
        after_dose: ArrayLike = 0.0,
    ) -> tuple[Array, ...]:
        """Return d/dt of every state, per hour, without the rates of infusions."""
        values = self._values(time, state, individual, after_dose)
        for statement in self.structure.dynamic:
            values[statement.name] = evaluate(statement.expression, values)
        rates = {s.name: s.expression for s in self.structure.derivatives}
        return tuple(evaluate(rates[name], values) for name in self.states)

    def observe(
        self,
        time: ArrayLike,
        state: Sequence[ArrayLike],
        individual: Mapping[str, ArrayLike],
        *,
        after_dose: ArrayLike = 0.0,
    ) -> dict[str, Array]:
        """Return every output, true and without residual error."""
        values = self._values(time, state, individual, after_dose)
        for statement in self.structure.observed:
            values[statement.name] = evaluate(statement.expression, values)
        return {o.name: evaluate(Name(o.equals), values) for o in self.outputs}

    def properties(
        self, individual: Mapping[str, ArrayLike]
    ) -> dict[tuple[str, str], Array]:
        """Return the compartment properties: ("F", "depot") and so on."""
        return {
            (s.kind, s.name): evaluate(s.expression, individual)
            for s in self.structure.properties
        }

    def _values(
        self,
        time: ArrayLike,
        state: Sequence[ArrayLike],
        individual: Mapping[str, ArrayLike],
        after_dose: ArrayLike,
    ) -> dict[str, ArrayLike]:
        """Lay out the names that equations of time and states can see."""
        known = {TIME: time, TIME_AFTER_DOSE: after_dose}
        return dict(individual) | dict(zip(self.states, state, strict=True)) | known


def _ZERO() -> Array:
    import jax.numpy as jnp

    return jnp.zeros(())

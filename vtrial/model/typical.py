"""What equations give for the typical subject, where neither time nor states matter.

A division by zero, a logarithm of what is negative, a lag below zero: what is no
number for the typical subject is told from the equations alone.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from vtrial.errors import Fault
from vtrial.model.delays import LAG
from vtrial.model.grammar import write_expression
from vtrial.model.model import Model
from vtrial.model.plain import call
from vtrial.model.structure import PROPERTIES
from vtrial.model.tree import Call, Expression, Name, Number, Statement, names_in

SHORT = 60
POSITIVE = ("rate", "duration")
AWAY = 2.0  # standard deviations at which somebody is looked at: 1 in 20 is further


class Property(NamedTuple):
    """A property of a compartment that is a number for the typical subject [h, mg]."""

    statement: Statement
    value: float

    @property
    def is_sound(self) -> bool:
        """Whether a dose can be given with it."""
        return self.value > 0 if self.statement.kind in POSITIVE else self.value >= 0


@dataclass
class Typical:
    """Values of the typical subject, and those that are not numbers."""

    known: dict[str, float]
    faults: list[Fault] = field(default_factory=list)
    properties: list[Property] = field(default_factory=list)
    line: int = 0

    def value(self, node: Expression) -> float | None:
        """Compute an expression; None where time, a state or an unknown matters."""
        if isinstance(node, Number):
            return node.value
        if isinstance(node, Name):
            return self.known.get(node.name)
        if node.function == "if":
            return self._chosen(node)
        if node.function == LAG:
            return self._past(node)
        values = [self.value(argument) for argument in node.arguments]
        if node.function == "/" and values[1] == 0:
            self._note(node, f"a division by `{_short(node.arguments[1])}`, which is 0")
            return None
        numbers = [value for value in values if value is not None]
        if len(numbers) < len(values):
            return None
        found = call(node.function, numbers)
        if math.isnan(found):
            self._note(node, "which is no number")
            return None
        return found

    def _chosen(self, node: Call) -> float | None:
        """Follow the branch that is taken; neither if that depends on what moves."""
        condition = self.value(node.arguments[0])
        if condition is None:
            return None
        return self.value(node.arguments[1 if condition else 2])

    def _past(self, node: Call) -> None:
        """Note a delay that is none; a state's past is known to the solution only."""
        by = self.value(node.arguments[1])
        if by is not None and not by > 0:
            line, column = node.line or self.line, node.column
            found = f"`{_short(node)}`, by {by:g} for the typical subject"
            fault = Fault(
                "equations", found, "by above 0", "", line=line, column=column
            )
            self.faults.append(fault)

    def _note(self, node: Call, words: str) -> None:
        first = next(names_in(node), None)
        line = (first.line if first else 0) or self.line
        column = first.column if first else 0
        found = f"`{_short(node)}`, {words} for the typical subject"
        self.faults.append(
            Fault("equations", found, "a finite number", "", line=line, column=column)
        )


def typical_of(model: Model, given: Mapping[str, float] | None = None) -> Typical:
    """Go through a model's equations with typical values, and others where given."""
    values = model.typical() | dict(given or {})
    typical = Typical({k: v for k, v in values.items() if math.isfinite(v)})
    for statement in model.statements:
        typical.line = statement.line
        found = typical.value(statement.expression)
        if found is None:
            continue
        if statement.kind == "assign":
            typical.known[statement.name] = found
        elif statement.kind in PROPERTIES:
            typical.properties.append(Property(statement, found))
    return typical


def property_faults(typical: Typical) -> list[Fault]:
    """List lags, bioavailabilities, rates and durations that are out of range."""
    return [
        Fault(
            at="equations",
            found=f"`{said(one)}`, {one.value:g} for the typical subject",
            allowed="above 0" if one.statement.kind in POSITIVE else "0 or more",
            write="",
            line=one.statement.line,
        )
        for one in typical.properties
        if not one.is_sound
    ]


def said(one: Property) -> str:
    """Write a property as its equation begins."""
    return f"{one.statement.kind}({one.statement.name})"


def more_than_whole(typical: Typical) -> list[Fault]:
    """Warn of doses of which more arrives than was given; units may want it so."""
    return [
        Fault(
            at="equations",
            found=f"`{said(one)}`, {one.value:g} for the typical subject",
            allowed="1 or less, unless it converts the unit of the dose",
            write="",
            line=one.statement.line,
        )
        for one in typical.properties
        if one.statement.kind == "F" and one.value > 1
    ]


def far_properties(model: Model) -> list[Fault]:
    """Warn of doses that are sound for the typical subject, but not for 1 in 20.

    Each random effect is moved by itself, two standard deviations up and down.
    """
    if not any(s.kind in PROPERTIES for s in model.statements):
        return []
    fine = {said(one) for one in typical_of(model).properties if _is_usual(one)}
    faults: dict[str, Fault] = {}
    for name, spread in _spreads(model):
        for shift in (-AWAY * spread, AWAY * spread):
            for one in typical_of(model, {name: shift}).properties:
                if said(one) in fine and not _is_usual(one):
                    faults.setdefault(said(one), _far(one, name))
    return list(faults.values())


def _is_usual(one: Property) -> bool:
    return one.is_sound and not (one.statement.kind == "F" and one.value > 1)


def _spreads(model: Model) -> list[tuple[str, float]]:
    """List the random effects with their standard deviations."""
    return [
        (f"eta.{name}", math.sqrt(block.covariance[place][place]))
        for block in model.random
        for place, name in enumerate(block.names)
    ]


def _far(one: Property, name: str) -> Fault:
    """Return the fault for a dose property out of range for a distant subject."""
    kind = one.statement.kind
    usual = "above 0 for all" if kind in POSITIVE else "0 or more for all"
    if kind == "F":
        usual = "from 0 to 1 for all, unless it scales the dose"
    return Fault(
        at="equations",
        found=f"`{said(one)}`, {one.value:.3g} for a subject {AWAY:g} standard "
        f"deviations of `{name}` away",
        allowed=usual,
        write="",
        line=one.statement.line,
    )


def _short(node: Expression) -> str:
    text = write_expression(node)
    return text if len(text) <= SHORT else f"{text[: SHORT - 3]}..."

"""Units through the equations: warn of sums, outputs and exponents that do not fit.

A quantity has a dimension and a size, or is unknown. Numbers written in the equations
carry any unit (`WT/70`, `AAG - 1.34`), so what they touch becomes unknown, and unknown
fits everything: a warning means that two units that were given cannot both be right.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from vtrial.errors import Fault
from vtrial.model.delays import LAG
from vtrial.model.grammar import write_expression
from vtrial.model.shape import ModelShape
from vtrial.model.tree import (
    TIME,
    TIME_AFTER_DOSE,
    Call,
    Expression,
    Name,
    Number,
    Statement,
    names_in,
)
from vtrial.units import Dimension, dimension, is_unit, size

COUNTS = tuple(float(n) for n in range(1, 10))
DIVISORS = (1.0, 2.0)
ROUNDING = 1e-6
MAX_PASSES = 12
MAX_POWER = 10
MIN_SIZE, MAX_SIZE = 1e-30, 1e30
PURE = frozenset(
    ["exp", "expm1", "log", "log10", "log1p", "sin", "cos", "tan", "tanh", "erf"]
    + ["logit", "expit", "lgamma", "normal_cdf"]
)
COMPARISONS = frozenset(["<", "<=", ">", ">=", "==", "!="])
LOGIC = frozenset(["and", "or", "not"])
SAME = frozenset(["negative", "abs", "floor", "ceil"])


class Unit(NamedTuple):
    """A known dimension and size [base units]."""

    dimension: Dimension
    size: float


NONE = Unit(Dimension(), 1.0)


def check_units(
    shape: ModelShape,
    statements: Sequence[Statement],
    errors: Sequence[Statement] = (),
) -> list[Fault]:
    """Find where the units of a sheet contradict each other.

    Statements are those of the sheet, in its own unit of time, and those that its
    residual errors ask for.
    """
    known = _given(shape)
    words = _words(shape)
    clock = _read(shape.time)
    states = _states(shape, statements)
    checker = _Checker(known, words)
    for _ in range(min(len(states) + 2, MAX_PASSES)):
        checker = _Checker(dict(known), words)
        for statement in statements:
            checker.enter(statement, states, clock)
        learned = checker.learned
        if all(states.get(name) == unit for name, unit in learned.items()):
            break
        for name, unit in learned.items():
            states[name] = states.get(name) or unit
    faults = list(checker.faults)
    for name, output in shape.outputs.items():
        reached = checker.known.get(output.equals or name)
        if output.unit is None or reached is None:
            continue
        if not _fits(reached, _read(output.unit)):
            said = checker.said(reached)
            faults.append(_output_fault(name, output.unit, said, statements))
    return faults + _check_errors(shape, checker, errors)


def _check_errors(
    shape: ModelShape, checker: "_Checker", errors: Sequence[Statement]
) -> list[Fault]:
    """Find residual errors that are not in the unit of their output."""
    inside = _Checker(dict(checker.known), checker.words)
    faults = []
    for statement in errors:
        inside.enter(statement, {}, NONE)
        name, _, part = statement.name.rpartition(".")
        error, unit = shape.outputs[name].error, shape.outputs[name].unit
        reached = inside.known.get(statement.name)
        bare = part == "sd" and error and (error.log or error.logit or error.beta)
        wanted = "1" if bare else unit
        if (
            wanted is None
            or reached is None
            or isinstance(statement.expression, Number)
        ):
            continue
        if not _fits(reached, _read(wanted)):
            found = f"with {part} in {inside.said(reached)}"
            path = ("outputs", name, "error")
            allowed = f"in {wanted}"
            faults.append(Fault(".".join(path), found, allowed, "", path=path))
    return faults


def _given(shape: ModelShape) -> dict[str, Unit]:
    """Collect what the sheet says; the time is in its unit."""
    units = {n: p.unit for n, p in shape.parameters.items()}
    units |= {n: c.unit for n, c in shape.covariates.items()}
    known = {name: _read(unit) for name, unit in units.items() if unit is not None}
    known |= {name: NONE for name, c in shape.covariates.items() if c.values}
    return known | dict.fromkeys((TIME, TIME_AFTER_DOSE), _read(shape.time))


def _states(
    shape: ModelShape, statements: Sequence[Statement]
) -> dict[str, Unit | None]:
    """Return the units of states that are known beforehand, None for the others.

    Doses are amounts, so a state that has a dose property, or is the first and starts
    empty, is one.
    """
    states: dict[str, Unit | None] = {
        s.name: None for s in statements if s.kind == "derivative"
    }
    started = {s.name for s in statements if s.kind == "initial"}
    dosed = {
        s.name for s in statements if s.kind in ("F", "lag", "rate", "duration")
    } | set(list(states)[:1])
    amount = _read(shape.amount)
    for name in states:
        if name in dosed - started:
            states[name] = amount
    return states


@dataclass
class _Checker:
    """One walk through the statements, in order."""

    known: dict[str, Unit]
    words: Mapping[str, Unit]
    faults: list[Fault] = field(default_factory=list)
    learned: dict[str, Unit] = field(default_factory=dict)
    line: int = 0

    def enter(
        self, statement: Statement, states: Mapping[str, Unit | None], clock: Unit
    ) -> None:
        """Work out one statement and note what it tells."""
        self.line = statement.line
        for name, unit in states.items():
            if unit is not None:
                self.known[name] = unit
        found = self.unit(statement.expression)
        name = statement.name
        if statement.kind == "assign" and found is not None:
            self.known[name] = found
        per = {"derivative": 1.0, "rate": 1.0, "initial": 0.0}.get(statement.kind)
        if statement.kind in ("lag", "duration"):
            self.compare(found, clock, f"{statement.kind}({name})")
        elif statement.kind == "F":
            self.compare(found, NONE, f"F({name})")
        if per is None or found is None:
            return
        reached = _product(found, clock, per)
        if reached is None:
            return
        self.compare(states.get(name), reached, f"`{name}`", told="its equation gives")
        self.learned.setdefault(name, reached)

    def compare(
        self, left: Unit | None, right: Unit | None, what: str, told: str = ""
    ) -> None:
        """Warn if two units that should be the same are not."""
        if left is None or right is None or _fits(left, right):
            return
        told = told or "it should be in"
        found = f"{what} in {self.said(left)}, while {told} {self.said(right)}"
        self.warn(found, "in one unit")

    def said(self, unit: Unit) -> str:
        """Return a unit as the sheet spells it, or else its dimension."""
        spelt = (word for word, known in self.words.items() if _fits(known, unit))
        return next(spelt, str(unit.dimension))

    def warn(self, found: str, allowed: str, column: int = 0, line: int = 0) -> None:
        fault = Fault("equations", found, allowed, "", "", line or self.line, column)
        if fault not in self.faults:
            self.faults.append(fault)

    def unit(self, node: Expression) -> Unit | None:
        """Return the unit of an expression; None if it is unknown."""
        if isinstance(node, Number):
            return None
        if isinstance(node, Name):
            return self.known.get(node.name)
        if node.function in "*/":
            return self.scaled(node)
        if node.function == "^":
            return self.power(node)
        units = [self.unit(argument) for argument in node.arguments]
        if node.function == LAG:
            self.compare(units[1], self.known.get(TIME), "the time of `lag(`")
            return units[0]
        if node.function in PURE:
            self.pure(node, units[0])
            return NONE
        if node.function in LOGIC:
            return NONE
        if node.function in SAME:
            return units[0]
        if node.function == "sqrt":
            return None if units[0] is None else _raised(units[0], 0.5)
        if node.function == "if":
            units = units[1:]
        together = self.alike(node, units)
        return NONE if node.function in COMPARISONS else together

    def scaled(self, node: Call) -> Unit | None:
        """Multiply or divide; small counts are pure numbers, others carry any unit."""
        left, right = node.arguments
        sign = 1.0 if node.function == "*" else -1.0
        pure = COUNTS if node.function == "*" else DIVISORS
        first = NONE if _is(left, COUNTS) else self.unit(left)
        second = NONE if _is(right, pure) else self.unit(right)
        if first is None or second is None:
            return None
        return _product(first, second, sign)

    def power(self, node: Call) -> Unit | None:
        """Raise to a power, which must be a pure number."""
        base, exponent = node.arguments
        below, above = self.unit(base), self.unit(exponent)
        if above is not None and above.dimension != Dimension():
            found = f"the exponent `{_short(exponent)}` in {self.said(above)}"
            self.warn(found, "a pure number", *_place(node))
        if below is None:
            return None
        if isinstance(exponent, Number):
            return _raised(below, exponent.value)
        return NONE if _fits(below, NONE) else None

    def pure(self, node: Call, unit: Unit | None) -> None:
        """Warn of the logarithm of something with a unit, and the like."""
        if unit is not None and unit.dimension != Dimension():
            inner = _short(node.arguments[0])
            found = f"{node.function} of `{inner}`, which is in {self.said(unit)}"
            self.warn(found, "of a pure number: divide by a value first", *_place(node))

    def alike(self, node: Call, units: Sequence[Unit | None]) -> Unit | None:
        """Warn if what is added or compared has different units; return the unit."""
        words = {"if": "chooses between", "+": "adds", "-": "subtracts"}
        verb = words.get(node.function, "compares")
        chosen: Unit | None = None
        parts = node.arguments[1:] if node.function == "if" else node.arguments
        for part, unit in zip(parts, units, strict=True):
            if unit is None or (isinstance(part, Number)):
                continue
            if chosen is not None and not _fits(chosen, unit):
                both = f"{self.said(chosen)} and {self.said(unit)}"
                found = f"`{_short(node)}`, which {verb} {both}"
                self.warn(found, "of one unit", *_place(node))
                return None
            chosen = chosen or unit
        return chosen


def _read(unit: str) -> Unit:
    return Unit(dimension(unit), size(unit))


def _words(shape: ModelShape) -> dict[str, Unit]:
    """Collect the spellings of units that the sheet itself uses."""
    entries = [*shape.parameters.values(), *shape.covariates.values()]
    spelt = [entry.unit for entry in (*entries, *shape.outputs.values()) if entry.unit]
    spelt += [
        shape.amount,
        shape.time,
        f"1/{shape.time}",
        f"{shape.amount}/{shape.time}",
    ]
    return {word: _read(word) for word in spelt if is_unit(word)}


def _product(left: Unit, right: Unit, power: float) -> Unit | None:
    try:
        total = left.size * right.size**power
    except (OverflowError, ZeroDivisionError):
        return None
    if not MIN_SIZE < total < MAX_SIZE:
        return None
    return Unit(left.dimension * right.dimension**power, total)


def _raised(unit: Unit, power: float) -> Unit | None:
    if not math.isfinite(power) or abs(power) > MAX_POWER:
        return None
    return _product(NONE, unit, power)


def _fits(left: Unit, right: Unit) -> bool:
    """Return whether two units are the same up to rounding."""
    if left.dimension != right.dimension:
        return False
    return math.isclose(left.size, right.size, rel_tol=ROUNDING)


def _is(node: Expression, numbers: Sequence[float]) -> bool:
    return isinstance(node, Number) and node.value in numbers


def _short(node: Expression) -> str:
    text = write_expression(node)
    return text if len(text) <= 60 else text[:57] + "..."


def _place(node: Call) -> tuple[int, int]:
    """Return column and line of an operator, or of the first name under it."""
    if node.line:
        return node.column, node.line
    first = next(names_in(node), None)
    return (first.column, first.line) if first is not None else (0, 0)


def _output_fault(
    name: str, unit: str, reached: str, statements: Sequence[Statement]
) -> Fault:
    """Return the fault for an output whose unit is not that of its equation."""
    line = next((s.line for s in statements if s.name == name), 0)
    return Fault(
        at=f"outputs.{name}",
        found=f"declared in {unit}, while its equation gives {reached}",
        allowed="in the unit of its equation",
        write="",
        line=line,
    )

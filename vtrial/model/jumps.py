"""Discontinuities and kinks of the equations, split from the smooth parts between.

A condition, a whole part (`floor`, `ceil`, `mod`) or a bend (`abs`, `min`, `max`)
becomes a flag of its own, a variable that stands still between switches; with its
flags held, what is left of the equations is smooth. Flags that look at the clock and
at no state are switched at times that can be told beforehand, so that steps may end
there: exactly where the distance to the switch is a straight line in time, which for
all of `t >= 100`, `mod(t, 24) < 8` and `floor(t/24)` it is, and otherwise by search.

What is smooth may be narrow, as an input is that comes and goes within an hour. So the
largest parts that move with the clock alone become variables of their own, too, drives,
which can be looked at as often as need be. No number of looks finds a pulse of minutes
in a week, though: where a part of a drive is a straight line of time and goes through
zero, as in `exp(-((t - 100)/WIDTH)^2)`, there may be a crest, and steps end there, too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vtrial.model.calculus import (
    ZERO,
    differentiate,
    minus,
    over,
    plus,
    simplify,
    substitute,
    times,
)
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

DOSED = "|dosed"  # 1 from the first dose on: how fast the time after dose goes by
COMPARED = frozenset(["<", "<=", ">", ">=", "==", "!="])
WHOLE = frozenset(["floor", "ceil", "mod"])
STRAIGHT = frozenset(["+", "-", "negative", "if"])  # keep what goes in, or its slope
BENT = frozenset(["abs", "min", "max"])
WAVES = frozenset(["sin", "cos", "tan"])
CLOCKS = (TIME, TIME_AFTER_DOSE)
LATER = 2.0**-30  # [h] after a switch, what holds is looked up
ULPS = 16.0  # units in the last place of the clock, and at least so many


@dataclass(frozen=True)
class Switch:
    """A flag that is switched by the clock.

    `value` is the flag as a function of the clocks, of individual parameters and of
    flags before it. It is switched where `distance` is zero or, of `whole` parts, a
    whole number; `slope` [1/h] is how fast that changes while flags stand still. Where
    the slope itself is no constant, the switch is to be searched for, and `phases`
    [1/h] say how fast the waves in it go by. Nothing reads the flag of a crest.
    """

    flag: str
    value: Expression
    distance: Expression
    slope: Expression
    whole: bool
    phases: tuple[Expression, ...] = ()

    @property
    def is_exact(self) -> bool:
        """Whether the distance is linear in time."""
        return not _moves(self.slope)


@dataclass(frozen=True)
class Drive:
    """A variable that depends on the clock alone, and not linearly.

    `value` is that of the clocks, of individual parameters and of flags.
    """

    name: str
    value: Expression


@dataclass(frozen=True)
class Parted:
    """Assignments and derivatives in terms of flags, and what these are.

    The flags that look at states, `conditions`, and the `drives` are assigned among
    the others.
    """

    dynamic: tuple[Statement, ...]
    derivatives: tuple[Statement, ...]
    switches: tuple[Switch, ...] = ()
    conditions: tuple[str, ...] = ()
    drives: tuple[Drive, ...] = ()


def part_jumps(
    states: Sequence[str],
    dynamic: Sequence[Statement],
    derivatives: Sequence[Statement],
) -> Parted:
    """Split the equations into flags that jump and smooth parts between jumps."""
    parting = _Parting(states)
    kept: list[Statement] = []
    for statement in dynamic:
        expression = parting.apart(statement.expression)
        kept += parting.taken()
        parting.assign(statement.name, expression)
        kept.append(Statement("assign", statement.name, expression, statement.line))
    rows = [
        Statement(
            row.kind, row.name, parting.apart(row.expression, last=True), row.line
        )
        for row in derivatives
    ]
    kept += parting.taken()
    return Parted(
        tuple(kept),
        tuple(rows),
        tuple(parting.switches),
        tuple(parting.conditions),
        tuple(parting.drives),
    )


class _Parting:
    """The flags and drives found so far."""

    def __init__(self, states: Sequence[str]) -> None:
        self.switches: list[Switch] = []
        self.conditions: list[str] = []
        self.drives: list[Drive] = []
        self._fresh: list[Statement] = []
        self._flags: dict[Expression, Name] = {}
        self._stateful = set(states)
        self._timed: dict[str, Expression] = {name: Name(name) for name in CLOCKS}

    def taken(self) -> list[Statement]:
        """Return the flags that were made since this was asked last."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def assign(self, name: str, expression: Expression) -> None:
        """Note what an assigned variable depends on."""
        if self._reads(expression, self._stateful):
            self._stateful.add(name)
        elif self._reads(expression, self._timed):
            self._timed[name] = substitute(expression, self._timed)

    def apart(self, expression: Expression, *, last: bool = False) -> Expression:
        """Put flags and drives in their places; `last` where nothing reads the result.

        What moves with the clock alone is no drive before something else reads it.
        """
        expression = self.smooth(expression)
        if last or self._reads(expression, self._stateful):
            return self._driven(expression)
        return expression

    def _driven(self, expression: Expression) -> Expression:
        """Replace the largest parts that vary with the clock alone by drives."""
        if not self._reads(expression, self._timed):
            return expression
        if not self._reads(expression, self._stateful):
            return self._drive(expression)
        assert isinstance(expression, Call)  # a name reads but itself
        arguments = tuple(map(self._driven, expression.arguments))
        return Call(expression.function, arguments, expression.column, expression.line)

    def _drive(self, expression: Expression) -> Expression:
        """Make a drive, unless it is linear in time."""
        value = substitute(expression, self._timed)
        # A straight line hides nothing between the places that a step looks at.
        if _is_straight(value):
            return expression
        known = next((one for one in self.drives if one.value == value), None)
        if known is None:
            known = Drive(f"|drive {len(self.drives) + 1}", value)
            self.drives.append(known)
            self._fresh.append(Statement("assign", known.name, expression))
            for line in dict.fromkeys(_lines_within(value)):
                self._crest(line)
        return Name(known.name)

    def _crest(self, line: Expression) -> None:
        """End steps where a straight line of time goes through zero."""
        value = Call(">=", (line, ZERO))
        if value not in self._flags:
            self._flags[value] = flag = Name(f"|flag {len(self._flags) + 1}")
            self.switches.append(self._switch(flag.name, value, line, whole=False))

    def smooth(self, expression: Expression) -> Expression:
        """Replace what jumps or bends by flags."""
        if not isinstance(expression, Call):
            return expression
        arguments = tuple(map(self.smooth, expression.arguments))
        call = Call(expression.function, arguments, expression.column, expression.line)
        timed = self._reads(call, self._timed)
        stateful = self._reads(call, self._stateful)
        if not (timed or stateful):
            return call
        function = call.function
        if function in COMPARED:
            return self._flag(call, minus(*arguments), whole=False)
        if function in WHOLE:
            return self._whole_part(function, arguments)
        if function in BENT and not stateful:
            return self._bend(function, arguments)
        return call

    def _whole_part(
        self, function: str, arguments: tuple[Expression, ...]
    ) -> Expression:
        if function != "mod":
            value = Call(function, arguments)
            return self._flag(value, arguments[0], whole=True)
        # mod(x, d) = x - d floor(x / d): only the whole part jumps.
        number, divisor = arguments
        times_in = over(number, divisor)
        flag = self._flag(Call("floor", (times_in,)), times_in, whole=True)
        return minus(number, times(divisor, flag))

    def _bend(self, function: str, arguments: tuple[Expression, ...]) -> Expression:
        first, *rest = arguments
        if function == "abs":
            flag = self._chosen(">=", first, Number(0.0))
            return Call("if", (flag, first, Call("negative", (first,))))
        sign = "<=" if function == "min" else ">="
        for other in rest:
            first = Call("if", (self._chosen(sign, first, other), first, other))
        return first

    def _chosen(self, sign: str, left: Expression, right: Expression) -> Name:
        return self._flag(Call(sign, (left, right)), minus(left, right), whole=False)

    def _flag(self, value: Call, distance: Expression, *, whole: bool) -> Name:
        """Make a flag, or return the one that says the same."""
        if value in self._flags:
            return self._flags[value]
        flag = Name(f"|flag {len(self._flags) + 1}")
        self._flags[value] = flag
        if self._reads(value, self._stateful):
            self._stateful.add(flag.name)
            self.conditions.append(flag.name)
        else:
            self._timed[flag.name] = flag
            self.switches.append(self._switch(flag.name, value, distance, whole=whole))
        self._fresh.append(Statement("assign", flag.name, value, value.line))
        return flag

    def _switch(
        self, flag: str, value: Expression, distance: Expression, *, whole: bool
    ) -> Switch:
        value, distance = (substitute(e, self._timed) for e in (value, distance))
        slope = _speed(distance)
        waves = [w.arguments[0] for w in _calls(distance) if w.function in WAVES]
        phases = tuple(_speed(wave) for wave in dict.fromkeys(waves))
        return Switch(flag, value, distance, slope, whole, phases)

    def _reads(
        self, expression: Expression, names: set[str] | Mapping[str, Expression]
    ) -> bool:
        return any(name.name in names for name in names_in(expression))


def _speed(expression: Expression) -> Expression:
    """Differentiate by time while flags stand still [1/h]."""
    # The time after dose stands still until the first dose.
    after = times(differentiate(expression, TIME_AFTER_DOSE), Name(DOSED))
    return plus(differentiate(expression, TIME), after)


def _moves(expression: Expression) -> bool:
    """Return whether an expression depends on a clock (time, or time after dose)."""
    return any(name.name in CLOCKS for name in names_in(expression))


def _lines_within(drive: Expression) -> Iterator[Expression]:
    """Find the largest terms linear in time that a nonlinear function of a drive reads.

    Waves come round again and are no crests; a line that begins at zero with its clock
    goes through zero where steps end anyway.
    """
    for call in _calls(drive):
        if call.function in STRAIGHT | WAVES or _is_straight(call):
            continue
        for part in call.arguments:
            if _moves(part) and _is_straight(part) and not _begins_at_zero(part):
                yield _unscaled(part)


def _is_straight(expression: Expression) -> bool:
    return not _moves(_speed(expression))


def _unscaled(line: Expression) -> Expression:
    """Strip signs and constant factors."""
    # Lines that are zero at the same time then have one flag.
    match line:
        case Call("negative", (inner,)):
            return _unscaled(inner)
        case Call("*" | "/", (inner, scale)) if not _moves(scale):
            return _unscaled(inner)
        case Call("*", (scale, inner)) if not _moves(scale):
            return _unscaled(inner)
    return line


def _begins_at_zero(line: Expression) -> bool:
    begun = (simplify(substitute(line, {clock: ZERO})) for clock in CLOCKS)
    return any(value == ZERO for value in begun)


def _calls(expression: Expression) -> Iterator[Call]:
    stack = [expression]
    while stack:
        node = stack.pop()
        if isinstance(node, Call):
            yield node
            stack.extend(node.arguments)

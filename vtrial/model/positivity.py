"""States that the equations keep nonnegative (Nagumo's condition), from the tree.

A state that starts at zero or above stays there if its derivative, where the state is
zero and all others of the kind are not negative, is not negative (Nagumo's condition
for the positive orthant). Signs follow from the tree up to what only numbers tell: an
individual parameter, or an expression of some, is assumed not to be negative, and the
assumption is handed back to be looked at for each subject.

References
----------
Blanchini F. (1999) Automatica 35:1747-1767, section 3.1.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from vtrial.model.delays import Delay
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

ASSURED = "|assured"  # a name that no sheet can hold: whether all assumptions hold
LEAST = 1e-9  # an exponent that zero may be raised to, and stay zero


class Sign(Enum):
    """The known sign of a value."""

    ZERO = 0
    UP = 1  # zero or above
    DOWN = -1  # zero or below
    ANY = None


@dataclass(frozen=True)
class Nonnegative:
    """States that stay at zero or above where each of `assumed` is zero or above.

    The assumptions need individual parameters only; with them, the initial values of
    the states must not be negative.
    """

    states: tuple[str, ...] = ()
    assumed: tuple[Expression, ...] = ()


class _Found(NamedTuple):
    """A sign, and the expressions that were assumed not to be negative for it."""

    sign: Sign
    assumed: frozenset[Expression] = frozenset()


def find_nonnegative(
    states: Sequence[str],
    dynamic: Sequence[Statement],
    derivatives: Sequence[Statement],
    *,
    declared: Sequence[str] = (),
    delays: Sequence[Delay] = (),
) -> Nonnegative:
    """Return the largest set of states that keep each other from below zero.

    `dynamic` are the assignments that the `derivatives` need. Of the `declared` states
    it is known anyway; the past of a state that is kept so was nonnegative, too.
    """
    # The largest such set is a fixed point: each state that goes may take others along.
    kept = dict.fromkeys(states)
    while True:
        found = {
            row.name: _Signs(states, kept, dynamic, delays, zero=row.name).of(
                row.expression
            )
            for row in derivatives
            if row.name in kept and row.name not in declared
        }
        lost = [n for n, f in found.items() if f.sign not in (Sign.UP, Sign.ZERO)]
        if not lost:
            assumed = frozenset().union(*(f.assumed for f in found.values()))
            return Nonnegative(tuple(kept), tuple(sorted(assumed, key=repr)))
        for name in lost:
            del kept[name]


def keep_powers_real(
    statements: Sequence[Statement],
    states: Sequence[str],
    dynamic: Sequence[Statement],
    known: Nonnegative,
    delays: Sequence[Delay] = (),
) -> tuple[Statement, ...]:
    """Take non-integer powers of what is nonnegative as if rounding left it at zero.

    A state that is zero by right may be a little below by rounding, and inside a step;
    a broken power of it would be no number. `x ^ h` becomes a call of `^+`, which asks
    whether the assumptions hold for the subject. What else had to be assumed of the
    base is asked, too: a base that can be negative stays as it is.
    """
    signs = _Signs(states, known.states, dynamic, delays)
    assumed = frozenset(known.assumed)

    def kept(expression: Expression) -> Expression:
        if not isinstance(expression, Call):
            return expression
        arguments = tuple(map(kept, expression.arguments))
        function = expression.function
        if function == "^" and signs.is_broken_power(expression, assumed):
            function, arguments = "^+", (*arguments, Name(ASSURED))
        return Call(function, arguments, expression.column, expression.line)

    return tuple(
        Statement(s.kind, s.name, kept(s.expression), s.line) for s in statements
    )


class _Signs:
    """Signs of expressions where the kept states are not negative, and one is zero."""

    def __init__(
        self,
        states: Sequence[str],
        kept: Iterable[str],
        dynamic: Sequence[Statement],
        delays: Sequence[Delay] = (),
        zero: str = "",
    ) -> None:
        self._assigned = {s.name: s.expression for s in dynamic}
        past = {delay.name: delay.state for delay in delays}
        self._moving = {TIME, TIME_AFTER_DOSE, *states, *past, *self._assigned}
        self._known = {TIME: _Found(Sign.ANY), TIME_AFTER_DOSE: _Found(Sign.UP)}
        self._known |= dict.fromkeys(states, _Found(Sign.ANY))
        self._known |= dict.fromkeys(kept, _Found(Sign.UP))
        # Where a state is zero now, its past need not be.
        self._known |= {name: self._known[state] for name, state in past.items()}
        if zero:
            self._known[zero] = _Found(Sign.ZERO)

    def is_broken_power(self, power: Call, assumed: frozenset[Expression]) -> bool:
        """Return whether it is a non-integer power of a varying, nonnegative base."""
        base, exponent = power.arguments
        # Whole powers are real also of what rounding leaves below zero.
        if isinstance(exponent, Number) and exponent.value == round(exponent.value):
            return False
        found = self.of(base)
        known = found.sign in (Sign.UP, Sign.ZERO) and found.assumed <= assumed
        return known and self._moves(base)

    def of(self, expression: Expression) -> _Found:
        """Return the sign of an expression."""
        if isinstance(expression, Number):
            return _Found(_sign_of(expression.value))
        if isinstance(expression, Name):
            return self._of_name(expression)
        found = self._of_call(expression)
        # A subject's constants are assumed nonnegative, and checked for each subject.
        if found.sign is Sign.ANY and not self._moves(expression):
            return _Found(Sign.UP, frozenset([expression]))
        return found

    def _of_name(self, name: Name) -> _Found:
        if name.name not in self._moving:
            return _Found(Sign.UP, frozenset([name]))
        if name.name not in self._known:
            self._known[name.name] = self.of(self._assigned[name.name])
        return self._known[name.name]

    def _moves(self, expression: Expression) -> bool:
        return any(name.name in self._moving for name in names_in(expression))

    def _of_call(self, call: Call) -> _Found:
        function, arguments = call.function, call.arguments
        if function in _NEVER_BELOW:
            return _Found(Sign.ZERO if self._truth(call) is False else Sign.UP)
        if function == "if":
            return self._of_choice(arguments)
        found = [self.of(argument) for argument in arguments]
        if function == "^":
            return self._of_power(call, found[0])
        if function in ("*", "/"):
            # Zero times anything is zero, whatever the other sign; so is 0 / x.
            factors = found if function == "*" else found[:1]
            nothing = next((f for f in factors if f.sign is Sign.ZERO), None)
            if nothing is not None:
                return nothing
        rule = _RULES.get(function)
        if rule is None:
            return _Found(Sign.ANY)
        return _together(rule(*(f.sign for f in found)), *found)

    def _of_power(self, power: Call, base: _Found) -> _Found:
        exponent = power.arguments[1]
        if isinstance(exponent, Number):
            value = exponent.value
            odd = value == round(value) and value % 2 == 1
            if base.sign is Sign.ZERO:
                return base if value > 0 else _Found(Sign.UP)
            return base if odd else _Found(Sign.UP, base.assumed)
        if base.sign is Sign.ZERO and not self._moves(exponent):
            # 0^y is 0 only for y above 0, which the subject's numbers tell.
            least = Call("-", (exponent, Number(LEAST)))
            return _Found(Sign.ZERO, base.assumed | {least})
        return _Found(Sign.UP, base.assumed)  # or no number at all

    def _of_choice(self, arguments: tuple[Expression, ...]) -> _Found:
        condition, then, otherwise = arguments
        decided = self._truth(condition)
        if decided is not None:
            return self.of(then if decided else otherwise)
        both = self.of(then), self.of(otherwise)
        return _together(_joined(*(f.sign for f in both)), *both)

    def _truth(self, condition: Expression) -> bool | None:
        """Decide a comparison by signs alone, where that can be without assumptions."""
        if not isinstance(condition, Call) or condition.function not in _ORDERS:
            return None
        found = [self.of(argument) for argument in condition.arguments]
        if any(f.assumed for f in found):
            return None
        return _decided(condition.function, *(f.sign for f in found))


def _together(sign: Sign, *parts: _Found) -> _Found:
    if sign is Sign.ANY:
        return _Found(sign)
    return _Found(sign, frozenset().union(*(part.assumed for part in parts)))


def _sign_of(value: float) -> Sign:
    if value == 0:
        return Sign.ZERO
    return Sign.UP if value > 0 else Sign.DOWN if value < 0 else Sign.ANY


def _joined(*signs: Sign) -> Sign:
    """Return the sign that values of several signs, and their sum, have in common."""
    there = {sign for sign in signs if sign is not Sign.ZERO}
    return there.pop() if len(there) == 1 else Sign.ANY if there else Sign.ZERO


def _turned(sign: Sign) -> Sign:
    return {Sign.UP: Sign.DOWN, Sign.DOWN: Sign.UP}.get(sign, sign)


def _product(one: Sign, other: Sign) -> Sign:
    if Sign.ZERO in (one, other):
        return Sign.ZERO
    if Sign.ANY in (one, other):
        return Sign.ANY
    return Sign.UP if one is other else Sign.DOWN


def _quotient(one: Sign, other: Sign) -> Sign:
    return one if one is Sign.ZERO else _product(one, _nonzero(other))


def _nonzero(sign: Sign) -> Sign:
    return Sign.ANY if sign is Sign.ZERO else sign


def _least(*signs: Sign) -> Sign:
    if Sign.DOWN in signs:
        return Sign.DOWN
    if Sign.ANY in signs:
        return Sign.DOWN if Sign.ZERO in signs else Sign.ANY
    return Sign.ZERO if Sign.ZERO in signs else Sign.UP


def _most(*signs: Sign) -> Sign:
    return _turned(_least(*map(_turned, signs)))


def _same(sign: Sign, *_: Sign) -> Sign:
    return sign


def _size(sign: Sign) -> Sign:
    return Sign.ZERO if sign is Sign.ZERO else Sign.UP


def _remainder(one: Sign, divisor: Sign) -> Sign:
    return Sign.ZERO if one is Sign.ZERO else _nonzero(divisor)


_RULES: dict[str, Callable[..., Sign]] = {
    "+": _joined,
    "-": lambda one, other: _joined(one, _turned(other)),
    "*": _product,
    "/": _quotient,
    "negative": _turned,
    "min": _least,
    "max": _most,
    "abs": _size,
    "sqrt": _size,
    "mod": _remainder,
    "sin": lambda sign: sign if sign is Sign.ZERO else Sign.ANY,
}
_RULES |= dict.fromkeys(("tanh", "erf", "expm1", "floor", "ceil"), _same)
_RULES["log1p"] = _same
_NEVER_BELOW = frozenset(["exp", "expit", "normal_cdf", "and", "or", "not"])
_ORDERS = frozenset(["<", "<=", ">", ">="])
_NEVER_BELOW |= _ORDERS | {"==", "!="}

_NEVER_ABOVE = {  # signs of left and right of which left > right is never true
    (Sign.ZERO, Sign.ZERO),
    (Sign.ZERO, Sign.UP),
    (Sign.DOWN, Sign.ZERO),
    (Sign.DOWN, Sign.UP),
}


def _decided(comparison: str, left: Sign, right: Sign) -> bool | None:
    """Decide a comparison by signs; None where they do not tell."""
    if comparison in ("<", ">="):  # left < right is right > left
        left, right = right, left
    if (left, right) not in _NEVER_ABOVE:
        return None
    return comparison in ("<=", ">=")

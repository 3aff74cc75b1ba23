"""States that linear compartments drive and that still have a closed form.

Two kinds: what takes in (`dx/dt = terms`) and what grows by a rate that does not
depend on itself (`dx/dt = x * terms`), as tumours do in exposure-driven models. Each
term is a constant, or a constant times an amount of the driver, and either may fade by
`exp(-rate * t)`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vtrial.model.polynomial import Monomial, Polynomial, contract, expand, scaled
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


@dataclass(frozen=True)
class Term:
    """`factor * driver * exp(-fading * t)`; no driver: 1, no fading: None."""

    factor: Expression
    driver: str = ""
    fading: Expression | None = None


@dataclass(frozen=True)
class Growth:
    """A state whose derivative is the sum of terms, or itself times that sum."""

    state: str
    terms: tuple[Term, ...]
    is_relative: bool


def recognise_growth(
    derivatives: Sequence[Statement],
    dynamic: Sequence[Statement],
    driven: Sequence[str],
) -> tuple[Growth, ...] | None:
    """Return the closed forms of states that are not `driven`; None if one has none.

    Assignments in `dynamic` are written out; all other names are constants.
    """
    known: dict[str, Polynomial] = {}
    moving = {TIME, TIME_AFTER_DOSE}
    moving |= {s.name for s in (*derivatives, *dynamic)}
    for statement in dynamic:
        known[statement.name] = expand(statement.expression, known.get)
    found = []
    for statement in derivatives:
        if statement.name in driven:
            continue
        total = expand(statement.expression, known.get)
        growth = _growth(statement.name, total, driven, moving)
        if growth is None:
            return None
        found.append(growth)
    return tuple(found)


def _growth(
    state: str, total: Polynomial, driven: Sequence[str], moving: set[str]
) -> Growth | None:
    """Read a derivative as the growth of a state."""
    powers = {dict(monomial).get(Name(state), 0) for monomial in total}
    if not powers <= {1} and not powers <= {0}:
        return None
    terms = []
    for monomial, factor in total.items():
        rest = tuple(pair for pair in monomial if pair[0] != Name(state))
        term = _term(rest, factor, driven, moving)
        if term is None:
            return None
        terms.append(term)
    return Growth(state, tuple(terms), is_relative=powers == {1})


def _term(
    monomial: Monomial, factor: float, driven: Sequence[str], moving: set[str]
) -> Term | None:
    """Read a product as a constant, an amount at most, and a fading at most."""
    constant: Polynomial = {(): factor}
    driver, exponent = "", {}
    for atom, power in monomial:
        if not _moves(atom, moving):
            constant = _times(constant, {((atom, power),): 1.0})
        elif isinstance(atom, Name) and atom.name in driven and power == 1:
            if driver:
                return None
            driver = atom.name
        elif isinstance(atom, Call) and atom.function == "exp":
            inside = expand(atom.arguments[0])
            exponent = _sum(exponent, scaled(inside, float(power)))
        else:
            return None
    fading: Polynomial = {}
    still: Polynomial = {}
    for inner, value in exponent.items():
        powers = dict(inner)
        if powers.pop(Name(TIME), 0) == 1:
            fading[tuple(powers.items())] = -value
        else:
            still[inner] = value
    pieces = [fading, still]
    if any(_moves(a, moving) for piece in pieces for m in piece for a, _ in m):
        return None
    expression = contract(constant)
    if still:
        expression = Call("*", (expression, Call("exp", (contract(still),))))
    return Term(expression, driver, contract(fading) if fading else None)


def _moves(expression: Expression, moving: set[str]) -> bool:
    """Return whether an expression changes in time."""
    return any(name.name in moving for name in names_in(expression))


def _times(left: Polynomial, right: Polynomial) -> Polynomial:
    return expand(Call("*", (contract(left), contract(right))))


def _sum(left: Polynomial, right: Polynomial) -> Polynomial:
    return expand(Call("+", (contract(left) if left else Number(0.0), contract(right))))

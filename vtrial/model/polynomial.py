"""Sums of products: a normal form in which equal rate expressions look equal.

`-(CL + Q)/V*central` and `-CL/V*central - Q/V*central` are the same sum. What is
neither sum, product, quotient nor whole power is an atom, kept as it is written.
"""

import functools
from collections.abc import Callable, Sequence

from vtrial.model.tree import Call, Expression, Name, Number

Monomial = tuple[tuple[Expression, int], ...]
Polynomial = dict[Monomial, float]
Resolve = Callable[[str], Polynomial | None]

ONE: Monomial = ()
MAX_TERMS = 64
MAX_POWER = 4
MAX_ATOM = 100


def expand(expression: Expression, resolve: Resolve = lambda name: None) -> Polynomial:
    """Write an expression as a sum of products; `resolve` may expand names.

    What would grow beyond `MAX_TERMS` terms stays an atom, as it is written: so that
    no text, however contrived, takes long.
    """
    if isinstance(expression, Number):
        return {ONE: expression.value} if expression.value else {}
    if isinstance(expression, Name):
        known = resolve(expression.name)
        return _atom(Name(expression.name)) if known is None else known
    parts = [expand(argument, resolve) for argument in expression.arguments]
    try:
        return _combined(expression, parts)
    except (OverflowError, ZeroDivisionError):  # numbers no float can hold
        return _atom(expression)


def _combined(whole: Call, parts: list[Polynomial]) -> Polynomial:
    """Apply a function to sums of products."""
    match whole.function:
        case "negative":
            return scaled(parts[0], -1.0)
        case "+":
            return _bounded(added(parts[0], parts[1]), whole)
        case "-":
            return _bounded(added(parts[0], scaled(parts[1], -1.0)), whole)
        case "*":
            return _product(parts, whole.arguments)
        case "/":
            inverse = _inverse(parts[1], whole.arguments[1])
            return _product([parts[0], inverse], whole.arguments)
        case "^":
            return _power(whole, parts[0], parts[1])
    return _atom(_tidied(whole, parts))


def contract(polynomial: Polynomial) -> Expression:
    """Write a sum of products as an expression again."""
    total: Expression | None = None
    for monomial, factor in polynomial.items():
        term = _term(monomial, abs(factor))
        if total is None:
            total = term if factor > 0 else Call("negative", (term,))
        else:
            total = Call("+" if factor > 0 else "-", (total, term))
    return Number(0.0) if total is None else total


def added(left: Polynomial, right: Polynomial) -> Polynomial:
    """Add two sums; what cancels is gone."""
    total = dict(left)
    for monomial, factor in right.items():
        total[monomial] = total.get(monomial, 0.0) + factor
    return {monomial: factor for monomial, factor in total.items() if factor}


def scaled(polynomial: Polynomial, factor: float) -> Polynomial:
    """Multiply a sum by a number."""
    return {monomial: factor * value for monomial, value in polynomial.items()}


def _product(parts: list[Polynomial], written: Sequence[Expression]) -> Polynomial:
    left, right = parts
    if len(left) * len(right) > MAX_TERMS:
        left = _atom(written[0]) if len(left) > 1 else left
        right = _atom(written[1]) if len(right) > 1 else right
    total: Polynomial = {}
    for one, factor in left.items():
        for other, value in right.items():
            monomial = _merged(one, other)
            total[monomial] = total.get(monomial, 0.0) + factor * value
    return {monomial: factor for monomial, factor in total.items() if factor}


def _inverse(polynomial: Polynomial, written: Expression) -> Polynomial:
    if len(polynomial) == 1:
        ((monomial, factor),) = polynomial.items()
        return {tuple((atom, -power) for atom, power in monomial): 1.0 / factor}
    return {((_small(contract(polynomial), written), -1),): 1.0}


def _power(whole: Call, base: Polynomial, exponent: Polynomial) -> Polynomial:
    """Raise a single product to a small whole power; else keep an atom."""
    power = exponent.get(ONE, 0.0) if set(exponent) <= {ONE} else 0.5
    if len(base) == 1 and abs(power) <= MAX_POWER and power == int(power):
        ((monomial, factor),) = base.items()
        raised = tuple((atom, int(power) * n) for atom, n in monomial if power)
        return {raised: factor**power}
    return _atom(_tidied(whole, [base, exponent]))


def _tidied(whole: Call, parts: list[Polynomial]) -> Expression:
    """Write a call with its arguments in normal form, if that stays small."""
    return _small(Call(whole.function, tuple(map(contract, parts))), whole)


def _small(tidy: Expression, written: Expression) -> Expression:
    """Return the tidy form of an expression unless it has grown too large."""
    count, stack = 0, [tidy]
    while stack and count <= MAX_ATOM:
        node = stack.pop()
        count += 1
        stack.extend(node.arguments if isinstance(node, Call) else ())
    return tidy if count <= MAX_ATOM else written


def _bounded(total: Polynomial, whole: Expression) -> Polynomial:
    return total if len(total) <= MAX_TERMS else _atom(whole)


def _atom(expression: Expression) -> Polynomial:
    return {((expression, 1),): 1.0}


def _merged(left: Monomial, right: Monomial) -> Monomial:
    """Multiply two products; atoms stand in one order, whatever order they came in."""
    powers = dict(left)
    for atom, power in right:
        powers[atom] = powers.get(atom, 0) + power
    kept = [(atom, power) for atom, power in powers.items() if power]
    return tuple(sorted(kept, key=_order))


def _order(pair: tuple[Expression, int]) -> str:
    return _spelt(pair[0])


@functools.lru_cache(4096)
def _spelt(atom: Expression) -> str:
    """Spell an atom without the places of its parts, to sort by."""
    if isinstance(atom, Number):
        return repr(atom.value)
    if isinstance(atom, Name):
        return atom.name
    return f"{atom.function}({','.join(map(_spelt, atom.arguments))})"


def _term(monomial: Monomial, factor: float) -> Expression:
    """Write `factor * a * b / c`."""
    above = [_raised(atom, power) for atom, power in monomial if power > 0]
    below = [_raised(atom, -power) for atom, power in monomial if power < 0]
    if factor != 1.0 or not above:
        above = [Number(factor), *above]
    term = above[0]
    for part in above[1:]:
        term = Call("*", (term, part))
    for part in below:
        term = Call("/", (term, part))
    return term


def _raised(atom: Expression, power: int) -> Expression:
    return atom if power == 1 else Call("^", (atom, Number(float(power))))

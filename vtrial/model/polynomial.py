"""Sums of products: a normal form in which equal rate expressions look equal.

`-(CL + Q)/V*central` and `-CL/V*central - Q/V*central` are the same sum. What is
neither sum, product, quotient nor whole power is an atom, kept as it is written.
"""

from collections.abc import Callable

from vtrial.model.tree import Call, Expression, Name, Number

Monomial = tuple[tuple[Expression, int], ...]
Polynomial = dict[Monomial, float]
Resolve = Callable[[str], Polynomial | None]

ONE: Monomial = ()
MAX_TERMS = 200
MAX_POWER = 4


def expand(expression: Expression, resolve: Resolve = lambda name: None) -> Polynomial:
    """Write an expression as a sum of products; `resolve` may expand names.

    Sums that would grow beyond `MAX_TERMS` terms stay atoms.
    """
    if isinstance(expression, Number):
        return {ONE: expression.value} if expression.value else {}
    if isinstance(expression, Name):
        known = resolve(expression.name)
        return {((Name(expression.name), 1),): 1.0} if known is None else known
    parts = [expand(argument, resolve) for argument in expression.arguments]
    match expression.function:
        case "negative":
            return scaled(parts[0], -1.0)
        case "+":
            return added(parts[0], parts[1])
        case "-":
            return added(parts[0], scaled(parts[1], -1.0))
        case "*":
            return _product(parts[0], parts[1])
        case "/":
            return _product(parts[0], _inverse(parts[1]))
        case "^":
            return _power(expression, parts[0], parts[1])
    return _atom(Call(expression.function, tuple(contract(part) for part in parts)))


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


def _product(left: Polynomial, right: Polynomial) -> Polynomial:
    if len(left) * len(right) > MAX_TERMS:
        atoms = [
            _atom(contract(side)) if len(side) > 1 else side for side in (left, right)
        ]
        left, right = atoms
    total: Polynomial = {}
    for one, factor in left.items():
        for other, value in right.items():
            total = added(total, {_merged(one, other): factor * value})
    return total


def _inverse(polynomial: Polynomial) -> Polynomial:
    if len(polynomial) == 1:
        ((monomial, factor),) = polynomial.items()
        return {tuple((atom, -power) for atom, power in monomial): 1.0 / factor}
    return {((contract(polynomial), -1),): 1.0}


def _power(whole: Call, base: Polynomial, exponent: Polynomial) -> Polynomial:
    """Raise a single product to a small whole power; else keep an atom."""
    power = exponent.get(ONE, 0.0) if set(exponent) <= {ONE} else 0.5
    if len(base) == 1 and power == int(power) and abs(power) <= MAX_POWER:
        ((monomial, factor),) = base.items()
        raised = tuple((atom, int(power) * n) for atom, n in monomial if power)
        return {raised: factor**power}
    return _atom(Call(whole.function, (contract(base), contract(exponent))))


def _atom(expression: Expression) -> Polynomial:
    return {((expression, 1),): 1.0}


def _merged(left: Monomial, right: Monomial) -> Monomial:
    """Multiply two products; atoms stand in one order, whatever order they came in."""
    powers = dict(left)
    for atom, power in right:
        powers[atom] = powers.get(atom, 0) + power
    kept = [(atom, power) for atom, power in powers.items() if power]
    return tuple(sorted(kept, key=lambda pair: repr(pair[0])))


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

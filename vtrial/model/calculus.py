"""Calculus on expression trees: substitute, simplify, differentiate."""

from collections.abc import Callable, Mapping

from vtrial.model.tree import Call, Expression, Name, Number, names_in

ZERO, ONE, TWO = Number(0.0), Number(1.0), Number(2.0)
FLAT = frozenset(
    ["<", "<=", ">", ">=", "==", "!=", "and", "or", "not", "floor", "ceil"]
)


def substitute(expression: Expression, known: Mapping[str, Expression]) -> Expression:
    """Substitute expressions for names."""
    if isinstance(expression, Name):
        return known.get(expression.name, expression)
    if isinstance(expression, Call):
        arguments = tuple(substitute(a, known) for a in expression.arguments)
        return Call(expression.function, arguments, expression.column, expression.line)
    return expression


def simplify(expression: Expression) -> Expression:
    """Fold constants and drop neutral terms: `0*x + 1*y` is `y`."""
    if not isinstance(expression, Call):
        return expression
    arguments = tuple(simplify(argument) for argument in expression.arguments)
    return _tidied(expression.function, arguments)


def differentiate(expression: Expression, name: str) -> Expression:
    """Return the partial derivative with respect to a name, simplified.

    Other names count as constants. What jumps (comparisons, `floor`) has slope 0, and
    where branches meet (`if`, `min`, `abs`) the slope is that of the branch taken.
    """
    if isinstance(expression, Name):
        return ONE if expression.name == name else ZERO
    if isinstance(expression, Number):
        return ZERO
    if all(found.name != name for found in names_in(expression)):
        return ZERO
    function, arguments = expression.function, expression.arguments
    if function in FLAT:
        return ZERO
    if function in _CHAIN:
        inner = differentiate(arguments[0], name)
        return times(_CHAIN[function](arguments[0]), inner)
    if function in ("min", "max"):
        return _extreme_slope(function, arguments, name)
    slopes = [differentiate(argument, name) for argument in arguments]
    if function == "if":
        return simplify(Call("if", (arguments[0], *slopes[1:])))
    return _operator_slope(function, arguments, slopes)


def plus(left: Expression, right: Expression) -> Expression:
    """Return the simplified sum of two expressions."""
    return _tidied("+", (left, right))


def minus(left: Expression, right: Expression) -> Expression:
    """Return the simplified difference of two expressions."""
    return _tidied("-", (left, right))


def times(left: Expression, right: Expression) -> Expression:
    """Return the simplified product of two expressions."""
    return _tidied("*", (left, right))


def over(left: Expression, right: Expression) -> Expression:
    """Return the simplified quotient of two expressions."""
    return _tidied("/", (left, right))


def _power(base: Expression, exponent: Expression) -> Expression:
    return _tidied("^", (base, exponent))


def _call(function: str, *arguments: Expression) -> Expression:
    return Call(function, arguments)


def _tidied(function: str, arguments: tuple[Expression, ...]) -> Expression:
    """Simplify one call whose arguments are simplified."""
    folded = _folded(function, arguments)
    if folded is not None:
        return folded
    match function, arguments:
        case ("+", (left, Number(0.0))):
            return left
        case ("+", (Number(0.0), right)):
            return right
        case ("-", (left, Number(0.0))):
            return left
        case ("-", (Number(0.0), right)):
            return _tidied("negative", (right,))
        # A structural zero: dropped even where the other factor may be infinite.
        case ("*", (Number(0.0), _)) | ("*", (_, Number(0.0))):
            return ZERO
        case ("*", (Number(1.0), right)):
            return right
        case ("*" | "/" | "^", (left, Number(1.0))):
            return left
        case ("/", (Number(0.0), _)):
            return ZERO
        case ("^", (_, Number(0.0))):
            return ONE
        case ("negative", (Call("negative", (inner,)),)):
            return inner
        case ("if", (Number(condition), left, right)):
            return left if condition else right
        case ("if", (_, left, right)) if left == right:
            return left
    return Call(function, arguments)


def _folded(function: str, arguments: tuple[Expression, ...]) -> Number | None:
    """Fold constants; None where an argument is not one, or the result not real."""
    values = [a.value for a in arguments if isinstance(a, Number)]
    if len(values) != len(arguments) or function not in _ARITHMETIC:
        return None
    try:
        value = _ARITHMETIC[function](*values)
    except (ZeroDivisionError, OverflowError):
        return None
    # A negative number to a broken power is complex in Python.
    return Number(value) if isinstance(value, float) else None


def _extreme_slope(
    function: str, arguments: tuple[Expression, ...], name: str
) -> Expression:
    """Return the derivative of whichever argument is the smallest (largest)."""
    first, *rest = arguments
    slope = differentiate(first, name)
    if not rest:
        return slope
    other = rest[0] if len(rest) == 1 else Call(function, tuple(rest))
    taken = _call("<=" if function == "min" else ">=", first, other)
    return simplify(_call("if", taken, slope, differentiate(other, name)))


def _operator_slope(
    function: str, arguments: tuple[Expression, ...], slopes: list[Expression]
) -> Expression:
    """Differentiate sums, products, quotients, powers and remainders."""
    left, right = (*arguments, ZERO)[:2]
    dleft, dright = (*slopes, ZERO)[:2]
    match function:
        case "negative":
            return _tidied("negative", (dleft,))
        case "+":
            return plus(dleft, dright)
        case "-":
            return minus(dleft, dright)
        case "*":
            return plus(times(dleft, right), times(left, dright))
        case "/":
            # Not by the divisor's square, which overflows before its parts do.
            through = times(over(left, right), over(dright, right))
            return minus(over(dleft, right), through)
        case "^":
            below = times(times(right, _power(left, minus(right, ONE))), dleft)
            # x^y log x is 0 at x = 0, where the product of its parts is not.
            logarithm = _call("if", _call(">", left, ZERO), _call("log", left), ZERO)
            above = times(times(_power(left, right), logarithm), dright)
            return plus(below, above)
        case "^+":
            lower = Call("^+", (left, minus(right, ONE), arguments[2]))
            below = times(times(right, lower), dleft)
            logarithm = _call("if", _call(">", left, ZERO), _call("log", left), ZERO)
            whole = Call("^+", arguments)
            return plus(below, times(times(whole, logarithm), dright))
        case "mod":
            return minus(dleft, times(_call("floor", over(left, right)), dright))
    raise KeyError(function)


_ARITHMETIC: dict[str, Callable[..., object]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "^": lambda a, b: a**b,
    "negative": lambda a: -a,
}
_CHAIN: dict[str, Callable[[Expression], Expression]] = {
    "exp": lambda x: _call("exp", x),
    "expm1": lambda x: _call("exp", x),
    "log": lambda x: over(ONE, x),
    "log10": lambda x: over(Number(0.4342944819032518), x),
    "log1p": lambda x: over(ONE, plus(ONE, x)),
    "sqrt": lambda x: over(Number(0.5), _call("sqrt", x)),
    "abs": lambda x: _call("if", _call("<", x, ZERO), Number(-1.0), ONE),
    "sin": lambda x: _call("cos", x),
    "cos": lambda x: _call("negative", _call("sin", x)),
    "tan": lambda x: plus(ONE, _power(_call("tan", x), TWO)),
    "tanh": lambda x: minus(ONE, _power(_call("tanh", x), TWO)),
    "erf": lambda x: times(
        Number(1.1283791670955126), _call("exp", _call("negative", _power(x, TWO)))
    ),
    "logit": lambda x: over(ONE, times(x, minus(ONE, x))),
    # 1 - expit(x) would lose its digits for large x.
    "expit": lambda x: times(_call("expit", x), _call("expit", _call("negative", x))),
    "lgamma": lambda x: _call("lgamma'", x),
    "normal_cdf": lambda x: times(
        Number(0.3989422804014327),
        _call("exp", times(Number(-0.5), _power(x, TWO))),
    ),
}

"""The tree that equations are parsed to, and how it is computed.

Three kinds of node suffice: a number, a name, and a function applied to arguments;
operators are functions with a symbol for a name. Nothing here knows text or YAML.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import jax.numpy as jnp
from jax import lax
from jax.scipy import special
from jaxtyping import Array, ArrayLike

from vtrial.model.powers import power, power_from_zero

TIME = "t"
TIME_AFTER_DOSE = "tad"
FEW = 8  # whole powers up to here are multiplied out


@dataclass(frozen=True, slots=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True, slots=True)
class Name:
    """A parameter, covariate, random effect (`eta.CL`), state, variable or `t`."""

    name: str
    column: int = field(default=0, compare=False)
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function or operator of `FUNCTIONS` applied to its arguments."""

    function: str
    arguments: "tuple[Expression, ...]"
    column: int = field(default=0, compare=False)
    line: int = field(default=0, compare=False)


Expression = Number | Name | Call


@dataclass(frozen=True, slots=True)
class Statement:
    """One line of a model.

    `kind` is `assign` (`name = ...`), `derivative` (`d/dt(name) = ...`), `initial`
    (`init(name) = ...`), or a property of a compartment: `F`, `lag`, `rate`,
    `duration`.
    """

    kind: str
    name: str
    expression: Expression
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Function:
    """How a function is computed, and how many arguments it takes (most: -1, any)."""

    compute: Callable[..., Array]
    least: int = 1
    most: int = 1


def names_in(expression: Expression) -> Iterator[Name]:
    """Yield every name of an expression, from left to right."""
    stack = [expression]
    while stack:
        node = stack.pop()
        if isinstance(node, Name):
            yield node
        elif isinstance(node, Call):
            stack.extend(reversed(node.arguments))


def table(
    values: Sequence[Expression], index: Name, place: tuple[int, int] = (0, 0)
) -> Expression:
    """Return the choice that `[a, b, c][index]` stands for; its index counts from 1.

    The choices carry the place of the bracket, by which they are known for a table.
    """
    line, column = place
    chosen = values[-1]
    for number, value in reversed(list(enumerate(values[:-1], start=1))):
        here = Call("==", (index, Number(float(number))))
        chosen = Call("if", (here, value, chosen), column, line)
    return chosen


def evaluate(expression: Expression, values: Mapping[str, ArrayLike]) -> Array:
    """Compute an expression; everything is elementwise, so any shapes that broadcast.

    Conditions count as numbers: true is 1, false is 0, and what is not 0 is true.
    """
    if isinstance(expression, Number):
        return jnp.asarray(expression.value)
    if isinstance(expression, Name):
        return jnp.asarray(values[expression.name])
    arguments = [evaluate(argument, values) for argument in expression.arguments]
    if expression.function in ("^", "^+"):
        return _raised(arguments, expression.arguments[1])
    return FUNCTIONS[expression.function].compute(*arguments)


def _raised(arguments: list[Array], exponent: Expression) -> Array:
    """Raise to a power: a small whole one by multiplication."""
    base, computed, *assured = arguments
    raise_to: Array | float = computed
    if isinstance(exponent, Number):
        raise_to = exponent.value
        if exponent.value in range(-FEW, FEW + 1) and not assured:
            return lax.integer_pow(base, int(exponent.value))
    return (power_from_zero if assured else power)(base, raise_to, *assured)


def _truth(compare: Callable[..., Array]) -> Callable[..., Array]:
    return lambda *arguments: jnp.where(compare(*arguments), 1.0, 0.0)


def _fold(combine: Callable[..., Array]) -> Callable[..., Array]:
    def fold(*arguments: Array) -> Array:
        result = arguments[0]
        for argument in arguments[1:]:
            result = combine(result, argument)
        return result

    return fold


FUNCTIONS: dict[str, Function] = {
    "+": Function(jnp.add, 2, 2),
    "-": Function(jnp.subtract, 2, 2),
    "*": Function(jnp.multiply, 2, 2),
    "/": Function(jnp.divide, 2, 2),
    "^": Function(power, 2, 2),
    "^+": Function(power_from_zero, 3, 3),  # no text can hold this name
    "negative": Function(jnp.negative),
    "<": Function(_truth(jnp.less), 2, 2),
    "<=": Function(_truth(jnp.less_equal), 2, 2),
    ">": Function(_truth(jnp.greater), 2, 2),
    ">=": Function(_truth(jnp.greater_equal), 2, 2),
    "==": Function(_truth(jnp.equal), 2, 2),
    "!=": Function(_truth(jnp.not_equal), 2, 2),
    "and": Function(_truth(lambda a, b: (a != 0) & (b != 0)), 2, 2),
    "or": Function(_truth(lambda a, b: (a != 0) | (b != 0)), 2, 2),
    "not": Function(_truth(lambda a: a == 0)),
    "if": Function(lambda c, a, b: jnp.where(c != 0, a, b), 3, 3),
    "exp": Function(jnp.exp),
    "expm1": Function(jnp.expm1),
    "log": Function(jnp.log),
    "log10": Function(jnp.log10),
    "log1p": Function(jnp.log1p),
    "sqrt": Function(jnp.sqrt),
    "abs": Function(jnp.abs),
    "min": Function(_fold(jnp.minimum), 2, -1),
    "max": Function(_fold(jnp.maximum), 2, -1),
    "sin": Function(jnp.sin),
    "cos": Function(jnp.cos),
    "tan": Function(jnp.tan),
    "tanh": Function(jnp.tanh),
    "erf": Function(special.erf),
    "floor": Function(jnp.floor),
    "ceil": Function(jnp.ceil),
    "mod": Function(jnp.mod, 2, 2),
    "logit": Function(special.logit),
    "expit": Function(special.expit),
    "lgamma": Function(special.gammaln),
    "lgamma'": Function(special.digamma),  # a slope; no text can hold this name
    "normal_cdf": Function(special.ndtr),
}

"""Compute equations for one subject in NumPy, with nothing traced and nothing compiled.

JAX compiles each kind of operation before it computes the first one; what is asked of
one subject is answered sooner without.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from vtrial.model.model import Model
from vtrial.model.positivity import ASSURED
from vtrial.model.tree import (
    TIME,
    TIME_AFTER_DOSE,
    Expression,
    Name,
    Number,
    Statement,
)

Matrix = Float[np.ndarray, "state state"]


def call(function: str, arguments: Sequence[float]) -> float:
    """Compute a function of the equations, by the rules of IEEE 754.

    A division by zero and an overflow are infinite; what has no value is NaN.

    Examples
    --------
    >>> call("/", [1.0, 0.0]), call("^", [2.0, 10.0])
    (inf, 1024.0)
    """
    with np.errstate(all="ignore"):
        return float(_PLAIN[function](*arguments))


def compute(expression: Expression, values: Mapping[str, float]) -> float:
    """Compute an expression of names that have values; conditions are 1 or 0."""
    if isinstance(expression, Number):
        return expression.value
    if isinstance(expression, Name):
        return values[expression.name]
    arguments = [compute(argument, values) for argument in expression.arguments]
    return call(expression.function, arguments)


def start_jacobians(
    model: Model, inputs: Mapping[str, float], amounts: Iterable[float]
) -> list[Matrix]:
    """Return d(derivative)/d(state) [1/h] at the start, for a subject with `inputs`.

    There is one matrix for each of the `amounts` that are added to the first state.
    """
    structure = model.structure
    individual = _assigned(structure.static, inputs)
    starts = {s.name: s.expression for s in structure.initial}
    state = {
        name: compute(starts[name], individual) if name in starts else 0.0
        for name in model.states
    }
    found = []
    for amount in amounts:
        dosed = state | {model.states[0]: state[model.states[0]] + amount}
        clocks = {TIME: 0.0, TIME_AFTER_DOSE: 0.0}
        past = {delay.name: dosed[delay.state] for delay in structure.delays}
        known = {ASSURED: 1.0} | individual | dosed | past | clocks
        values = _assigned((*structure.dynamic, *structure.slopes), known)
        rows = [
            [0.0 if entry is None else compute(entry, values) for entry in row]
            for row in structure.jacobian
        ]
        found.append(np.array(rows))
    return found


def _assigned(
    statements: Iterable[Statement], values: Mapping[str, float]
) -> dict[str, float]:
    """Compute assignments one after another, and keep what was known."""
    known = dict(values)
    for statement in statements:
        known[statement.name] = compute(statement.expression, known)
    return known


def _lgamma(a: float) -> float:
    try:
        return math.lgamma(a)
    except ValueError:
        return math.nan


def _digamma(a: float) -> float:
    from scipy.special import digamma  # takes long to import, and is seldom asked for

    return digamma(a)


_PLAIN: dict[str, Callable[..., float]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "^": np.float_power,
    "^+": lambda base, exponent, assured: np.float_power(
        0.0 if base < 0 and assured > 0 else base, exponent
    ),
    "negative": np.negative,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "if": lambda condition, a, b: a if condition else b,
    "min": lambda *values: np.min(values),
    "max": lambda *values: np.max(values),
    "abs": np.abs,
    "mod": np.mod,
    "erf": math.erf,
    "lgamma": _lgamma,
    "lgamma'": _digamma,
    "logit": lambda a: np.log(a) - np.log1p(-a),
    "expit": lambda a: 0.5 * (1 + np.tanh(a / 2)),
    "normal_cdf": lambda a: 0.5 * math.erfc(-a / math.sqrt(2)),
    **{
        name: getattr(np, name)
        for name in (
            *("exp", "expm1", "log", "log10", "log1p", "sqrt", "sin", "cos", "tan"),
            *("tanh", "floor", "ceil"),
        )
    },
}

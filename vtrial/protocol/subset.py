"""Conditions on covariates: reading, writing, and the subjects that meet them."""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Bool, Float

from vtrial.errors import ModelError
from vtrial.model.grammar import parse_expression, write_expression
from vtrial.model.tree import Call, Expression, Name, Number, evaluate, names_in
from vtrial.protocol.faults import Faults
from vtrial.protocol.scope import Known
from vtrial.sheets.sheet import Path_
from vtrial.sheets.words import listed, nearest

Words = tuple[tuple[str, tuple[tuple[float, str], ...]], ...]
COMPARED = {"==", "!=", "<", "<=", ">", ">="}


def read_where(
    path: Path_,
    words: str | None,
    known: Known,
    faults: Faults,
    *,
    outputs: bool = False,
) -> Expression | None:
    """Read a condition on covariates; None if there is none, or a faulty one.

    What a covariate is compared with may be a word of its categories. With `outputs`
    the condition may be about outputs of the model, too.
    """
    if words is None:
        return None
    try:
        expression = parse_expression(words)
    except ModelError as error:
        faults.relay(path, error)
        return None
    expression = _coded(path, expression, known, faults)
    there, kind = set(known.covariates), "covariate"
    if outputs and known.model:
        there |= {output.name for output in known.model.outputs}
        kind = "output or covariate"
    for name in names_in(expression):
        if known.covariates and name.name not in there:
            faults.unknown(path, name.name, sorted(there), kind)
    return expression


def _coded(
    path: Path_, expression: Expression, known: Known, faults: Faults
) -> Expression:
    """Put codes in the place of words that covariates are compared with."""
    if not isinstance(expression, Call):
        return expression
    sides = [_coded(path, side, known, faults) for side in expression.arguments]
    if expression.function in COMPARED and len(sides) == 2:
        for place, other in ((0, 1), (1, 0)):
            sides[place] = _code(path, sides[place], sides[other], known, faults)
    return Call(expression.function, tuple(sides), expression.column, expression.line)


def _code(
    path: Path_, side: Expression, other: Expression, known: Known, faults: Faults
) -> Expression:
    """Return the code of a word that is compared with a covariate."""
    if not (isinstance(side, Name) and isinstance(other, Name)):
        return side
    codes = known.words.get(other.name)
    if codes is None or side.name in known.covariates:
        return side
    if side.name in codes:
        return Number(codes[side.name])
    faults.add(
        path,
        found=f"`{side.name}`, which `{other.name}` never is",
        allowed=f"a word of `{other.name}`: {listed(codes, like=side.name)}",
        write=nearest(side.name, codes),
        old=side.name,
    )
    return Number(0.0)


def write_where(condition: Expression | None, words: Words = ()) -> str:
    """Write a condition as text; empty if there is none.

    Codes that are compared with a covariate are written by its `words`, if it has some.
    """
    if condition is None:
        return ""
    return write_expression(_worded(condition, dict(words)))


def _worded(
    expression: Expression, words: Mapping[str, tuple[tuple[float, str], ...]]
) -> Expression:
    """Put words in the place of codes that covariates are compared with."""
    if not isinstance(expression, Call):
        return expression
    sides = [_worded(side, words) for side in expression.arguments]
    if expression.function in COMPARED and len(sides) == 2:
        for place, other in ((0, 1), (1, 0)):
            one, name = sides[place], sides[other]
            if isinstance(one, Number) and isinstance(name, Name):
                word = dict(words.get(name.name, ())).get(one.value)
                sides[place] = Name(word) if word else one
    return Call(expression.function, tuple(sides))


def holds(
    condition: Expression, covariate: Callable[[str], Float[np.ndarray, "..."]]
) -> Bool[np.ndarray, "..."]:
    """Return for which subjects a condition holds; `covariate` gives values by name.

    It does not hold for whoever lacks a covariate that it names.
    """
    values = {name: covariate(name) for name in names_of(condition)}
    known = np.all([np.isfinite(value) for value in values.values()], axis=0)
    return np.asarray(evaluate(condition, values) != 0) & known


def values_of(
    expression: Expression, covariate: Callable[[str], Float[np.ndarray, "..."]]
) -> Float[np.ndarray, "..."]:
    """Return what covariates make of an expression: their own values if it is one.

    NaN for whoever lacks a covariate that it names.
    """
    values = {name: covariate(name) for name in names_of(expression)}
    known = np.all([np.isfinite(value) for value in values.values()], axis=0)
    made = np.asarray(evaluate(expression, values), float)
    return np.where(known, made, np.nan)


def names_of(condition: Expression) -> list[str]:
    """Name the covariates of a condition."""
    return [name.name for name in names_in(condition)]

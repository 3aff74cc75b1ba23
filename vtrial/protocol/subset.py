"""Conditions on covariates: reading, writing, and the subjects that meet them."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from vtrial.errors import ModelError
from vtrial.model.grammar import parse_expression, write_expression
from vtrial.model.tree import Expression, evaluate, names_in
from vtrial.protocol.faults import Faults
from vtrial.protocol.scope import Known
from vtrial.sheets.sheet import Path_


def read_where(
    path: Path_, words: str | None, known: Known, faults: Faults
) -> Expression | None:
    """Read a condition on covariates; None if there is none, or a faulty one."""
    if words is None:
        return None
    try:
        expression = parse_expression(words)
    except ModelError as error:
        faults.relay(path, error)
        return None
    for name in names_in(expression):
        if known.covariates and name.name not in known.covariates:
            faults.unknown(path, name.name, sorted(known.covariates), "covariate")
    return expression


def write_where(condition: Expression | None) -> str:
    """Write a condition as text; empty if there is none."""
    return "" if condition is None else write_expression(condition)


def holds(
    condition: Expression, covariate: Callable[[str], Float[np.ndarray, "..."]]
) -> Bool[np.ndarray, "..."]:
    """Return for which subjects a condition holds; `covariate` gives values by name.

    It does not hold for whoever lacks a covariate that it names.
    """
    values = {name: covariate(name) for name in names_of(condition)}
    known = np.all([np.isfinite(value) for value in values.values()], axis=0)
    return np.asarray(evaluate(condition, values) != 0) & known


def names_of(condition: Expression) -> list[str]:
    """Name the covariates of a condition."""
    return [name.name for name in names_in(condition)]

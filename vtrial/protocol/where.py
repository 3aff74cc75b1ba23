"""Who a condition on covariates chooses."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from vtrial.model.tree import Expression, evaluate, names_in


def holds(
    condition: Expression, covariate: Callable[[str], Float[np.ndarray, "..."]]
) -> Bool[np.ndarray, "..."]:
    """Say for whom a condition holds; `covariate` gives everybody's value by name.

    It does not hold for whoever lacks a covariate that it names.
    """
    values = {name: covariate(name) for name in names_of(condition)}
    known = np.all([np.isfinite(value) for value in values.values()], axis=0)
    return np.asarray(evaluate(condition, values) != 0) & known


def names_of(condition: Expression) -> list[str]:
    """Name the covariates of a condition."""
    return [name.name for name in names_in(condition)]

"""What is known of estimates, wherever the rows lay that they are from."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vtrial.fit.parameters import Layout
from vtrial.fit.values import Values
from vtrial.model.model import Model


@dataclass(frozen=True)
class Estimated:
    """Estimates of a model, and how sure they are.

    Fields
    ------
    model, method
        What was fitted, and how.
    layout
        What was estimated; `layout.names` are its names.
    vector, covariance
        The estimates as the method sees them, and how sure they are: on the log scale
        where the layout says so. NaN where there is no covariance.
    estimates, errors, low, high
        The same in their own units: values, standard errors, 95 % interval.
    values
        The population values, fixed ones included.
    objective, error, likelihood
        -2 log-likelihood, approximated as `likelihood` says, without n log 2 pi:
        NONMEM's OFV. `error` is the standard error of what was drawn to have it.
    course
        The objective after each step, of methods that have one.
    converged
        Whether the search ended where the gradient vanishes, or as the method says.
    shrinkage
        By random effect, 1 - SD(modes) / omega; and `residual`, 1 - SD(IWRES).
    condition
        Largest to smallest eigenvalue of the estimates' correlation.
    covariance_by
        `sandwich`, `R` or `S`, or as the method says.
    seconds
        [s] How long it took.
    """

    model: Model
    method: str
    layout: Layout
    vector: Float[np.ndarray, " estimate"]
    covariance: Float[np.ndarray, "estimate estimate"]
    estimates: Float[np.ndarray, " estimate"]
    errors: Float[np.ndarray, " estimate"]
    low: Float[np.ndarray, " estimate"]
    high: Float[np.ndarray, " estimate"]
    values: Values
    objective: float
    error: float
    likelihood: str
    course: tuple[float, ...]
    converged: bool
    shrinkage: Mapping[str, float]
    condition: float
    covariance_by: str
    seconds: float

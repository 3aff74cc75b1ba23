r"""What the missing visits of a mixed model's subjects would be expected to show.

Given a subject's values $y_o$, those of its other visits $m$ have the mean

$$ X_m \hat\beta + V_{mo} V_{oo}^{-1} (y_o - X_o \hat\beta) $$

and, with $D = X_m - V_{mo} V_{oo}^{-1} X_o$ and the covariance $\Phi$ of
$\hat\beta$, the prediction's covariance
$V_{mm} - V_{mo} V_{oo}^{-1} V_{om} + D \Phi D^\top$.

References
----------
Harville DA (1976) Ann Stat 4:384-395.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from vtrial.measure.degrees_of_freedom import Error, Freedom, covariance_by
from vtrial.measure.mixed import Fit, design_inverse
from vtrial.measure.mmrm_design import Columns, Long


class Prediction(NamedTuple):
    """Means of all visits, and what is predicted of each given the subject's values.

    `error` is the standard error of `mean`, `value_error` the standard deviation of
    what a visit would show about `value`. Where a value is seen, mean stands for both.
    """

    mean: Long
    error: Long
    value: Long
    value_error: Long


def predict(
    fit: Fit,
    value: Long,
    design: Columns,
    *,
    by: Freedom = "satterthwaite",
    error: Error = "model",
) -> Prediction:
    """Predict the visits that a fit's subjects miss.

    `value` and `design` are what the fit's panel was laid out from, without weights;
    the design must be known at the visits that are to be predicted. `by` and `error`
    name the covariance of the coefficients, as for `contrast`.
    """
    panel = fit.panel
    place = panel.kind.clip(0)[:, :, None, None]
    matrix = np.take_along_axis(fit.matrix, place, axis=1)
    seen = panel.seen
    both = seen[:, :, :, None] & seen[:, :, None, :]
    eye = np.eye(seen.shape[2])[None, None]
    weight = np.linalg.inv(np.where(both, matrix, eye)) * both
    back = design_inverse(fit.basis)
    beta = np.matvec(back, fit.effect)
    spread = back @ covariance_by(fit, by, error) @ back.mT
    mean = np.matvec(design, beta[:, None, :])
    known = np.where(seen[:, :, :, None], design, 0.0)
    rest = np.where(seen, value - mean, 0.0)
    pull = matrix @ weight
    apart = design - pull @ known
    left = np.diagonal(matrix - pull @ matrix, axis1=2, axis2=3)
    of_mean = _forms(design, spread)
    of_value = left + _forms(apart, spread)
    return Prediction(
        mean=mean,
        error=np.sqrt(of_mean),
        value=np.where(seen, mean, mean + np.matvec(pull, rest)),
        value_error=np.sqrt(np.where(seen, of_mean, of_value)),
    )


def _forms(rows: Columns, spread: Float[np.ndarray, "replicate c c"]) -> Long:
    """Return each row's quadratic form."""
    return np.vecdot(rows @ spread[:, None], rows)

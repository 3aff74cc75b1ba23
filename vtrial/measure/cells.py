"""Contrasts of the arms of a factorial trial: every subject takes part."""

import numpy as np
from jaxtyping import Float

from vtrial.measure.groups import Cells, Effect
from vtrial.measure.least_squares import least_squares
from vtrial.measure.statistic import logarithms


def contrast_of_cells(
    cells: Cells,
    covariates: Float[np.ndarray, "replicate subject covariate"] | None = None,
    *,
    ratio: bool = False,
) -> Effect:
    r"""Return $\sum_c w_c \mu_c$ of the arms' means, with their common variance.

    The means are those of least squares with the covariates, at their average; of
    logarithms for a ratio. With weights of $\pm 1$ over the number of other
    combinations it is the main effect of a factor, whatever the interaction (type III);
    an arm that counts but has nobody leaves NaN.

    References
    ----------
    Montgomery AA, Peters TJ, Little P (2003) BMC Med Res Methodol 3:26.
    """
    value = logarithms(cells.value) if ratio else cells.value
    arms = np.arange(len(cells.weights))
    columns = (cells.place[..., None] == arms).astype(float)
    seen = np.isfinite(value) & (cells.place >= 0)
    if covariates is not None:
        seen &= np.isfinite(covariates).all(axis=2)
        there = np.where(seen[..., None], covariates, 0.0)
        middle = there.sum(axis=1) / np.maximum(seen.sum(axis=1), 1)[:, None]
        columns = np.concatenate([columns, covariates - middle[:, None]], axis=2)
    columns = np.where(seen[..., None], columns, 0.0)
    outcome = np.where(seen, value, 0.0)
    fit = least_squares(columns, outcome)
    freedom = seen.sum(axis=1) - fit.rank
    freedom = np.where(freedom > 0, freedom, np.nan)
    used = np.flatnonzero(cells.weights)
    weights = np.asarray(cells.weights, float)[used]
    inverse = fit.inverse[:, used][:, :, used]
    variance = np.einsum("i,rij,j->r", weights, inverse, weights)
    estimate = (weights * fit.slope[:, used]).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Effect(estimate, np.sqrt(fit.rest / freedom * variance), freedom)

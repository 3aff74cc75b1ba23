"""Contrasts of the arms of a factorial trial: every subject takes part."""

import numpy as np
from jaxtyping import Float

from vtrial.measure.groups import Cells, Effect
from vtrial.measure.statistic import logarithms

SAME = 1e-10  # below which a column of unit length is a sum of others


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
    length = np.sqrt((columns**2).sum(axis=1))
    scaled = columns / np.where(length > 0, length, 1.0)[:, None]
    gram = np.einsum("rsi,rsj->rij", scaled, scaled)
    inverse = np.linalg.pinv(gram, rcond=SAME, hermitian=True)
    slopes = np.einsum("rij,rsj,rs->ri", inverse, scaled, outcome, optimize=True)
    rest = ((outcome - np.einsum("rsi,ri->rs", scaled, slopes)) ** 2).sum(axis=1)
    rank = np.linalg.matrix_rank(gram, tol=SAME, hermitian=True).astype(float)
    freedom = seen.sum(axis=1) - rank
    freedom = np.where(freedom > 0, freedom, np.nan)
    weights = np.zeros(columns.shape[2])
    weights[: len(arms)] = cells.weights
    with np.errstate(invalid="ignore", divide="ignore"):
        asked = np.where(
            weights == 0, 0.0, weights / np.where(length > 0, length, np.nan)
        )
        estimate = (asked * slopes).sum(axis=1)
        variance = np.einsum("ri,rij,rj->r", asked, inverse, asked)
        return Effect(estimate, np.sqrt(rest / freedom * variance), freedom)

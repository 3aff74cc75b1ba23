r"""MCP-Mod of the subjects of many trials: means, their test, and curves.

The means are those of least squares with a common variance, adjusted for covariates;
contrasts are the best for each trial's own numbers of subjects, and the p-value is that
of the largest of them in size, so that a falling response is shown, too.

References
----------
Bretz F, Pinheiro JC, Branson M (2005) Biometrics 61:738-748.
Pinheiro J, Bornkamp B, Glimm E, Bretz F (2014) Stat Med 33:1646-1661.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from vtrial.measure.dose_response.maximum import tail_of_maximum
from vtrial.measure.dose_response.procedure import (
    Choice,
    curves_at,
    modelled,
    target_doses,
)
from vtrial.measure.dose_response.shape import Candidate, Doses, course
from vtrial.measure.groups import Numbers, Values

DIGITS = 10  # to which trials with the same correlation are told
GROUPS = 1024  # of directions, in the integral
PIECE = 500  # trials that are fitted at once
STEPS = 61  # doses at which curves are told
Matrices = Float[np.ndarray, "replicate dose dose"]


class Means(NamedTuple):
    """What least squares say of the doses in each trial.

    Fields
    ------
    estimate
        The mean at each dose, at the mean covariates; NaN where a trial lacks a dose.
    inverse
        Their covariance, over the residual variance.
    variance, freedom
        The residual variance, and its degrees of freedom.
    """

    estimate: Float[np.ndarray, "replicate dose"]
    inverse: Matrices
    variance: Numbers
    freedom: Numbers


class Tested(NamedTuple):
    """The contrasts of each trial: their statistics, and p-values of the largest."""

    statistic: Float[np.ndarray, "replicate candidate"]
    p: Float[np.ndarray, "replicate candidate"]


class Modelled(NamedTuple):
    """What the curves say in each trial.

    Fields
    ------
    words
        Of the shapes that were fitted.
    weights
        How much each counts; all 0 where no dose-response is shown.
    target
        The target dose; NaN where there is none.
    courses
        The curves at the doses of `fine`: the one that counts, NaN where no
        dose-response is shown, and behind it each fitted shape.
    """

    words: tuple[str, ...]
    weights: Float[np.ndarray, "replicate fit"]
    target: Numbers
    courses: Float[np.ndarray, "replicate course dose"]


def means_by_dose(
    value: Values,
    place: Int[np.ndarray, "replicate subject"],
    doses: int,
    *,
    covariates: Float[np.ndarray, "replicate subject covariate"] | None = None,
) -> Means:
    """Return each trial's means at the doses by least squares.

    Parameters
    ----------
    value
        NaN for whoever has none.
    place
        Of each subject's dose; below 0 for whoever takes no part.
    doses
        How many there are.
    covariates
        What is adjusted for; who lacks one is left out.
    """
    seen = taking_part(value, place, covariates)
    member = members(place, seen, doses)
    count = member.sum(axis=1)
    whole = (count > 0).all(axis=1)
    size = np.maximum(count, 1.0)
    columns = np.where(seen, value, 0.0)[..., None]
    if covariates is not None:
        columns = np.concatenate(
            [columns, np.where(seen[..., None], covariates, 0.0)], axis=2
        )
    mean = np.einsum("rsd,rsc->rdc", member, columns) / size[..., None]
    rest = np.where(seen[..., None], columns - member @ mean, 0.0)
    outcome, others = rest[..., 0], rest[..., 1:]
    gram = np.einsum("rsi,rsj->rij", others, others)
    inner = np.linalg.pinv(gram, rcond=1e-10, hermitian=True)
    slopes = np.einsum("rij,rsj,rs->ri", inner, others, outcome, optimize=True)
    rank = np.linalg.matrix_rank(gram, tol=1e-10, hermitian=True) if gram.size else 0
    grand = columns[..., 1:].sum(axis=1) / np.maximum(count.sum(axis=1), 1.0)[:, None]
    away = mean[..., 1:] - grand[:, None]
    estimate = mean[..., 0] - np.einsum("rdi,ri->rd", away, slopes)
    inverse = np.einsum("rdi,rij,rej->rde", away, inner, away)
    inverse = inverse + np.eye(doses) / size[:, None]
    left = outcome - np.einsum("rsi,ri->rs", others, slopes)
    freedom = count.sum(axis=1) - doses - rank
    freedom = np.where(whole & (freedom > 0), freedom, np.nan)
    variance = (left**2).sum(axis=1) / freedom
    estimate = np.where(np.isfinite(variance)[:, None], estimate, np.nan)
    return Means(estimate, inverse, variance, freedom)


def taking_part(
    value: Values,
    place: Int[np.ndarray, "replicate subject"],
    covariates: Float[np.ndarray, "replicate subject covariate"] | None,
) -> Bool[np.ndarray, "replicate subject"]:
    """Return who has a dose, a value, and all that is adjusted for."""
    seen = np.isfinite(value) & (place >= 0)
    return seen if covariates is None else seen & np.isfinite(covariates).all(axis=2)


def members(
    place: Int[np.ndarray, "replicate subject"],
    seen: Bool[np.ndarray, "replicate subject"],
    doses: int,
) -> Float[np.ndarray, "replicate subject dose"]:
    """Return 1 at the dose of each who takes part, 0 elsewhere."""
    return ((place[..., None] == np.arange(doses)) & seen[..., None]).astype(float)


def contrasts_of(means: Means, candidates: Sequence[Candidate], doses: Doses) -> Tested:
    """Test each trial by the contrasts that find the candidates best in it.

    Trials with the same correlation of the contrasts and the same degrees of freedom
    share one integral.
    """
    curve = np.stack([course(one, np.asarray(doses, float)) for one in candidates])
    weight = np.linalg.inv(means.inverse)
    total = weight.sum(axis=2)
    level = total @ curve.T / total.sum(axis=1, keepdims=True)
    contrast = (curve[None] - level[..., None]) @ weight
    spread = contrast @ means.inverse @ contrast.transpose(0, 2, 1)
    error = np.sqrt(np.diagonal(spread, axis1=1, axis2=2))
    correlation = spread / (error[:, :, None] * error[:, None, :])
    with np.errstate(invalid="ignore", divide="ignore"):
        statistic = (contrast @ means.estimate[..., None])[..., 0] / error
        statistic = statistic / np.sqrt(means.variance)[:, None]
    return Tested(statistic, _adjusted(statistic, correlation, means.freedom))


def _adjusted(
    statistic: np.ndarray, correlation: np.ndarray, freedom: Numbers
) -> np.ndarray:
    """Return the p-value of each statistic as the largest in size."""
    p = np.full(statistic.shape, np.nan)
    known = np.flatnonzero(np.isfinite(statistic).all(axis=1))
    if not len(known):
        return p
    flat = correlation[known].round(DIGITS).reshape(len(known), -1)
    alike = np.column_stack([flat, freedom[known]])
    patterns, number = np.unique(alike, axis=0, return_inverse=True)
    order = np.argsort(number.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(number.ravel(), minlength=len(patterns)))
    side = statistic.shape[1]
    for pattern, rows in zip(patterns, np.split(order, ends[:-1]), strict=True):
        here = known[rows]
        matrix = pattern[:-1].reshape(side, side)
        np.fill_diagonal(matrix, 1.0)
        size = np.abs(statistic[here])
        p[here] = tail_of_maximum(
            size,
            matrix,
            freedom=float(pattern[-1]),
            two_sided=True,
            groups=GROUPS,
        )
    return p


def models(
    means: Means,
    test: Tested,
    candidates: Sequence[Candidate],
    doses: Doses,
    *,
    alpha: float,
    choose: Choice = "AIC",
    target: float | None = None,
) -> Modelled:
    """Fit curves in each trial, choose among the significant ones, find the dose.

    Parameters
    ----------
    alpha
        The p-value below which a shape is significant.
    choose
        As in `mcp_mod`.
    target
        The effect over the lowest dose that the target dose is to have, of either
        sign.
    """
    doses = np.asarray(doses, float)
    many = len(test.p)
    parts = []
    for start in range(0, many, PIECE):
        rows = np.arange(start, min(start + PIECE, many))
        rows = rows[np.isfinite(means.variance[rows])]
        made = modelled(
            candidates,
            doses,
            means.estimate[rows],
            means.inverse[rows] * means.variance[rows, None, None],
            statistic=np.abs(test.statistic[rows]),
            significant=test.p[rows] < alpha,
            choose=choose,
        )
        parts.append((rows, *made))
    words = tuple(fit.word for fit in parts[0][1]) if parts else ()
    weights, dose = np.zeros((many, len(words))), np.full(many, np.nan)
    courses = np.full((many, 1 + len(words), STEPS), np.nan)
    for rows, fits, weight in parts:
        weights[rows] = weight
        each = [
            curves_at(fits, weight, fine(doses)),
            *(f.at(fine(doses)) for f in fits),
        ]
        courses[rows] = np.stack(each, axis=1)
        if target is not None:
            dose[rows] = target_doses(fits, weight, doses, target)
    return Modelled(words, weights, dose, courses)


def fine(doses: Doses) -> Float[np.ndarray, " step"]:
    """Return the doses at which curves are told, from the lowest to the highest."""
    return np.linspace(np.min(doses), np.max(doses), STEPS)

"""Two arms at each visit, in each of many trials: mixed models for repeated measures.

The model is the usual one of trials: a mean for each arm at each visit, the baseline
with a slope at each visit, covariates with one slope each, and a covariance of a
subject's visits. Missing visits are taken as missing at random; nothing is imputed.

References
----------
Mallinckrodt CH et al. (2008) Drug Inf J 42:303-319 (the model, and what to fall back
on).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import special

from vtrial.errors import ProtocolError
from vtrial.measure.contrast import Contrast
from vtrial.measure.covariance import Covariance
from vtrial.measure.degrees_of_freedom import Error, Freedom, Tests, contrast
from vtrial.measure.mixed import fit_mixed
from vtrial.measure.mmrm_design import Columns, Long, lay_out

FALLBACK: tuple[Covariance, ...] = ("toeph", "ar1h", "cs")


class Repeated(NamedTuple):
    """Two arms compared at every visit of many trials.

    Attributes
    ----------
    contrasts
        One a visit.
    freedom
        Degrees of freedom of each.
    converged
        Whether a trial's model was fitted; its numbers are NaN otherwise.
    used
        Which of the structures `tried` a trial has: 0 is the one asked for, -1 none.
    """

    contrasts: tuple[Contrast, ...]
    freedom: Float[np.ndarray, "replicate visit"]
    converged: Bool[np.ndarray, " replicate"]
    used: Int[np.ndarray, " replicate"]
    tried: tuple[Covariance, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Count the trials by the structure that was used; `none` did not converge."""
        named = {name: int((self.used == i).sum()) for i, name in enumerate(self.tried)}
        return named | {"none": int((self.used < 0).sum())}


def mmrm(
    value: Long,
    arm: Int[np.ndarray, "replicate subject"] | Bool[np.ndarray, "replicate subject"],
    *,
    visit: int = -1,
    baseline: Float[np.ndarray, "replicate subject"] | None = None,
    covariates: Float[np.ndarray, "replicate subject covariate"] | None = None,
    versus: tuple[int, int] = (1, 0),
    covariance: Covariance = "un",
    by: Freedom = "kenward-roger",
    error: Error = "model",
    fallback: Sequence[Covariance] = (),
    level: float = 0.95,
) -> Contrast:
    """Compare two arms at one visit, by default the last; see `compare_repeated`.

    Examples
    --------
    >>> value = np.array([[[1.0, 2.0], [2.0, 2.5], [2.0, 5.0], [3.0, 4.0]]])
    >>> made = mmrm(value, np.array([[0, 0, 1, 1]]), by="residual", covariance="cs")
    >>> print(f"{made.estimate[0]:.2f}")
    2.25
    """
    made = compare_repeated(
        value,
        arm,
        baseline=baseline,
        covariates=covariates,
        versus=versus,
        covariance=covariance,
        by=by,
        error=error,
        fallback=fallback,
        level=level,
    )
    return made.contrasts[visit]


def compare_repeated(
    value: Long,
    arm: Int[np.ndarray, "replicate subject"] | Bool[np.ndarray, "replicate subject"],
    *,
    baseline: Float[np.ndarray, "replicate subject"] | None = None,
    covariates: Float[np.ndarray, "replicate subject covariate"] | None = None,
    time: Float[np.ndarray, " visit"] | None = None,
    versus: tuple[int, int] = (1, 0),
    covariance: Covariance = "un",
    own: bool = False,
    by: Freedom = "kenward-roger",
    error: Error = "model",
    fallback: Sequence[Covariance] = (),
    level: float = 0.95,
) -> Repeated:
    """Compare two arms at every visit of every trial by a mixed model (REML).

    Parameters
    ----------
    value
        NaN for what is missing.
    arm
        Each subject's arm from 0, below 0 for none; or whether it is treated. All arms
        are in the model, and those that are not compared inform its covariance.
    baseline, covariates
        With a slope at each visit, and with one slope. Who has none of them is left
        out; one that does not vary, or depends on others, is ignored.
    time
        When the visits are, for structures that count distance; by default they are
        one apart.
    versus
        The arm and its reference.
    covariance, own
        Structure of the covariance, and whether each arm has its own.
    by, error
        See `vtrial.measure.degrees_of_freedom`.
    fallback
        Structures to try in this order, for the trials whose model did not converge;
        nothing by default (`FALLBACK` has what is usual after `un`).

    Raises
    ------
    ProtocolError
        If there is no such pair of arms, or no such test.
    """
    arm = arm.astype(int)
    arms = max(int(arm.max(initial=0)) + 1, *versus, 1)
    _check(versus, arms, level)
    design = _design(value.shape[2], arm, arms, baseline, covariates)
    coordinate = None
    if time is not None:
        coordinate = np.broadcast_to(time[:, None], (*value.shape, 1))
    rows = _rows(value.shape[2], arms, versus, design.shape[3])
    group = np.where(arm >= 0, arm if own else 0, -1)
    tried = (covariance, *fallback)
    used = np.full(len(value), -1)
    tests = Tests(*np.full((5, len(value), value.shape[2]), np.nan))
    for number, name in enumerate(tried):
        left = np.flatnonzero(used < 0)
        if not len(left):
            break
        panel = lay_out(
            value[left],
            design[left],
            group=group[left],
            coordinate=None if coordinate is None else coordinate[left],
        )
        fit = fit_mixed(panel, name)
        for whole, part in zip(
            tests, contrast(fit, rows, by=by, error=error), strict=True
        ):
            whole[left] = part
        used[left[fit.converged]] = number
    return Repeated(_contrasts(tests, level), tests.freedom, used >= 0, used, tried)


def _check(versus: tuple[int, int], arms: int, level: float) -> None:
    """Refuse unknown arms, an arm with itself, and levels outside 0 to 1."""
    if min(versus) < 0 or max(versus) >= arms or versus[0] == versus[1]:
        raise ProtocolError(
            at="versus",
            found=f"{versus}",
            allowed=f"two different arms from 0 to {arms - 1}",
            write="versus=(1, 0)",
        )
    if not 0 < level < 1:
        raise ProtocolError(
            at="level",
            found=f"{level:g}",
            allowed="between 0 and 1",
            write="level=0.95",
        )


def _design(
    visits: int,
    arm: Int[np.ndarray, "replicate subject"],
    arms: int,
    baseline: Float[np.ndarray, "replicate subject"] | None,
    covariates: Float[np.ndarray, "replicate subject covariate"] | None,
) -> Columns:
    """Return a column for each arm at each visit, then slopes."""
    eye = np.eye(visits)
    member = (arm[:, :, None] == np.arange(arms)).astype(float)
    means = member[:, :, None, :, None] * eye[None, None, :, None, :]
    columns = [means.reshape(*arm.shape, visits, arms * visits)]
    if baseline is not None:
        columns.append(baseline[:, :, None, None] * eye[None, None])
    if covariates is not None:
        wide = (*arm.shape, visits, covariates.shape[2])
        columns.append(np.broadcast_to(covariates[:, :, None, :], wide))
    return np.concatenate(columns, axis=3)


def _rows(
    visits: int, arms: int, versus: tuple[int, int], columns: int
) -> Float[np.ndarray, "visit column"]:
    """Return the contrast of two arms at each visit."""
    rows = np.zeros((visits, arms, visits))
    visit = np.arange(visits)
    rows[visit, versus[0], visit] = 1.0
    rows[visit, versus[1], visit] = -1.0
    flat = rows.reshape(visits, arms * visits)
    return np.pad(flat, ((0, 0), (0, columns - flat.shape[1])))


def _contrasts(tests: Tests, level: float) -> tuple[Contrast, ...]:
    """Give each visit's estimates their confidence limits."""
    half = special.stdtrit(tests.freedom, (1 + level) / 2) * tests.error
    low, high = tests.estimate - half, tests.estimate + half
    fields = (tests.estimate, low, high, tests.p, tests.error)
    return tuple(
        Contrast(*(field[:, visit] for field in fields))
        for visit in range(half.shape[1])
    )

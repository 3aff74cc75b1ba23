r"""Contrasts that find a shape best, and the test by the largest of them.

For estimates with covariance $S$ and a candidate's means $\mu$ the contrast

$$ c \propto S^{-1}\left(\mu - \frac{\mu^T S^{-1} 1}{1^T S^{-1} 1} 1\right) $$

has the largest $c^T \mu / \sqrt{c^T S c}$ of all contrasts.

References
----------
Bretz F, Pinheiro JC, Branson M (2005) Biometrics 61:738-748.
Pinheiro J, Bornkamp B, Glimm E, Bretz F (2014) Stat Med 33:1646-1661.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from vtrial.errors import ProtocolError
from vtrial.measure.dose_response.maximum import critical_value, tail_of_maximum
from vtrial.measure.dose_response.shape import Candidate, Doses, course

Contrasts = Float[np.ndarray, "candidate dose"]
Estimates = Float[np.ndarray, "replicate dose"]
Covariance = Float[np.ndarray, "dose dose"]
PLACE = "dose response"


@dataclass(frozen=True)
class ContrastTest:
    """A multiple contrast test in each of many trials.

    Parameters
    ----------
    statistic
        Of each candidate's contrast.
    p
        Adjusted for there being several candidates.
    critical
        What the largest statistic must be above.
    significant
        Which candidates are above it.
    correlation
        Of the statistics.
    """

    statistic: Float[np.ndarray, "replicate candidate"]
    p: Float[np.ndarray, "replicate candidate"]
    critical: float
    significant: Bool[np.ndarray, "replicate candidate"]
    correlation: Float[np.ndarray, "candidate candidate"]


def optimal_contrasts(
    candidates: Sequence[Candidate],
    doses: Doses,
    *,
    sizes: Float[np.ndarray, " dose"] | None = None,
    covariance: Covariance | None = None,
) -> Contrasts:
    """Return the contrast of unit length that finds each candidate best.

    Parameters
    ----------
    candidates
        From `candidate`.
    doses
        Of the trial, the placebo as 0.
    sizes
        Of the groups, or numbers that are proportional; equal if not given.
    covariance
        Of the estimates at the doses, instead of sizes.

    Raises
    ------
    ProtocolError
        If a candidate is flat over the doses, or a covariance or size is none.

    Examples
    --------
    >>> from vtrial.measure.dose_response import candidate
    >>> doses = np.array([0.0, 10, 25, 50, 100, 150])
    >>> optimal_contrasts([candidate("emax", 25)], doses).round(3).tolist()
    [[-0.706, -0.317, -0.025, 0.202, 0.384, 0.461]]
    """
    doses = np.asarray(doses, float)
    if covariance is None:
        counts = np.ones(doses.size) if sizes is None else np.asarray(sizes, float)
        if not (counts > 0).all() or counts.shape != doses.shape:
            allowed = "a positive number for each dose"
            raise ProtocolError(f"{PLACE}.sizes", str(counts), allowed, "")
        covariance = np.diag(1 / counts)
    weight = np.linalg.inv(_checked(covariance, doses.size))
    mean = np.stack([course(one, doses) for one in candidates])
    level = mean @ weight.sum(axis=1) / weight.sum()
    found = (mean - level[:, None]) @ weight
    length = np.linalg.norm(found, axis=1, keepdims=True)
    flat = np.ptp(mean, axis=1) <= 1e-12 * np.abs(mean).max(axis=1)
    if flat.any():
        word = candidates[int(np.argmax(flat))].word
        allowed = "of shapes that change over the doses"
        raise ProtocolError(f"{PLACE}.candidates", f"a flat {word}", allowed, "")
    return found / length


def multiple_contrast_test(
    estimate: Estimates,
    contrasts: Contrasts,
    covariance: Covariance,
    *,
    scale: Float[np.ndarray, " replicate"] | None = None,
    freedom: float | int = np.inf,
    level: float = 0.025,
    two_sided: bool = False,
) -> ContrastTest:
    """Test in each trial whether there is a dose-response, by the largest contrast.

    Parameters
    ----------
    estimate
        At each dose.
    contrasts
        From `optimal_contrasts`.
    covariance
        Of the estimates, of all trials alike, or but for a factor.
    scale
        By what each trial's own covariance is larger; with the inverse of sizes as
        `covariance` it is the residual variance.
    freedom
        Degrees of freedom of the scale; infinite if it is known.
    level
        Of the test.
    two_sided
        Whether a falling response counts, too.

    Raises
    ------
    ProtocolError
        If the covariance is none.

    Examples
    --------
    >>> from vtrial.measure.dose_response import candidate
    >>> doses = np.array([0.0, 12.5, 25, 50, 100])
    >>> contrasts = optimal_contrasts([candidate("emax", 2.6)], doses)
    >>> mean = np.array([[1.243, 1.317, 1.333, 1.374, 1.385]])
    >>> test = multiple_contrast_test(mean, contrasts, 0.015**2 * np.eye(5))
    >>> test.statistic.round(3).tolist()
    [[6.937]]
    """
    matrix = _checked(covariance, contrasts.shape[1])
    spread = contrasts @ matrix @ contrasts.T
    error = np.sqrt(np.diag(spread))
    correlation = spread / np.outer(error, error)
    statistic = np.asarray(estimate, float) @ contrasts.T / error
    if scale is not None:
        statistic = statistic / np.sqrt(np.asarray(scale, float))[:, None]
    critical = critical_value(
        correlation, level=level, freedom=freedom, two_sided=two_sided
    )
    size = np.abs(statistic) if two_sided else statistic
    p = tail_of_maximum(size, correlation, freedom=freedom, two_sided=two_sided)
    return ContrastTest(statistic, p, critical, size > critical, correlation)


def _checked(covariance: Covariance, size: int) -> np.ndarray:
    """Return a covariance; refuse what is none."""
    matrix = np.asarray(covariance, float)
    good = matrix.shape == (size, size) and np.allclose(matrix, matrix.T)
    if not good or np.linalg.eigvalsh(matrix).min() <= 0:
        allowed = f"symmetric and positive definite, {size} by {size}"
        raise ProtocolError(f"{PLACE}.covariance", str(matrix), allowed, "")
    return matrix

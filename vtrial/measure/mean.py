"""Differences of means: with unequal variances (Welch), and within subjects.

All give an `Effect`, which `contrast_of` turns into an interval and a test, and
`vtrial.measure.margin` into tests against margins. For a ratio of geometric means
give logarithms (`vtrial.measure.statistic.logarithms`).
"""

import numpy as np
from jaxtyping import Bool

from vtrial.measure.contrast import Effect
from vtrial.measure.statistic import Numbers, Values


def welch(value: Values, treated: Bool[np.ndarray, "replicate subject"]) -> Effect:
    """Return the difference of means with each arm's own variance.

    References
    ----------
    Welch BL (1947) Biometrika 34:28-35.
    """
    sides = [_moments(value, side) for side in (treated, ~treated)]
    (mean, squares, freedom), (other_mean, other_squares, other_freedom) = sides
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = squares / freedom / (freedom + 1)
        other_spread = other_squares / other_freedom / (other_freedom + 1)
        both = spread + other_spread
        parts = spread**2 / freedom + other_spread**2 / other_freedom
        return Effect(mean - other_mean, np.sqrt(both), both**2 / parts)


def paired_effect(value: Values, reference: Values) -> Effect:
    """Return the mean difference within subjects, of those with both values."""
    gap = value - reference
    mean, squares, freedom = _moments(gap, np.ones(gap.shape, bool))
    with np.errstate(invalid="ignore", divide="ignore"):
        return Effect(mean, np.sqrt(squares / freedom / (freedom + 1)), freedom)


def crossover_effect(
    value: Values,
    reference: Values,
    treated_first: Bool[np.ndarray, "replicate subject"],
) -> Effect:
    """Return the effect of treatment in a crossover of two periods, less the period's.

    Half the difference between the two sequences' mean differences of the first less
    the second period, with their common variance: the fixed-effects analysis of
    variance with sequence, subject, period and treatment.

    Parameters
    ----------
    value, reference
        Each subject's value under treatment and under reference; who lacks one is
        left out.
    treated_first
        Whether a subject had the treatment in the first period.

    References
    ----------
    Chow SC, Liu JP (2009) Design and Analysis of Bioavailability and Bioequivalence
    Studies, 3rd ed, ch. 3.
    """
    gap = np.where(treated_first, value - reference, reference - value)
    sides = [_moments(gap, side) for side in (treated_first, ~treated_first)]
    (mean, squares, freedom), (other_mean, other_squares, other_freedom) = sides
    with np.errstate(invalid="ignore", divide="ignore"):
        total = freedom + other_freedom
        spread = (squares + other_squares) / total
        spread = spread * (1 / (freedom + 1) + 1 / (other_freedom + 1))
        return Effect((mean - other_mean) / 2, np.sqrt(spread) / 2, total)


def _moments(value: Values, side: np.ndarray) -> tuple[Numbers, Numbers, Numbers]:
    """Return mean, squares about it, and one less than the number of values.

    The last is NaN where it would not be positive.
    """
    seen = np.isfinite(value) & side
    count = seen.sum(axis=1).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(seen, value, 0.0).sum(axis=1) / count
    squares = (np.where(seen, value - mean[:, None], 0.0) ** 2).sum(axis=1)
    return mean, squares, np.where(count > 1, count - 1, np.nan)

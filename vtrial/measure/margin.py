"""Non-inferiority, superiority by a margin, and equivalence.

An `Effect` comes from `least_squares`, `welch`, `paired_effect` or `crossover_effect`;
of any other comparison `effect_of` makes one. Shares have tests of their own against
margins: `vtrial.measure.proportion.score_margin`.
"""

import numpy as np
from jaxtyping import Bool
from scipy import special

from vtrial.measure.contrast import (
    Contrast,
    Effect,
    contrast_of,
    least_squares,
    normal_effect,
)
from vtrial.measure.mean import crossover_effect, paired_effect, welch
from vtrial.measure.statistic import Numbers, Values, logarithms


def effect_of(contrast: Contrast, *, ratio: bool) -> Effect:
    """Return a comparison's effect; its distribution is taken to be normal."""
    estimate = contrast.estimate
    with np.errstate(invalid="ignore", divide="ignore"):
        estimate = np.log(estimate) if ratio else estimate
    return normal_effect(estimate, contrast.error)


def margin_test(
    effect: Effect, margin: float, *, above: bool, ratio: bool = False
) -> Numbers:
    """Return the one-sided p-value of an effect against a margin.

    Parameters
    ----------
    margin
        The effect under the null hypothesis, in the unit of the effect; for a ratio
        the ratio itself. Where more is better, -2 with `above` tests non-inferiority,
        0 superiority and 2 superiority by 2; where less is better, a hazard ratio of
        1.3 without `above` tests non-inferiority.
    above
        Whether it is to be shown that the effect is above the margin, or below it.
    ratio
        Whether the effect is the logarithm of a ratio.
    """
    null = np.log(margin) if ratio else margin
    with np.errstate(invalid="ignore", divide="ignore"):
        score = (effect.estimate - null) / effect.error
    return special.stdtr(effect.freedom, -score if above else score)


def equivalence(
    effect: Effect,
    low: float,
    high: float,
    *,
    ratio: bool = False,
    level: float = 0.90,
) -> Contrast:
    """Test that an effect lies between two margins by two one-sided tests.

    The p-value is the larger of the two. It is below (1 - level)/2 just where the
    interval, of this level, lies between the margins.

    References
    ----------
    Schuirmann DJ (1987) J Pharmacokinet Biopharm 15:657-680.
    """
    made = contrast_of(effect, ratio=ratio, level=level)
    sides = (
        margin_test(effect, low, above=True, ratio=ratio),
        margin_test(effect, high, above=False, ratio=ratio),
    )
    return made._replace(p=np.maximum(*sides))


def bioequivalence(
    value: Values,
    reference: Values,
    *,
    treated_first: Bool[np.ndarray, "replicate subject"] | None = None,
    low: float = 0.80,
    high: float = 1.25,
    level: float = 0.90,
) -> Contrast:
    """Test bioequivalence within subjects: the ratio of geometric means.

    Parameters
    ----------
    value, reference
        Each subject's value of test and reference product; all positive.
    treated_first
        The sequence of a two-period crossover; without it differences within subjects
        are tested as they are (periods are taken to be alike).

    References
    ----------
    FDA (2001) Guidance for Industry: Statistical Approaches to Establishing
    Bioequivalence.
    EMA (2010) Guideline on the Investigation of Bioequivalence,
    CPMP/EWP/QWP/1401/98 Rev. 1.
    """
    both = logarithms(np.concatenate([value, reference], axis=1))
    test, other = np.split(both, 2, axis=1)
    if treated_first is None:
        effect = paired_effect(test, other)
    else:
        effect = crossover_effect(test, other, treated_first)
    return equivalence(effect, low, high, ratio=True, level=level)


def parallel_bioequivalence(
    value: Values,
    treated: Bool[np.ndarray, "replicate subject"],
    *,
    low: float = 0.80,
    high: float = 1.25,
    equal_variances: bool = False,
    level: float = 0.90,
) -> Contrast:
    """Test bioequivalence of two groups: the ratio of geometric means.

    Without `equal_variances` each group has its own (Welch), as the FDA asks for.

    References
    ----------
    FDA (2001) Guidance for Industry: Statistical Approaches to Establishing
    Bioequivalence, section VI.
    Fuglsang A, Schuetz H, Labes D (2015) AAPS J 17:400-404.
    """
    logs = logarithms(value)
    effect = least_squares(logs, treated) if equal_variances else welch(logs, treated)
    return equivalence(effect, low, high, ratio=True, level=level)

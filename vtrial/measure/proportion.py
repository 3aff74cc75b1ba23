"""Proportions of responders: score intervals and tests, margins, and strata.

Everywhere the treated have `events` of `subjects` and the others are the reference.
"""

from typing import Literal

import numpy as np
from jaxtyping import Bool
from scipy import special

from vtrial.measure.contrast import (
    Contrast,
    Counts,
    compare,
    contrast_of,
    count_responses,
    normal_effect,
)
from vtrial.measure.risk_set import Strata, by_stratum
from vtrial.measure.statistic import Numbers, Values, normal_limit

ProportionMeasure = Literal["risk difference", "risk ratio", "odds ratio"]

HALVINGS = 80
WIDEST = 30.0  # ratios are looked for between exp(-30) and exp(30)


def score_contrast(
    measure: ProportionMeasure,
    value: Values,
    treated: Bool[np.ndarray, "replicate subject"],
    *,
    corrected: bool = True,
    level: float = 0.95,
) -> Contrast:
    """Compare proportions with the score interval and the score test of no effect.

    The limits are the effects that the score test would just reject, with the variance
    under that effect. With `corrected` that variance has the factor N/(N - 1) of
    Miettinen and Nurminen; without it the interval is Mee's for the difference and
    Koopman's for the risk ratio. A limit of a ratio may be 0 or infinite.

    Estimate and error are those of `compare` (with 1/2 added to every cell where a
    ratio could not be formed).

    References
    ----------
    Miettinen O, Nurminen M (1985) Stat Med 4:213-226.
    """
    counts = count_responses(value, treated)
    z = normal_limit(level)
    limits = [_limit(measure, counts, at, corrected) for at in (z, -z)]
    made = compare(measure, value, treated, level=level)
    null = 0.0 if measure == "risk difference" else 1.0
    score = _score(measure, counts, np.full(len(value), null), corrected)
    p = 2 * special.ndtr(-np.abs(score))
    there = np.isfinite(made.estimate)
    low, high, p = (np.where(there, part, np.nan) for part in (*limits, p))
    return made._replace(low=low, high=high, p=p)


def score_margin(
    measure: ProportionMeasure,
    value: Values,
    treated: Bool[np.ndarray, "replicate subject"],
    *,
    margin: float,
    above: bool,
    corrected: bool = False,
) -> Numbers:
    """Return the one-sided p-value of the score test against a margin.

    Parameters
    ----------
    margin
        The effect under the null hypothesis, in the unit of the measure: -0.1 for a
        risk difference, 0.8 for a risk ratio.
    above
        Whether it is to be shown that the effect is above the margin, or below it.
    corrected
        Whether the variance has the factor N/(N - 1) (Miettinen and Nurminen);
        without it the test is Farrington and Manning's.

    References
    ----------
    Farrington CP, Manning G (1990) Stat Med 9:1447-1454.
    """
    counts = count_responses(value, treated)
    score = _score(measure, counts, np.full(len(value), margin), corrected)
    return special.ndtr(-score if above else score)


def restricted_proportions(
    measure: ProportionMeasure, counts: Counts, effect: Numbers
) -> tuple[Numbers, Numbers]:
    """Return the maximum likelihood proportions of arm and reference, given an effect.

    References
    ----------
    Miettinen O, Nurminen M (1985) Stat Med 4:213-226, equations 10 to 13.
    Farrington CP, Manning G (1990) Stat Med 9:1447-1454.
    """
    events, count, reference_events, reference_count = counts
    total, responses = count + reference_count, events + reference_events
    if measure == "risk difference":
        return _proportions_apart(counts, effect)
    if measure == "risk ratio":
        second = count * effect + events + reference_count + reference_events * effect
        root = np.sqrt(np.maximum(second**2 - 4 * total * effect * responses, 0.0))
        # The root of the quadratic without cancellation, 2c / (b + sqrt(b^2 - 4ac)).
        reference = 2 * responses / (second + root)
        return np.minimum(effect * reference, 1.0), reference
    excess = effect - 1
    second = count * effect + reference_count - responses * excess
    third = 4 * reference_count * excess * responses
    root = np.sqrt(np.maximum(second**2 + third, 0.0))
    reference = 2 * responses / (second + root)
    return reference * effect / (1 + reference * excess), reference


def _proportions_apart(counts: Counts, effect: Numbers) -> tuple[Numbers, Numbers]:
    """Return the maximum likelihood proportions that differ by an effect (a cubic)."""
    events, count, reference_events, reference_count = counts
    total, responses = count + reference_count, events + reference_events
    second = (total + reference_count) * effect - total - responses
    first = (reference_count * effect - total - 2 * reference_events) * effect
    first += responses
    last = reference_events * effect * (1 - effect)
    b, c, d = (part / total for part in (second, first, last))
    half = b**3 / 27 - b * c / 6 + d / 2
    size = np.sqrt(np.maximum(b**2 / 9 - c / 3, 0.0))
    size = np.where(half < 0, -size, size)
    # The cubic has three real roots: trigonometric solution (Farrington, Manning 1990).
    cosine = np.where(size == 0, 0.0, half / np.where(size == 0, 1.0, size) ** 3)
    angle = (np.pi + np.arccos(np.clip(cosine, -1.0, 1.0))) / 3
    low, high = np.maximum(0.0, -effect), np.minimum(1.0, 1.0 - effect)
    reference = np.clip(2 * size * np.cos(angle) - b / 3, low, high)
    off = ((reference + b) * reference + c) * reference + d
    for _ in range(8):  # the angle loses digits where roots are near each other
        slope = (3 * reference + 2 * b) * reference + c
        step = np.where(slope == 0, 0.0, off / np.where(slope == 0, 1.0, slope))
        trial = np.clip(reference - step, low, high)
        left = ((trial + b) * trial + c) * trial + d
        nearer = np.abs(left) < np.abs(off)
        reference, off = np.where(nearer, trial, reference), np.where(nearer, left, off)
    return np.clip(reference + effect, 0.0, 1.0), reference


def _score(
    measure: ProportionMeasure, counts: Counts, effect: Numbers, corrected: bool
) -> Numbers:
    """Return the score statistic of an effect: positive where more was seen."""
    events, count, reference_events, reference_count = counts
    with np.errstate(invalid="ignore", divide="ignore"):
        arm, reference = restricted_proportions(measure, counts, effect)
        spread = arm * (1 - arm) / count
        reference_spread = reference * (1 - reference) / reference_count
        proportion, reference_proportion = (
            events / count,
            reference_events / reference_count,
        )
        if measure == "odds ratio":
            off = proportion - arm
            scale = count * spread, reference_count * reference_spread
            variance = 1 / (1 / (count * scale[0]) + 1 / (reference_count * scale[1]))
            variance = variance / count**2
        else:
            factor = 1.0 if measure == "risk difference" else effect
            null = effect if measure == "risk difference" else 0.0
            off = proportion - factor * reference_proportion - null
            variance = spread + factor**2 * reference_spread
        if corrected:
            total = count + reference_count
            variance = variance * total / (total - 1)
        # Shares that are as the null has them: no evidence, also over a variance of 0.
        return np.where(np.abs(off) < 1e-14, 0.0, off / np.sqrt(variance))


def _limit(
    measure: ProportionMeasure, counts: Counts, wanted: float, corrected: bool
) -> Numbers:
    """Return the effect that has a given score statistic, by bisection."""
    plain = measure == "risk difference"
    ends = 1.0 if plain else WIDEST
    low, high = (np.full(len(counts.events), end) for end in (-ends, ends))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        effect = middle if plain else np.exp(middle)
        # The statistic falls with the effect.
        beyond = _score(measure, counts, effect, corrected) > wanted
        low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
    if plain:
        return (low + high) / 2
    effect = np.exp((low + high) / 2)
    # A search that ran to its end: the limit of a ratio is 0 or infinite.
    none = np.log(effect) < -WIDEST + 1
    return np.where(none, 0.0, np.where(np.log(effect) > WIDEST - 1, np.inf, effect))


def stratified_contrast(
    measure: ProportionMeasure,
    value: Values,
    treated: Bool[np.ndarray, "replicate subject"],
    strata: Strata,
    *,
    level: float = 0.95,
) -> Contrast:
    """Compare proportions over strata by Mantel and Haenszel's weights.

    The interval is normal, for ratios on the logarithm, with the variances of Sato
    (risk difference), Greenland and Robins (risk ratio) and Robins, Breslow and
    Greenland (odds ratio), which hold for few large and for many small strata. The
    p-value is that of the Cochran-Mantel-Haenszel test without continuity correction.
    A ratio is NaN in a trial where a sum over the strata is 0.

    Parameters
    ----------
    strata
        A subject's stratum from 0; whoever has a negative one is left out.

    References
    ----------
    Mantel N, Haenszel W (1959) J Natl Cancer Inst 22:719-748.
    Greenland S, Robins JM (1985) Biometrics 41:55-68.
    Robins J, Breslow N, Greenland S (1986) Biometrics 42:311-323.
    Sato T (1989) Biometrics 45:1323-1324.
    """
    seen = np.isfinite(value)
    responses = np.where(seen, value, 0.0)
    tables = [
        by_stratum(part, strata)
        for part in (
            responses * treated,
            (seen & treated).astype(float),
            responses * ~treated,
            (seen & ~treated).astype(float),
        )
    ]
    estimate, variance = _combined(measure, *tables)
    with np.errstate(invalid="ignore"):
        effect = normal_effect(estimate, np.sqrt(variance))
    ratio = measure != "risk difference"
    made = contrast_of(effect, ratio=ratio, level=level)
    p = np.where(np.isfinite(estimate), _no_association(*tables), np.nan)
    return made._replace(p=p)


def _combined(
    measure: ProportionMeasure,
    events: np.ndarray,
    count: np.ndarray,
    reference_events: np.ndarray,
    reference_count: np.ndarray,
) -> tuple[Numbers, Numbers]:
    """Return the estimate (of a ratio: its logarithm) and its variance."""
    total = np.maximum(count + reference_count, 1.0)
    others, reference_others = count - events, reference_count - reference_events
    pairs = count * reference_count / total
    with np.errstate(invalid="ignore", divide="ignore"):
        if measure == "risk difference":
            all_pairs = pairs.sum(axis=1)
            # Sato (1989).
            gain = events * reference_count - reference_events * count
            estimate = (gain / total).sum(axis=1) / all_pairs
            slope = count**2 * reference_events - reference_count**2 * events
            slope += count * reference_count * (reference_count - count) / 2
            level = events * reference_others + reference_events * others
            parts = (slope / total**2).sum(axis=1), (level / total).sum(axis=1) / 2
            return estimate, (estimate * parts[0] + parts[1]) / all_pairs**2
        if measure == "risk ratio":
            over, under = events * reference_count, reference_events * count
            # Greenland, Robins (1985).
            both = pairs * (events + reference_events)
            spread = (both - events * reference_events) / total
            over, under, spread = (
                np.where(part.sum(axis=1) > 0, part.sum(axis=1), np.nan)
                for part in (over / total, under / total, spread)
            )
            return np.log(over / under), spread / (over * under)
        over, under = events * reference_others / total, reference_events * others
        under = under / total
        # Robins, Breslow, Greenland (1986).
        for_it = (events + reference_others) / total
        against = (reference_events + others) / total
        up, down = (
            np.where(part.sum(axis=1) > 0, part.sum(axis=1), np.nan)
            for part in (over, under)
        )
        variance = (for_it * over).sum(axis=1) / (2 * up**2)
        variance += (for_it * under + against * over).sum(axis=1) / (2 * up * down)
        variance += (against * under).sum(axis=1) / (2 * down**2)
        return np.log(up / down), variance


def _no_association(
    events: np.ndarray,
    count: np.ndarray,
    reference_events: np.ndarray,
    reference_count: np.ndarray,
) -> Numbers:
    """Return the p-value of the Cochran-Mantel-Haenszel test."""
    total = np.maximum(count + reference_count, 1.0)
    responses = events + reference_events
    off = (events - count * responses / total).sum(axis=1)
    spread = count * reference_count * responses * (total - responses)
    # The hypergeometric variance of each stratum's treated responses.
    variance = (spread / (total**2 * np.maximum(total - 1, 1.0))).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        score = np.where(off == 0, 0.0, np.abs(off) / np.sqrt(variance))
    return 2 * special.ndtr(-score)

"""An arm against a reference in each of many trials at once."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

from vtrial.measure.groups import Contrast, Effect, Numbers, Pairs, Values
from vtrial.measure.statistic import logarithms, normal_limit, summarise, wilson


class Counts(NamedTuple):
    """Responses and subjects of each trial's arm and reference."""

    events: Numbers
    subjects: Numbers
    reference_events: Numbers
    reference_subjects: Numbers


def compare(
    measure: str,
    value: Values,
    treated: Bool[np.ndarray, "replicate subject"],
    *,
    covariates: Float[np.ndarray, "replicate subject covariate"] | None = None,
    level: float = 0.95,
) -> Contrast:
    """Compare the treated with the others in every trial.

    Parameters
    ----------
    measure
        `difference of means`: least squares with the covariates (ANCOVA); without
        them, Student's test with a common variance. `ratio of geometric means`: the
        same on logarithms. `risk difference`: Newcombe's hybrid score interval and
        the pooled score test. `risk ratio`, `odds ratio`: Katz's and Woolf's
        logarithmic intervals and their normal tests.
    value
        NaN for whoever is in neither arm or has no value.
    covariates
        Means and geometric means are adjusted for them; a subject without one is left
        out. One that does not vary is ignored.

    Notes
    -----
    If a ratio of shares cannot be formed (a risk ratio with an arm without responses,
    or with nothing but responses in both; an odds ratio with an empty cell), 1/2 is
    added to all four cells of that trial's table.

    References
    ----------
    Newcombe RG (1998) Stat Med 17:873-890, method 10.
    Katz D et al. (1978) Biometrics 34:469-474.
    Woolf B (1955) Ann Hum Genet 19:251-253.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if measure == "difference of means":
            fit = least_squares(value, treated, covariates=covariates)
            return contrast_of(fit, level=level)
        if measure == "ratio of geometric means":
            fit = least_squares(logarithms(value), treated, covariates=covariates)
            return contrast_of(fit, ratio=True, level=level)
        counts = count_responses(value, treated)
        if measure == "risk difference":
            return _risk_difference(counts, level)
        return _ratio(counts, level, odds=measure == "odds ratio")


def count_responses(
    value: Values, treated: Bool[np.ndarray, "replicate subject"]
) -> Counts:
    """Count responses and subjects on both sides of each trial."""
    seen = np.isfinite(value)
    sides = (seen & treated, seen & ~treated)
    totals = [
        total.astype(float)
        for side in sides
        for total in (np.where(side, value, 0.0).sum(axis=1), side.sum(axis=1))
    ]
    return Counts(*totals)


def contrast_of(
    effect: Effect, *, ratio: bool = False, level: float = 0.95
) -> Contrast:
    """Return an effect with Student's (or the normal) interval and two-sided test.

    With `ratio` the effect is the logarithm of one, which is given back. A difference
    of 0 has the p-value 1, with or without spread.
    """
    estimate, error, freedom = effect
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        half = special.stdtrit(freedom, (1 + level) / 2) * error
        score = np.where(estimate == 0, 0.0, np.abs(estimate / error))
        p = np.where(np.isnan(error), np.nan, 2 * special.stdtr(freedom, -score))
        made = Contrast(estimate, estimate - half, estimate + half, p, error)
        if not ratio:
            return made
        estimate, low, high = (np.exp(end) for end in made[:3])
        return Contrast(estimate, low, high, p, error)


def normal_effect(estimate: Numbers, error: Numbers) -> Effect:
    """Return an effect whose distribution is taken to be normal."""
    return Effect(estimate, error, np.full(len(estimate), np.inf))


def least_squares(
    value: Values,
    treated: Bool[np.ndarray, "replicate subject"],
    *,
    covariates: Float[np.ndarray, "replicate subject covariate"] | None = None,
) -> Effect:
    """Regress on treatment and covariates; return the treatment's coefficient.

    Columns are centred (which stands for the intercept) and scaled to length 1, so
    that the normal equations keep their digits.
    """
    columns = treated[:, :, None].astype(float)
    if covariates is not None:
        columns = np.concatenate([columns, covariates], axis=2)
    seen = np.isfinite(value) & np.isfinite(columns).all(axis=2)
    count = seen.sum(axis=1).astype(float)
    outcome = _centred(value[:, :, None], seen, count)[:, :, 0]
    columns = _centred(columns, seen, count)
    length = np.sqrt((columns**2).sum(axis=1))
    columns /= np.where(length > 0, length, 1.0)[:, None, :]
    gram = np.einsum("rsi,rsj->rij", columns, columns)
    inverse = np.linalg.pinv(gram, rcond=1e-10, hermitian=True)
    slopes = np.einsum("rij,rsj,rs->ri", inverse, columns, outcome, optimize=True)
    rest = outcome - np.einsum("rsi,ri->rs", columns, slopes)
    rank = _rank(gram)
    # Without a rank of its own, treatment cannot be told from the covariates.
    told = rank > _rank(gram[:, 1:, 1:])
    freedom = np.where(told & (count - 1 - rank > 0), count - 1 - rank, np.nan)
    scale = np.where(length[:, 0] > 0, length[:, 0], np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt((rest**2).sum(axis=1) / freedom * inverse[:, 0, 0]) / scale
        effect = np.where(told, slopes[:, 0] / scale, np.nan)
    return Effect(effect, error, freedom)


def _centred(columns: np.ndarray, seen: np.ndarray, count: Numbers) -> np.ndarray:
    """Take each trial's mean off; whoever is not seen has 0."""
    columns = np.where(seen[:, :, None], columns, 0.0)
    mean = columns.sum(axis=1) / np.maximum(count, 1.0)[:, None]
    centred = np.where(seen[:, :, None], columns - mean[:, None, :], 0.0)
    # A constant column leaves rounding only, which must not count as variation.
    size = np.abs(columns).max(axis=1, initial=0.0)
    steady = np.abs(centred).max(axis=1, initial=0.0) <= 1e-12 * size
    return np.where(steady[:, None, :], 0.0, centred)


def _rank(gram: np.ndarray) -> Numbers:
    """Return the rank of each trial's Gram matrix of unit columns."""
    if not gram.shape[1]:
        return np.zeros(len(gram))
    return np.linalg.matrix_rank(gram, tol=1e-10, hermitian=True).astype(float)


def _risk_difference(counts: Counts, level: float) -> Contrast:
    """Return the difference of shares with Newcombe's interval."""
    events, count, reference_events, reference_count = counts
    share, reference = events / count, reference_events / reference_count
    low, high = wilson(events, count, level=level)
    reference_low, reference_high = wilson(
        reference_events, reference_count, level=level
    )
    difference = share - reference
    down = np.hypot(share - low, reference_high - reference)
    up = np.hypot(high - share, reference - reference_low)
    error = np.sqrt(
        share * (1 - share) / count + reference * (1 - reference) / reference_count
    )
    pooled = (events + reference_events) / (count + reference_count)
    spread = pooled * (1 - pooled) * (1 / count + 1 / reference_count)
    score = np.where(difference == 0, 0.0, difference / np.sqrt(spread))
    p = 2 * special.ndtr(-np.abs(score))
    return Contrast(difference, difference - down, difference + up, p, error)


def _ratio(counts: Counts, level: float, *, odds: bool) -> Contrast:
    """Return the ratio of shares or of odds with its logarithmic interval."""
    events, count, reference_events, reference_count = counts
    none = (events == 0) | (reference_events == 0)
    full, reference_full = events == count, reference_events == reference_count
    stuck = none | (full | reference_full if odds else full & reference_full)
    half = np.where(stuck, 0.5, 0.0)
    events, reference_events = events + half, reference_events + half
    count, reference_count = count + 2 * half, reference_count + 2 * half
    others, reference_others = count - events, reference_count - reference_events
    if odds:
        ratio = events * reference_others / (reference_events * others)
        variance = 1 / events + 1 / others + 1 / reference_events + 1 / reference_others
    else:
        ratio = events * reference_count / (reference_events * count)
        variance = 1 / events - 1 / count + 1 / reference_events - 1 / reference_count
    there = (counts.subjects > 0) & (counts.reference_subjects > 0)
    ratio = np.where(there, ratio, np.nan)
    error = np.where(there, np.sqrt(variance), np.nan)
    swing = np.exp(normal_limit(level) * error)
    p = 2 * special.ndtr(-np.abs(np.log(ratio) / error))
    return Contrast(ratio, ratio / swing, ratio * swing, p, error)


def paired(measure: str, value: Values, reference: Values) -> tuple[Numbers, Numbers]:
    """Return the effect with every subject under both arms, and its error.

    The error is of the logarithm, for ratios; for ratios of shares and odds it is the
    standard error of the influence of each pair (delta method).
    """
    both = np.isfinite(value) & np.isfinite(reference)
    value, reference = (np.where(both, v, np.nan) for v in (value, reference))
    with np.errstate(invalid="ignore", divide="ignore"):
        if measure == "ratio of geometric means":
            both = np.concatenate([value, reference], axis=1)
            logs = np.split(logarithms(both), 2, axis=1)
            mean, error = _mean_and_error(logs[0] - logs[1])
            return np.exp(mean), error
        if measure in ("difference of means", "risk difference"):
            return _mean_and_error(value - reference)
        shares = [_mean_and_error(v)[0] for v in (value, reference)]
        odds = measure == "odds ratio"
        sizes = [share * (1 - share) if odds else share for share in shares]
        parts = [
            (v - share[:, None]) / size[:, None]
            for v, share, size in zip((value, reference), shares, sizes, strict=True)
        ]
        levels = [share / (1 - share) if odds else share for share in shares]
        return levels[0] / levels[1], _mean_and_error(parts[0] - parts[1])[1]


def pairs_of(measure: str, value: Values, reference: Values) -> Pairs:
    """Return the effect with every subject under both arms, and both its errors."""
    both = np.concatenate([value, reference], axis=1)
    treated = np.zeros(both.shape, bool)
    treated[:, : value.shape[1]] = True
    apart = compare(measure, both, treated).error
    return Pairs(*paired(measure, value, reference), apart)


def _mean_and_error(value: Values) -> tuple[Numbers, Numbers]:
    """Return each trial's mean and its standard error."""
    mean = summarise("mean", value)
    return mean.estimate, mean.error

"""A protocol's comparison, answered in many trials at once."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from vtrial.analysis.contrast import (
    Contrast,
    Effect,
    compare,
    least_squares,
    paired,
)
from vtrial.analysis.covariance import Covariance
from vtrial.analysis.degrees_of_freedom import Freedom
from vtrial.analysis.hazard import hazard_ratio
from vtrial.analysis.margin import effect_of, equivalence, margin_test
from vtrial.analysis.proportion import score_contrast, score_margin, stratified_contrast
from vtrial.analysis.rank import shift_contrast
from vtrial.analysis.rate import rate_ratio
from vtrial.analysis.reading import Chunk, covariates_of
from vtrial.analysis.repeated import mmrm
from vtrial.analysis.statistic import Numbers, Values, logarithms
from vtrial.analysis.survival import log_rank, milestone, restricted_mean
from vtrial.analysis.win import Tier, win_contrast
from vtrial.dims import BASELINE, EVENT
from vtrial.endpoint.endpoint import Endpoint
from vtrial.protocol.analysis import (
    OF_COUNTS,
    OF_RESPONSES,
    OF_TIERS,
    RATIOS,
    Comparison,
)
from vtrial.protocol.protocol import Protocol
from vtrial.protocol.subset import holds

COVARIANCES: Mapping[str, Covariance] = {
    "unstructured": "un",
    "heterogeneous Toeplitz": "toeph",
    "Toeplitz": "toep",
    "heterogeneous autoregressive": "ar1h",
    "autoregressive": "ar1",
    "heterogeneous compound symmetry": "csh",
    "compound symmetry": "cs",
}
FREEDOMS: Mapping[str, Freedom] = {
    "Kenward-Roger": "kenward-roger",
    "Satterthwaite": "satterthwaite",
}
PAIRED = (
    "difference of means",
    "ratio of geometric means",
    "MMRM",
    *OF_RESPONSES,
)


def answered(chunk: Chunk, comparison: Comparison, protocol: Protocol) -> Contrast:
    """Compare two arms as the trial does: its own subjects in each.

    With margins the p-value is that of the test against them, one-sided; between two
    margins the larger of both.
    """
    made = _compared(chunk, comparison, protocol)
    if comparison.above is None and comparison.below is None:
        return made
    return made._replace(p=_against_margins(chunk, comparison, protocol, made))


class Truth(NamedTuple):
    """A paired effect in each trial, and its error; NaN where pairs make none.

    `apart` is the error of two groups of so many who are not the same.
    """

    effect: Numbers
    error: Numbers
    apart: Numbers


def truth(chunk: Chunk, comparison: Comparison) -> Truth:
    """Compare everyone under one arm with themselves under the other."""
    value, reference = (
        chosen(chunk, comparison, chunk.values(name, comparison.endpoint))
        for name in (comparison.arm, comparison.reference)
    )
    if comparison.by not in PAIRED:
        none = np.full(len(value), np.nan)
        return Truth(none, none, none)
    by = "difference of means" if comparison.by == "MMRM" else comparison.by
    both = np.concatenate([value, reference], axis=1)
    treated = np.zeros(both.shape, bool)
    treated[:, : value.shape[1]] = True
    apart = compare(by, both, treated).error
    return Truth(*paired(by, value, reference), apart)


def sides(
    chunk: Chunk, comparison: Comparison, variable: str, endpoint: str = ""
) -> Values:
    """Return an endpoint's values of those in one of both arms; NaN for others."""
    name = endpoint or comparison.endpoint
    arm, reference = (
        chunk.own(one, name, variable) for one in (comparison.arm, comparison.reference)
    )
    values = np.where(chunk.in_arm(comparison.arm), arm, reference)
    return chosen(chunk, comparison, values)


def chosen(chunk: Chunk, comparison: Comparison, values: Values) -> Values:
    """Leave out whom the comparison's condition does not choose."""
    if comparison.where is None:
        return values
    return np.where(holds(comparison.where, chunk.covariate), values, np.nan)


def _compared(chunk: Chunk, comparison: Comparison, protocol: Protocol) -> Contrast:
    """Compare two arms without regard to margins."""
    by, level = comparison.by, comparison.level
    endpoint = protocol.endpoint(comparison.endpoint)
    treated = chunk.in_arm(comparison.arm)
    if by == "MMRM":
        return _repeated(chunk, comparison, protocol)
    if by in OF_TIERS:
        return _wins(chunk, comparison, protocol)
    value = sides(chunk, comparison, "outcome")
    if by in OF_RESPONSES:
        return of_responses(chunk, comparison, value)
    covariates = covariates_of(chunk, comparison, endpoint)
    strata = _strata(chunk, comparison)
    if by == "difference by ranks":
        return shift_contrast(value, treated, strata=strata, level=level)
    if by in OF_COUNTS:
        family = "Poisson" if by == "Poisson rate ratio" else "negative binomial"
        exposure = np.where(np.isfinite(value), endpoint.end - endpoint.start, np.nan)
        return rate_ratio(
            value, exposure, treated, covariates=covariates, family=family, level=level
        )
    if endpoint.event:
        return _of_times(chunk, comparison, value, treated, covariates, strata)
    return compare(by, value, treated, covariates=covariates, level=level)


def of_responses(chunk: Chunk, comparison: Comparison, value: Values) -> Contrast:
    """Compare responses."""
    by, level = comparison.by, comparison.level
    assert by in OF_RESPONSES, "it is a measure of responses"
    treated, strata = chunk.in_arm(comparison.arm), _strata(chunk, comparison)
    if strata is not None:
        return stratified_contrast(by, value, treated, strata, level=level)
    if comparison.score:
        return score_contrast(by, value, treated, level=level)
    return compare(by, value, treated, level=level)


def _of_times(
    chunk: Chunk,
    comparison: Comparison,
    time: Values,
    treated: Bool[np.ndarray, "replicate subject"],
    covariates: np.ndarray | None,
    strata: Int[np.ndarray, "replicate subject"] | None,
) -> Contrast:
    """Compare times to an event."""
    event = sides(chunk, comparison, EVENT)
    level, until = comparison.level, comparison.until
    match comparison.by:
        case "hazard ratio":
            return hazard_ratio(
                *(time, event, treated),
                covariates=covariates,
                strata=strata,
                ties=comparison.ties,
                level=level,
            )
        case "log-rank":
            rho, gamma = comparison.weights
            return log_rank(
                time, event, treated, rho=rho, gamma=gamma, strata=strata, level=level
            )
        case "milestone difference":
            assert until is not None, "the protocol says when"
            return milestone(time, event, treated, at=until, level=level)
        case _:
            ratio = comparison.by == "ratio of restricted means"
            return restricted_mean(
                time, event, treated, until=until, ratio=ratio, level=level
            )


def _wins(chunk: Chunk, comparison: Comparison, protocol: Protocol) -> Contrast:
    """Compare pairs over a hierarchy of endpoints."""
    tiers = []
    for tier in comparison.tiers:
        event = None
        if protocol.endpoint(tier.endpoint).event:
            event = sides(chunk, comparison, EVENT, tier.endpoint)
        value = sides(chunk, comparison, "outcome", tier.endpoint)
        tiers.append(Tier(value, event, tier.higher, tier.margin))
    treated = chunk.in_arm(comparison.arm)
    return win_contrast(
        comparison.by,  # type: ignore[arg-type] # one of the three of tiers
        tiers,
        treated,
        strata=_strata(chunk, comparison),
        level=comparison.level,
    )


def _repeated(chunk: Chunk, comparison: Comparison, protocol: Protocol) -> Contrast:
    """Compare measured values at the endpoint's last visit by a mixed model."""
    endpoint = protocol.endpoint(comparison.endpoint)
    value, baseline = _measured(chunk, endpoint)
    arm = chunk.allocated
    if comparison.where is not None:
        arm = np.where(holds(comparison.where, chunk.covariate), arm, -1)
    names = [name for name in comparison.adjust if name != BASELINE]
    covariates = [chunk.covariate(name) for name in names]
    return mmrm(
        value,
        arm,
        baseline=baseline if BASELINE in comparison.adjust else None,
        covariates=np.stack(covariates, axis=2) if covariates else None,
        versus=tuple(
            chunk.arms.index(n) for n in (comparison.arm, comparison.reference)
        ),  # type: ignore[arg-type]
        covariance=COVARIANCES[comparison.covariance],
        by=FREEDOMS[comparison.freedom],
        level=comparison.level,
    )


def _measured(chunk: Chunk, endpoint: Endpoint) -> tuple[np.ndarray, Values]:
    """Return (replicate, subject, visit) values after the baseline, and the baseline.

    Everybody has the values of the own arm.
    """
    planned = chunk.planned(endpoint)
    own = np.full((chunk.replicates, chunk.subjects, len(planned)), np.nan)
    for arm in chunk.arms:
        inside = chunk.in_arm(arm)
        own[inside] = chunk.measured(arm, endpoint)[inside]
    at = planned <= endpoint.baseline
    later = ~at & (planned <= endpoint.end)
    order = np.where(np.isfinite(own) & at, np.arange(len(planned)), -1)
    last = order.max(axis=2)
    baseline = np.take_along_axis(own, np.maximum(last, 0)[..., None], axis=2)[..., 0]
    baseline = np.where(last >= 0, baseline, np.nan)
    value = own[:, :, later]
    assert endpoint.kind.repeated is not None, "the loader has looked"
    return endpoint.kind.repeated(value, baseline[..., None]), baseline


def _strata(
    chunk: Chunk, comparison: Comparison
) -> Int[np.ndarray, "replicate subject"] | None:
    """Give each stratum a number from 0; below 0 for whoever lacks a covariate."""
    if not comparison.strata:
        return None
    columns = np.stack([chunk.covariate(name) for name in comparison.strata], axis=-1)
    flat = columns.reshape(-1, columns.shape[-1])
    known = np.isfinite(flat).all(axis=1)
    number = np.full(len(flat), -1)
    number[known] = np.unique(flat[known], axis=0, return_inverse=True)[1].reshape(-1)
    return number.reshape(columns.shape[:-1])


def _against_margins(
    chunk: Chunk, comparison: Comparison, protocol: Protocol, made: Contrast
) -> Numbers:
    """Return the one-sided p-value against a margin; the larger one of two."""
    above, below = comparison.above, comparison.below
    by = comparison.by
    sided = [(m, up) for m, up in ((above, True), (below, False)) if m is not None]
    if by in OF_RESPONSES and not comparison.strata:
        value, treated = (
            sides(chunk, comparison, "outcome"),
            chunk.in_arm(comparison.arm),
        )
        found = [
            score_margin(by, value, treated, margin=margin, above=up)
            for margin, up in sided
        ]
        return np.max(found, axis=0)
    effect, ratio = _effect(chunk, comparison, protocol, made), by in RATIOS
    if above is not None and below is not None:
        return equivalence(effect, above, below, ratio=ratio, level=comparison.level).p
    margin, up = sided[0]
    return margin_test(effect, margin, above=up, ratio=ratio)


def _effect(
    chunk: Chunk, comparison: Comparison, protocol: Protocol, made: Contrast
) -> Effect:
    """Return a comparison's effect with its degrees of freedom."""
    if comparison.by not in ("difference of means", "ratio of geometric means"):
        return effect_of(made, ratio=comparison.by in RATIOS)
    value = sides(chunk, comparison, "outcome")
    if comparison.by == "ratio of geometric means":
        value = logarithms(value)
    endpoint = protocol.endpoint(comparison.endpoint)
    covariates = covariates_of(chunk, comparison, endpoint)
    return least_squares(value, chunk.in_arm(comparison.arm), covariates=covariates)

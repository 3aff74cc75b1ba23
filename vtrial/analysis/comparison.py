"""A protocol's comparison, answered in many trials at once."""

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Int

from vtrial.analysis.crossed import CrossedChunk
from vtrial.analysis.reading import Chunk, covariates_of
from vtrial.dims import BASELINE, EVENT, OUTCOME
from vtrial.endpoint.endpoint import Endpoint
from vtrial.measure.groups import (
    Cells,
    Contrast,
    Crossed,
    Dosed,
    Groups,
    Numbers,
    Pairs,
    Random,
    Tier,
    Values,
    Visits,
)
from vtrial.measure.margin import effect_of, equivalence, margin_test
from vtrial.measure.statistic import logarithms, summarise
from vtrial.protocol.analysis import Comparison
from vtrial.protocol.arrivals import enrolled_at
from vtrial.protocol.protocol import Protocol
from vtrial.protocol.subset import holds


def answered(chunk: Chunk, comparison: Comparison, protocol: Protocol) -> Contrast:
    """Compare two arms as the trial does: its own subjects in each.

    With margins the p-value is that of the test against them, one-sided; between two
    margins the larger of both.
    """
    groups = groups_of(chunk, comparison, protocol)
    made = contrast_between(groups, comparison)
    if comparison.above is None and comparison.below is None:
        return made
    return made._replace(p=_against_margins(groups, comparison, made))


def contrast_between(groups: Groups, comparison: Comparison) -> Contrast:
    """Compare two arms without regard to margins."""
    made = comparison.measure.kernel
    return made(groups, level=comparison.level, **_options(comparison))


def details_of(
    chunk: Chunk, comparison: Comparison, protocol: Protocol
) -> dict[str, Numbers]:
    """Return what else a measure says of each trial; nothing if it says no more."""
    measure = comparison.measure
    details = measure.details if protocol.crossover is None else measure.crossed
    if details is None:
        return {}
    groups = groups_of(chunk, comparison, protocol)
    return details(groups, level=comparison.level, **_options(comparison))


def _options(comparison: Comparison) -> dict[str, Any]:
    """Return what a measure's kernel is told beside the groups."""
    return {key: getattr(comparison, key) for key in comparison.measure.told}


def truth(chunk: Chunk, comparison: Comparison) -> Pairs:
    """Compare everyone under one arm with themselves under the other."""
    if comparison.cells:
        return _truth_of_cells(chunk, comparison)
    value, reference = (
        chosen(chunk, comparison, chunk.values(name, comparison.endpoint))
        for name in (comparison.arm, comparison.reference)
    )
    if comparison.measure.pairs is None:
        none = np.full(len(value), np.nan)
        return Pairs(none, none, none)
    return comparison.measure.pairs(value, reference)


def _truth_of_cells(chunk: Chunk, comparison: Comparison) -> Pairs:
    """Compare everyone under all arms, by what each counts; no one group has them."""
    ratio = comparison.measure.ratio
    total = np.zeros((chunk.replicates, chunk.subjects))
    for name, weight in comparison.cells:
        value = chosen(chunk, comparison, chunk.values(name, comparison.endpoint))
        total = total + weight * (logarithms(value) if ratio else value)
    made = summarise("mean", total)
    effect = np.exp(made.estimate) if ratio else made.estimate
    return Pairs(effect, made.error, np.full(len(effect), np.nan))


def groups_of(chunk: Chunk, comparison: Comparison, protocol: Protocol) -> Groups:
    """Gather what a comparison is made of."""
    endpoint, of = protocol.endpoint(comparison.endpoint), comparison.measure.of
    dosed = comparison.measure.dosed
    plain = not (of in ("visits", "tiers") or dosed)  # which have values of their own
    none = np.full((chunk.replicates, chunk.subjects), np.nan)
    adjusted = comparison
    if of == "visits":  # the baseline is one of them
        names = tuple(name for name in comparison.adjust if name != BASELINE)
        adjusted = replace(comparison, adjust=names)
    return Groups(
        value=sides(chunk, comparison, OUTCOME) if plain else none,
        treated=chunk.in_arm(comparison.arm),
        event=sides(chunk, comparison, EVENT) if plain and endpoint.event else None,
        span=endpoint.end - endpoint.start,
        covariates=covariates_of(chunk, adjusted, endpoint),
        strata=_strata(chunk, comparison),
        visits=_visits(chunk, comparison, endpoint) if of == "visits" else None,
        tiers=_tiers(chunk, comparison, protocol),
        dosed=_dosed(chunk, comparison) if dosed else None,
        crossed=_crossed(chunk, comparison)
        if isinstance(chunk, CrossedChunk)
        else None,
        cells=_cells(chunk, comparison) if comparison.cells else None,
        site=_sites(chunk, protocol) if comparison.sites else None,
        random=Random(comparison.random, comparison.freedom)
        if comparison.random
        else None,
    )


def _sites(chunk: Chunk, protocol: Protocol) -> Int[np.ndarray, "replicate subject"]:
    """Return the place of each subject's site."""
    assert protocol.design.sites is not None, "the loader has looked"
    trials = np.arange(chunk.replicates) + chunk.start
    return enrolled_at(
        protocol.design.sites,
        seed=protocol.seed,
        trials=trials,
        subjects=chunk.subjects,
    ).site


def _cells(chunk: Chunk, comparison: Comparison) -> Cells:
    """Gather the values of all arms, and by what each counts."""
    value = np.full((chunk.replicates, chunk.subjects), np.nan)
    for name in chunk.arms:
        own = chunk.own(name, comparison.endpoint)
        value = np.where(chunk.in_arm(name), own, value)
    weights = dict(comparison.cells)
    return Cells(
        chosen(chunk, comparison, value),
        chunk.allocated,
        np.array([weights.get(name, 0.0) for name in chunk.arms]),
    )


def _crossed(chunk: CrossedChunk, comparison: Comparison) -> Crossed:
    """Gather everybody's values under every treatment."""
    names, plan = chunk.arms, chunk.plan
    value = np.full((chunk.replicates, chunk.subjects), np.nan)
    for name in names:
        own = chunk.own(name, comparison.endpoint)
        value = np.where(chunk.in_arm(name), own, value)
    return Crossed(
        chosen(chunk, comparison, value),
        chunk.allocated,
        chunk.sequence,
        len(names),
        len(plan.sequences),
        2 if plan.paired else chunk.periods,
        plan.paired,
        (names.index(comparison.arm), names.index(comparison.reference)),
    )


def _dosed(chunk: Chunk, comparison: Comparison) -> Dosed:
    """Gather the values under every dose that takes part."""
    names = [name for name, _ in comparison.doses]
    value = np.full((chunk.replicates, chunk.subjects), np.nan)
    place = np.full(value.shape, -1)
    for number, name in enumerate(names):
        inside = chunk.in_arm(name)
        value = np.where(inside, chunk.own(name, comparison.endpoint), value)
        place = np.where(inside, number, place)
    versus = (names.index(comparison.arm), names.index(comparison.reference))
    return Dosed(chosen(chunk, comparison, value), place, len(names), versus)


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


def size_of(chunk: Chunk, comparison: Comparison) -> Numbers:
    """Count who has a value in one of both arms; of a crossover, persons."""
    known = np.isfinite(sides(chunk, comparison, OUTCOME))
    if isinstance(chunk, CrossedChunk):
        known = known.reshape(chunk.replicates, -1, chunk.periods).any(axis=2)
    return known.sum(axis=1, dtype=float)


def chosen(chunk: Chunk, comparison: Comparison, values: Values) -> Values:
    """Leave out subjects who do not meet the comparison's condition."""
    if comparison.where is None:
        return values
    return np.where(holds(comparison.where, chunk.covariate), values, np.nan)


def _tiers(chunk: Chunk, comparison: Comparison, protocol: Protocol) -> list[Tier]:
    """Gather the endpoints of a hierarchy."""
    tiers = []
    for tier in comparison.tiers:
        event = None
        if protocol.endpoint(tier.endpoint).event:
            event = sides(chunk, comparison, EVENT, tier.endpoint)
        value = sides(chunk, comparison, OUTCOME, tier.endpoint)
        tiers.append(Tier(value, event, tier.higher, tier.margin))
    return tiers


def _visits(chunk: Chunk, comparison: Comparison, endpoint: Endpoint) -> Visits:
    """Gather the measured values at all visits, of all subjects in the comparison."""
    value, baseline = _measured(chunk, endpoint)
    arm = chunk.allocated
    if comparison.where is not None:
        arm = np.where(holds(comparison.where, chunk.covariate), arm, -1)
    return Visits(
        value=value,
        baseline=baseline if BASELINE in comparison.adjust else None,
        arm=arm,
        versus=(
            chunk.arms.index(comparison.arm),
            chunk.arms.index(comparison.reference),
        ),
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


def _against_margins(groups: Groups, comparison: Comparison, made: Contrast) -> Numbers:
    """Return the one-sided p-value against a margin; the larger one of two."""
    above, below = comparison.above, comparison.below
    measure = comparison.measure
    sided = [(m, up) for m, up in ((above, True), (below, False)) if m is not None]
    if measure.against is not None and not comparison.strata:
        found = [
            measure.against(groups, margin=margin, above=up) for margin, up in sided
        ]
        return np.max(found, axis=0)
    ratio = measure.ratio
    effect = effect_of(made, ratio=ratio)
    if measure.effect is not None:
        effect = measure.effect(groups)
    if above is not None and below is not None:
        return equivalence(effect, above, below, ratio=ratio, level=comparison.level).p
    margin, up = sided[0]
    return margin_test(effect, margin, above=up, ratio=ratio)

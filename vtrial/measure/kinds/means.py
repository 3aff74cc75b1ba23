"""Means and geometric means, by least squares or a random intercept, with covariates.

The random intercept is one of each site, or of each subject of a crossover.
"""

import functools
from typing import TYPE_CHECKING

import numpy as np

from vtrial.measure.groups import (
    Contrast,
    Effect,
    Groups,
    Numbers,
    Pairs,
    Values,
)
from vtrial.measure.kind import Measure
from vtrial.measure.kinds.mixed_model import FREEDOMS

if TYPE_CHECKING:
    from vtrial.measure.random_intercept import RandomIntercept

ALPHA = 0.05  # at which effects of periods and sequences are told
_OF = {False: "difference of means", True: "ratio of geometric means"}


def _compared(ratio: bool, groups: Groups, *, level: float) -> Contrast:
    from vtrial.measure.contrast import compare, contrast_of

    if groups.crossed or groups.cells or groups.random:
        return contrast_of(_effect(ratio, groups), ratio=ratio, level=level)
    value, treated, covariates = groups.value, groups.treated, groups.covariates
    return compare(_OF[ratio], value, treated, covariates=covariates, level=level)


def _effect(ratio: bool, groups: Groups) -> Effect:
    from vtrial.measure.cells import contrast_of_cells
    from vtrial.measure.contrast import least_squares
    from vtrial.measure.random_intercept import treatment_effect
    from vtrial.measure.statistic import logarithms
    from vtrial.measure.within import crossed_effect

    if groups.random is not None:
        fit = _mixed(ratio, groups)
        return treatment_effect(fit, by=FREEDOMS[groups.random.freedom])
    if groups.crossed is not None:
        return crossed_effect(groups.crossed, ratio=ratio)
    if groups.cells is not None:
        return contrast_of_cells(groups.cells, groups.covariates, ratio=ratio)
    value = logarithms(groups.value) if ratio else groups.value
    return least_squares(value, groups.treated, covariates=groups.covariates)


def _mixed(ratio: bool, groups: Groups) -> "RandomIntercept":
    """Fit a random intercept of each site, or of each subject of a crossover."""
    from vtrial.measure.cluster import random_sites
    from vtrial.measure.within import random_persons

    if groups.crossed is not None:
        return random_persons(groups.crossed, ratio=ratio)
    return random_sites(groups, ratio=ratio)


def _details(ratio: bool, groups: Groups, *, level: float) -> dict[str, Numbers]:
    """Say how alike subjects of a site are, where sites are random."""
    from vtrial.measure.cluster import sites_of

    if groups.random is None:
        return {}
    made = _mixed(ratio, groups)
    return {
        "correlation within sites": made.between / (made.between + made.within),
        "sites with subjects": sites_of(groups),
    }


def _crossed(ratio: bool, groups: Groups, *, level: float) -> dict[str, Numbers]:
    """Say how much persons vary within, and whether periods and sequences differ."""
    from vtrial.measure.within import analysis_of_variance

    assert groups.crossed is not None, "the caller has looked"
    name = "CV" if ratio else "standard deviation"

    def spread(variance: Numbers) -> Numbers:
        return np.sqrt(np.expm1(variance) if ratio else variance)

    if groups.random is not None:
        mixed = _mixed(ratio, groups)
        return {
            f"{name} within persons": spread(mixed.within),
            f"{name} between persons": spread(mixed.between),
        }
    made = analysis_of_variance(groups.crossed, ratio=ratio)
    told = {f"{name} within persons": spread(made.residual)}
    if groups.crossed.paired:
        return told
    both = {"periods": made.period, "sequences": made.sequence}
    return told | {
        f"p < {ALPHA:g}: {name}": np.where(np.isfinite(p), p < ALPHA, np.nan)
        for name, p in both.items()
    }


def _pairs(ratio: bool, value: Values, reference: Values) -> Pairs:
    from vtrial.measure.contrast import pairs_of

    return pairs_of(_OF[ratio], value, reference)


KINDS = (
    Measure(
        word=_OF[False],
        place=10,
        of="numbers",
        kernel=functools.partial(_compared, False),
        options=("adjust", "random", "freedom"),
        effect=functools.partial(_effect, False),
        pairs=functools.partial(_pairs, False),
        details=functools.partial(_details, False),
        crossed=functools.partial(_crossed, False),
        cells=True,
        made_of=("mean", "share"),
    ),
    Measure(
        word=_OF[True],
        place=20,
        of="numbers",
        kernel=functools.partial(_compared, True),
        options=("adjust", "random", "freedom"),
        ratio=True,
        logarithms=True,
        effect=functools.partial(_effect, True),
        pairs=functools.partial(_pairs, True),
        details=functools.partial(_details, True),
        crossed=functools.partial(_crossed, True),
        cells=True,
        made_of=("geometric mean",),
        lacks="a value is not positive",
    ),
)

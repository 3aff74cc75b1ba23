"""Ratios of the rates of events, by regression on their logarithm."""

import functools

import numpy as np

from vtrial.measure.groups import Contrast, Groups
from vtrial.measure.kind import Measure


def _ratio(poisson: bool, groups: Groups, *, level: float) -> Contrast:
    from vtrial.measure.rate import rate_ratio

    exposure = np.where(np.isfinite(groups.value), groups.span, np.nan)
    return rate_ratio(
        groups.value,
        exposure,
        groups.treated,
        covariates=groups.covariates,
        family="Poisson" if poisson else "negative binomial",
        level=level,
    )


_kind = functools.partial(Measure, of="counts", options=("adjust",), ratio=True)
KINDS = (
    _kind(
        word="rate ratio",
        place=50,
        kernel=functools.partial(_ratio, False),
        says="negative binomial",
        lacks="an arm has no event, or the fit has not converged",
    ),
    _kind(
        word="Poisson rate ratio",
        place=60,
        kernel=functools.partial(_ratio, True),
        lacks="an arm has no event",
    ),
)

"""Means and geometric means, by least squares with covariates."""

import functools

from vtrial.measure.groups import Contrast, Effect, Groups, Pairs, Values
from vtrial.measure.kind import Measure

_OF = {False: "difference of means", True: "ratio of geometric means"}


def _compared(ratio: bool, groups: Groups, *, level: float) -> Contrast:
    from vtrial.measure.contrast import compare

    value, treated, covariates = groups.value, groups.treated, groups.covariates
    return compare(_OF[ratio], value, treated, covariates=covariates, level=level)


def _effect(ratio: bool, groups: Groups) -> Effect:
    from vtrial.measure.contrast import least_squares
    from vtrial.measure.statistic import logarithms

    value = logarithms(groups.value) if ratio else groups.value
    return least_squares(value, groups.treated, covariates=groups.covariates)


def _pairs(ratio: bool, value: Values, reference: Values) -> Pairs:
    from vtrial.measure.contrast import pairs_of

    return pairs_of(_OF[ratio], value, reference)


KINDS = (
    Measure(
        word=_OF[False],
        place=10,
        of="numbers",
        kernel=functools.partial(_compared, False),
        options=("adjust",),
        effect=functools.partial(_effect, False),
        pairs=functools.partial(_pairs, False),
        made_of=("mean", "share"),
    ),
    Measure(
        word=_OF[True],
        place=20,
        of="numbers",
        kernel=functools.partial(_compared, True),
        options=("adjust",),
        ratio=True,
        logarithms=True,
        effect=functools.partial(_effect, True),
        pairs=functools.partial(_pairs, True),
        made_of=("geometric mean",),
        lacks="a value is not positive",
    ),
)

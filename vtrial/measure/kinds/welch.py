"""The difference of means with each arm's own variance.

References
----------
Welch BL (1947) Biometrika 34:28-35.
"""

from vtrial.measure.groups import Contrast, Effect, Groups, Pairs, Values
from vtrial.measure.kind import Measure


def _effect(groups: Groups) -> Effect:
    from vtrial.measure.mean import welch

    return welch(groups.value, groups.treated)


def _compared(groups: Groups, *, level: float) -> Contrast:
    from vtrial.measure.contrast import contrast_of

    return contrast_of(_effect(groups), level=level)


def _pairs(value: Values, reference: Values) -> Pairs:
    from vtrial.measure.contrast import pairs_of

    return pairs_of("difference of means", value, reference)


KINDS = (
    Measure(
        word="Welch difference of means",
        place=15,
        of="numbers",
        says="each arm's own variance",
        kernel=_compared,
        effect=_effect,
        pairs=_pairs,
        made_of=("mean", "share"),
    ),
)

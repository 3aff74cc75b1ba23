"""The shift between two groups by ranks."""

from vtrial.measure.groups import Contrast, Groups
from vtrial.measure.kind import Measure


def _shift(groups: Groups, *, level: float) -> Contrast:
    from vtrial.measure.rank import shift_contrast

    return shift_contrast(
        groups.value, groups.treated, strata=groups.strata, level=level
    )


KINDS = (
    Measure(
        word="difference by ranks",
        place=30,
        of="numbers",
        kernel=_shift,
        options=("strata",),
    ),
)

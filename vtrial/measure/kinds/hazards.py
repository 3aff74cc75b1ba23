"""The hazard ratio by Cox's regression."""

from typing import Literal

from vtrial.measure.groups import Contrast, Groups
from vtrial.measure.kind import Measure

Ties = Literal["Efron", "Breslow", "exact"]


def _ratio(groups: Groups, *, level: float, ties: Ties) -> Contrast:
    from vtrial.measure.hazard import hazard_ratio

    assert groups.event is not None, "it is of times"
    return hazard_ratio(
        groups.value,
        groups.event,
        groups.treated,
        covariates=groups.covariates,
        strata=groups.strata,
        ties=ties,
        level=level,
    )


KINDS = (
    Measure(
        word="hazard ratio",
        place=100,
        of="times",
        kernel=_ratio,
        options=("adjust", "strata", "ties"),
        ratio=True,
        lacks="the likelihood has no maximum, as without events in an arm",
    ),
)

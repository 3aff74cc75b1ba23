"""The log-rank test, weighted or not, and the hazard ratio that it estimates."""

from vtrial.measure.groups import Contrast, Groups
from vtrial.measure.kind import Measure


def _log_rank(
    groups: Groups, *, level: float, weights: tuple[float, float]
) -> Contrast:
    from vtrial.measure.survival import log_rank

    assert groups.event is not None, "it is of times"
    rho, gamma = weights
    return log_rank(
        groups.value,
        groups.event,
        groups.treated,
        rho=rho,
        gamma=gamma,
        strata=groups.strata,
        level=level,
    )


KINDS = (
    Measure(
        word="log-rank",
        place=110,
        of="times",
        kernel=_log_rank,
        options=("strata", "weights"),
        ratio=True,
        lacks="no event tells",
    ),
)

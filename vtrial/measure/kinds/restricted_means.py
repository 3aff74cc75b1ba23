"""Restricted mean survival time up to a horizon, and survival at a milestone."""

import functools

from vtrial.measure.groups import Contrast, Groups
from vtrial.measure.kind import Measure


def _restricted(
    ratio: bool, groups: Groups, *, level: float, until: float | None
) -> Contrast:
    from vtrial.measure.survival import restricted_mean

    time, event, treated = groups.value, groups.event, groups.treated
    assert event is not None, "it is of times"
    return restricted_mean(time, event, treated, until=until, ratio=ratio, level=level)


def _milestone(groups: Groups, *, level: float, until: float | None) -> Contrast:
    from vtrial.measure.survival import milestone

    time, event, treated = groups.value, groups.event, groups.treated
    assert event is not None, "it is of times"
    assert until is not None, "the protocol says when"
    return milestone(time, event, treated, at=until, level=level)


_kind = functools.partial(
    Measure,
    of="times",
    options=("until",),
    lacks="an arm's last time is censored too early",
)
KINDS = (
    _kind(
        word="difference of restricted means",
        place=120,
        kernel=functools.partial(_restricted, False),
    ),
    _kind(
        word="ratio of restricted means",
        place=130,
        kernel=functools.partial(_restricted, True),
        ratio=True,
    ),
    _kind(
        word="milestone difference",
        place=140,
        kernel=_milestone,
        needs=(("until", "when the milestone is", "until: day 365"),),
        shares=True,
    ),
)

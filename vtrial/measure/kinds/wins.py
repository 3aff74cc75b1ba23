"""Wins, losses and ties of all pairs, over a hierarchy of endpoints."""

import functools
from typing import Literal

from vtrial.measure.groups import Contrast, Groups
from vtrial.measure.kind import Measure

Wins = Literal["win ratio", "win odds", "net benefit"]


def _wins(word: Wins, groups: Groups, *, level: float) -> Contrast:
    from vtrial.measure.win import win_contrast

    tiers, treated, strata = groups.tiers, groups.treated, groups.strata
    return win_contrast(word, tiers, treated, strata=strata, level=level)


_kind = functools.partial(Measure, of="tiers", options=("strata",))
_ratio = functools.partial(_kind, ratio=True, lacks="there are no wins, or no losses")
KINDS = (
    _ratio(word="win ratio", place=150, kernel=functools.partial(_wins, "win ratio")),
    _ratio(word="win odds", place=160, kernel=functools.partial(_wins, "win odds")),
    _kind(
        word="net benefit",
        place=170,
        kernel=functools.partial(_wins, "net benefit"),
        shares=True,
    ),
)

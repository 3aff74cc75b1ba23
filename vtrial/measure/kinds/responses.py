"""Proportions of responders: risk difference, risk ratio, odds ratio."""

import functools
from typing import Literal

from vtrial.measure.groups import Contrast, Groups, Numbers, Pairs, Values
from vtrial.measure.kind import Measure

Shares = Literal["risk difference", "risk ratio", "odds ratio"]


def _compared(
    word: Shares, groups: Groups, *, level: float, interval: str | None
) -> Contrast:
    from vtrial.measure.contrast import compare
    from vtrial.measure.proportion import score_contrast, stratified_contrast

    value, treated, strata = groups.value, groups.treated, groups.strata
    if strata is not None:
        return stratified_contrast(word, value, treated, strata, level=level)
    make = score_contrast if interval == "score" else compare
    return make(word, value, treated, level=level)


def _against(word: Shares, groups: Groups, *, margin: float, above: bool) -> Numbers:
    from vtrial.measure.proportion import score_margin

    value, treated = groups.value, groups.treated
    return score_margin(word, value, treated, margin=margin, above=above)


def _pairs(word: Shares, value: Values, reference: Values) -> Pairs:
    from vtrial.measure.contrast import pairs_of

    return pairs_of(word, value, reference)


def _measure(word: Shares, place: int, *, odds: bool = False) -> Measure:
    return Measure(
        word=word,
        place=place,
        of="responses",
        kernel=functools.partial(_compared, word),
        options=("strata", "interval"),
        against=functools.partial(_against, word),
        pairs=functools.partial(_pairs, word),
        made_of=("share", "mean"),
        ratio=word != "risk difference",
        shares=word == "risk difference",
        odds=odds,
    )


KINDS = (
    _measure("risk difference", 70),
    _measure("risk ratio", 80),
    _measure("odds ratio", 90, odds=True),
)

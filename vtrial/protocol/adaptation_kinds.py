"""The words of a trial's adaptations: what each is of, and which options it has.

Rooms that enact them find their kernels by these words.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FAMILIES = (
    "O'Brien-Fleming",
    "Pocock",
    "Wang-Tsiatis",
    "Haybittle-Peto",
    "O'Brien-Fleming spending",
    "Pocock spending",
    "Hwang-Shih-DeCani",
    "Kim-DeMets",
    "user spending",
    "critical values",
    "Pampallona-Tsiatis",
    "triangular",
    "none",
)


@dataclass(frozen=True)
class AdaptationKind:
    """What there is to know of a word that stands at an adaptation's `by`.

    `of`: whether `on` names comparisons or one endpoint. `needs` are options that must
    be given, each with an example.
    """

    word: str
    of: Literal["comparisons", "endpoint"]
    says: str
    options: tuple[str, ...] = ()
    needs: tuple[tuple[str, str], ...] = ()


_ALL = (
    AdaptationKind(
        "group sequential",
        "comparisons",
        "Stops for efficacy or futility where the test statistic crosses boundaries "
        "that keep the type I error over all looks (Jennison and Turnbull 2000).",
        (
            *("alpha", "efficacy", "parameter", "futility", "futility parameter"),
            *("power", "binding", "sides", "information"),
        ),
    ),
    AdaptationKind(
        "posterior probability",
        "comparisons",
        "Stops for success if it is probable enough that the effect is beyond the "
        "margin, and for futility if it is too improbable; with `alike`, subgroups "
        "borrow from each other (Neuenschwander and others 2016).",
        ("success", "futility", "margin", "alike", "heterogeneity", "spread"),
        (("success", "99 %"),),
    ),
    AdaptationKind(
        "predictive power",
        "comparisons",
        "Stops for futility if a significant end has become improbable, averaged over "
        "what is likely by now (Spiegelhalter and others 1986).",
        ("alpha", "futility"),
        (("futility", "10 %"),),
    ),
    AdaptationKind(
        "sample size",
        "comparisons",
        "Enrols more subjects where the result is promising: conditional power from "
        "`least` up to `power` (Mehta and Pocock 2011). Stages are joined by the "
        "inverse normal method with weights that were planned.",
        ("alpha", "least", "power"),
    ),
    AdaptationKind(
        "response adaptive",
        "endpoint",
        "Gives later subjects more often the arms that do well: with the probability "
        "that an arm is the best (Thompson), or its square root.",
        ("rule", "floor"),
    ),
    AdaptationKind(
        "drop arms",
        "endpoint",
        "Enrols no more subjects in an arm that is too improbably the best.",
        ("below", "keep"),
        (("below", "5 %"),),
    ),
    AdaptationKind(
        "select arms",
        "comparisons",
        "Goes on with the best arms of those compared, and tests them at the end in a "
        "closed procedure: Dunnett's test of each intersection, stages joined by the "
        "inverse normal method (Bretz and others 2006). With `early` they are the "
        "best by another endpoint, known earlier (Jenkins and others 2011).",
        ("alpha", "best", "early", "early better"),
        (("best", "1"),),
    ),
    AdaptationKind(
        "select subgroup",
        "comparisons",
        "Goes on with the subgroup alone where it is too improbable that the whole "
        "population shows an effect, and tests both at the end in a closed procedure: "
        "Spiessens and Debois's test of the intersection, stages joined by the inverse "
        "normal method.",
        ("alpha", "least", "futility"),
        (("least", "30 %"),),
    ),
)


def adaptation_kinds() -> Mapping[str, AdaptationKind]:
    """Return every adaptation by its word, in the order of the docs.

    Examples
    --------
    >>> adaptation_kinds()["drop arms"].of
    'endpoint'
    """
    return {one.word: one for one in _ALL}

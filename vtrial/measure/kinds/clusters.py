"""Differences between groups of whole sites, each of which counts once.

References
----------
Donner A, Klar N (2000) Design and Analysis of Cluster Randomization Trials in Health
Research. Arnold.
"""

import functools

from vtrial.measure.groups import Contrast, Effect, Groups, Numbers, Pairs, Values
from vtrial.measure.kind import Measure


def _effect(groups: Groups) -> Effect:
    from vtrial.measure.cluster import cluster_effect

    return cluster_effect(groups)


def _compared(groups: Groups, *, level: float) -> Contrast:
    from vtrial.measure.contrast import contrast_of

    return contrast_of(_effect(groups), level=level)


def _details(groups: Groups, *, level: float) -> dict[str, Numbers]:
    """Say how alike subjects of a site are, and what that costs."""
    from vtrial.measure.cluster import agreement

    made = agreement(groups)
    return {
        "correlation within sites": made.correlation,
        "design effect": made.inflation,
        "sites with subjects": made.sites,
    }


def _pairs(of: str, value: Values, reference: Values) -> Pairs:
    from vtrial.measure.contrast import pairs_of

    return pairs_of(of, value, reference)


KINDS = (
    Measure(
        word="difference of site means",
        place=25,
        of="numbers",
        says="each site counts once",
        kernel=_compared,
        effect=_effect,
        pairs=functools.partial(_pairs, "difference of means"),
        details=_details,
        sites=True,
        lacks="an arm has too few sites",
    ),
    Measure(
        word="difference of site shares",
        place=65,
        of="responses",
        says="each site counts once",
        kernel=_compared,
        shares=True,
        effect=_effect,
        pairs=functools.partial(_pairs, "risk difference"),
        details=_details,
        sites=True,
        lacks="an arm has too few sites",
    ),
)

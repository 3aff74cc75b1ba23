"""Subjects left out of an estimate, and worst-case bounds for their outcomes."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from vtrial.analysis.comparison import chosen, contrast_between, groups_of
from vtrial.analysis.reading import Chunk
from vtrial.measure.statistic import Numbers, Values
from vtrial.protocol.analysis import Comparison
from vtrial.protocol.protocol import Protocol


def share_bounds(
    value: Values, failed: Bool[np.ndarray, "replicate subject"]
) -> tuple[Numbers, Numbers]:
    """Return each trial's proportion if none, and if all, of the failed responded.

    `value` is 1 or 0, NaN for whoever is not in the arm, failed or has none.
    """
    seen = np.isfinite(value).sum(axis=1)
    events, lost = np.nansum(value, axis=1), failed.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return events / (seen + lost), (events + lost) / (seen + lost)


class Lost(NamedTuple):
    """Subjects of an arm and its reference who are compared, and who are left out."""

    n: int
    missing: int
    failed: int
    reference_n: int
    reference_missing: int
    reference_failed: int


def lost(chunk: Chunk, comparison: Comparison) -> Lost:
    """Count the subjects in a comparison, and those left out of it."""
    counts: list[int] = []
    for arm in (comparison.arm, comparison.reference):
        asked = chosen(chunk, comparison, np.zeros(chunk.allocated.shape))
        inside = chunk.in_arm(arm) & np.isfinite(asked)
        failed = inside & chunk.failed(arm)
        seen = inside & np.isfinite(chunk.own(arm, comparison.endpoint))
        parts = (seen, inside & ~seen & ~failed, failed)
        counts += [int(part.sum()) for part in parts]
    return Lost(*counts)


def bounds(
    chunk: Chunk, comparison: Comparison, protocol: Protocol
) -> tuple[Numbers, Numbers]:
    """Return the worst-case bounds of an effect on a response, given the failed.

    The least is that if none of the arm's failed subjects had responded, and all of
    the reference's; the greatest the other way round. NaN for other measures.
    """
    none = np.full(chunk.replicates, np.nan)
    if comparison.measure.of != "responses":
        return none, none
    groups = groups_of(chunk, comparison, protocol)
    value, treated = groups.value, groups.treated
    failed = chunk.failed(comparison.arm) | chunk.failed(comparison.reference)
    failed = np.isfinite(chosen(chunk, comparison, np.where(failed, 0.0, np.nan)))
    least, most = (
        contrast_between(
            groups._replace(value=np.where(failed, worst, value)), comparison
        ).estimate
        for worst in (~treated, treated)
    )
    return least, most

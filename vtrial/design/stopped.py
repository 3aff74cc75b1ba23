"""What trials that could stop early estimate, once it is known where they stopped."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from vtrial.design.kinds.sequential import WORD, plan_of, seen_by
from vtrial.design.sequential.actual import bounds_seen
from vtrial.design.sequential.boundary import Boundaries, boundaries
from vtrial.design.sequential.inference import final_estimate, stagewise_p
from vtrial.design.trials import Decision, Trials
from vtrial.protocol.enactment import Adaptation, Enactment

MOST = 1000  # trials with bounds of their own that are estimated from

Each = Float[np.ndarray, " trial"]


class Stopped(NamedTuple):
    """What each trial estimates, on the scale of its comparison; ratios as logarithms.

    Fields
    ------
    estimate, low, high
        The median unbiased estimate, and the interval, by the stage-wise ordering.
    p
        The one-sided p-value of that ordering.
    repeated_low, repeated_high
        The repeated confidence interval at the look that decided.
    """

    estimate: Each
    low: Each
    high: Each
    p: Each
    repeated_low: Each
    repeated_high: Each


def stopped(
    enactment: Enactment, trials: Trials, comparison: str, place: int, *, level: float
) -> Stopped | None:
    """Return what a comparison's group sequential test estimates in each trial.

    None if there is no such test of it, or other rules decide on it, too. Of trials
    with bounds of their own (`information`) the first thousand are estimated from; the
    others are NaN, as are those in which nothing is known.

    Notes
    -----
    At a look with the share t of the information, the drift theta stands for the effect
    estimate + (theta sqrt(t) - z) error.

    Parameters
    ----------
    place
        Of the comparison in `trials`.
    level
        Of the interval by the stage-wise ordering; that of the repeated one is what the
        boundaries keep.
    """
    deciding = [one for one in enactment.adaptations if comparison in one.on]
    if len(deciding) != 1 or deciding[0].by != WORD:
        return None
    rule = deciding[0]
    ends = trials.decision[:, :, place] > Decision.GO_ON
    looks = np.asarray(rule.looks)
    at = ends[:, looks].argmax(axis=1)
    rows = np.arange(len(trials))
    sign = 1.0 if rule.better == "higher" else -1.0
    estimate, error, z = (
        sign * part[rows, looks[at], place]
        for part in (trials.estimate, sign * trials.error, trials.z)
    )
    known = ends[:, looks].any(axis=1) & np.isfinite(estimate + error + z)
    made = np.full((6, len(trials)), np.nan)
    for here, look, bounds in _bounded(rule, enactment, trials, at, known):
        drift, low, high = final_estimate(z[here], look, bounds, level=level)
        wide = np.broadcast_to(
            bounds.information, (len(here), *bounds.upper.shape[-1:])
        )
        share = np.sqrt(wide[np.arange(len(here)), look])
        limit = np.broadcast_to(bounds.upper, wide.shape)[np.arange(len(here)), look]
        for row, theta in enumerate((drift, low, high)):
            made[row, here] = estimate[here] + (theta * share - z[here]) * error[here]
        made[3, here] = stagewise_p(z[here], look, bounds)
        made[4, here] = estimate[here] - limit * error[here]
        made[5, here] = estimate[here] + limit * error[here]
    if sign < 0:
        made = made[[0, 2, 1, 3, 5, 4]] * np.array([-1, -1, -1, 1, -1, -1.0])[:, None]
    return Stopped(*made)


def _bounded(
    rule: Adaptation,
    enactment: Enactment,
    trials: Trials,
    at: Int[np.ndarray, " trial"],
    known: np.ndarray,
) -> Iterator[tuple[np.ndarray, np.ndarray, Boundaries]]:
    """Yield trials with the look that decided, and bounds: of all, or of each."""
    plan = plan_of(rule, enactment)
    if rule.option("information") is None:
        here = np.flatnonzero(known)
        if len(here):
            yield here, at[here], boundaries(plan)
        return
    some = np.flatnonzero(known)[:MOST]
    counted = {"known": trials.known[some], "events": trials.events[some]}
    shares = seen_by(rule, counted)
    last = len(rule.looks) - 1
    shares = np.where(np.arange(last + 1) <= at[some, None], shares, np.nan)
    for group in bounds_seen(plan, shares, at[some] == last):
        here = some[group.trials]
        there = at[here] == group.looks[-1]
        look = np.full(int(there.sum()), len(group.looks) - 1)
        if there.all():
            yield here, look, group.bounds

"""Bounds at looks that came at whatever information there was, in many trials.

Errors are spent by the plan's functions at the information that a look really has (Lan
and DeMets 1983), so that looks by the calendar keep the type I error.

References
----------
Lan KKG, DeMets DL (1983) Biometrika 70:659-663.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from vtrial.design.sequential.boundary import Boundaries, boundaries, boundaries_at
from vtrial.design.sequential.plan import GroupSequential

LEAST = 0.02  # of the planned information: what a look must have more than the last
BEYOND = 0.1  # how much later than now the end is taken to be, at least
TOGETHER = 256  # sets of looks whose bounds are found at once

Shares = Float[np.ndarray, "trial look"]


class Group(NamedTuple):
    """Trials that were looked at by the same looks.

    Fields
    ------
    trials
        Their places.
    looks
        The places of the looks that count, of which the last is that which was asked
        about.
    bounds
        Of each trial at these looks; a look to come may stand behind them.
    """

    trials: Int[np.ndarray, " some"]
    looks: Int[np.ndarray, " few"]
    bounds: Boundaries


def usable(
    shares: Shares, ends: Bool[np.ndarray, " trial"]
) -> tuple[Bool[np.ndarray, "trial look"], Shares]:
    """Return which looks count, and their information.

    A look counts where it was held and has enough more information than the one
    before. The end of a trial counts always, with that much more at least.
    """
    counts, made = np.zeros(shares.shape, bool), shares.copy()
    before = np.zeros(len(shares))
    held = np.isfinite(shares)
    final = np.where(held.any(axis=1), held.shape[1] - 1 - held[:, ::-1].argmax(1), -1)
    for look in range(shares.shape[1]):
        end = ends & (final == look)
        now = np.where(end, np.maximum(made[:, look], before + LEAST), made[:, look])
        with np.errstate(invalid="ignore"):
            counts[:, look] = held[:, look] & (now - before >= LEAST * (1 - 1e-9))
        made[:, look] = now
        before = np.where(counts[:, look], now, before)
    return counts, made


def bounds_seen(
    design: GroupSequential, shares: Shares, ends: Bool[np.ndarray, " trial"]
) -> Iterator[Group]:
    """Yield trials with the bounds of their looks so far.

    Parameters
    ----------
    design
        The plan, by whose functions errors are spent.
    shares
        Of the planned information at each look so far; NaN where it was not held.
    ends
        Whether a trial's last held look is its end, which spends all that is left.
    """
    counts, made = usable(shares, ends)
    plan = boundaries(design)
    key = np.column_stack([counts, ends])
    kinds, number = np.unique(key, axis=0, return_inverse=True)
    for place, kind in enumerate(kinds):
        looks = np.flatnonzero(kind[:-1])
        if not len(looks):
            continue
        trials = np.flatnonzero(number.ravel() == place)
        seen = made[np.ix_(trials, looks)].round(9)
        if not kind[-1]:
            seen = np.column_stack([seen, np.maximum(seen[:, -1] + BEYOND, 1.0)])
        found, of = np.unique(seen, axis=0, return_inverse=True)
        # The narrowest step decides how many nodes all that are found at once need.
        steps = np.diff(found, prepend=0.0, axis=1)
        order = np.argsort((steps / found).min(axis=1), kind="stable")
        rank = np.empty(len(order), int)
        rank[order] = np.arange(len(order))
        for start in range(0, len(order), TOGETHER):
            mine = order[start : start + TOGETHER]
            here = np.flatnonzero((rank[of] >= start) & (rank[of] < start + TOGETHER))
            bounds = boundaries_at(design, found[mine], plan=plan)
            yield Group(trials[here], looks, _taken(bounds, rank[of[here]] - start))


def _taken(bounds: Boundaries, rows: Int[np.ndarray, " some"]) -> Boundaries:
    """Return the bounds of some sets of looks, each as often as it is asked for."""
    from dataclasses import fields, replace

    lead = bounds.information.shape
    parts = {
        field.name: getattr(bounds, field.name)[rows]
        for field in fields(bounds)
        if np.shape(getattr(bounds, field.name)) == lead
    }
    return replace(bounds, **parts)

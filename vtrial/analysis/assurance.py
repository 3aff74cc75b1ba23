"""Assurance: power averaged over what is not known of the parameters, and its parts.

References
----------
O'Hagan A, Stevens JW, Campbell MJ (2005) Pharm Stat 4:187-201.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from vtrial.analysis.enacted import as_ratio, unit_of
from vtrial.analysis.estimates import ENACTED_ROWS
from vtrial.analysis.operating import Measured, mean_of, proportion_of
from vtrial.protocol.analysis import Comparison
from vtrial.protocol.protocol import Protocol

PARTS, LEAST = 4, 5  # of the draws by their effect, each of so many draws at least


class Tried(NamedTuple):
    """Trials of one comparison, and what is true in them.

    Fields
    ------
    shown
        Whether each trial shows it.
    draw
        From which draw of the parameters each trial's subjects are.
    effect
        The true effect of each draw; ratios as their logarithms.
    fixed
        Whether each trial shows it that has the model's own values.
    at_values
        The true effect there.
    """

    shown: Bool[np.ndarray, " trial"]
    draw: Int[np.ndarray, " trial"]
    effect: Float[np.ndarray, " draw"]
    fixed: Bool[np.ndarray, " trial"]
    at_values: float


def assurance_of(protocol: Protocol, tried: list[Tried]) -> pd.DataFrame:
    """Return the assurance of every comparison and its parts, with Monte Carlo errors.

    Trials of one draw of the parameters share their truth, and so count together: the
    error is that of the draws.
    """
    rows = [
        (comparison.name, measure, unit, *worth)
        for comparison, one in zip(protocol.analysis.comparisons, tried, strict=True)
        for measure, unit, worth in _of_one(protocol, comparison, one)
    ]
    return pd.DataFrame(rows, columns=ENACTED_ROWS)


def _of_one(
    protocol: Protocol, comparison: Comparison, tried: Tried
) -> Iterator[tuple[str, str, Measured]]:
    """Yield what is of one comparison."""
    yield "assurance", "share", _by_draws(tried, np.ones(len(tried.effect), bool))
    yield "power at the model's values", "share", proportion_of(tried.fixed)
    known = np.isfinite(tried.effect)
    effect = tried.effect[known]
    if len(effect) < 2:
        return
    ratio, unit = comparison.measure.ratio, unit_of(protocol, comparison)
    own = Measured(tried.at_values, np.nan, np.nan, np.nan, len(tried.fixed))
    for name, worth in (("model's values", own), ("mean", mean_of(effect))):
        yield f"true effect, {name}", unit, as_ratio(worth) if ratio else worth
    works = _works(comparison, tried)
    yield "share of draws where it works", "share", proportion_of(works[known])
    yield "power where it works", "share", _by_draws(tried, works)
    yield "power where it does not", "share", _by_draws(tried, known & ~works)
    count = min(PARTS, len(effect) // LEAST)
    if count < 2:
        return
    ends = np.quantile(effect, np.linspace(0, 1, count + 1))
    part = np.clip(np.searchsorted(ends, tried.effect, "right") - 1, 0, count - 1)
    said = np.exp(ends) if ratio else 100 * ends if unit == "points" else ends
    unit = {"points": "pp", "1": ""}.get(unit, unit)
    for place in range(count):
        span = f"{said[place]:.3g} to {said[place + 1]:.3g} {unit}".rstrip()
        yield (
            f"power, true effect {span}",
            "share",
            _by_draws(tried, known & (part == place)),
        )


def _works(comparison: Comparison, tried: Tried) -> Bool[np.ndarray, " draw"]:
    """Return the draws in which the effect is beyond its margin, or beyond none.

    Without a margin, on the side on which it is at the model's own values.
    """
    low, high = comparison.above, comparison.below
    if low is None and high is None:
        return tried.effect * tried.at_values > 0
    if comparison.measure.ratio:
        low, high = (one if one is None else np.log(one) for one in (low, high))
    inside = np.isfinite(tried.effect)
    inside &= tried.effect > (-np.inf if low is None else low)
    return inside & (tried.effect < (np.inf if high is None else high))


def _by_draws(tried: Tried, chosen: Bool[np.ndarray, " draw"]) -> Measured:
    """Return the share of the trials of some draws that show it."""
    inside = chosen[tried.draw]
    shown, draw = tried.shown[inside], tried.draw[inside]
    count = np.bincount(draw, minlength=len(tried.effect))
    if count.max(initial=0) < 2:
        return proportion_of(shown)
    there = count > 0
    share = np.bincount(draw, shown, len(count))[there] / count[there]
    sure = share.mean() in (0.0, 1.0)  # of all draws alike, which is no certainty
    worth = proportion_of(share > 0) if sure else mean_of(share)
    low, high = max(worth.low, 0.0), min(worth.high, 1.0)
    return worth._replace(low=low, high=high, trials=len(shown))

"""Hold published numbers against simulated ones."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from vtrial.analysis.estimates import MISS, PUBLISHED, UNDECIDED, WITHIN
from vtrial.analysis.gather import Gathered, joined, statistic_of
from vtrial.analysis.replication import WHOLE, across, monte_carlo_margin
from vtrial.analysis.support import Range, support_of, support_of_effect
from vtrial.measure.statistic import Summary
from vtrial.protocol.analysis import effect_kind, effect_unit
from vtrial.protocol.evidence import Published
from vtrial.protocol.protocol import Protocol
from vtrial.protocol.subset import write_where


def published_of(
    seen: Gathered,
    endpoints: pd.DataFrame,
    contrasts: pd.DataFrame,
    protocol: Protocol,
) -> pd.DataFrame:
    """Lay every published number beside the simulated one."""
    rows = []
    for place, point in enumerate(protocol.evidence.published):
        if point.comparison:
            named = _of_comparison(point, protocol)
            known = contrasts[contrasts["comparison"] == point.comparison]
            simulated = _first(known)
        else:
            named = _of_endpoint(point, protocol)
            statistic = named["statistic"]
            known = endpoints[
                (endpoints["arm"] == point.arm)
                & (endpoints["endpoint"] == point.endpoint)
                & (endpoints["statistic"] == statistic)
            ]
            part = point.where is not None
            parts = seen.parts[place] if part else []
            simulated = _of_part(parts, statistic) if part else _first(known)
        limits = simulated.limits(_support(point, named["statistic"], protocol))
        row = {
            "arm": point.arm,
            "endpoint": point.endpoint,
            "where": write_where(point.where, protocol.words),
            "comparison": point.comparison,
            "published": point.value,
            "low": point.low,
            "high": point.high,
            "simulated": simulated.estimate,
            "mc_error": simulated.mc_error,
            "mc_low": limits[0],
            "mc_high": limits[1],
            "within": bool(point.low <= simulated.estimate <= point.high),
            "verdict": _verdict(point, simulated.estimate, limits),
            "verified": point.verified,
            "source": _cited(point),
        }
        rows.append(row | named)
    frame = pd.DataFrame(rows, columns=PUBLISHED)
    return frame.astype({"within": bool, "verified": bool})


class _Simulated(NamedTuple):
    """A simulated number, its Monte Carlo error, and how many trials it is of."""

    estimate: float = np.nan
    mc_error: float = np.nan
    trials: int = 0

    def limits(self, support: Range) -> tuple[float, float]:
        """Return its 95 % Monte Carlo limits, within the range of what it can be."""
        margin = monte_carlo_margin(self.mc_error, self.trials)
        low, high = np.clip(self.estimate + np.array([-margin, margin]), *support)
        return float(low), float(high)


def _first(known: pd.DataFrame) -> _Simulated:
    """Return the estimate of a table's one row, or NaN."""
    if known.empty:
        return _Simulated()
    row = known.iloc[0]
    numbers = float(row["estimate"]), float(row["mc_error"])
    return _Simulated(*numbers, int(row["replicates"]))


def _of_part(parts: Sequence[Summary], statistic: str) -> _Simulated:
    """Return a statistic of some of an arm's subjects."""
    if not parts:
        return _Simulated()
    scale = "share" if statistic == "share" else "plain"
    made = across(*joined(parts), scale=scale)
    return _Simulated(made.estimate, made.mc_error, made.replicates)


def _verdict(point: Published, value: float, limits: tuple[float, float]) -> str:
    """Judge a simulated number: a miss lies beyond the limits by more than chance.

    `undecided` is what lies beyond by less than 95 % Monte Carlo error: more trials
    would tell.
    """
    if point.low <= value <= point.high:
        return WITHIN
    return UNDECIDED if point.low <= limits[1] and limits[0] <= point.high else MISS


def _support(point: Published, statistic: str, protocol: Protocol) -> Range:
    """Return the range of what a published number can be."""
    if not point.comparison:
        return support_of(protocol.endpoint(point.endpoint), statistic)
    named = [c for c in protocol.analysis.comparisons if c.name == point.comparison]
    return (
        support_of_effect(named[0].by, protocol.endpoint(named[0].endpoint))
        if named
        else WHOLE
    )


def _of_endpoint(point: Published, protocol: Protocol) -> dict[str, str]:
    """Describe a published number of an arm: words, statistic, kind and unit."""
    endpoint = protocol.endpoint(point.endpoint)
    statistic = statistic_of(point, endpoint)
    share = statistic == "share"
    said = "" if share else f" ({statistic})"
    where = write_where(point.where, protocol.words)
    where = where and f", where {where}"
    return {
        "what": f"{point.endpoint}{said}, {point.arm}{where}",
        "statistic": statistic,
        "kind": "share" if share else "plain",
        "unit": "1" if share else endpoint.unit,
    }


def _of_comparison(point: Published, protocol: Protocol) -> dict[str, str]:
    """Describe a published comparison: words, measure, kind and unit."""
    named = [c for c in protocol.analysis.comparisons if c.name == point.comparison]
    if not named:
        return {"what": point.comparison, "statistic": "", "kind": "plain", "unit": "1"}
    comparison, endpoint = named[0], protocol.endpoint(named[0].endpoint)
    kind, _ = effect_kind(comparison.by, endpoint)
    return {
        "what": f"{comparison.endpoint}, {comparison.arm} with {comparison.reference}",
        "statistic": comparison.by,
        "kind": "points" if kind == "difference" else "plain",
        "unit": effect_unit(comparison.by, endpoint),
    }


def _cited(point: Published) -> str:
    """Write a published number's source on one line."""
    source = point.source
    doi = f"doi:{source.doi}" if source.doi else ""
    parts = [source.cite, doi or source.url, source.note]
    return "; ".join(part for part in parts if part)

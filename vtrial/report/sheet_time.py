"""Times to events in the unit that the sheet counts time in, for tables and figures."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from vtrial.protocol.analysis import effect_kind
from vtrial.protocol.protocol import Protocol
from vtrial.protocol.times import unit_of
from vtrial.units import factor

_HOURS = "h"
_BY_ROW = {  # frames whose rows name their endpoint and unit, and what is in that unit
    "endpoints": (
        *("estimate", "low", "high", "mc_error", "least", "most"),
        *("truth", "truth_error"),
    ),
    "contrasts": (
        *("estimate", "low", "high", "mc_error", "ci_low", "ci_high"),
        *("least", "most", "truth", "truth_error"),
    ),
    "distributions": ("low", "high"),
    "subgroups": ("estimate", "mc_error"),
    "published": (
        *("published", "low", "high", "simulated", "mc_error", "mc_low", "mc_high"),
    ),
}
_BY_COMPARISON = {  # frames whose rows name their comparison
    "convergence": ("estimate", "mc_error"),
    "operating": ("value", "mc_error", "low", "high"),
}
_IN_UNIT = {"bias", "of one trial", "by parameters", "by chance"}


def in_sheet_time(
    frames: Mapping[str, pd.DataFrame], protocol: Protocol
) -> tuple[dict[str, pd.DataFrame], Protocol]:
    """Return tables and protocol with times to events in days or weeks, if these count.

    Tables that are kept, and what is simulated, stay in hours.
    """
    unit = unit_of(protocol.data)
    events = {p.name for p in protocol.endpoints if p.event and p.unit == _HOURS}
    if unit in ("", _HOURS) or not events:
        return dict(frames), protocol
    per = factor(_HOURS, unit)
    told = dict(frames)
    for name, columns in _BY_ROW.items():
        frame = frames[name]
        rows = frame["endpoint"].isin(events) & (frame["unit"] == _HOURS)
        told[name] = _scaled(frame, rows, columns, per)
        told[name]["unit"] = frame["unit"].mask(rows, unit)
    timed = {
        asked.name
        for asked in protocol.analysis.comparisons
        if asked.endpoint in events
        and effect_kind(asked.by, protocol.endpoint(asked.endpoint))[1] == _HOURS
    }
    for name, columns in _BY_COMPARISON.items():
        frame = frames[name]
        rows = frame["comparison"].isin(timed)
        if "measure" in frame:
            rows &= frame["measure"].isin(_IN_UNIT)
        told[name] = _scaled(frame, rows, columns, per)
    points = tuple(
        replace(point, unit=unit) if point.name in events else point
        for point in protocol.endpoints
    )
    return told, replace(protocol, endpoints=points)


def _scaled(
    frame: pd.DataFrame, rows: pd.Series, columns: tuple[str, ...], per: float
) -> pd.DataFrame:
    """Multiply some columns of some rows."""
    made = frame.copy()
    for column in columns:
        values = frame[column].astype(float)
        made[column] = values.where(~rows.astype(bool), values * per)
    return made

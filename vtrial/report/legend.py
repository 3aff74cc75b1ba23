"""How arms and axes are marked in every figure: colours, markers, labels."""

from typing import Any

import pandas as pd

from vtrial.protocol.protocol import Protocol
from vtrial.report.drawing import arm_colour, arm_dash, arm_marker
from vtrial.report.words import Kind, unit_words

SCALE: dict[Kind, float] = {"plain": 1.0, "share": 100.0, "points": 100.0}


def place_of(protocol: Protocol, arm: str) -> int:
    """Return an arm's place in the protocol; 0 for one that it does not name."""
    return next((i for i, a in enumerate(protocol.arms) if a.name == arm), 0)


def pick_colour(protocol: Protocol, arm: str) -> str:
    """Return the colour of an arm by name."""
    return arm_colour(place_of(protocol, arm))


def pick_marker(protocol: Protocol, arm: str) -> str:
    """Return the marker of an arm by name."""
    return arm_marker(place_of(protocol, arm))


def pick_dash(protocol: Protocol, arm: str) -> str:
    """Return the line style of an arm by name."""
    return arm_dash(place_of(protocol, arm))


def arms_in(protocol: Protocol, frame: pd.DataFrame) -> list[str]:
    """List a frame's arms as the protocol orders them, then any other."""
    there = list(dict.fromkeys(str(arm) for arm in frame["arm"]))
    known = [arm.name for arm in protocol.arms if arm.name in there]
    return known + [arm for arm in there if arm not in known]


def axis_label(words: str, kind: Kind = "plain", unit: str = "1") -> str:
    """Write an axis' label, its unit held together with the last word."""
    shown = {"share": "%", "points": "percentage points"}.get(kind) or unit_words(unit)
    return f"{words} [{shown}]" if shown else words


def shared(rows: pd.DataFrame, column: str) -> Any:
    """Return what all rows have in a column."""
    return rows[column].iloc[0]

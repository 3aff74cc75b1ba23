"""The ledger of an arm: doses as they were given, and what rules decided, as rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vtrial.dims import (
    ACTED,
    AMOUNT,
    DECISIONS,
    DOSES,
    INTO,
    KNOWN,
    LEARNED,
    RATE,
    REASON,
    TIME,
)
from vtrial.observe.block_program import Seen
from vtrial.observe.course import Decisions
from vtrial.observe.frame import Frame
from vtrial.observe.realised import Ledger

NONE = -1


def ledger_rows(
    frame: Frame, size: int, chosen: np.ndarray, seen: Seen | None
) -> dict[str, np.ndarray]:
    """Put what was given and decided into a block's rows of an arm's arrays."""
    rows = _blank(frame, size)
    if seen is not None and seen.given is not None:
        _put(rows, _given(seen.given), chosen)
    if seen is not None and seen.decisions is not None:
        _put(rows, _decided(seen.decisions), chosen)
    return rows


def _blank(frame: Frame, size: int) -> dict[str, np.ndarray]:
    """Return rows of nobody."""
    doses = (size, frame.most_doses)
    blank: dict[str, np.ndarray] = {
        f"{DOSES}/{TIME}": np.full(doses, np.nan),
        f"{DOSES}/{AMOUNT}": np.full(doses, np.nan),
        f"{DOSES}/{RATE}": np.full(doses, np.nan),
        f"{DOSES}/{INTO}": np.full(doses, NONE, "int16"),
        f"{DOSES}/{REASON}": np.full(doses, NONE, "int8"),
    }
    if not frame.rules:
        return blank
    moments = (size, frame.moments.count)
    blank |= {
        f"{DECISIONS}/{TIME}": np.full(moments, np.nan),
        f"{DECISIONS}/{ACTED}": np.zeros(moments, "int32"),
    }
    if frame.looked_at:
        known = (*moments, len(frame.looked_at))
        blank[f"{DECISIONS}/{KNOWN}"] = np.full(known, np.nan)
    if frame.learned:
        told = (*moments, len(frame.learned))
        blank[f"{DECISIONS}/{LEARNED}"] = np.full(told, np.nan)
    return blank


def _given(given: Ledger) -> dict[str, Any]:
    """Return doses by array; nothing where there is none."""
    there = np.isfinite(np.asarray(given.time))
    return {
        f"{DOSES}/{TIME}": np.where(there, given.time, np.nan),
        f"{DOSES}/{AMOUNT}": np.where(there, given.amount, np.nan),
        f"{DOSES}/{RATE}": np.where(there, given.rate, np.nan),
        f"{DOSES}/{INTO}": np.where(there, given.compartment, NONE),
        f"{DOSES}/{REASON}": np.where(there, given.reason, NONE),
    }


def _decided(told: Decisions) -> dict[str, Any]:
    """Return decisions by array, without the end, at which nothing is decided."""
    time = np.asarray(told.time)
    return {
        f"{DECISIONS}/{TIME}": np.where(np.isfinite(time), time, np.nan)[:, :-1],
        f"{DECISIONS}/{ACTED}": np.asarray(told.acted)[:, :-1],
        f"{DECISIONS}/{KNOWN}": np.asarray(told.seen)[:, :-1],
        f"{DECISIONS}/{LEARNED}": np.asarray(told.learned)[:, :-1],
    }


def _put(
    rows: dict[str, np.ndarray], found: Mapping[str, Any], chosen: np.ndarray
) -> None:
    """Put what was found of the chosen subjects into their rows."""
    for path, values in found.items():
        if path not in rows:  # rules that look at no output know none, or learn
            continue
        rows[path][chosen] = values[: chosen.size]

"""Figures of one table, by what it is of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from vtrial.errors import DataError
from vtrial.report.alarms import plot_alarms
from vtrial.report.matched import plot_match
from vtrial.report.null_rates import plot_null
from vtrial.report.sampled import plot_sampling
from vtrial.sheets.words import listed, nearest

_KINDS: dict[str, Callable[..., Path]] = {
    "alarms": plot_alarms,
    "match": plot_match,
    "null": plot_null,
    "sampling": plot_sampling,
}


def draw(kind: str, path: str | Path, *tables: pd.DataFrame, **how: Any) -> Path:
    """Draw tables into an SVG or PNG file, as figures of their kind are drawn.

    Parameters
    ----------
    kind
        `alarms`: what was measured of a person, and the probability of an event;
        `null`: the type I error over rates; `match`: people before and after they were
        matched to targets; `sampling`: when is measured, and what is known afterwards.

    Raises
    ------
    DataError
        If there is no such kind, or if the file is called as neither format.
    """
    if kind not in _KINDS:
        allowed, write = listed(_KINDS, like=kind), nearest(kind, _KINDS)
        raise DataError("kind", f"`{kind}`", allowed, write)
    return _KINDS[kind](*tables, path, **how)

"""Advice on a dose, drawn: what each candidate does, and how probably it is right."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from vtrial.errors import DataError
from vtrial.report.drawing import (
    GOOD,
    INK,
    MISSED,
    MUTED,
    SHADE,
    WIDTH,
    house_style,
    new_figure,
    number_axis,
)
from vtrial.report.profiles import ending_faults, write_figure
from vtrial.sheets.validate import raise_faults

MOST = 15  # candidates that are drawn, the best ones
_LINE = 0.22  # inches


def plot_advice(
    table: pd.DataFrame,
    path: str | Path,
    *,
    value: str,
    low: float = -np.inf,
    high: float = np.inf,
    unit: str = "",
) -> Path:
    """Draw one person's candidates into an SVG or PNG file, the best on top.

    Left the value's median and interval, with the range that is wanted as a band; right
    the probabilities of the target and of harm.

    Parameters
    ----------
    table
        Rows of one person of an `Advice`, in their order.
    value
        The column of the value that is drawn.
    low, high
        The range that is wanted.

    Raises
    ------
    DataError
        If the file is called as neither kind.
    """
    path = Path(path)
    raise_faults(DataError, ending_faults(path))
    rows = table.head(MOST)
    places = np.arange(len(rows))
    with house_style():
        figure = new_figure(0.9 + _LINE * len(rows), 1.6 * WIDTH)
        first, second = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        _values(first, rows, value, low, high)
        first.set_xlabel(f"{value} [{unit}]" if unit else value)
        second.barh(places - 0.17, rows["target"], 0.32, color=GOOD, label="target")
        second.barh(places + 0.17, rows["harm"], 0.32, color=MISSED, label="harm")
        second.set_xlim(0, 1)
        second.set_xlabel("Probability")
        first.set_yticks(places, [str(one) for one in rows["DOSE"]])
        first.set_ylim(len(rows) - 0.4, -0.6)
        for text, kept in zip(first.get_yticklabels(), rows["allowed"], strict=True):
            text.set_color(INK if kept else MUTED)
        place = {"loc": "outside upper right", "frameon": False, "fontsize": 8.5}
        figure.legend(ncols=2, **place)
        return write_figure(figure, path)


def _values(
    axes: Axes, rows: pd.DataFrame, value: str, low: float, high: float
) -> None:
    """Draw medians and intervals, and the range that is wanted."""
    places = np.arange(len(rows))
    ends = rows[[f"{value} low", f"{value} high"]].to_numpy(float)
    inner = [end for end in (low, high) if np.isfinite(end)]
    least, most = min([ends.min(), *inner]), max([ends.max(), *inner])
    room = 0.04 * (most - least or 1.0)
    left, right = least - room, most + room
    axes.axvspan(max(low, left), min(high, right), color=SHADE, zorder=0, lw=0)
    axes.hlines(places, ends[:, 0], ends[:, 1], color=MUTED, linewidth=1.4)
    axes.plot(rows[value], places, "o", color=INK, ms=4)
    axes.set_xlim(left, right)
    number_axis(axes, which="x")

"""People before and after they were matched to targets, drawn."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from vtrial.errors import DataError
from vtrial.report.drawing import (
    FAINT,
    MISSED,
    MUTED,
    WIDTH,
    arm_colour,
    feet_of,
    house_style,
    new_figure,
    number_axis,
    time_axis,
)
from vtrial.report.frames import each_row
from vtrial.report.legend import axis_label
from vtrial.report.profiles import ending_faults, write_figure
from vtrial.report.timing import Timing
from vtrial.sheets.validate import raise_faults

MOST = 12  # things that are drawn, the first ones
LINE = 1.9  # inches
AFTER = arm_colour(0)


def plot_match(sights: pd.DataFrame, targets: pd.DataFrame, path: str | Path) -> Path:
    """Draw what targets are about into an SVG or PNG file, a panel each.

    Parameters
    ----------
    sights, targets
        `sights` and `table` of people who were matched.

    Raises
    ------
    DataError
        If the file is called as neither kind.
    """
    path = Path(path)
    raise_faults(DataError, ending_faults(path))
    things = list(dict.fromkeys(sights["of"]))[:MOST]
    with house_style():
        columns = min(len(things), 2) or 1
        lines = -(-len(things) // columns) or 1
        figure = new_figure(0.6 + LINE * lines, 0.9 * WIDTH * columns)
        panels = figure.subplots(lines, columns, squeeze=False)
        feet_of(panels, len(things))
        for panel, of in zip(panels.flat, things, strict=False):
            seen, wanted = sights[sights["of"] == of], targets[targets["of"] == of]
            _DRAW[str(seen["sight"].iloc[0])](panel, seen, wanted)
        _explain(figure)
        return write_figure(figure, path)


def _bins(panel: Axes, seen: pd.DataFrame, wanted: pd.DataFrame) -> None:
    """Draw histograms, and where mean and quantiles are to be."""
    edges = np.append(seen["low"].to_numpy(), seen["high"].iloc[-1])
    panel.stairs(100 * seen["before"], edges, fill=True, color=FAINT, alpha=0.5)
    panel.stairs(100 * seen["after"], edges, color=AFTER, linewidth=1.2)
    for row in each_row(wanted):
        if row.kind in ("mean", "median", "quantiles"):
            dash = {"mean": "--"}.get(row.kind, ":")
            panel.axvline(row.wanted, color=MISSED, linewidth=1.1, linestyle=dash)
    number_axis(panel)
    number_axis(panel, which="x")
    panel.set_xlabel(axis_label(seen["title"].iloc[0], "plain", seen["unit"].iloc[0]))
    panel.set_ylabel("People [%]")


def _categories(panel: Axes, seen: pd.DataFrame, wanted: pd.DataFrame) -> None:
    """Draw shares, and what they are to be."""
    places = np.arange(len(seen))
    panel.bar(places - 0.2, 100 * seen["before"], 0.38, color=FAINT, alpha=0.7)
    panel.bar(places + 0.2, 100 * seen["after"], 0.38, color=AFTER, alpha=0.8)
    codes = seen["low"].to_list()
    for row in each_row(wanted):
        place = codes.index(row.level) if row.level in codes else None
        if row.kind == "shares" and place is not None:
            panel.hlines(100 * row.wanted, place - 0.45, place + 0.45, color=MISSED)
    panel.set_xticks(places, seen["label"])
    number_axis(panel)
    panel.set_xlabel(seen["title"].iloc[0])
    panel.set_ylabel("People [%]")


def _survival(panel: Axes, seen: pd.DataFrame, wanted: pd.DataFrame) -> None:
    """Draw who is free of an event, and who is to be."""
    clock = time_axis(panel, 0.0, 1.02 * float(seen["low"].max()), Timing())
    time = seen["low"] / clock.hours
    panel.plot(time, 100 * seen["before"], color=MUTED, linewidth=1.0)
    panel.plot(time, 100 * seen["after"], color=AFTER, linewidth=1.3)
    points = wanted[wanted["kind"] == "survival"]
    at, share = points["level"] / clock.hours, 100 * points["wanted"]
    panel.plot(at, share, "o", color=MISSED, markersize=4)
    panel.set_ylim(0, 102)
    number_axis(panel)
    panel.set_ylabel(f"{seen['title'].iloc[0]}: free of it [%]")


_DRAW: dict[str, Callable[[Axes, pd.DataFrame, pd.DataFrame], None]] = {
    "histogram": _bins,
    "categories": _categories,
    "survival": _survival,
}


def _explain(figure: Figure) -> None:
    """Say in the first panel what is what."""
    marks = [
        Patch(color=FAINT, alpha=0.6, label="pool"),
        Line2D([], [], color=AFTER, linewidth=1.4, label="matched"),
        Line2D([], [], color=MISSED, linewidth=1.1, linestyle="--", label="wanted"),
    ]
    figure.axes[0].legend(handles=marks, frameon=False, fontsize=8)

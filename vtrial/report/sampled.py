"""A sampling design, drawn: when is measured, and what is known afterwards."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from vtrial.errors import DataError
from vtrial.report.drawing import (
    FAINT,
    MUTED,
    WIDTH,
    arm_colour,
    house_style,
    new_figure,
    number_axis,
    time_axis,
)
from vtrial.report.legend import axis_label
from vtrial.report.profiles import ending_faults, write_figure
from vtrial.report.timing import Timing
from vtrial.sheets.validate import raise_faults

MOST = 6  # courses that are drawn, the first ones
GIVEN, FOUND = "given", "found"
COLOURS = {GIVEN: MUTED, FOUND: arm_colour(0)}


def plot_sampling(
    course: pd.DataFrame,
    table: pd.DataFrame,
    path: str | Path,
    *,
    units: dict[str, str] | None = None,
) -> Path:
    """Draw when is measured and how well parameters are known, into SVG or PNG.

    Parameters
    ----------
    course, table
        Those of a `SamplingPlan`.
    units
        Of outputs.

    Raises
    ------
    DataError
        If the file is called as neither kind.
    """
    path = Path(path)
    raise_faults(DataError, ending_faults(path))
    parts = list(course.groupby(["group", "output"], sort=False))[:MOST]
    several = course["group"].nunique() > 1
    with house_style():
        tall = 0.5 + 0.2 * len(table) * (len(table.columns) - 1) / 2
        figure = new_figure(0.6 + 1.8 * len(parts) + tall, 1.3 * WIDTH)
        ratios = [1.8] * len(parts) + [tall]
        panels = figure.subplots(len(parts) + 1, 1, height_ratios=ratios)
        for panel, ((group, output), rows) in zip(panels[:-1], parts, strict=True):
            unit = (units or {}).get(str(output), "1")
            _course(panel, rows, axis_label(str(output), "plain", unit))
            panel.set_title(str(group) if several else "", fontsize=9.5)
        panels[0].legend(frameon=False, fontsize=8.5)
        _bars(panels[-1], table)
        return write_figure(figure, path)


def _course(panel: Axes, rows: pd.DataFrame, label: str) -> None:
    """Draw what is typically seen, and when it is measured."""
    rows = rows.sort_values("time")
    clock = time_axis(panel, 0.0, float(rows["time"].max()) * 1.02 or 1.0, Timing())
    time = rows["time"] / clock.hours
    panel.plot(time, rows["mean"], color=FAINT, linewidth=1.2)
    for design, mark in ((GIVEN, "|"), (FOUND, "o")):
        if design in rows:
            looked = rows[design].to_numpy(bool)
            size = 12 if design == GIVEN else 5
            panel.plot(
                time[looked],
                rows["mean"][looked],
                mark,
                color=COLOURS[design],
                markersize=size,
                markeredgewidth=1.4,
                label=design,
            )
    panel.set_ylim(bottom=min(0.0, float(rows["mean"].min())))
    number_axis(panel)
    panel.set_ylabel(label)


def _bars(panel: Axes, table: pd.DataFrame) -> None:
    """Draw how well each parameter is known."""
    name = str(table.columns[0])
    sizes = [one for one in table.columns if str(one).split()[0] in ("rse", "left")]
    places = np.arange(len(table))
    width = 0.8 / len(sizes)
    for k, column in enumerate(sizes):
        design = str(column).split()[1]
        at = places + (k - (len(sizes) - 1) / 2) * width
        panel.barh(at, table[column], 0.9 * width, color=COLOURS[design], label=design)
    panel.set_yticks(places, [str(one) for one in table[name]])
    panel.set_ylim(len(table) - 0.4, -0.6)
    number_axis(panel, which="x")
    relative = str(sizes[0]).startswith("rse")
    words = "Relative standard error" if relative else "Left of the prior's SD"
    panel.set_xlabel(f"{words} [%]")

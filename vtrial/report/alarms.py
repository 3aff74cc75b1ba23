"""The probability of an event to come, at each measurement of a person, drawn."""

from pathlib import Path

import pandas as pd

from vtrial.errors import DataError
from vtrial.report.drawing import (
    FAINT,
    INK,
    MISSED,
    MUTED,
    house_style,
    new_figure,
    number_axis,
    time_axis,
)
from vtrial.report.profiles import ending_faults, write_figure
from vtrial.report.timing import Timing
from vtrial.sheets.validate import raise_faults
from vtrial.units import factor

TOLD = ("ID", "TIME", "before", "after", "alarm")


def plot_alarms(
    table: pd.DataFrame,
    path: str | Path,
    *,
    event: str,
    within: str,
    threshold: float,
    unit: str = "h",
) -> Path:
    """Draw what was measured of a person, and how probable an event was, SVG or PNG.

    A line leads from the probability without a measurement to that with it.

    Parameters
    ----------
    table
        Rows of one person out of `Alarms.table`.
    event, within, threshold
        What is watched for, how far ahead, and the probability of an alarm.
    unit
        That of the table's times.

    Raises
    ------
    DataError
        If the file is called as neither kind.
    """
    path = Path(path)
    raise_faults(DataError, ending_faults(path))
    outputs = [name for name in table.columns if name not in TOLD]
    with house_style():
        figure = new_figure(1.6 * (len(outputs) + 1))
        panels = figure.subplots(len(outputs) + 1, 1, sharex=True, squeeze=False)[:, 0]
        time = table["TIME"] * factor(unit, "h")
        span = Timing(since="the record's start")
        clock = time_axis(panels[-1], 0.0, 1.02 * float(time.max()) or 1.0, span)
        time = time / clock.hours
        for panel, name in zip(panels, outputs, strict=False):
            panel.plot(time, table[name], "o", color=INK, markersize=3)
            panel.set_ylabel(name)
            number_axis(panel)
        chance = panels[-1]
        before, after = 100 * table["before"], 100 * table["after"]
        chance.vlines(time, before, after, color=FAINT)
        chance.plot(time, before, "_", color=MUTED, label="before")
        chance.plot(time, after, ".-", color=INK, linewidth=0.8, label="after")
        alarm = table["alarm"].to_numpy(bool)
        chance.plot(
            time[alarm], after[alarm], "o", color=MISSED, markersize=4, label="alarm"
        )
        chance.axhline(100 * threshold, color=MISSED, linewidth=0.8, linestyle="--")
        chance.set_ylim(0, 105)
        number_axis(chance)
        chance.set_ylabel(f"P({event})\nin {within} [%]")
        chance.legend(frameon=False, fontsize=8)
        return write_figure(figure, path)

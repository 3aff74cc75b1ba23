"""The type I error over the rates of a null hypothesis, drawn."""

from pathlib import Path

import pandas as pd

from vtrial.errors import DataError
from vtrial.report.drawing import (
    INK,
    MISSED,
    SHADE,
    house_style,
    new_figure,
    number_axis,
)
from vtrial.report.frames import each_row
from vtrial.report.profiles import ending_faults, write_figure
from vtrial.report.words import amount, error_words
from vtrial.sheets.validate import raise_faults


def plot_null(table: pd.DataFrame, path: str | Path) -> Path:
    """Draw the error at the rates where it was simulated, and its bound everywhere.

    Into an SVG or PNG file; `table` is that of `null_line`.

    Raises
    ------
    DataError
        If the file is called as neither kind.
    """
    path = Path(path)
    raise_faults(DataError, ending_faults(path))
    points = table[table["simulated"]]
    with house_style():
        figure = new_figure(3.0)
        axes = figure.subplots()
        rate, bound = 100 * table["rate"], 100 * table["bound"]
        axes.fill_between(rate, 0, bound, color=SHADE, linewidth=0)
        axes.plot(rate, bound, color=MISSED, linewidth=1.2, label="bound (95 %)")
        axes.errorbar(
            100 * points["rate"],
            100 * points["error"],
            196 * points["mc_error"],
            fmt="o",
            color=INK,
            markersize=3,
            linewidth=1.0,
            label="simulated, ± 1.96 errors",
        )
        axes.set_ylim(bottom=0)
        number_axis(axes)
        axes.set_xlabel("Rate of response in all arms [%]")
        axes.set_ylabel("Any claim [% of trials]")
        axes.legend(frameon=False)
        return write_figure(figure, path)


def null_in_words(table: pd.DataFrame) -> pd.DataFrame:
    """Write the rows at which trials were simulated as people do.

    The limit holds at the rate itself, the bound from there up to the next.
    """
    cell = table["simulated"].cumsum()
    bounds = table.groupby(cell)["from_here"].max().to_numpy()
    points = table[table["simulated"]]
    rows = []
    for row, bound in zip(each_row(points), bounds, strict=True):
        error = error_words(row.mc_error, "share") if row.mc_error > 0 else "–"
        rows.append(
            {
                "rate": amount(row.rate, 0.001, "share"),
                "any claim": amount(row.error, max(row.mc_error, 1e-4), "share"),
                "mc error": error,
                "upper limit": amount(row.upper, 0.0005, "share"),
                "bound from here on": amount(bound, 0.0005, "share"),
            }
        )
    return pd.DataFrame(rows)

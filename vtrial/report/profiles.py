"""Profiles over time from a table: subjects' lines, medians, bands, measured points."""

import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from vtrial.errors import DataError, Fault
from vtrial.report.bands import draw_band
from vtrial.report.drawing import (
    ARM_COLOURS,
    FAINT,
    INK,
    WIDTH,
    arm_colour,
    arm_dash,
    house_style,
    limit_values,
    new_figure,
    number_axis,
    svg_text,
    time_axis,
)
from vtrial.report.legend import axis_label
from vtrial.report.timing import Timing
from vtrial.sheets.validate import raise_faults
from vtrial.sheets.words import listed, nearest
from vtrial.units import factor

ID, TIME, REP = "ID", "TIME", "REP"
ENDINGS = (".svg", ".png")
MEASURED = "_measured"
QUANTILES = (0.05, 0.5, 0.95)
MOST_LINES = 100  # subjects who are drawn one by one, of each group
FEWEST = 5  # subjects whose spread is drawn as a band
_UNITS, _TITLES = "units", "titles"


def plot_profiles(
    table: pd.DataFrame,
    path: str | Path,
    *,
    of: Sequence[str] = (),
    by: str = "",
    observed: pd.DataFrame | None = None,
    log: bool = False,
    lines: bool = False,
) -> Path:
    """Draw outputs over time into an SVG or PNG file, a panel each; return the file.

    The line is the median, the band holds the middle 90 % of the subjects. Where
    subjects share no times, or `lines`, they are drawn one by one, 100 of them at most.

    Parameters
    ----------
    table
        With ID, TIME and a column an output; `attrs` may hold `units` and `titles`.
    of
        The outputs; by default every number that changes in time.
    by
        A column whose values part the subjects into groups of colours of their own.
    observed
        Measured points, circles: with TIME, and a column called as the output, or DV.
    log
        Whether values stand on a logarithmic scale, without those at or below 0.

    Raises
    ------
    DataError
        If a column is missing, or if the file is called as neither kind.
    """
    path = Path(path)
    outputs = _checked(table, path, of, by, observed)
    with house_style():
        figure = _drawn(table, outputs, by, observed, log, lines)
        return write_figure(figure, path)


def outputs_of(table: pd.DataFrame) -> list[str]:
    """Name the columns of numbers that change within some subject, in their order.

    Measured values beside true ones are no outputs of their own.

    Examples
    --------
    >>> rows = {"ID": [1, 1], "TIME": [0, 1], "conc": [0.0, 2.0], "WT": [70, 70]}
    >>> outputs_of(pd.DataFrame(rows))
    ['conc']
    """
    who = [name for name in (ID, REP) if name in table]
    numbers = table.select_dtypes("number").columns
    asked = [n for n in numbers if n not in (ID, REP, TIME)]
    asked = [n for n in asked if n.removesuffix(MEASURED) not in {*asked} - {n}]
    if not asked:
        return []
    spread = table.groupby(who)[asked].nunique()
    return [name for name in asked if (spread[name] > 1).any()]


def _checked(
    table: pd.DataFrame,
    path: Path,
    of: Sequence[str],
    by: str,
    observed: pd.DataFrame | None,
) -> list[str]:
    """Return the outputs, or refuse what cannot be drawn."""
    faults = ending_faults(path)
    names = [str(name) for name in table.columns]
    for name in [ID, TIME, *of, *([by] if by else [])]:
        if name not in names:
            allowed = f"a column of the table: {listed(names, 30)}"
            write = nearest(name, names)
            faults.append(Fault("the table", f"without `{name}`", allowed, write))
    raise_faults(DataError, faults)
    text = [n for n in (TIME, *of) if not pd.api.types.is_numeric_dtype(table[n])]
    faults += [Fault(f"column {name}", "text", "numbers", "") for name in text]
    outputs = list(of) or outputs_of(table)
    if not outputs:
        allowed = "with a column of numbers that change in time"
        faults.append(Fault("the table", "without an output", allowed, "--of conc"))
    groups = table[by].nunique() if by else 1
    if groups > len(ARM_COLOURS):
        allowed = f"a column of at most {len(ARM_COLOURS)} values, for so many colours"
        faults.append(Fault(f"column {by}", f"of {groups} values", allowed, ""))
    seen = {*map(str, observed.columns)} if observed is not None else set()
    if observed is not None and (TIME not in seen or not seen & {"DV", *outputs}):
        allowed = f"with TIME, and DV or {listed(outputs)}"
        found = f"with the columns {listed(sorted(seen), 30)}"
        faults.append(Fault("the observed table", found, allowed, "ID,TIME,DV"))
    raise_faults(DataError, faults)
    return outputs


def _drawn(
    table: pd.DataFrame,
    outputs: Sequence[str],
    by: str,
    observed: pd.DataFrame | None,
    log: bool,
    lines: bool,
) -> Figure:
    """Lay out a panel an output, and draw every group in each."""
    units = table.attrs.get(_UNITS, {})
    titles = table.attrs.get(_TITLES, {})
    hours = factor(units.get(TIME, "h"), "h")
    figure = new_figure(0.7 + 2.2 * len(outputs), 1.3 * WIDTH)
    panels = figure.subplots(len(outputs), 1, sharex=True, squeeze=False)[:, 0]
    groups = list(table.groupby(by)) if by else [("", table)]
    ends = [table[TIME].min() * hours, table[TIME].max() * hours]
    clock = time_axis(panels[0], min(0.0, *ends), max(ends), Timing())
    for panel, output in zip(panels, outputs, strict=True):
        panel.set_xlabel("")
        number_axis(panel)
        scale = clock.hours / hours
        shown = _points(observed, output, len(outputs) == 1)
        values = [shown[1]]
        for place, (group, rows) in enumerate(groups):
            word = f"{group:g}" if isinstance(group, float) else str(group)
            told = f"{by} {word}" if by else ""
            values += _group(panel, rows, output, place, scale, log, lines, told)
        panel.plot(shown[0] / scale, shown[1], "o", ms=3, mfc="none", mec=INK, mew=0.7)
        limit_values(np.array([panel]), np.concatenate(values).tolist(), log=log)
        label = axis_label(titles.get(output, output), "plain", units.get(output, "1"))
        panel.set_ylabel(label)
    panels[-1].set_xlabel(f"Time [{clock.name}]")
    if by:
        panels[0].legend(frameon=False, fontsize=8.5)
    return figure


def _group(
    panel: Axes,
    rows: pd.DataFrame,
    output: str,
    place: int,
    scale: float,
    log: bool,
    lines: bool,
    told: str,
) -> list[np.ndarray]:
    """Draw one group; return the values that its panel must have room for."""
    colour, dash = arm_colour(place), arm_dash(place)
    who = [name for name in (ID, REP) if name in rows]
    rows = rows[np.isfinite(rows[output]) & ((rows[output] > 0) | (not log))]
    counts = rows.groupby(TIME)[output].count()
    subjects = len(rows[who].drop_duplicates())
    alike = len(counts) > 0 and counts.median() >= max(0.5 * subjects, 1)
    drawn: list[np.ndarray] = []
    if lines or not alike:
        shade = colour if not alike or told else FAINT
        paths = _paths(rows, who, output, scale)
        depth = 0.3 if alike and told else 0.6
        panel.add_collection(
            LineCollection(paths, colors=shade, linewidths=0.6, alpha=depth, zorder=1)
        )
        drawn += [path[:, 1] for path in paths]
    if alike:
        wide = rows.groupby(TIME)[output].quantile(np.array(QUANTILES)).unstack()
        drawn.append(wide.to_numpy().ravel())
        table = wide if subjects >= FEWEST else wide[[0.5]]
        draw_band(panel, table, scale, colour, dash)
    if told:
        panel.plot([], [], dash, color=colour, label=told)
    return drawn


def _paths(
    rows: pd.DataFrame, who: list[str], output: str, scale: float
) -> list[np.ndarray]:
    """Return the first subjects' courses, (time, value) each."""
    paths: Iterable[pd.DataFrame] = (part for _, part in rows.groupby(who, sort=False))
    return [
        np.column_stack([part[TIME].to_numpy(float) / scale, part[output]])
        for _, part in zip(range(MOST_LINES), paths, strict=False)
    ]


def _points(
    observed: pd.DataFrame | None, output: str, alone: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the times and values of an output that was measured."""
    nothing = np.zeros(0)
    if observed is None:
        return nothing, nothing
    name = output if output in observed else "DV"
    if name not in observed or (name == "DV" and not alone):
        return nothing, nothing
    rows = measured_rows(observed, name)
    return rows[TIME].to_numpy(float), rows[name].to_numpy(float)


def measured_rows(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the rows of a table that hold a measured value: no doses, none missing.

    Examples
    --------
    >>> rows = pd.DataFrame({"TIME": [0.0, 1.0], "DV": [None, 2.0], "EVID": [1, 0]})
    >>> measured_rows(rows, "DV")["TIME"].tolist()
    [1.0]
    """
    idle: Mapping[str, float] = {"EVID": 0, "MDV": 0}
    kept = pd.Series(True, index=table.index)
    for column, value in idle.items():
        if column in table:
            numbers = pd.to_numeric(table[column], errors="coerce").fillna(0)
            kept &= numbers == value
    values = pd.to_numeric(table[name], errors="coerce")
    return table.assign(**{name: values})[kept & np.isfinite(values)]


def ending_faults(path: Path) -> list[Fault]:
    """Find what is wrong with the name of a figure's file."""
    if path.suffix.lower() in ENDINGS:
        return []
    found = f"called `{path.name}`"
    allowed = f"a file that ends in {listed(ENDINGS)}"
    return [Fault("the figure", found, allowed, f"{path.stem or 'plot'}.svg")]


def write_figure(figure: Figure, path: Path) -> Path:
    """Write a figure into a file, whole or not at all; return the file."""
    found = _written(figure, path.suffix.lower())
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(found)
    draft.replace(path)
    return path


def _written(figure: Figure, ending: str) -> bytes:
    """Write a figure as SVG or PNG."""
    if ending == ".svg":
        return svg_text(figure).encode("utf-8")
    buffer = io.BytesIO()
    figure.set_dpi(200)
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()

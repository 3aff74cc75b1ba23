"""Bands: medians and prediction bands of outputs over time, linear and logarithmic."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vtrial.protocol.evidence import Observed
from vtrial.protocol.protocol import Protocol
from vtrial.report.design import output_title, output_unit, short_title
from vtrial.report.drawing import (
    FAINT,
    INK,
    Drawing,
    limit_values,
    new_figure,
    number_axis,
    time_axis,
)
from vtrial.report.legend import axis_label, pick_colour
from vtrial.report.words import Clock, clock, duration, slug


def draw_bands(
    protocol: Protocol, output: str, bands: pd.DataFrame
) -> Iterator[Drawing]:
    """Draw median and prediction bands by arm: linear, and log where all is positive.

    `bands` has arm, time [h], quantile and value of one output.
    """
    until = shown_until(protocol, output, bands)
    early = bands[bands["time"] <= until]
    linear = _draw_bands(protocol, output, early, log=False)
    if len(early) < len(bands):
        said = f" Later all is below 1 % of the highest; {duration(until)} are shown."
        linear = linear._replace(caption=linear.caption + said)
    seen = [value for o in _observed(protocol, output) for value in o.value]
    if not spans_decades([*bands["value"], *seen]):
        yield linear
        return
    yield linear._replace(scale="linear")
    yield _draw_bands(protocol, output, bands, log=True)._replace(scale="log")


def spans_decades(values: Sequence[float]) -> bool:
    """Say whether values that are above zero are so far apart that a log scale helps.

    Examples
    --------
    >>> spans_decades([0.0, 1.0, 40.0]), spans_decades([2.0, 3.0])
    (True, False)
    """
    known = np.asarray(values, float)
    known = known[np.isfinite(known) & (known > 0)]
    return bool(known.size and known.max() > 3 * known.min())


def shown_until(protocol: Protocol, output: str, rows: pd.DataFrame) -> float:
    """Return the time [h] after which a linear scale shows nothing but zero.

    That is where all values have fallen below 1 % of the highest; the whole time
    if that is not much longer, or if something was measured later.
    """
    end = float(rows["time"].max())
    high = rows["value"].abs()
    last = float(rows.loc[high > 0.01 * high.max(), "time"].max())
    seen = [time for o in _observed(protocol, output) for time in o.time]
    last = max([last, *seen])
    return min(_rounded(1.5 * last), end) if last < end / 4 else end


def _rounded(hours: float) -> float:
    """Round a time [h] up to one that people say."""
    steps = (0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 24.0, 36.0, 48.0, 72.0)
    return next((s for s in steps if s >= hours), math.ceil(hours / 24.0) * 24.0)


def _observed(protocol: Protocol, output: str) -> list[Observed]:
    """List the measured points of an output."""
    return [seen for seen in protocol.evidence.observed if seen.output == output]


def _draw_bands(
    protocol: Protocol, output: str, bands: pd.DataFrame, *, log: bool
) -> Drawing:
    """Draw one output on one scale, a panel for each arm, medians of others thin."""
    arms = [arm.name for arm in protocol.arms if arm.name in set(bands["arm"])]
    tables = {
        str(arm): by_quantile(rows) for arm, rows in bands.groupby("arm", sort=False)
    }
    seen = _observed(protocol, output)
    ends = [0.0, float(bands["time"].max()), *(t for s in seen for t in s.time)]
    figure, panels, scale = lay_panels(protocol, arms, min(ends), max(ends))
    for panel, arm in zip(panels.flat, arms, strict=False):
        for other in arms:
            if other != arm:
                draw_median(panel, tables[other], scale.hours, FAINT, 1.0)
        colour = pick_colour(protocol, arm)
        draw_band(panel, tables[arm], scale.hours, colour)
        for points in seen:
            if points.arm in {"", arm}:
                at = np.asarray(points.time) / scale.hours
                panel.plot(at, points.value, "o", ms=3, mfc="none", mec=INK, mew=0.7)
    limit_values(
        panels, [*bands["value"], *(v for o in seen for v in o.value)], log=log
    )
    label = axis_label(
        output_title(protocol, output), "plain", output_unit(protocol, output)
    )
    figure.supylabel(label, fontsize=9.5)
    made = _band_drawing(protocol, output, tables, log, figure)
    caption = made.caption + (" Circles: measured in the real study." if seen else "")
    return made._replace(caption=caption, data=bands)


def lay_panels(
    protocol: Protocol, arms: Sequence[str], start: float, end: float
) -> tuple[Figure, np.ndarray, Clock]:
    """Lay out a panel for each arm, from one time [h] to another; none is drawn in."""
    columns = 1 if len(arms) <= 4 else 2
    lines = math.ceil(len(arms) / columns)
    figure = new_figure(0.6 + (2.4 if len(arms) == 1 else 1.45) * lines)
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    scale = clock(end - start)
    for panel, arm in zip(panels.flat, arms, strict=False):
        time_axis(panel, start, end)
        panel.set_xlabel("")
        if len(protocol.arms) > 1:
            panel.set_title(
                short_title(protocol, arm), color=pick_colour(protocol, arm)
            )
        number_axis(panel)
    for panel in panels.flat[len(arms) :]:
        panel.set_visible(False)
    for panel in panels[-1]:
        panel.set_xlabel(f"Time since the first dose [{scale.name}]")
    return figure, panels, scale


def by_quantile(rows: pd.DataFrame) -> pd.DataFrame:
    """Lay one arm's bands out by time [h] and quantile.

    A time that stands twice, before and after a dose, keeps both its rows, so that the
    jump between them is drawn.
    """
    number = rows.groupby(["time", "quantile"]).cumcount()
    table = rows.assign(number=number).pivot(
        index=["time", "number"], columns="quantile", values="value"
    )
    return table.droplevel("number")


def draw_band(
    axes: Axes, table: pd.DataFrame, hours: float, colour: str, dash: str = "-"
) -> None:
    """Draw the bands between opposite quantiles, and the median."""
    times = table.index.to_numpy(float) / hours
    for low, high, depth in pairs_of(table):
        axes.fill_between(
            times, table[low], table[high], color=colour, alpha=depth, linewidth=0
        )
    draw_median(axes, table, hours, colour, 1.8, dash)


def pairs_of(table: pd.DataFrame) -> list[tuple[float, float, float]]:
    """Pair quantiles from the outside in, each with its depth of colour."""
    levels = sorted(float(level) for level in table.columns)
    pairs = zip(levels, reversed(levels), strict=True)
    pairs = [(low, high) for low, high in pairs if low < high]
    return [(low, high, 0.18) for low, high in pairs]


def draw_median(
    axes: Axes,
    table: pd.DataFrame,
    hours: float,
    colour: str,
    width: float,
    dash: str = "-",
) -> None:
    """Draw the median, if there is one."""
    middle = [level for level in table.columns if abs(float(level) - 0.5) < 1e-9]
    if middle:
        times = table.index.to_numpy(float) / hours
        axes.plot(times, table[middle[0]], dash, color=colour, linewidth=width)


def _band_drawing(
    protocol: Protocol,
    output: str,
    tables: dict[str, pd.DataFrame],
    log: bool,
    figure: Figure,
) -> Drawing:
    """Give the figure its words."""
    pairs = pairs_of(next(iter(tables.values())))
    inner = [f"{round((high - low) * 100)} %" for low, high, _ in reversed(pairs)]
    middle = f"the middle {' and '.join(inner)} of subjects" if inner else "no band"
    caption = f"Line: median. Shaded: {middle}, true values without residual error."
    if len(tables) > 1:
        caption += " Grey lines: the medians of the other arms."
    scale = "logarithmic" if log else "linear"
    title = f"{output_title(protocol, output)}, {scale} scale"
    alt = f"Median and prediction bands of {title} over time, by arm."
    name = slug(f"band {output} {'log' if log else 'linear'}")
    return Drawing(name, title, alt, caption, figure, pd.DataFrame())

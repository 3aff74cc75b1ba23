"""Bands: medians and prediction bands of outputs over time, linear and logarithmic."""

import math
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vtrial.protocol.evidence import Observed
from vtrial.protocol.protocol import Protocol
from vtrial.report.design import arm_title, output_title, output_unit
from vtrial.report.drawing import (
    FAINT,
    INK,
    Drawing,
    feet_of,
    limit_values,
    new_figure,
    number_axis,
    of_arm,
    sticks_out,
    time_axis,
)
from vtrial.report.legend import axis_label, pick_colour, place_of
from vtrial.report.timing import timing_of
from vtrial.report.words import Clock, capital, slug, unit_words

MOST_LINES = 8  # medians in a panel
OWN = " Each panel has a scale of its own."


def draw_bands(
    protocol: Protocol, output: str, bands: pd.DataFrame
) -> Iterator[Drawing]:
    """Draw median and prediction bands by arm: linear, and log where that helps.

    `bands` has arm, time [h], quantile and value of one output.
    """
    until = shown_until(protocol, output, bands)
    early = bands[bands["time"] <= until]
    linear = _draw_bands(protocol, output, early, log=False)
    if len(early) < len(bands):
        shown = timing_of(protocol).duration(until)
        said = f" Later all is below 1 % of the highest; {shown} are shown."
        linear = linear._replace(caption=linear.caption + said)
    seen = [value for o in _observed(protocol, output) for value in o.value]
    if not spans_decades([*bands["value"], *seen]):
        yield linear
        return
    yield linear._replace(scale="linear")
    yield _draw_bands(protocol, output, bands, log=True)._replace(scale="log")


def not_drawn(bands: pd.DataFrame) -> str:
    """Return what keeps an output from being drawn over time, or nothing if it is.

    `bands` are the rows of `Estimates.bands` for it. Quantiles of what is on or off (0
    or 1, 0 or 100 %) say little, and what never changes is one number.
    """
    known = bands[np.isfinite(bands["value"].astype(float))]
    if not len(known):
        return "is not known"
    values = known["value"].to_numpy(float)
    top = float(np.abs(values).max())
    there = np.abs(values) > 1e-6 * top
    if values.min() >= 0 and _most(np.abs(values[there] - top) < 1e-6 * top):
        steady = known.groupby(["arm", "quantile"])["value"].nunique().max() == 1
        if not steady:
            return "is on or off in each subject, of which bands tell little"
    ends = known.groupby(["arm", "quantile"])["value"].agg(["min", "max"])
    size = float(ends.abs().to_numpy().max())
    if ((ends["max"] - ends["min"]) <= 1e-9 * size).all():
        return "does not change over time"
    return ""


def _most(ones: np.ndarray) -> bool:
    """Return whether most of some facts hold, and there are some."""
    return bool(ones.size) and float(ones.mean()) > 0.5


def spans_decades(values: Sequence[float]) -> bool:
    """Return whether values are so far apart that a logarithmic scale helps.

    None is below zero, but for rounding.

    Examples
    --------
    >>> spans_decades([0.0, 1.0, 40.0]), spans_decades([2.0, 3.0])
    (True, False)
    >>> spans_decades([-30.0, 1.0, 40.0])
    False
    """
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    above = known[known > 0]
    if not above.size or known.min() < -1e-9 * above.max():
        return False
    return bool(above.max() > 3 * above.min())


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
    first, last = float(bands["time"].min()), float(bands["time"].max())
    ends = [0.0, first, last, *(t for s in seen for t in s.time)]
    values = [
        [*bands.loc[bands["arm"] == arm, "value"]]
        + [v for o in seen if o.arm in {"", arm} for v in o.value]
        for arm in arms
    ]
    own = own_scales(values, log=log)
    figure, panels, scale = lay_panels(protocol, arms, min(ends), max(ends), own=own)
    for panel, arm in zip(panels.flat, arms, strict=False):
        for other in arms if len(arms) <= MOST_LINES else ():
            if other != arm:
                of = place_of(protocol, other)
                draw_median(panel, tables[other], scale.hours, FAINT, 1.0, place=of)
        style = {"colour": pick_colour(protocol, arm)}
        draw_band(
            panel, tables[arm], scale.hours, **style, place=place_of(protocol, arm)
        )
        for points in seen:
            if points.arm in {"", arm}:
                at = np.asarray(points.time) / scale.hours
                panel.plot(at, points.value, "o", ms=3, mfc="none", mec=INK, mew=0.7)
    limit_panels(panels, values, own=own, log=log)
    title = capital(output_title(protocol, output))
    label = axis_label(title, "plain", output_unit(protocol, output))
    figure.supylabel(label, fontsize=9.5)
    made = _band_drawing(protocol, output, tables, log, figure)
    caption = made.caption + (" Circles: measured in the real study." if seen else "")
    units = (scale.name, unit_words(output_unit(protocol, output)))
    return made._replace(caption=caption + OWN * own, data=bands, units=units)


def own_scales(values: Sequence[Sequence[float]], *, log: bool) -> bool:
    """Return whether panels need scales of their own, by the values of each."""
    heights = [float(np.nanmax(np.abs(one), initial=0.0)) for one in values if len(one)]
    return not log and sticks_out(heights)


def limit_panels(
    panels: np.ndarray, values: Sequence[Sequence[float]], *, own: bool, log: bool
) -> None:
    """Set the limits of panels that share them, or each its own."""
    if not own:
        limit_values(panels, [v for one in values for v in one], log=log)
        return
    for panel, one in zip(panels.flat, values, strict=False):
        limit_values(np.array([panel]), one, log=False)


def lay_panels(
    protocol: Protocol,
    arms: Sequence[str],
    start: float,
    end: float,
    *,
    own: bool = False,
) -> tuple[Figure, np.ndarray, Clock]:
    """Lay out a panel for each arm, from one time [h] to another; none is drawn in.

    They share the scale of their values unless each has its `own`.
    """
    columns = 1 if len(arms) <= 4 else 2
    lines = math.ceil(len(arms) / columns)
    tall = 2.4 if len(arms) == 1 else 1.45 if columns == 1 else 1.15
    figure = new_figure(0.6 + tall * lines)
    panels = figure.subplots(lines, columns, sharex=True, sharey=not own, squeeze=False)
    timing = timing_of(protocol)
    for panel, arm in zip(panels.flat, arms, strict=False):
        time_axis(panel, start, end, timing)
        panel.set_xlabel("")
        if len(protocol.arms) > 1:
            style = {"fontsize": 10 if columns == 1 else 9}
            title = arm_title(protocol, arm)
            panel.set_title(title, color=pick_colour(protocol, arm), **style)
        number_axis(panel)
    scale = timing.clock(end - start)
    for panel in feet_of(panels, len(arms)):
        panel.set_xlabel(timing.axis(scale))
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
    axes: Axes,
    table: pd.DataFrame,
    hours: float,
    colour: str,
    dash: str = "-",
    *,
    place: int = -1,
) -> None:
    """Draw the bands between opposite quantiles, and the median.

    `place` is that of the arm whose they are, if its values are to be read off.
    """
    times = table.index.to_numpy(float) / hours
    for number, (low, high, depth) in enumerate(pairs_of(table)):
        band = axes.fill_between(
            times, table[low], table[high], color=colour, alpha=depth, linewidth=0
        )
        if place >= 0:
            of_arm(place, band, "" if number else "band")
    draw_median(axes, table, hours, colour, 1.8, dash, place=place, reads="line")


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
    *,
    place: int = -1,
    reads: Literal["", "line"] = "",
) -> None:
    """Draw the median, if there is one; `place` is that of its arm."""
    middle = [level for level in table.columns if abs(float(level) - 0.5) < 1e-9]
    if middle:
        times = table.index.to_numpy(float) / hours
        style = {"color": colour, "linewidth": width}
        (line,) = axes.plot(times, table[middle[0]], dash, **style)
        if place >= 0:
            of_arm(place, line, reads)


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
    if 1 < len(tables) <= MOST_LINES:
        caption += " Grey lines: the medians of the other arms."
    scale = "logarithmic" if log else "linear"
    title = f"{capital(output_title(protocol, output))}, {scale} scale"
    alt = f"Median and prediction bands of {title} over time, by arm."
    name = slug(f"band {output} {'log' if log else 'linear'}")
    return Drawing(name, title, alt, caption, figure, pd.DataFrame())

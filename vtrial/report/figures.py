"""The figures of a report, one function each."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from vtrial.protocol.protocol import Observed, Protocol
from vtrial.report.design import (
    arm_title,
    endpoint_title,
    output_title,
    output_unit,
    short_title,
)
from vtrial.report.drawing import (
    FAINT,
    GOOD,
    INK,
    MISSED,
    MUTED,
    WIDTH,
    Drawing,
    arm_colour,
    arm_marker,
    log_axis,
    new_figure,
    number_axis,
    time_axis,
)
from vtrial.report.flow import Flow
from vtrial.report.frames import each_row
from vtrial.report.rows import Frame, Row, draw_rows
from vtrial.report.words import (
    Kind,
    amount,
    clock,
    count,
    duration,
    interval,
    slug,
    unit_words,
)

MOST_ROWS = 40
MOST_FIGURES = 24
_SCALE: dict[Kind, float] = {"plain": 1.0, "share": 100.0, "points": 100.0}


class Bars(NamedTuple):
    """One arm's distribution: edges of bins, and the share of subjects in each."""

    arm: str
    edges: np.ndarray
    share: np.ndarray


def pick_colour(protocol: Protocol, arm: str) -> str:
    """Return the colour of an arm by name."""
    return arm_colour(_place(protocol, arm))


def _place(protocol: Protocol, arm: str) -> int:
    """Return an arm's place in the protocol."""
    return next((i for i, a in enumerate(protocol.arms) if a.name == arm), 0)


def draw_flow(protocol: Protocol, flow: Flow) -> Drawing:
    """Draw the subject flow in CONSORT's shape; arms stand side by side up to four."""
    beside = len(flow.arms) <= 4
    rows = 1 if beside else math.ceil(len(flow.arms) / 2)
    columns = len(flow.arms) if beside else 2
    deep = 2 if beside else 1
    height = 1.75 + 0.86 * rows * deep
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(height, 0)
    middle, box = WIDTH / 2, (1.9, 0.5)
    left_out = flow.screened - flow.enrolled
    _box(axes, (middle, 0.33), box, f"Screened\n{count(flow.screened)}", INK)
    _box(axes, (middle, 1.2), box, f"Enrolled\n{count(flow.enrolled)}", INK)
    _arrow(axes, (middle, 0.58), (middle, 0.95))
    if left_out > 0:
        _arrow(axes, (middle, 0.765), (middle + 0.85, 0.765))
        text = f"not eligible {count(left_out)}"
        axes.text(middle + 0.9, 0.765, text, va="center", fontsize=8.5, color=MUTED)
    wide = WIDTH / columns
    fork = 1.58
    for place, arm in enumerate(flow.arms):
        row, column = divmod(place, columns)
        centre = wide * (column + 0.5)
        colour = pick_colour(protocol, arm.name)
        top = 1.75 + 0.86 * row * deep
        size = (min(wide - 0.12, 1.9), 0.66)
        if row == 0:
            axes.plot([middle, middle, centre], [1.45, fork, fork], color=MUTED, lw=0.9)
            _arrow(axes, (centre, fork), (centre, top))
        name = short_title(protocol, arm.name, 15 if columns > 2 else 24)
        words = f"{name}\nallocated {count(arm.allocated)}"
        ended = f"simulated {count(arm.simulated)}\nfailed {count(arm.failed)}"
        if beside:
            _box(axes, (centre, top + 0.33), size, words, colour)
            _arrow(axes, (centre, top + 0.66), (centre, top + 0.9))
            _box(axes, (centre, top + 1.23), size, ended, colour)
        else:
            _box(
                axes, (centre, top + 0.38), (size[0], 0.74), f"{words}\n{ended}", colour
            )
    told = "; ".join(
        f"{arm_title(protocol, a.name)}: {count(a.allocated)} allocated, "
        f"{count(a.simulated)} simulated, {count(a.failed)} failed"
        for a in flow.arms
    )
    alt = f"{count(flow.screened)} screened, {count(flow.enrolled)} enrolled; {told}."
    return Drawing("flow", "Subject flow", alt, "", figure)


def _box(
    axes: Axes,
    centre: tuple[float, float],
    size: tuple[float, float],
    text: str,
    colour: str,
) -> None:
    """Draw a box with words in it."""
    corner = (centre[0] - size[0] / 2, centre[1] - size[1] / 2)
    style = "round,pad=0,rounding_size=0.06"
    patch = FancyBboxPatch(
        corner, *size, boxstyle=style, facecolor="none", edgecolor=colour, lw=1.2
    )
    axes.add_patch(patch)
    small = 8.5 if size[0] > 1.2 else 7.5
    axes.text(*centre, text, ha="center", va="center", fontsize=small, linespacing=1.35)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw an arrow between two points."""
    axes.annotate(
        "", end, start, arrowprops={"arrowstyle": "-|>", "color": MUTED, "lw": 0.9}
    )


def draw_published(rows: pd.DataFrame) -> Drawing:
    """Draw simulated values on the ranges that the published ones allow.

    `rows` has words, unit, published, simulated, mc_error, low, high, within,
    verified; all of one kind and unit.
    """
    kind, unit = _shared(rows, "kind"), _shared(rows, "unit")
    scale = _SCALE[kind]
    lines = []
    for row in each_row(rows):
        text = amount(row.simulated, row.mc_error, kind, row.unit)
        text += f" / {amount(row.published, (row.high - row.low) / 2, kind, row.unit)}"
        lines.append(
            Row(
                row.words + ("" if row.verified else " (unverified)"),
                text + ("" if row.within else " miss"),
                row.simulated * scale,
                (row.simulated - 1.96 * row.mc_error) * scale,
                (row.simulated + 1.96 * row.mc_error) * scale,
                GOOD if row.within else MISSED,
                "o" if row.within else "X",
                (row.low * scale, row.high * scale),
                row.published * scale,
            )
        )
    figure = draw_rows(lines, Frame(_label("Simulated and published", kind, unit)))
    inside = int(rows["within"].sum())
    alt = f"{inside} of {len(rows)} simulated values lie within the published range."
    caption = (
        "Numbers: simulated / published. Grey: the range that counts as within, with "
        "the published value as a line. Point: simulated, with its 95 % Monte Carlo "
        "interval where that is wider than the point. A cross is a miss."
    )
    name = slug(f"published {unit if kind == 'plain' else kind}")
    return Drawing(name, "Published and simulated", alt, caption, figure)


def _shared(rows: pd.DataFrame, column: str) -> Any:
    """Return what all rows have in a column."""
    return rows[column].iloc[0]


def _label(words: str, kind: Kind, unit: str) -> str:
    """Write an axis' label with its unit."""
    shown = {"share": "%", "points": "percentage points"}.get(kind) or unit_words(unit)
    return f"{words} [{shown}]" if shown else words


def draw_contrasts(protocol: Protocol, rows: pd.DataFrame) -> Drawing:
    """Draw a forest of contrasts that share a measure, a kind and a unit."""
    by, kind, unit = (_shared(rows, column) for column in ("by", "kind", "unit"))
    scale = _SCALE[kind]
    ratio = "ratio" in by
    lines = [
        Row(
            f"{short_title(protocol, row.arm)} with "
            f"{short_title(protocol, row.reference)}, "
            f"{endpoint_title(protocol, row.endpoint)}",
            f"{amount(row.estimate, (row.high - row.low) / 2, kind)} "
            f"({interval(row.low, row.high, kind)})",
            row.estimate * scale,
            row.low * scale,
            row.high * scale,
            pick_colour(protocol, row.arm),
            arm_marker(_place(protocol, row.arm)),
        )
        for row in each_row(rows)
    ]
    label = _label(by.capitalize(), kind, unit)
    figure = draw_rows(lines, Frame(label, line=1.0 if ratio else 0.0, log=ratio))
    alt = "; ".join(f"{line.words}: {line.text}" for line in lines)
    caption = f"The line at {'1' if ratio else '0'} is no difference."
    name = slug(f"contrasts {by} {'' if kind != 'plain' or ratio else unit}")
    return Drawing(name, f"Contrasts: {by}", alt, caption, figure)


def draw_shares(protocol: Protocol, rows: pd.DataFrame, name: str) -> Drawing:
    """Draw the share of responders, and of subjects with an event, by arm."""
    events = {point.name for point in protocol.endpoints if point.event}
    lines = [
        Row(
            f"{endpoint_title(protocol, row.endpoint)}"
            f"{' (seen)' if row.endpoint in events else ''}, "
            f"{short_title(protocol, row.arm)}",
            amount(row.estimate, (row.high - row.low) / 2, "share"),
            row.estimate * 100,
            row.low * 100,
            row.high * 100,
            pick_colour(protocol, row.arm),
            arm_marker(_place(protocol, row.arm)),
        )
        for row in each_row(rows)
    ]
    frame = Frame("Share of subjects [%]", start=0.0, end=100.0)
    alt = "; ".join(f"{line.words}: {line.text}" for line in lines)
    return Drawing(name, "Responders by arm", alt, "", draw_rows(lines, frame))


def draw_distribution(
    protocol: Protocol, endpoint: str, unit: str, bars: Sequence[Bars]
) -> Drawing:
    """Draw one endpoint's distribution, a histogram for each arm on one axis."""
    figure = new_figure(0.55 + 0.95 * len(bars))
    panels = figure.subplots(len(bars), 1, sharex=True, sharey=True, squeeze=False)
    for panel, bar in zip(panels[:, 0], bars, strict=True):
        colour = pick_colour(protocol, bar.arm)
        panel.stairs(bar.share * 100, bar.edges, fill=True, color=colour, alpha=0.35)
        panel.stairs(bar.share * 100, bar.edges, color=colour, linewidth=1.1)
        panel.set_title(short_title(protocol, bar.arm), color=colour, fontsize=9.5)
        number_axis(panel)
    figure.supylabel("Subjects [%]", fontsize=9.5)
    title = endpoint_title(protocol, endpoint)
    number_axis(panels[-1, 0], which="x")
    panels[-1, 0].set_xlabel(_label(title, "plain", unit))
    alt = f"Share of subjects by value of {title}, a histogram for each arm."
    caption = "Share of subjects in each bin; the ends hold what lies beyond."
    if any(point.name == endpoint and point.event for point in protocol.endpoints):
        caption += " Without the event: the time to which a subject was followed."
    return Drawing(slug(f"distribution {endpoint}"), title, alt, caption, figure)


def draw_bands(
    protocol: Protocol, output: str, bands: pd.DataFrame
) -> Iterator[Drawing]:
    """Draw median and prediction bands by arm: linear, and log where all is positive.

    `bands` has arm, time [h], quantile and value of one output.
    """
    until = _until(protocol, output, bands)
    early = bands[bands["time"] <= until]
    linear = _draw_bands(protocol, output, early, log=False)
    if len(early) < len(bands):
        said = f" Later all is below 1 % of the highest; {duration(until)} are shown."
        linear = linear._replace(caption=linear.caption + said)
    yield linear
    seen = [value for o in _observed(protocol, output) for value in o.value]
    values = np.asarray([*bands["value"], *seen], float)
    values = values[np.isfinite(values) & (values > 0)]
    if values.size and values.max() > 3 * values.min():
        yield _draw_bands(protocol, output, bands, log=True)


def _until(protocol: Protocol, output: str, bands: pd.DataFrame) -> float:
    """Return the time [h] after which a linear scale shows nothing but zero.

    That is where all values have fallen below 1 % of the highest; the whole time
    if that is not much longer, or if something was measured later.
    """
    end = float(bands["time"].max())
    high = bands["value"].abs()
    last = float(bands.loc[high > 0.01 * high.max(), "time"].max())
    seen = [time for o in _observed(protocol, output) for time in o.time]
    last = max([last, *seen])
    return min(_rounded(1.5 * last), end) if last < end / 4 else end


def _rounded(hours: float) -> float:
    """Round a time [h] up to one that people say."""
    steps = (0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 24.0, 36.0, 48.0, 72.0)
    return next((s for s in steps if s >= hours), math.ceil(hours / 24.0) * 24.0)


def _observed(protocol: Protocol, output: str) -> list[Observed]:
    """List the measured points of an output."""
    return [seen for seen in protocol.observed if seen.output == output]


def _draw_bands(
    protocol: Protocol, output: str, bands: pd.DataFrame, *, log: bool
) -> Drawing:
    """Draw one output on one scale, a panel for each arm, medians of others thin."""
    arms = [arm.name for arm in protocol.arms if arm.name in set(bands["arm"])]
    tables = {
        str(arm): rows.pivot_table(index="time", columns="quantile", values="value")
        for arm, rows in bands.groupby("arm", sort=False)
    }
    columns = 1 if len(arms) <= 4 else 2
    lines = math.ceil(len(arms) / columns)
    figure = new_figure(0.6 + (2.4 if len(arms) == 1 else 1.45) * lines)
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    seen = _observed(protocol, output)
    ends = [0.0, float(bands["time"].max()), *(t for s in seen for t in s.time)]
    scale = clock(max(ends) - min(ends))
    for panel, arm in zip(panels.flat, arms, strict=False):
        time_axis(panel, min(ends), max(ends))
        panel.set_xlabel("")
        for other in arms:
            if other != arm:
                _median(panel, tables[other], scale.hours, FAINT, 1.0)
        colour = pick_colour(protocol, arm)
        _band(panel, tables[arm], scale.hours, colour)
        for points in seen:
            if points.arm in {"", arm}:
                at = np.asarray(points.time) / scale.hours
                panel.plot(at, points.value, "o", ms=3, mfc="none", mec=INK, mew=0.7)
        if len(protocol.arms) > 1:
            panel.set_title(short_title(protocol, arm), color=colour)
        number_axis(panel)
    for panel in panels.flat[len(arms) :]:
        panel.set_visible(False)
    for panel in panels[-1]:
        panel.set_xlabel(f"Time since the first dose [{scale.name}]")
    _limit_values(panels, bands, seen, log=log)
    label = _label(
        output_title(protocol, output), "plain", output_unit(protocol, output)
    )
    figure.supylabel(label, fontsize=9.5)
    return _band_drawing(protocol, output, tables, bool(seen), log, figure)


def _limit_values(
    panels: np.ndarray, bands: pd.DataFrame, seen: Sequence[Observed], *, log: bool
) -> None:
    """Set the shared limits of the values' axis."""
    values = np.asarray([*bands["value"], *(v for o in seen for v in o.value)], float)
    values = values[np.isfinite(values)]
    if not values.size:
        return
    if log:
        values = values[values > 0]
        high = float(values.max())
        low = max(float(values.min()), high * 1e-5)
        for panel in panels.flat:
            log_axis(panel, low / 1.15, high * 1.15)
    else:
        low, high = min(0.0, float(values.min())), float(values.max())
        panels.flat[0].set_ylim(low, high + 0.04 * (high - low or 1.0))


def _band(axes: Axes, table: pd.DataFrame, hours: float, colour: str) -> None:
    """Draw the bands between opposite quantiles, and the median."""
    times = table.index.to_numpy(float) / hours
    for low, high, depth in _pairs(table):
        axes.fill_between(
            times, table[low], table[high], color=colour, alpha=depth, linewidth=0
        )
    _median(axes, table, hours, colour, 1.8)


def _pairs(table: pd.DataFrame) -> list[tuple[float, float, float]]:
    """Pair quantiles from the outside in, each with its depth of colour."""
    levels = sorted(float(level) for level in table.columns)
    pairs = zip(levels, reversed(levels), strict=True)
    pairs = [(low, high) for low, high in pairs if low < high]
    return [(low, high, 0.18) for low, high in pairs]


def _median(
    axes: Axes, table: pd.DataFrame, hours: float, colour: str, width: float
) -> None:
    """Draw the median, if there is one."""
    middle = [level for level in table.columns if abs(float(level) - 0.5) < 1e-9]
    if middle:
        times = table.index.to_numpy(float) / hours
        axes.plot(times, table[middle[0]], color=colour, linewidth=width)


def _band_drawing(
    protocol: Protocol,
    output: str,
    tables: dict[str, pd.DataFrame],
    seen: bool,
    log: bool,
    figure: Figure,
) -> Drawing:
    """Give the figure its words."""
    pairs = _pairs(next(iter(tables.values())))
    inner = [f"{round((high - low) * 100)} %" for low, high, _ in reversed(pairs)]
    middle = f"the middle {' and '.join(inner)} of subjects" if inner else "no band"
    caption = f"Line: median. Shaded: {middle}, true values without residual error."
    if len(tables) > 1:
        caption += " Grey lines: the medians of the other arms."
    if seen:
        caption += " Circles: measured in the real study."
    scale = "logarithmic" if log else "linear"
    title = f"{output_title(protocol, output)}, {scale} scale"
    alt = f"Median and prediction bands of {title} over time, by arm."
    name = slug(f"band {output} {'log' if log else 'linear'}")
    return Drawing(name, title, alt, caption, figure)

"""Survival: product-limit curves by arm, with the numbers at risk below them."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vtrial.protocol.protocol import Protocol
from vtrial.report.design import arm_title, endpoint_title
from vtrial.report.drawing import (
    FAINT,
    MUTED,
    Drawing,
    feet_of,
    new_figure,
    number_axis,
    of_arm,
    time_axis,
)
from vtrial.report.layout import lines_of
from vtrial.report.legend import arms_in, pick_colour, pick_dash, place_of
from vtrial.report.timing import timing_of
from vtrial.report.words import Clock, fixed, slug

Curve = Callable[[Protocol, Axes, str, pd.DataFrame, float], None]
MOST_TOGETHER = 8  # arms that are told apart in one panel
LINE = 0.15  # inches, for a line of numbers or of an arm's name
WHOLE = {"survival": 1.0, "low": 1.0, "high": 1.0, "events": 0.0}


def draw_survival(protocol: Protocol, endpoint: str, curves: pd.DataFrame) -> Drawing:
    """Draw the share without an event over time, and how many are at risk.

    `curves` has arm, time [h], survival, low, high, at_risk and events of one endpoint,
    as in `Estimates.curves`.
    """
    arms = arms_in(protocol, curves)
    tables = {str(arm): from_zero(rows) for arm, rows in curves.groupby("arm")}
    ordered = {arm: tables[arm] for arm in arms}
    if len(arms) > MOST_TOGETHER:
        figure = draw_beside(protocol, ordered, _curve)
    else:
        figure = draw_above_numbers(protocol, ordered, _curve)
    made = _with_words(protocol, endpoint, curves, figure)
    end = max(float(rows["time"].max()) for rows in tables.values())
    return made._replace(units=(timing_of(protocol).clock(end).name, "%"))


def draw_above_numbers(
    protocol: Protocol, tables: Mapping[str, pd.DataFrame], curve: Curve
) -> Figure:
    """Draw each arm's `curve` by time, and below them the numbers at risk."""
    below = LINE * _lines(_names(protocol, tables)) + 0.3
    figure = new_figure(2.5 + below)
    upper, lower = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": [2.2, below]}
    )
    scale = _prepare(protocol, upper, tables)
    upper.set_ylabel("Without the event [%]")
    for arm, rows in tables.items():
        curve(protocol, upper, arm, rows, scale.hours)
    end = upper.get_xlim()[1] * (1 + 1e-9)
    ticks = [tick * scale.hours for tick in upper.get_xticks() if 0 <= tick <= end]
    _write_numbers(protocol, lower, tables, ticks, scale.hours)
    upper.tick_params(labelbottom=True)
    return figure


def draw_beside(
    protocol: Protocol, tables: Mapping[str, pd.DataFrame], curve: Curve
) -> Figure:
    """Draw each arm's `curve` in a panel of its own, those of the others thin."""
    lines = -(-len(tables) // 2)
    figure = new_figure(0.6 + 1.15 * lines)
    panels = figure.subplots(lines, 2, sharex=True, sharey=True, squeeze=False)
    for panel, arm in zip(panels.flat, tables, strict=False):
        scale = _prepare(protocol, panel, tables)
        panel.set_xlabel("")
        for other, rows in tables.items():
            if other != arm:
                times = rows["time"].to_numpy(float) / scale.hours
                shares = rows["survival"].to_numpy(float) * 100
                style = {"color": FAINT, "linewidth": 0.6}
                (line,) = panel.step(times, shares, where="post", **style)
                of_arm(place_of(protocol, other), line)
        curve(protocol, panel, arm, tables[arm], scale.hours)
        style = {"color": pick_colour(protocol, arm), "fontsize": 9}
        panel.set_title(arm_title(protocol, arm), **style)
    for panel in feet_of(panels, len(tables)):
        panel.set_xlabel(_prepared_axis(protocol, tables))
    figure.supylabel("Without the event [%]", fontsize=9.5)
    return figure


def _prepare(
    protocol: Protocol, axes: Axes, tables: Mapping[str, pd.DataFrame]
) -> Clock:
    """Prepare axes for shares without an event by time."""
    end = max(float(rows["time"].max()) for rows in tables.values())
    scale = time_axis(axes, 0.0, end, timing_of(protocol))
    axes.set_ylim(0.0, 100.0)
    number_axis(axes)
    return scale


def _prepared_axis(protocol: Protocol, tables: Mapping[str, pd.DataFrame]) -> str:
    """Title the axis of times."""
    end = max(float(rows["time"].max()) for rows in tables.values())
    timing = timing_of(protocol)
    return timing.axis(timing.clock(end))


def from_zero(rows: pd.DataFrame, whole: Mapping[str, float] = WHOLE) -> pd.DataFrame:
    """Begin a curve at time zero, where nobody has had the event."""
    rows = rows.sort_values("time")
    if float(rows["time"].iloc[0]) <= 0.0:
        return rows
    first = rows.head(1).assign(**whole, time=0.0)
    return pd.concat([first, rows], ignore_index=True)


def _curve(
    protocol: Protocol, axes: Axes, arm: str, rows: pd.DataFrame, hours: float
) -> None:
    """Draw one arm's curve and its band as steps."""
    colour = pick_colour(protocol, arm)
    times = rows["time"].to_numpy(float) / hours
    low, high, middle = (
        rows[name].to_numpy(float) * 100 for name in ("low", "high", "survival")
    )
    band = axes.fill_between(
        times, low, high, step="post", color=colour, alpha=0.15, linewidth=0
    )
    dash = pick_dash(protocol, arm)
    style = {"where": "post", "color": colour, "linewidth": 1.7}
    (line,) = axes.step(times, middle, dash, **style)
    of_arm(place_of(protocol, arm), band, "band")
    of_arm(place_of(protocol, arm), line, "line")


def at_risk(rows: pd.DataFrame, times: list[float]) -> list[float]:
    """Return how many are still followed at each time [h]: at the next row's time.

    Between two rows nobody has an event, so who is at risk at the later one was there.
    """
    known = rows["time"].to_numpy(float)
    numbers = rows["at_risk"].to_numpy(float)
    places = np.searchsorted(known, np.asarray(times) - 1e-9)
    return [float(numbers[min(place, len(numbers) - 1)]) for place in places]


def _write_numbers(
    protocol: Protocol,
    axes: Axes,
    tables: Mapping[str, pd.DataFrame],
    ticks: list[float],
    hours: float,
) -> None:
    """Write the numbers at risk, each arm's name and line above its own."""
    names = _names(protocol, tables)
    axes.set_axis_off()
    axes.set_ylim(_lines(names) + 1.4, 0)
    across = axes.get_yaxis_transform()
    axes.text(0, 0.9, "At risk", transform=across, fontsize=8.5, color=MUTED)
    line = 1.4
    for arm, rows in tables.items():
        colour, dash = pick_colour(protocol, arm), pick_dash(protocol, arm)
        sample = [line + 0.55] * 2
        axes.plot([0.0, 0.07], sample, dash, transform=across, color=colour, lw=1.7)
        style = {"fontsize": 8.5, "color": colour, "va": "bottom"}
        for words in names[arm]:
            axes.text(0.09, line + 0.9, words, transform=across, **style)
            line += 1
        for tick, number in zip(ticks, at_risk(rows, ticks), strict=True):
            where = "left" if tick == 0 else "center"
            axes.text(tick / hours, line + 0.85, fixed(number, 0), ha=where, **style)
        line += 1


def _names(protocol: Protocol, arms: Iterable[str]) -> dict[str, list[str]]:
    """Break arms' titles into lines that fit beside a sample of their own."""
    return {arm: lines_of(arm_title(protocol, arm), 3.2, 8.5) for arm in arms}


def _lines(names: Mapping[str, list[str]]) -> int:
    """Count the lines of all arms: of their names, and one of numbers each."""
    return sum(len(lines) + 1 for lines in names.values())


def half_time(rows: pd.DataFrame) -> float:
    """Return when half have had the event [h]; infinite where fewer ever had."""
    there = rows[rows["survival"] <= 0.5]
    return float(there["time"].min()) if len(there) else float("inf")


def _with_words(
    protocol: Protocol, endpoint: str, curves: pd.DataFrame, figure: Figure
) -> Drawing:
    """Give the figure its words."""
    told = []
    for arm, rows in curves.groupby("arm", sort=False):
        half = half_time(rows)
        known = np.isfinite(half)
        words = timing_of(protocol).duration(half) if known else "not reached"
        told.append(f"{arm_title(protocol, str(arm))} {words}")
    shaded = (
        "the trial's own 95 % limits"
        if protocol.replicates == 1
        else "where 95 % of single trials lie; the curve is the mean of the trials"
    )
    caption = (
        f"Share without the event. Shaded: {shaded}. "
        f"Half have had it after: {', '.join(told)}."
    )
    if len(told) > MOST_TOGETHER:
        caption += " Grey: the other arms. Numbers at risk are in tables/curves.csv."
    title = endpoint_title(protocol, endpoint)
    alt = f"Share without the event over time, by arm. Median: {'; '.join(told)}."
    return Drawing(slug(f"survival {endpoint}"), title, alt, caption, figure, curves)

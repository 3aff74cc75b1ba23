"""Figures with a row for each number: what it is in words, and where it lies.

The words stand above the line, not beside it, so that the figure is narrow enough
for a phone.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vtrial.report.drawing import (
    INK,
    MUTED,
    RULE,
    SHADE,
    log_axis,
    new_figure,
    number_axis,
)

_ROW = 0.46  # inches
_LETTERS = 53  # that fit above a line


class Row(NamedTuple):
    """One line: words at the left, the number in words at the right, and its place.

    `low` and `high` are the whisker; `aim` is a range to lie in, `mark` its centre.
    """

    words: str
    text: str
    value: float
    low: float = math.nan
    high: float = math.nan
    colour: str = INK
    marker: str = "o"
    aim: tuple[float, float] = (math.nan, math.nan)
    mark: float = math.nan
    hollow: bool = False


class Frame(NamedTuple):
    """The axis below the rows: its words, a line to compare with, its scale."""

    label: str
    line: float = math.nan
    log: bool = False
    start: float = math.nan
    end: float = math.nan


def draw_rows(rows: Sequence[Row], frame: Frame) -> Figure:
    """Draw the rows from top to bottom."""
    figure = new_figure(0.75 + _ROW * len(rows))
    axes = figure.add_subplot()
    axes.set_ylim(len(rows) - 0.4, -0.62)
    axes.yaxis.set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(frame.label)
    _scale(axes, rows, frame)
    axes.grid(visible=False)
    for place, row in enumerate(rows):
        _rule(axes, place, frame.line)
        _draw_row(axes, place, row)
    return figure


def _scale(axes: Axes, rows: Sequence[Row], frame: Frame) -> None:
    """Choose limits that hold every row, and the line to compare with."""
    ends = [e for r in rows for e in (r.value, r.low, r.high, *r.aim, r.mark)]
    ends = [end for end in (*ends, frame.line) if math.isfinite(end)]
    if frame.log:
        ends = [end for end in ends if end > 0] or [0.5, 2.0]
        low, high = min(ends), max(ends)
        pad = (high / low) ** 0.06 if high > low else 1.3
        log_axis(axes, low / pad, high * pad, which="x")
        return
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    pad = 0.05 * (high - low) or abs(high) * 0.1 or 1.0
    low, high = low - pad, high + pad
    axes.set_xlim(
        frame.start if math.isfinite(frame.start) else low,
        frame.end if math.isfinite(frame.end) else high,
    )
    number_axis(axes, which="x")


def _rule(axes: Axes, place: int, line: float) -> None:
    """Draw a row's ticks and its line to compare with, clear of the words above."""
    span = [place - 0.08, place + 0.24]
    low, high = sorted(axes.get_xlim())
    for tick in axes.get_xticks():
        if low <= tick <= high:
            axes.plot([tick] * 2, span, color=RULE, linewidth=0.5, zorder=1)
    if math.isfinite(line):
        axes.plot([line] * 2, span, color=MUTED, linewidth=1.1, zorder=2)


def _draw_row(axes: Axes, place: int, row: Row) -> None:
    """Draw one row: words above, aim, whisker and point below."""
    across = axes.get_yaxis_transform()
    note = {"va": "bottom", "fontsize": 9, "transform": across, "clip_on": False}
    room = _LETTERS - len(row.text)
    words = row.words if len(row.words) <= room else row.words[: room - 1] + "…"
    axes.text(0, place - 0.13, words, ha="left", **note)
    axes.text(1, place - 0.13, row.text, ha="right", color=row.colour, **note)
    low, high = row.aim
    if math.isfinite(low) and math.isfinite(high):
        axes.fill_between(
            [low, high], place - 0.08, place + 0.24, color=SHADE, linewidth=0, zorder=2
        )
    if math.isfinite(row.mark):
        axes.plot([row.mark] * 2, [place - 0.08, place + 0.24], color=MUTED, lw=1.4)
    if not math.isfinite(row.value):
        return
    if math.isfinite(row.low) and math.isfinite(row.high):
        ends = [row.low, row.high]
        axes.plot(ends, [place + 0.08] * 2, color=row.colour, lw=1.8, zorder=3)
    axes.plot(
        [row.value],
        [place + 0.08],
        marker=row.marker,
        markersize=6,
        color=row.colour,
        markerfacecolor="none" if row.hollow else row.colour,
        markeredgewidth=1.4,
        linestyle="none",
        zorder=4,
    )

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

_LETTERS = 56  # that fit across


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


class Place(NamedTuple):
    """Where a row's parts stand: its height [inches], and parts of it from -1/2 down.

    `words` and `text` are the feet of two texts; `top` and `foot` bound the drawing.
    """

    height: float
    words: float
    text: float
    top: float
    foot: float

    @property
    def middle(self) -> float:
        """Where points and whiskers stand."""
        return (self.top + self.foot) / 2


_FLAT = Place(height=0.46, words=-0.06, text=-0.06, top=0.0, foot=0.34)
_TALL = Place(height=0.62, words=-0.2, text=0.06, top=0.12, foot=0.38)


class Frame(NamedTuple):
    """The axis below the rows: its words, a line to compare with, its scale."""

    label: str
    line: float = math.nan
    log: bool = False
    start: float = math.nan
    end: float = math.nan


def draw_rows(rows: Sequence[Row], frame: Frame) -> Figure:
    """Draw the rows from top to bottom; words and number share a line if they can."""
    tall = any(len(row.words) + len(row.text) > _LETTERS for row in rows)
    place = _TALL if tall else _FLAT
    figure = new_figure(0.62 + place.height * len(rows))
    axes = figure.add_subplot()
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.yaxis.set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(frame.label)
    _scale(axes, rows, frame)
    axes.grid(visible=False)
    for index, row in enumerate(rows):
        _rule(axes, index, frame.line, place)
        _draw_row(axes, index, row, place)
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


def _rule(axes: Axes, index: int, line: float, place: Place) -> None:
    """Draw a row's ticks and its line to compare with, clear of the words above."""
    span = [index + place.top, index + place.foot]
    low, high = sorted(axes.get_xlim())
    for tick in axes.get_xticks():
        if low <= tick <= high:
            axes.plot([tick] * 2, span, color=RULE, linewidth=0.5, zorder=1)
    if math.isfinite(line):
        axes.plot([line] * 2, span, color=MUTED, linewidth=1.1, zorder=2)


def _draw_row(axes: Axes, index: int, row: Row, place: Place) -> None:
    """Draw one row: words above, aim, whisker and point below."""
    across = axes.get_yaxis_transform()
    note = {"va": "bottom", "fontsize": 9, "transform": across, "clip_on": False}
    words = row.words if len(row.words) <= _LETTERS else row.words[: _LETTERS - 1] + "…"
    axes.text(0, index + place.words, words, ha="left", **note)
    axes.text(1, index + place.text, row.text, ha="right", color=row.colour, **note)
    top, foot, middle = (index + y for y in (place.top, place.foot, place.middle))
    low, high = row.aim
    if math.isfinite(low) and math.isfinite(high):
        axes.fill_between([low, high], top, foot, color=SHADE, linewidth=0, zorder=1.5)
    if math.isfinite(row.mark):
        axes.plot([row.mark] * 2, [top, foot], color=MUTED, lw=1.4, zorder=2)
    if not math.isfinite(row.value):
        return
    if math.isfinite(row.low) and math.isfinite(row.high):
        axes.plot([row.low, row.high], [middle] * 2, color=row.colour, lw=1.8, zorder=3)
    axes.plot(
        [row.value],
        [middle],
        marker=row.marker,
        markersize=6,
        color=row.colour,
        linestyle="none",
        zorder=4,
    )

"""Figures with a row for each number: what it is in words, and where it lies.

The words stand above the line, not beside it, so that the figure is narrow enough
for a phone.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from vtrial.report.drawing import (
    INK,
    MUTED,
    RULE,
    SHADE,
    WIDTH,
    log_axis,
    new_figure,
    number_axis,
    of_arm,
)
from vtrial.report.layout import lines_of, size_of

_SIZE = 9.0  # points
_LINE = 0.155  # inches from one line of words to the next
_SMALL = 0.14  # of what stands below the rows
_LANE = 0.2  # inches of a row's drawing
_GAP = 0.1  # inches between rows
_ROOM = WIDTH - 0.28  # inches for words


class Row(NamedTuple):
    """One line: words at the left, the number in words at the right, and its place.

    `low` and `high` are the whisker; `aim` is a range to lie in, `mark` its centre.
    `arm` is the place of the arm that it is of, or below 0.
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
    arm: int = -1


class Place(NamedTuple):
    """Where a row's parts stand [inches from the top]: lines of words, and the lane."""

    lines: tuple[str, ...]
    top: float
    text: float
    lane: tuple[float, float]

    @property
    def middle(self) -> float:
        """Where points and whiskers stand."""
        return sum(self.lane) / 2


class Frame(NamedTuple):
    """The axis below the rows: its words, a line to compare with, its scale.

    `sides` say what lies left and right of the line.
    """

    label: str
    line: float = math.nan
    log: bool = False
    start: float = math.nan
    end: float = math.nan
    sides: tuple[str, str] = ("", "")


def draw_rows(rows: Sequence[Row], frame: Frame) -> Figure:
    """Draw the rows from top to bottom; words and number share a line if they can."""
    places = _places(rows)
    foot = places[-1].lane[1] if places else 0.3
    sides = _sides(frame)
    deep = _SMALL * max(map(len, sides))
    figure = new_figure(0.62 + foot + deep)
    axes = figure.add_subplot()
    axes.set_ylim(foot + deep + 0.06, 0.0)
    axes.yaxis.set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(frame.label)
    _scale(axes, rows, frame)
    axes.grid(visible=False)
    _rule(axes, frame.line, places)
    for row, place in zip(rows, places, strict=True):
        _draw_row(axes, row, place)
    style = {"fontsize": 8.0, "color": MUTED, "va": "top"}
    style["transform"] = axes.get_yaxis_transform()
    for x, side, lines in zip((0, 1), ("left", "right"), sides, strict=True):
        for number, words in enumerate(lines):
            axes.text(x, foot + 0.04 + _SMALL * number, words, ha=side, **style)
    return figure


def _sides(frame: Frame) -> tuple[list[str], list[str]]:
    """Break what lies on either side of the line into lines of half the width."""
    left, right = frame.sides
    if not left:
        return [], []
    half = _ROOM / 2 - 0.1
    return lines_of(f"← {left}", half, 8.0), lines_of(f"{right} →", half, 8.0)


def _places(rows: Sequence[Row]) -> list[Place]:
    """Break each row's words into lines, and put the rows below each other."""
    places, top = [], 0.02
    for row in rows:
        lines = lines_of(row.words, _ROOM, _SIZE)
        wide = size_of(lines[-1], _SIZE)[0] + size_of(row.text, _SIZE)[0] + 0.1
        text = len(lines) - 1 + (wide > _ROOM)
        lane = top + _LINE * (text + 1) + 0.03
        span = (lane, lane + _LANE)
        places.append(Place(tuple(lines), top, top + _LINE * text, span))
        top = span[1] + _GAP
    return places


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


def _rule(axes: Axes, line: float, places: Sequence[Place]) -> None:
    """Draw the rows' ticks and the line to compare with, clear of the words above.

    All are two collections: to draw them one by one takes several times as long.
    """
    low, high = sorted(axes.get_xlim())
    ticks = [float(tick) for tick in axes.get_xticks() if low <= tick <= high]
    for at, colour, width, order in (
        (ticks, RULE, 0.5, 1),
        ([line] if math.isfinite(line) else [], MUTED, 1.1, 2),
    ):
        lanes = [[(x, y) for y in place.lane] for place in places for x in at]
        style = {"colors": colour, "linewidths": width, "zorder": order}
        axes.add_collection(LineCollection(lanes, **style), autolim=False)


def _draw_row(axes: Axes, row: Row, place: Place) -> None:
    """Draw one row: words above, aim, whisker and point below."""
    across = axes.get_yaxis_transform()
    note = {"va": "top", "fontsize": _SIZE, "transform": across, "clip_on": False}
    made: list[Artist] = [
        axes.text(0, place.top + _LINE * number, words, ha="left", **note)
        for number, words in enumerate(place.lines)
    ]
    made += [axes.text(1, place.text, row.text, ha="right", color=row.colour, **note)]
    (top, foot), middle = place.lane, place.middle
    low, high = row.aim
    if math.isfinite(low) and math.isfinite(high):
        axes.fill_between([low, high], top, foot, color=SHADE, linewidth=0, zorder=1.5)
    if math.isfinite(row.mark):
        axes.plot([row.mark] * 2, [top, foot], color=MUTED, lw=1.4, zorder=2)
    if math.isfinite(row.value):
        if math.isfinite(row.low) and math.isfinite(row.high):
            style = {"color": row.colour, "lw": 1.8, "zorder": 3}
            made += axes.plot([row.low, row.high], [middle] * 2, **style)
        style = {"color": row.colour, "ls": "none", "ms": 6, "zorder": 4}
        made += axes.plot([row.value], [middle], marker=row.marker, **style)
    if row.arm >= 0:
        for artist in made:
            of_arm(row.arm, artist)

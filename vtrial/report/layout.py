"""Where a figure's parts stand: margins from the sizes of texts, in one pass.

Matplotlib's constrained layout finds out how far texts reach from drafts of the figure,
which is most of the time that a figure takes. Here the sizes of tick labels,
titles and axis labels are measured, and what is too long for its side is broken into
lines.
"""

import functools
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import LayoutEngine
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

_POINTS = 72.0  # in an inch
_EDGE = 0.05  # inches around a figure
_BETWEEN = 0.12  # inches between panels
_TICK = 7.0 / _POINTS  # from an axis to its tick labels
_LABEL = 4.0 / _POINTS  # from tick labels to the axis' label
_TITLE = 6.0 / _POINTS  # from an axis to its title
_BOLD = 1.14  # times as wide as other letters
_LINE = 1.22  # lines stand so many letters' heights apart


class Reach(NamedTuple):
    """How far the texts of a panel reach beyond its axes [inches]."""

    left: float
    right: float
    bottom: float
    top: float


class Margins(LayoutEngine):
    """Leaves as much room around panels as their texts need."""

    _adjust_compatible = False
    _colorbar_gridspec = False

    def execute(self, fig: Any) -> None:
        """Place the panels of a figure."""
        panels = [axes for axes in fig.axes if axes.get_subplotspec() is not None]
        if not panels:
            return
        for _ in range(2):  # how many ticks there are depends on the size
            _place(fig, panels)


def _place(figure: Figure, panels: Sequence[Axes]) -> None:
    """Give each panel its place within what the texts leave."""
    width, height = figure.get_size_inches()
    grid = panels[0].get_subplotspec().get_gridspec()  # type: ignore[union-attr]
    lines, columns = grid.get_geometry()
    reach = np.zeros((4, lines, columns))
    for panel in panels:
        place = panel.get_subplotspec()
        if panel.get_visible() and place is not None:
            at = (place.rowspan.start, place.colspan.start)
            reach[:, at[0], at[1]] = reach_of(panel)
    left, right = reach[0].max(axis=0), reach[1].max(axis=0)
    bottom, top = reach[2].max(axis=1), reach[3].max(axis=1)
    side = _side(figure, height)
    across = width - 2 * _EDGE - side - left.sum() - right.sum()
    down = height - 2 * _EDGE - _head(figure) - bottom.sum() - top.sum()
    across -= _BETWEEN * (columns - 1)
    down -= 0.6 * _BETWEEN * (lines - 1)
    wide = max(across / columns, 0.2)
    ratios = np.asarray(grid.get_height_ratios() or [1.0] * lines, float)
    tall = np.maximum(down * ratios / ratios.sum(), 0.1)
    for panel in panels:
        place = panel.get_subplotspec()
        if place is None:
            continue
        row, column = place.rowspan.start, place.colspan.start
        x = _EDGE + side + left[: column + 1].sum() + right[:column].sum()
        x += (wide + _BETWEEN) * column
        below = bottom[row:].sum() + top[row + 1 :].sum() + tall[row + 1 :].sum()
        y = _EDGE + below + 0.6 * _BETWEEN * (lines - 1 - row)
        box = (x / width, y / height, wide / width, tall[row] / height)
        panel.set_position(box, which="both")
        _break_texts(panel, wide, tall[row])
    if side:
        _centre(figure, (_EDGE + bottom[-1], height - _EDGE - top[0] - _head(figure)))


def reach_of(panel: Axes) -> Reach:
    """Return how far the texts of a panel reach."""
    if not panel.axison:
        return Reach(0.0, 0.0, 0.0, 0.0)
    x, y = panel.xaxis, panel.yaxis
    wide, tall = _ticks(x), _ticks(y)
    above = x.get_ticks_position() == "top"
    beside = _height(panel.yaxis.label)
    left = (_TICK + tall[0] if tall[0] else 0.0) + (beside and beside + _LABEL)
    below = _height(panel.xaxis.label)
    height = _TICK + wide[1] if wide[1] else 0.0
    bottom = (0.0 if above else height) + (below and below + _LABEL)
    title = max(_height(one) for one in (panel.title, panel._left_title))  # pyright: ignore[reportAttributeAccessIssue]
    top = (height if above else 0.0) + (title and title + _TITLE)
    over = wide[2] / 2 if wide[2] else 0.0
    half = tall[1] / 2 if tall[1] else 0.0
    return Reach(max(left, 0.02), max(over, 0.03), max(bottom, half), max(top, half))


def _ticks(axis: Axis) -> tuple[float, float, float]:
    """Return width and height of an axis' tick labels, and the width of the last."""
    shown = axis.get_tick_params()
    sides = ("labelbottom", "labeltop", "labelleft", "labelright")
    if not axis.get_visible() or not any(shown.get(side) for side in sides):
        return 0.0, 0.0, 0.0
    low, high = sorted(axis.get_view_interval())
    slack = 1e-9 * (high - low or 1.0)
    at = [t for t in axis.get_majorticklocs() if low - slack <= t <= high + slack]
    words = axis.get_major_formatter().format_ticks(list(at))
    size = float(shown.get("labelsize", 9.0))
    sizes = [_block(one, size) for one in words if one]
    if not sizes:
        return 0.0, 0.0, 0.0
    wide, tall = (max(side) for side in zip(*sizes, strict=True))
    if shown.get("rotation"):
        turn = np.deg2rad(float(shown["rotation"]))
        wide, tall = (
            wide * np.cos(turn) + tall * np.sin(turn),
            wide * np.sin(turn) + tall * np.cos(turn),
        )
        return wide, tall, wide
    near = high - at[-1] < 0.1 * (high - low) if at else False
    return wide, tall, sizes[-1][0] if near else 0.0


def _block(words: str, size: float) -> tuple[float, float]:
    """Return width and height of words in some lines [inches]."""
    sizes = [size_of(line, size) for line in words.split("\n")]
    tall = sizes[0][1] + (len(sizes) - 1) * _LINE * size / _POINTS
    return max(wide for wide, _ in sizes), tall


def _height(text: Text) -> float:
    """Return the height of a text of some lines [inches]."""
    words = text.get_text()
    lines = words.count("\n") + 1 if words else 0
    return lines * _LINE * float(text.get_fontsize()) / _POINTS


def _side(figure: Figure, height: float) -> float:
    """Return the room for a title of the values' axes that all panels share."""
    title = figure._supylabel  # pyright: ignore[reportAttributeAccessIssue]
    if title is None:
        return 0.0
    _break(title, height - 0.35)
    return _height(title) + 0.02


def _centre(figure: Figure, span: tuple[float, float]) -> None:
    """Put that title beside the middle of the panels [inches]."""
    width, height = figure.get_size_inches()
    middle = sum(span) / 2
    title = figure._supylabel  # pyright: ignore[reportAttributeAccessIssue]
    title.set(position=(_EDGE / width, middle / height), va="center", ha="left")
    title.set_multialignment("center")


def _head(figure: Figure) -> float:
    """Return the room for a figure's legend, which stands above all [inches]."""
    renderer = figure._get_renderer()  # pyright: ignore[reportAttributeAccessIssue]
    heights = [legend.get_window_extent(renderer).height for legend in figure.legends]
    return max(heights, default=0.0) / figure.dpi


def _break_texts(panel: Axes, width: float, height: float) -> None:
    """Break a panel's title and labels into lines that fit [inches]."""
    _break(panel._left_title, width / _BOLD)  # pyright: ignore[reportAttributeAccessIssue]
    _break(panel.xaxis.label, width + 0.3)
    _break(panel.yaxis.label, height + 0.3)


def _break(text: Text, room: float) -> None:
    """Break a text into as few lines as fit into some room [inches]."""
    words = text.get_text().replace("\n", " ")
    if words:
        text.set_text("\n".join(lines_of(words, room, float(text.get_fontsize()))))


def lines_of(words: str, room: float, size: float) -> list[str]:
    """Break words into lines of a width [inches] in letters of a size [points].

    Examples
    --------
    >>> lines_of("time without a drop of counts", 1.2, 9.5)
    ['time without a', 'drop of counts']
    """
    lines: list[str] = []
    for word in words.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and size_of(longer, size)[0] <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def size_of(words: str, size: float) -> tuple[float, float]:
    """Return width and height [inches] of a line of letters of a size [points]."""
    font = FontProperties(family="DejaVu Sans", size=size)
    wide, tall, _ = measured(words, font, False)
    return wide / _POINTS, max(tall, 0.75 * size) / _POINTS


@functools.lru_cache(maxsize=16384)
def measured(
    text: str, font: FontProperties, math: bool | Literal["TeX"]
) -> tuple[float, float, float]:
    """Return the size of a text, and how far it reaches below its line [points]."""
    return text_to_path.get_text_width_height_descent(text, font, math)

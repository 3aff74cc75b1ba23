"""How figures look, and how they are kept: colours, axes, deterministic SVG and PNG.

Colours are tokens: the files on disk hold them as they stand, the page replaces them
by its own variables, so that a figure follows the reader's light or dark scheme.
"""

import contextlib
import gc
import html
import io
import json
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG, RendererSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import FixedLocator, FuncFormatter, MultipleLocator, NullLocator

from vtrial.report.layout import Margins, measured
from vtrial.report.timing import Timing
from vtrial.report.words import Clock, number

INK, MUTED, FAINT, RULE = "#1a1d21", "#5d6671", "#a9b1ba", "#d3d8de"
SHADE, PAPER = "#e4e8ed", "#fffffe"
GOOD, MISSED = "#0a7355", "#b5371f"
# Dark enough for text on white; lightness differs as well as hue, so that they stay
# apart under protanopia and deuteranopia (tests measure it).
ARM_COLOURS = (
    "#0b68a8",
    "#c14e00",
    "#2a8274",
    "#6e1451",
    "#4a3fd6",
    "#5c1f0c",
    "#70683e",
    "#161670",
)
MARKERS = "osD^vPX*"
DASHES = ("-", "--", "-.", ":")
FLATTENS = 4.0  # times its neighbours' height: so much higher, and they look flat
WIDTH = 4.25  # inches: text keeps its size on a phone, and two stand side by side

_TOKENS = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    FAINT: "var(--faint)",
    RULE: "var(--rule)",
    SHADE: "var(--shade)",
    PAPER: "var(--figure)",
    GOOD: "var(--good)",
    MISSED: "var(--missed)",
} | {colour: f"var(--arm-{index})" for index, colour in enumerate(ARM_COLOURS)}
_STYLE = {
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.unicode_minus": True,
    "figure.dpi": 100,
    "figure.facecolor": PAPER,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.6,
    "savefig.facecolor": PAPER,
    "svg.fonttype": "none",
    "svg.hashsalt": "vtrial",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 9,
}
_COORDINATES = re.compile(
    r'(?<=[\s"])(?:d|x|y|x1|y1|x2|y2|points|width|height|transform)="[^"]*"'
)
_RATIOS = [m * 10.0**k for k in range(-6, 7) for m in (1.0, 2.0, 5.0)]
_NEAR_ONE = [
    0.1,
    0.2,
    0.3,
    0.4,
    0.5,
    0.6,
    0.7,
    0.8,
    0.9,
    1.0,
    1.1,
    1.25,
    1.5,
    2.0,
    2.5,
    3.0,
    4.0,
    5.0,
    6.0,
    8.0,
    10.0,
]


class Drawing(NamedTuple):
    """A figure with its file's name, its title, what it shows, and how to read it.

    `data` is what was drawn. `scale` is `linear` or `log` where the same is drawn on
    the other scale, too, so that the page can show the one or the other. `units` are
    those of both axes where the page reads values off the curves under a pointer.
    """

    name: str
    title: str
    alt: str
    caption: str
    figure: Figure
    data: pd.DataFrame
    scale: str = ""
    units: tuple[str, str] | None = None


@contextlib.contextmanager
def house_style() -> Iterator[None]:
    """Draw in the house's style; matplotlib is left as it was found."""
    with mpl.rc_context(), warnings.catch_warnings(), _spared():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)  # pyright: ignore[reportCallIssue, reportArgumentType]
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


@contextlib.contextmanager
def _spared() -> Iterator[None]:
    """Leave out of each search for garbage all that is there already.

    Figures are full of cycles, so it is searched for often, and each time all of JAX
    and pandas was gone through: a fifth of the time that a report takes.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def arm_colour(index: int) -> str:
    """Return the colour of an arm by its place in the protocol."""
    return ARM_COLOURS[index % len(ARM_COLOURS)]


def arm_marker(index: int) -> str:
    """Return the marker of an arm, so that colour is not the only sign."""
    return MARKERS[index % len(MARKERS)]


def arm_dash(index: int) -> str:
    """Return the line style of an arm, where lines of arms cross."""
    return DASHES[index % len(DASHES)]


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Make an empty figure [inches] that lays itself out."""
    figure = Figure(figsize=(width, height), layout=Margins())
    FigureCanvasAgg(figure)
    return figure


def time_axis(axes: Axes, start: float, end: float, timing: Timing) -> Clock:
    """Prepare an axis for times [h]: the sheet's unit, ticks where people count."""
    scale = timing.clock(end - start)
    axes.set_xlim(start / scale.hours, end / scale.hours)
    axes.xaxis.set_major_locator(MultipleLocator(scale.step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value, 4)))
    axes.set_xlabel(timing.axis(scale))
    return scale


def of_arm(place: int, artist: Artist, reads: Literal["", "line", "band"] = "") -> None:
    """Mark what belongs to an arm, so that the page can hide it or read values off it.

    `reads` says whether it is a curve or the outermost band around one.
    """
    artist.set_gid(f"a{place} {reads}".strip())


def number_axis(axes: Axes, *, which: str = "y") -> None:
    """Write an axis' ticks as the tables do."""
    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value, 4)))
    axes.grid(True, axis="y" if which == "y" else "x")
    axes.set_axisbelow(True)


def log_axis(axes: Axes, low: float, high: float, *, which: str = "y") -> None:
    """Make an axis logarithmic with ticks that people read."""
    set_scale = axes.set_yscale if which == "y" else axes.set_xscale
    set_limits = axes.set_ylim if which == "y" else axes.set_xlim
    set_scale("log")
    set_limits(low, high)
    axis = axes.yaxis if which == "y" else axes.xaxis
    pool = _NEAR_ONE if high / low < 8 and low < 1.3 and high > 0.7 else _RATIOS
    ticks = _spaced([tick for tick in pool if low <= tick <= high], high / low)
    if len(ticks) > 1:
        axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.grid(True, axis="y" if which == "y" else "x")
    axes.set_axisbelow(True)


def sticks_out(heights: Sequence[float]) -> bool:
    """Return whether one panel's values would flatten those of its neighbours.

    Examples
    --------
    >>> sticks_out([1.0, 1.2, 9.0]), sticks_out([1.0, 1.5, 2.0]), sticks_out([0.0, 9.0])
    (True, False, False)
    """
    known = sorted(height for height in heights if height > 0)
    return len(known) > 1 and known[-1] > FLATTENS * float(np.median(known[:-1]))


def feet_of(panels: np.ndarray, count: int) -> list[Axes]:
    """Hide panels beyond a count; return the lowest of each column, with its ticks."""
    for panel in panels.flat[count:]:
        panel.set_visible(False)
    columns = panels.shape[1]
    feet = [panels[(count - 1 - k) // columns, k] for k in range(min(columns, count))]
    for panel in feet:
        panel.tick_params(labelbottom=True)
    return feet


def limit_values(panels: np.ndarray, values: Sequence[float], *, log: bool) -> None:
    """Set the limits of a values' axis that panels share, linear or logarithmic."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    known = known[known > 0] if log else known
    if not known.size:
        return
    high = float(known.max())
    if log:
        low = max(float(known.min()), high * 1e-5)
        for panel in panels.flat:
            log_axis(panel, low / 1.15, high * 1.15)
    else:
        low = min(0.0, float(known.min()))
        high = max(0.0, high)
        panels.flat[0].set_ylim(low, high + 0.04 * (high - low or 1.0))


def _spaced(ticks: list[float], span: float) -> list[float]:
    """Keep ticks whose words do not meet: powers of ten first, nearest one first."""
    gap = math.log10(span) / 8
    kept: list[float] = []
    for tick in sorted(ticks, key=lambda tick: (not _decade(tick), abs(_log(tick)))):
        if all(abs(_log(tick) - _log(other)) >= gap for other in kept):
            kept.append(tick)
    return sorted(kept)


def _log(value: float) -> float:
    return math.log10(value)


def _decade(value: float) -> bool:
    """Return whether a number is a power of ten."""
    return abs(_log(value) - round(_log(value))) < 1e-9


def keep(drawing: Drawing, folder: Path, *, png: bool = False) -> str:
    """Write a figure's SVG and data (CSV), and a PNG if asked; return it for the page.

    A PNG that an earlier report left is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = svg_text(drawing.figure)
    (folder / f"{drawing.name}.svg").write_text(text, encoding="utf-8")
    table = drawing.data.to_csv(index=False, lineterminator="\n")
    (folder / f"{drawing.name}.csv").write_text(table, encoding="utf-8", newline="\n")
    picture = folder / f"{drawing.name}.png"
    picture.unlink(missing_ok=True)
    if png:
        drawing.figure.set_dpi(200)
        FigureCanvasAgg(drawing.figure).print_png(picture, metadata={"Software": None})
    return inline(text, drawing)


class _Renderer(RendererSVG):
    """Matplotlib's, but that a text is measured once for all figures."""

    def get_text_width_height_descent(
        self, s: str, prop: FontProperties, ismath: bool | Literal["TeX"]
    ) -> tuple[float, float, float]:
        """Return the size of a text, and how far it reaches below its line."""
        return measured(s, prop, ismath)


def svg_text(figure: Figure) -> str:
    """Write a figure as SVG, as `FigureCanvasSVG.print_svg` does, without a date."""
    FigureCanvasSVG(figure)
    buffer = io.StringIO()
    resolution, figure.dpi = figure.dpi, 72
    width, height = figure.get_size_inches() * 72
    metadata = {"Date": None}
    renderer = _Renderer(
        width, height, buffer, image_dpi=int(resolution), metadata=metadata
    )
    figure.draw(renderer)
    renderer.finalize()
    return _COORDINATES.sub(_rounded, buffer.getvalue())


def _rounded(found: re.Match[str]) -> str:
    """Round coordinates to a hundredth of a point."""
    return re.sub(
        r"-?\d+\.\d{3,}",
        lambda one: f"{float(one[0]):.2f}".rstrip("0").rstrip("."),
        found[0],
    )


def read_off(drawing: Drawing) -> str:
    """Return how a figure's points make values: each panel's place and limits.

    It is JSON: `units` of both axes, and for each panel its corners in the figure's
    points, the values at them, and whether the upright axis is logarithmic.
    """
    if drawing.units is None:
        return ""
    width, height = drawing.figure.get_size_inches() * 72
    panels = []
    for axes in drawing.figure.axes:
        box = axes.get_position()
        corners = (box.x0 * width, (1 - box.y0) * height)
        corners += (box.x1 * width, (1 - box.y1) * height)
        limits = (*axes.get_xlim(), *axes.get_ylim())
        told = [float(f"{one:.5g}") for one in (*map(float, corners), *limits)]
        panels.append([*told, int(axes.get_yscale() == "log")])
    return json.dumps({"units": drawing.units, "panels": panels}, ensure_ascii=False)


def inline(text: str, drawing: Drawing) -> str:
    """Make an SVG file a part of a page: themed, named, and with ids of its own."""
    body = text[text.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.S)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.S)
    body = re.sub(r"<style .*?</style>", "", body, flags=re.S)  # would style the page
    head, rest = body.split(">", 1)
    box = re.search(r'viewBox="[^"]+"', head)
    prefix = f"{drawing.name}-"
    rest = re.sub(r'<g id="(a\d+(?: line| band)?)">', r'<g class="\1">', rest)
    rest = re.sub(r'<g id="axes_\d+">', '<g class="axes">', rest)
    rest = re.sub(r'<g id="[\w.]+">', "<g>", rest)  # nobody asks for these
    rest = re.sub(r'(?<=\s)id="', f'id="{prefix}', rest)
    rest = re.sub(r'href="#', f'href="#{prefix}', rest)
    rest = rest.replace("url(#", f"url(#{prefix}").replace("xlink:href", "href")
    for token, variable in _TOKENS.items():
        rest = rest.replace(token, variable)
    rest = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--sans)", rest)
    rest = re.sub(r"\n\s*", "\n", rest)
    names = f'aria-labelledby="{prefix}title {prefix}desc"'
    return (
        f'<svg {box[0] if box else ""} role="img" {names}>'
        f'<title id="{prefix}title">{html.escape(drawing.title)}</title>'
        f'<desc id="{prefix}desc">{html.escape(drawing.alt)}</desc>{rest}'
    )

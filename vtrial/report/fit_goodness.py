"""Goodness of a fit, drawn: predictions and residuals, by value; NPDE; the course."""

from collections.abc import Iterator
from statistics import NormalDist

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from vtrial.report.drawing import (
    ARM_COLOURS,
    INK,
    MUTED,
    RULE,
    SHADE,
    WIDTH,
    Drawing,
    new_figure,
    number_axis,
)
from vtrial.report.words import slug, unit_words

BLUE, RED = ARM_COLOURS[0], ARM_COLOURS[1]
WIDE = 1.35 * WIDTH
NEIGHBOURS = 0.6  # share of the points that a smooth line listens to at a place
FEWEST = 12  # points, below which no smooth line is drawn
BINS = 15


def labelled(name: str, unit: str) -> str:
    """Write an axis' label with its unit."""
    said = unit_words(unit)
    return f"{name} [{said}]" if said else name


def draw_goodness(
    rows: pd.DataFrame, output: str, unit: str, time: str
) -> Iterator[Drawing]:
    """Draw values over predictions and residuals over time and PRED: four panels."""
    figure = new_figure(5.4, WIDE)
    panels = figure.subplots(2, 2)
    known = rows[rows["below"] == 0]
    value = known["DV"].to_numpy(float)
    for panel, name in zip(panels[0], ("PRED", "IPRED"), strict=True):
        expected = known[name].to_numpy(float)
        _points(panel, expected, value)
        low, high = np.nanmin([expected, value]), np.nanmax([expected, value])
        panel.plot([low, high], [low, high], color=INK, linewidth=0.9)
        draw_smooth(panel, expected, value)
        room = 0.04 * (high - low)
        panel.set(xlim=(low - room, high + room), ylim=(low - room, high + room))
        panel.set_xlabel(labelled(name, unit))
    panels[0, 0].set_ylabel(labelled("Observed", unit))
    for panel, name in zip(panels[1], ("TIME", "PRED"), strict=True):
        draw_residuals(
            panel, known[name].to_numpy(float), known["CWRES"].to_numpy(float)
        )
        panel.set_xlabel(
            labelled("Time", time) if name == "TIME" else labelled(name, unit)
        )
    panels[1, 0].set_ylabel("CWRES")
    title = f"Goodness of fit, {output}"
    caption = (
        "Above: observed over predicted, PRED without effects and IPRED with each "
        "subject's own; on the line they agree. Below: conditional weighted residuals; "
        "dashed: ±1.96. Orange: a smooth line through the points (local regression). "
        + _left_out(rows)
    )
    alt = f"Observed {output} over predictions, and residuals over time and predictions"
    data = known[["ID", "TIME", "DV", "PRED", "IPRED", "CWRES"]]
    name = slug(f"goodness {output}")
    yield Drawing(name, title, alt, caption.strip(), figure, data)


def _left_out(rows: pd.DataFrame) -> str:
    count = int(rows["below"].sum())
    return f"{count} values below a limit are not shown." if count else ""


def draw_npde(
    rows: pd.DataFrame, output: str, unit: str, time: str
) -> Iterator[Drawing]:
    """Draw NPDE over time and PRED, their histogram, and quantile by quantile."""
    known = rows[np.isfinite(rows["NPDE"])]
    if not len(known):
        return
    value = known["NPDE"].to_numpy(float)
    figure = new_figure(5.4, WIDE)
    panels = figure.subplots(2, 2)
    for panel, name in zip(panels[0], ("TIME", "PRED"), strict=True):
        draw_residuals(panel, known[name].to_numpy(float), value)
        panel.set_xlabel(
            labelled("Time", time) if name == "TIME" else labelled(name, unit)
        )
    panels[0, 0].set_ylabel("NPDE")
    draw_histogram(panels[1, 0], value, 1.0)
    panels[1, 0].set_xlabel("NPDE")
    _quantiles(panels[1, 1], value)
    caption = (
        "Normalised prediction distribution errors, decorrelated: standard normal and "
        "without trend if the model holds. Below: their histogram with the standard "
        "normal density, and their quantiles over those of the standard normal, with "
        "where 95 % of samples of as many lie at each."
    )
    title, alt = f"NPDE, {output}", f"NPDE of {output}: trend, histogram, quantiles"
    data = known[["ID", "TIME", "PRED", "NPDE"]]
    yield Drawing(slug(f"npde {output}"), title, alt, caption, figure, data)


def draw_course(frame: pd.DataFrame) -> Iterator[Drawing]:
    """Draw the objective after each step, less what it came to."""
    if len(frame) < 2:
        return
    figure = new_figure(2.5)
    axes = figure.add_subplot()
    value = frame["objective"].to_numpy(float)
    axes.plot(frame["step"], value, "o-", color=BLUE, markersize=3, linewidth=1.2)
    number_axis(axes)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_xlabel("Step")
    axes.set_ylabel("Objective")
    yield Drawing(
        "objective",
        "The search",
        "The objective after each step",
        "The objective (-2 log-likelihood) after each step of the search.",
        figure,
        frame,
    )


def _points(panel: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Draw points whose number shows in their depth."""
    depth = float(np.clip(60.0 / max(len(x), 1), 0.12, 0.7))
    style = {"color": BLUE, "markeredgewidth": 0, "alpha": depth, "rasterized": False}
    panel.plot(x, y, "o", markersize=3.4, **style)
    number_axis(panel)
    number_axis(panel, which="x")


def draw_residuals(panel: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Draw residuals of variance 1 over something, with a smooth line."""
    _points(panel, x, y)
    panel.axhline(0.0, color=INK, linewidth=0.9)
    for end in (-1.96, 1.96):
        panel.axhline(end, color=MUTED, linewidth=0.8, linestyle="--")
    draw_smooth(panel, x, y)
    far = max(3.2, float(np.nanmax(np.abs(y), initial=0.0)) * 1.06)
    panel.set_ylim(-far, far)


def draw_smooth(panel: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Draw a smooth line through points, where there are enough."""
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() >= FEWEST and np.ptp(x[known]) > 0:
        at, line = smooth(x[known], y[known])
        panel.plot(at, line, color=RED, linewidth=1.5)


def smooth(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a local linear regression, with tricube weights (Cleveland 1979).

    Examples
    --------
    >>> at, line = smooth(np.arange(20.0), 2.0 * np.arange(20.0))
    >>> bool(np.allclose(line, 2.0 * at))
    True
    """
    at = np.linspace(x.min(), x.max(), 60)
    near = np.abs(at[:, None] - x[None, :])
    count = max(int(NEIGHBOURS * len(x)), 3)
    reach = np.sort(near, axis=1)[:, count - 1 : count]
    # Where many share a time, the nearest are at no distance: reach to others, too.
    reach = np.maximum(reach * 1.000001, 0.15 * np.ptp(x))
    weight = np.clip(1.0 - (near / reach) ** 3, 0.0, 1.0) ** 3
    total = weight.sum(axis=1)
    middle, level = (weight @ x) / total, (weight @ y) / total
    away = x[None, :] - middle[:, None]
    width = (weight * away**2).sum(axis=1)
    slope = (weight * away * (y[None, :] - level[:, None])).sum(axis=1)
    slope = np.where(
        width > 1e-12 * np.ptp(x) ** 2, slope / np.maximum(width, 1e-300), 0
    )
    return at, level + slope * (at - middle)


def draw_histogram(panel: Axes, values: np.ndarray, deviation: float) -> None:
    """Draw a histogram with the normal density about 0 that is expected."""
    far = max(3.0 * deviation, float(np.abs(values).max(initial=0.0)))
    bins = min(BINS, max(7, int(np.sqrt(len(values)))))
    panel.hist(
        values,
        bins=np.linspace(-far, far, bins + 1).tolist(),
        density=True,
        color=SHADE,
        edgecolor=MUTED,
        linewidth=0.6,
    )
    if deviation > 0:
        at = np.linspace(-far, far, 121)
        density = np.exp(-0.5 * (at / deviation) ** 2)
        density = density / (deviation * np.sqrt(2 * np.pi))
        panel.plot(at, density, color=RED, linewidth=1.4)
    panel.axvline(0.0, color=INK, linewidth=0.8)
    panel.set_yticks([])
    panel.set_ylabel("Density")
    panel.grid(False)


def _quantiles(panel: Axes, values: np.ndarray) -> None:
    """Draw quantiles over those of the standard normal, with their 95 % limits."""
    count = len(values)
    law = NormalDist()
    share = (np.arange(1, count + 1) - 0.5) / count
    expected = np.array([law.inv_cdf(one) for one in share])
    density = np.exp(-0.5 * expected**2) / np.sqrt(2 * np.pi)
    error = 1.96 * np.sqrt(share * (1 - share) / count) / density
    panel.fill_between(
        expected, expected - error, expected + error, color=RULE, linewidth=0
    )
    panel.plot(expected, expected, color=INK, linewidth=0.9)
    style = {"color": BLUE, "markeredgewidth": 0, "alpha": 0.6}
    panel.plot(expected, np.sort(values), "o", markersize=2.8, **style)
    number_axis(panel)
    number_axis(panel, which="x")
    panel.set_xlabel("Standard normal quantile")
    panel.set_ylabel("NPDE")

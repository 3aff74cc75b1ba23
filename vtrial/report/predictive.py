"""Predictive checks: quantiles of what was observed over those of simulated trials."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from vtrial.protocol.protocol import Protocol
from vtrial.report.bands import spans_decades
from vtrial.report.design import arm_title, output_title
from vtrial.report.drawing import (
    INK,
    MUTED,
    Drawing,
    limit_values,
    new_figure,
    number_axis,
    time_axis,
)
from vtrial.report.legend import arms_in, axis_label, pick_colour, shared
from vtrial.report.timing import timing_of
from vtrial.report.words import number, slug

_VALUES = ["observed", "low", "median", "high"]


def draw_predictive(
    protocol: Protocol, output: str, rows: pd.DataFrame
) -> Iterator[Drawing]:
    """Draw one output's check by arm: linear, and log where that helps.

    `rows` are those of `Estimates.predictive` for one output.
    """
    values = rows[_VALUES].to_numpy(float).ravel().tolist()
    if not spans_decades(values):
        yield _draw(protocol, output, rows, log=False)
        return
    yield _draw(protocol, output, rows, log=False)._replace(scale="linear")
    yield _draw(protocol, output, rows, log=True)._replace(scale="log")


def _draw(protocol: Protocol, output: str, rows: pd.DataFrame, *, log: bool) -> Drawing:
    """Draw one output's check on one scale, a panel for each arm."""
    arms = arms_in(protocol, rows)
    figure = new_figure(0.6 + (2.4 if len(arms) == 1 else 1.6) * len(arms))
    panels = figure.subplots(len(arms), 1, sharex=True, sharey=True, squeeze=False)
    start, end = float(rows["time"].min()), float(rows["time"].max())
    start = min(start, 0.0)
    timing = timing_of(protocol)
    scale = timing.clock(end - start)
    for panel, arm in zip(panels[:, 0], arms, strict=True):
        time_axis(panel, start, end, timing)
        panel.set_xlabel("")
        colour = pick_colour(protocol, arm)
        for quantile, one in rows[rows["arm"] == arm].groupby("quantile"):
            _quantile(panel, float(quantile), one, scale.hours, colour)  # type: ignore[arg-type]
        if arm and len(protocol.arms) > 1:
            panel.set_title(arm_title(protocol, arm), color=colour)
        number_axis(panel)
    values = rows[_VALUES].to_numpy(float).ravel().tolist()
    limit_values(panels, values, log=log)
    panels[-1, 0].set_xlabel(timing.axis(scale))
    title, unit = output_title(protocol, output), str(shared(rows, "unit"))
    figure.supylabel(axis_label(title, "plain", unit), fontsize=9.5)
    name = slug(f"predictive {output} {'log' if log else 'linear'}")
    scaled = f"{title}, {'logarithmic' if log else 'linear'} scale"
    inside = _inside(rows)
    caption = f"{_how_to_read(rows)} {inside}"
    return Drawing(name, scaled, f"{scaled}: {inside}", caption, figure, rows)


def _quantile(
    axes: Axes, quantile: float, rows: pd.DataFrame, hours: float, colour: str
) -> None:
    """Draw one quantile: what is expected as a band, what was seen as a line."""
    rows = rows.sort_values("time")
    times = rows["time"].to_numpy(float) / hours
    low, middle, high, seen = (
        rows[name].to_numpy(float) for name in ("low", "median", "high", "observed")
    )
    central = abs(quantile - 0.5) < 1e-9
    paint, depth = (colour, 0.3) if central else (MUTED, 0.2)
    axes.fill_between(times, low, high, color=paint, alpha=depth, linewidth=0)
    axes.plot(times, middle, ":", color=paint, linewidth=1.0)
    there = np.isfinite(seen)
    dash = "-" if central else "--"
    axes.plot(times[there], seen[there], dash, color=INK, linewidth=1.3)
    axes.plot(times[there], seen[there], "o", color=INK, ms=2.2)


def _inside(rows: pd.DataFrame) -> str:
    """Return how many observed quantiles lie in their bands."""
    known = rows[np.isfinite(rows["observed"].astype(float))]
    within = known["observed"].between(known["low"], known["high"])
    return f"{int(within.sum())} of {len(known)} observed quantiles lie in their bands."


def _how_to_read(rows: pd.DataFrame) -> str:
    """Return what lines and bands are."""
    levels = sorted(100 * float(q) for q in set(rows["quantile"]))
    named = ", ".join(number(level) for level in levels)
    words = (
        f"Lines: quantiles ({named} %) of what was observed; the median solid. "
        "Bands: where those of 90 % of simulated trials lie, each with its median "
        "dotted."
    )
    kinds = {str(kind) for kind in rows["corrected"]} - {"nothing"}
    if kinds:
        words += " Values are corrected to the median prediction of their time"
        also = (
            ", and to its median variability"
            if "prediction and variability" in kinds
            else ""
        )
        words += f"{also} (Bergstrand and others, 2011)."
    return words

"""Overlays: the bands of two runs over each other."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vtrial.protocol.protocol import Protocol
from vtrial.report.bands import by_quantile, draw_band, spans_decades
from vtrial.report.design import arm_title, output_title
from vtrial.report.drawing import (
    DASHES,
    INK,
    Drawing,
    arm_colour,
    limit_values,
    new_figure,
    number_axis,
    time_axis,
)
from vtrial.report.legend import axis_label
from vtrial.report.timing import timing_of
from vtrial.report.words import slug


def draw_overlay(
    first: Protocol, second: Protocol, output: str, pair: Sequence[pd.DataFrame]
) -> Iterator[Drawing]:
    """Draw one output's bands of two runs, arm by arm: linear, and log if it helps.

    `pair` holds the rows of each run's `Estimates.bands` for this output. If the runs
    tell the output in different units, each is drawn as it is told, and the axis says
    so.
    """
    values = [float(value) for rows in pair for value in rows["value"]]
    if not spans_decades(values):
        yield _draw((first, second), output, pair, log=False)
        return
    yield _draw((first, second), output, pair, log=False)._replace(scale="linear")
    yield _draw((first, second), output, pair, log=True)._replace(scale="log")


def _draw(
    protocols: tuple[Protocol, Protocol],
    output: str,
    pair: Sequence[pd.DataFrame],
    *,
    log: bool,
) -> Drawing:
    """Draw the overlay on one scale, a panel for each arm of either run."""
    known = [arm.name for protocol in protocols for arm in protocol.arms]
    there = {arm for rows in pair for arm in rows["arm"]}
    arms = [arm for arm in dict.fromkeys(known) if arm in there]
    figure = new_figure(0.9 + (2.4 if len(arms) == 1 else 1.45) * len(arms))
    panels = figure.subplots(len(arms), 1, sharex=True, sharey=True, squeeze=False)
    end = max(float(rows["time"].max()) for rows in pair if len(rows))
    timing = timing_of(protocols[0])
    scale = timing.clock(end)
    for panel, arm in zip(panels[:, 0], arms, strict=True):
        time_axis(panel, 0.0, end, timing)
        panel.set_xlabel("")
        for place, rows in enumerate(pair):
            table = by_quantile(rows[rows["arm"] == arm])
            if len(table):
                style = (arm_colour(place), DASHES[place])
                draw_band(panel, table, scale.hours, *style)
        owner = next(p for p in protocols if any(a.name == arm for a in p.arms))
        panel.set_title(arm_title(owner, arm), color=INK)
        number_axis(panel)
    limit_values(panels, [float(v) for rows in pair for v in rows["value"]], log=log)
    panels[-1, 0].set_xlabel(timing.axis(scale))
    handles = [
        Line2D([], [], ls=DASHES[place], color=arm_colour(place), label=letter)
        for place, letter in enumerate("AB")
    ]
    style = {"loc": "outside upper left", "frameon": False, "fontsize": 8.5}
    figure.legend(handles=handles, ncols=2, **style)
    return _with_words(protocols, output, pair, log, figure)


def _with_words(
    protocols: tuple[Protocol, Protocol],
    output: str,
    pair: Sequence[pd.DataFrame],
    log: bool,
    figure: Figure,
) -> Drawing:
    """Give the figure its words, its axis and its data."""
    titled = next(
        (p for p in protocols if output_title(p, output) != output), protocols[0]
    )
    units = list(dict.fromkeys(str(unit) for rows in pair for unit in rows["unit"]))
    title = output_title(titled, output)
    label = axis_label(title, "plain", " and ".join(units))
    figure.supylabel(label, fontsize=9.5)
    kind = "logarithmic" if log else "linear"
    caption = "Lines: medians. Shaded: the bands of subjects. A solid, B dashed."
    if len(units) > 1:
        caption += " The runs tell it in different units."
    data = pd.concat(
        [rows.assign(run=letter) for rows, letter in zip(pair, "AB", strict=True)],
        ignore_index=True,
    )
    scaled = f"{title}, {kind} scale"
    return Drawing(
        slug(f"overlay {output} {'log' if log else 'linear'}"),
        scaled,
        f"Bands of {scaled} of both runs over time, by arm.",
        caption,
        figure,
        data[np.isfinite(data["value"].astype(float))],
    )

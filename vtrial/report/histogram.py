"""Histograms: how an endpoint is distributed, arm above arm."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from vtrial.protocol.protocol import Protocol
from vtrial.report.design import endpoint_title, short_title
from vtrial.report.drawing import Drawing, new_figure, number_axis
from vtrial.report.legend import axis_label, pick_colour
from vtrial.report.words import slug


class Bars(NamedTuple):
    """One arm's distribution: edges of bins, and the share of subjects in each."""

    arm: str
    edges: np.ndarray
    share: np.ndarray


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
    panels[-1, 0].set_xlabel(axis_label(title, "plain", unit))
    alt = f"Share of subjects by value of {title}, a histogram for each arm."
    caption = "Share of subjects in each bin; the ends hold what lies beyond."
    if any(point.name == endpoint and point.event for point in protocol.endpoints):
        caption += " Without the event: the time to which a subject was followed."
    name = slug(f"distribution {endpoint}")
    return Drawing(name, title, alt, caption, figure, _data(endpoint, unit, bars))


def _data(endpoint: str, unit: str, bars: Sequence[Bars]) -> pd.DataFrame:
    """Lay down what was drawn, a row for each bin."""
    frames = [
        pd.DataFrame(
            {
                "arm": bar.arm,
                "endpoint": endpoint,
                "unit": unit,
                "low": bar.edges[:-1],
                "high": bar.edges[1:],
                "share": bar.share,
            }
        )
        for bar in bars
    ]
    return pd.concat(frames, ignore_index=True)

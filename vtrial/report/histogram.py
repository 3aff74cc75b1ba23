"""Histograms: how an endpoint is distributed, arm above arm."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from vtrial.protocol.protocol import Protocol
from vtrial.report.bands import OWN
from vtrial.report.design import arm_title, endpoint_title
from vtrial.report.drawing import (
    Drawing,
    feet_of,
    new_figure,
    number_axis,
    of_arm,
    sticks_out,
)
from vtrial.report.legend import axis_label, pick_colour, place_of
from vtrial.report.words import capital, slug


class Bars(NamedTuple):
    """One arm's distribution: edges of bins, and the share of subjects in each."""

    arm: str
    edges: np.ndarray
    share: np.ndarray


def draw_distribution(
    protocol: Protocol, endpoint: str, unit: str, bars: Sequence[Bars]
) -> Drawing:
    """Draw one endpoint's distribution, a histogram for each arm on one axis."""
    columns = 1 if len(bars) <= 4 else 2
    lines = -(-len(bars) // columns)
    own = sticks_out([float(np.nanmax(bar.share, initial=0.0)) for bar in bars])
    figure = new_figure(0.55 + 0.95 * lines)
    panels = figure.subplots(lines, columns, sharex=True, sharey=not own, squeeze=False)
    for panel, bar in zip(panels.flat, bars, strict=False):
        colour, place = pick_colour(protocol, bar.arm), place_of(protocol, bar.arm)
        shares = (bar.share * 100, bar.edges)
        of_arm(place, panel.stairs(*shares, fill=True, color=colour, alpha=0.35))
        of_arm(place, panel.stairs(*shares, color=colour, linewidth=1.1))
        panel.set_title(arm_title(protocol, bar.arm), color=colour, fontsize=9.5)
        number_axis(panel)
    figure.supylabel("Subjects [%]", fontsize=9.5)
    title = endpoint_title(protocol, endpoint)
    for panel in feet_of(panels, len(bars)):
        number_axis(panel, which="x")
        panel.set_xlabel(axis_label(capital(title), "plain", unit))
    alt = f"Share of subjects by value of {title}, a histogram for each arm."
    caption = "Share of subjects in each bin; the ends hold what lies beyond."
    caption += OWN * own
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

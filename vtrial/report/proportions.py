"""Proportions: the share of subjects in whom an output is 1, over time and by arm."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from vtrial.protocol.protocol import Protocol
from vtrial.report.bands import MOST_LINES, lay_panels
from vtrial.report.design import output_title
from vtrial.report.drawing import FAINT, Drawing, of_arm
from vtrial.report.legend import arms_in, pick_colour, place_of
from vtrial.report.words import capital, slug


def draw_proportions(protocol: Protocol, output: str, rows: pd.DataFrame) -> Drawing:
    """Draw the share of an output that is 0 or 1, a panel for each arm, others thin.

    `rows` are those of `Estimates.proportions` for it: arm, time [h] and proportion.
    """
    arms = arms_in(protocol, rows)
    start, end = min(0.0, float(rows["time"].min())), float(rows["time"].max())
    figure, panels, scale = lay_panels(protocol, arms, start, end)
    tables = {str(arm): one for arm, one in rows.groupby("arm", sort=False)}
    few = len(arms) <= MOST_LINES
    for panel, arm in zip(panels.flat, arms, strict=False):
        for other in arms if few else ():
            if other != arm:
                line = _line(panel, tables[other], scale.hours, FAINT, 1.0)
                of_arm(place_of(protocol, other), line)
        colour = pick_colour(protocol, arm)
        line = _line(panel, tables[arm], scale.hours, colour, 1.8)
        of_arm(place_of(protocol, arm), line, "line")
        panel.set_ylim(0.0, 100.0)
    title = capital(output_title(protocol, output))
    figure.supylabel(f"{title} [% of subjects]", fontsize=9.5)
    caption = "Line: share of subjects in whom it is 1 and not 0, by true values."
    if few and len(arms) > 1:
        caption += " Grey lines: the other arms."
    alt = f"Share of subjects with {title} over time, by arm."
    name = slug(f"proportion {output}")
    made = Drawing(name, title, alt, caption, figure, rows)
    return made._replace(units=(scale.name, "%"))


def _line(
    axes: Axes, rows: pd.DataFrame, hours: float, colour: str, width: float
) -> Line2D:
    """Draw one arm's share [%] over time."""
    times = rows["time"].to_numpy(float) / hours
    shares = 100 * rows["proportion"].to_numpy(float)
    (line,) = axes.plot(times, shares, color=colour, linewidth=width)
    return line

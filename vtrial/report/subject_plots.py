"""People: the subjects of one trial one by one, as waterfalls and as lanes."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from vtrial.protocol.protocol import Protocol
from vtrial.report.design import arm_title, endpoint_title
from vtrial.report.drawing import (
    INK,
    MARKERS,
    MUTED,
    WIDTH,
    Drawing,
    new_figure,
    number_axis,
    time_axis,
)
from vtrial.report.layout import lines_of
from vtrial.report.legend import arms_in, axis_label, pick_colour
from vtrial.report.timing import timing_of
from vtrial.report.words import count, slug
from vtrial.units import compatible, factor

MOST_BARS = 120
MOST_LANES = 90  # in all, and a third of them in one arm
_LANE = 0.075  # inches


def first_of(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """Keep the first so many subjects of each arm, as they were numbered."""
    order = rows["subject"].groupby(rows["arm"]).rank(method="dense")
    return rows[order <= most]


def _said(rows: pd.DataFrame, drawn: pd.DataFrame) -> str:
    """Return how many of the subjects are drawn."""
    total = len(rows[["arm", "subject"]].drop_duplicates())
    shown = len(drawn[["arm", "subject"]].drop_duplicates())
    if shown == total:
        return f"All {count(total)} subjects of the first trial."
    return f"The first {count(shown)} of {count(total)} subjects of the first trial."


def draw_waterfall(protocol: Protocol, endpoint: str, rows: pd.DataFrame) -> Drawing:
    """Draw each subject's value [%] as a bar, the highest first, arm above arm."""
    rows = rows[np.isfinite(rows["value"].astype(float))]
    drawn = first_of(rows, MOST_BARS)
    arms = arms_in(protocol, drawn)
    columns = 1 if len(arms) <= 4 else 2
    lines = -(-len(arms) // columns)
    figure = new_figure(0.55 + 1.15 * lines)
    grid = figure.subplots(lines, columns, sharey=True, squeeze=False)
    panels = list(grid.flat)
    for panel in panels[len(arms) :]:
        panel.set_visible(False)
    for panel, arm in zip(panels, arms, strict=False):
        values = np.sort(drawn.loc[drawn["arm"] == arm, "value"].to_numpy(float))[::-1]
        colour = pick_colour(protocol, arm)
        edges = np.arange(len(values) + 1)
        panel.stairs(values, edges, fill=True, color=colour, alpha=0.45)
        panel.stairs(values, edges, color=colour, linewidth=0.7)
        panel.axhline(0.0, color=MUTED, linewidth=0.8)
        panel.set_title(arm_title(protocol, arm), color=colour, fontsize=9.5)
        panel.set_xlim(0, len(values))
        panel.set_xticks([])
        number_axis(panel)
    title = endpoint_title(protocol, endpoint)
    grid[-1, 0].set_xlabel("Subjects, from the highest value to the lowest")
    figure.supylabel(axis_label(title, "plain", "%"), fontsize=9.5)
    caption = f"A bar a subject. {_said(rows, drawn)}"
    alt = f"{title} of single subjects in falling order, by arm."
    name = slug(f"waterfall {endpoint}")
    return Drawing(name, f"{title}, by subject", alt, caption, figure, drawn)


def lanes_of(protocol: Protocol, rows: pd.DataFrame) -> pd.DataFrame:
    """Bring times to events to hours, and leave out what has no time.

    `rows` are those of `Estimates.persons` whose endpoints are times to an event.
    """
    events = {point.name for point in protocol.endpoints if point.event}
    timed = [compatible(str(unit), "h") for unit in rows["unit"]]
    rows = rows[rows["endpoint"].isin(events) & np.asarray(timed, bool)]
    scale = {unit: factor(str(unit), "h") for unit in set(rows["unit"])}
    hours = rows["value"].astype(float) * rows["unit"].map(scale).astype(float)
    rows = rows.assign(value=hours, unit="h")
    return rows[np.isfinite(rows["value"])]


def draw_lanes(protocol: Protocol, rows: pd.DataFrame) -> Drawing:
    """Draw a lane a subject, as long as it was followed, with its events on it.

    `rows` as `lanes_of` gives them.
    """
    arms = arms_in(protocol, rows)
    drawn = first_of(rows, min(MOST_LANES // 3, max(5, MOST_LANES // len(arms))))
    points = list(dict.fromkeys(drawn["endpoint"]))
    marks = {point: MARKERS[i % len(MARKERS)] for i, point in enumerate(points)}
    sizes = [drawn.loc[drawn["arm"] == arm, "subject"].nunique() for arm in arms]
    figure = new_figure(0.9 + sum(_LANE * size + 0.3 for size in sizes))
    panels = figure.subplots(
        len(arms), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": sizes}
    )[:, 0]
    end, timing = float(drawn["value"].max()), timing_of(protocol)
    for panel, arm in zip(panels, arms, strict=True):
        scale = time_axis(panel, 0.0, 1.03 * end, timing)
        panel.set_xlabel("")
        one = drawn[drawn["arm"] == arm]
        one = one.assign(value=one["value"] / scale.hours)
        _arm_lanes(panel, one, marks, pick_colour(protocol, arm))
        title = arm_title(protocol, arm)
        panel.set_title(title, color=pick_colour(protocol, arm), fontsize=9.5)
        panels[-1].set_xlabel(timing.axis(scale))
    handles = [
        Line2D(
            [], [], ls="", marker=mark, color=INK, ms=4, label=_label(protocol, name)
        )
        for name, mark in marks.items()
    ]
    place = {"loc": "outside upper left", "frameon": False, "fontsize": 8.5}
    figure.legend(handles=handles, **place)
    caption = (
        "A lane a subject, as long as it was followed; a mark where an event was "
        f"seen, an arrow where none was by then. {_said(rows, drawn)}"
    )
    alt = "Times to events of single subjects, a lane each, by arm."
    return Drawing("lanes", "Events, by subject", alt, caption, figure, drawn)


def _label(protocol: Protocol, endpoint: str) -> str:
    """Return an endpoint's title in lines that fit across a figure."""
    return "\n".join(lines_of(endpoint_title(protocol, endpoint), WIDTH - 0.5, 8.5))


def _arm_lanes(
    axes: Axes, rows: pd.DataFrame, marks: dict[str, str], colour: str
) -> None:
    """Draw the lanes of one arm, the longest at the top."""
    length = rows.groupby("subject")["value"].max().sort_values(ascending=False)
    place = {subject: lane for lane, subject in enumerate(length.index)}
    axes.barh(range(len(length)), length, height=0.62, color=colour, alpha=0.4)
    seen = rows[rows["event"].astype(float) > 0]
    for point, mark in marks.items():
        here = seen[seen["endpoint"] == point]
        lanes = here["subject"].map(place)
        axes.plot(here["value"], lanes, mark, color=INK, ms=3.6, mew=0.4)
    open_ended = length[~length.index.isin(seen["subject"])]
    lanes = [place[subject] for subject in open_ended.index]
    axes.plot(open_ended, lanes, ">", color=colour, ms=3.6, clip_on=False)
    axes.set_ylim(len(length) - 0.4, -0.6)
    axes.set_yticks([])
    axes.grid(True, axis="x")
    axes.set_axisbelow(True)


def is_change(protocol: Protocol, endpoint: str, unit: str) -> bool:
    """Return whether an endpoint is a number in per cent, no response or event."""
    found = [point for point in protocol.endpoints if point.name == endpoint]
    return unit == "%" and all(not p.binary and not p.event for p in found)

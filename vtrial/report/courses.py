"""Courses of single subjects: thin lines under the median of their arm."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.axes import Axes

from vtrial.protocol.protocol import Protocol
from vtrial.report.bands import (
    OWN,
    by_quantile,
    draw_median,
    lay_panels,
    limit_panels,
    own_scales,
    shown_until,
    spans_decades,
)
from vtrial.report.design import output_title, output_unit
from vtrial.report.drawing import INK, Drawing
from vtrial.report.legend import arms_in, axis_label, pick_colour
from vtrial.report.timing import timing_of
from vtrial.report.words import count, slug


def draw_courses(
    protocol: Protocol, output: str, courses: pd.DataFrame, bands: pd.DataFrame
) -> Iterator[Drawing]:
    """Draw single subjects by arm: linear, and log where that helps.

    `courses` are the rows of `Estimates.courses` for one output, and `bands` those of
    `Estimates.bands`, of which the medians are drawn.
    """
    until = shown_until(protocol, output, courses)
    early = courses[courses["time"] <= until]
    linear = _draw(protocol, output, early, bands[bands["time"] <= until], log=False)
    if len(early) < len(courses):
        shown = timing_of(protocol).duration(until)
        said = f" Later all is below 1 % of the highest; {shown} are shown."
        linear = linear._replace(caption=linear.caption + said)
    if not spans_decades(courses["value"].to_list()):
        yield linear
        return
    yield linear._replace(scale="linear")
    yield _draw(protocol, output, courses, bands, log=True)._replace(scale="log")


def _draw(
    protocol: Protocol,
    output: str,
    courses: pd.DataFrame,
    bands: pd.DataFrame,
    *,
    log: bool,
) -> Drawing:
    """Draw one output on one scale, a panel for each arm."""
    arms = arms_in(protocol, courses)
    start, end = min(0.0, float(courses["time"].min())), float(courses["time"].max())
    values = [courses.loc[courses["arm"] == arm, "value"].to_list() for arm in arms]
    own = own_scales(values, log=log)
    figure, panels, scale = lay_panels(protocol, arms, start, end, own=own)
    for panel, arm in zip(panels.flat, arms, strict=False):
        colour = pick_colour(protocol, arm)
        _lines(panel, courses[courses["arm"] == arm], scale.hours, colour)
        one = bands[bands["arm"] == arm]
        draw_median(panel, by_quantile(one), scale.hours, INK, 1.6)
    limit_panels(panels, values, own=own, log=log)
    title = output_title(protocol, output)
    label = axis_label(title, "plain", output_unit(protocol, output))
    figure.supylabel(label, fontsize=9.5)
    scaled = f"{title}, single subjects, {'logarithmic' if log else 'linear'} scale"
    name = slug(f"courses {output} {'log' if log else 'linear'}")
    alt = f"True courses of single subjects by arm: {scaled}."
    caption = _how_to_read(courses) + OWN * own
    return Drawing(name, scaled, alt, caption, figure, courses)


def _lines(axes: Axes, rows: pd.DataFrame, hours: float, colour: str) -> None:
    """Draw each subject as a thin line."""
    for _, one in rows.groupby(["replicate", "subject"], sort=False):
        times = one["time"].to_numpy(float) / hours
        values = one["value"].to_numpy(float)
        axes.plot(times, values, "-", color=colour, alpha=0.45, linewidth=0.5)


def _how_to_read(courses: pd.DataFrame) -> str:
    """Return who is drawn."""
    sizes = {
        len(one.groupby(["replicate", "subject"])) for _, one in courses.groupby("arm")
    }
    least, most = (count(size) for size in (min(sizes), max(sizes)))
    many = most if least == most else f"{least} to {most}"
    return (
        f"Thin lines: the first {many} subjects of each arm, true values without "
        "residual error. Thick line: the median of all that are kept."
    )

"""Predictive checks of events and categories: what was seen over simulated bands."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter

from vtrial.protocol.protocol import Protocol
from vtrial.report.design import (
    arm_title,
    endpoint_title,
    output_title,
)
from vtrial.report.drawing import (
    INK,
    MUTED,
    Drawing,
    new_figure,
    number_axis,
    time_axis,
)
from vtrial.report.frames import each_row
from vtrial.report.legend import arms_in, pick_colour, pick_dash
from vtrial.report.survival import draw_above_numbers, from_zero
from vtrial.report.timing import timing_of
from vtrial.report.words import fixed, number, slug

_BAND = (
    "Bands: where those of 90 % of simulated trials lie, each with its median dotted."
)
_WHOLE = {"observed": 1.0, "low": 1.0, "median": 1.0, "high": 1.0, "events": 0.0}


def draw_predictive_events(
    protocol: Protocol, endpoint: str, rows: pd.DataFrame
) -> Drawing:
    """Draw the observed share without an event over that of simulated trials.

    `rows` are those of `Estimates.predictive_events` for one endpoint.
    """
    arms = arms_in(protocol, rows)
    tables = {
        str(arm): from_zero(one, _WHOLE) for arm, one in rows.groupby("arm", sort=False)
    }
    figure = draw_above_numbers(protocol, {arm: tables[arm] for arm in arms}, _curve)
    title = endpoint_title(protocol, endpoint)
    inside = _inside(rows, "points of the observed curve")
    counted = "; ".join(_sizes(protocol, arm, tables[arm]) for arm in arms)
    caption = (
        f"Lines: the observed share without the event (Kaplan-Meier). {_BAND} "
        f"{counted}. {inside}"
    )
    alt = f"Observed share without {title} over simulated bands. {inside}"
    name = slug(f"predictive events {endpoint}")
    return Drawing(name, f"{title}, observed", alt, caption, figure, rows)


def draw_predictive_shares(
    protocol: Protocol, name: str, rows: pd.DataFrame
) -> Iterator[Drawing]:
    """Draw observed shares over those of simulated trials.

    `rows` are those of `Estimates.predictive_shares` for one output, drawn over time in
    a figure for each arm, or for one endpoint, drawn by category.
    """
    if rows["time"].isna().all():
        yield _by_category(protocol, name, rows)
        return
    for arm, one in rows.groupby("arm", sort=False):
        yield _over_time(protocol, name, str(arm), one)


def _curve(
    protocol: Protocol, axes: Axes, arm: str, rows: pd.DataFrame, hours: float
) -> None:
    """Draw one arm's observed curve and the simulated band as steps."""
    colour = pick_colour(protocol, arm)
    times = rows["time"].to_numpy(float) / hours
    low, high, middle, seen = (
        rows[name].to_numpy(float) * 100
        for name in ("low", "high", "median", "observed")
    )
    style = {"color": colour, "alpha": 0.2, "linewidth": 0}
    axes.fill_between(times, low, high, step="post", **style)
    axes.step(times, middle, ":", where="post", color=colour, linewidth=1.0)
    dash = pick_dash(protocol, arm)
    axes.step(times, seen, dash, where="post", color=colour, linewidth=1.7)


def _sizes(protocol: Protocol, arm: str, rows: pd.DataFrame) -> str:
    """Return how many subjects an observed and a simulated curve are of."""
    seen, expected = (
        fixed(float(rows[name].iloc[0]), 0) for name in ("at_risk", "expected_at_risk")
    )
    return (
        f"{arm_title(protocol, arm)}: {seen} subjects, {expected} in a simulated trial"
    )


def _by_category(protocol: Protocol, name: str, rows: pd.DataFrame) -> Drawing:
    """Draw the shares of an endpoint's categories, a panel for each arm."""
    arms = arms_in(protocol, rows)
    figure = new_figure(0.7 + 1.7 * len(arms))
    panels = figure.subplots(len(arms), 1, sharex=True, squeeze=False)[:, 0]
    categories = sorted({float(c) for c in rows["category"]})
    for panel, arm in zip(panels, arms, strict=True):
        for row in each_row(rows[rows["arm"] == arm]):
            place = categories.index(row.category)
            _mark(panel, place, row, pick_colour(protocol, arm))
        panel.set_xlim(-0.6, len(categories) - 0.4)
        panel.set_ylim(0.0, 100.0)
        number_axis(panel)
        panel.xaxis.set_major_locator(FixedLocator(list(range(len(categories)))))
        if len(protocol.arms) > 1:
            panel.set_title(arm_title(protocol, arm), color=pick_colour(protocol, arm))
    words = [_category(protocol, name, category) for category in categories]
    panels[-1].xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: words[int(value)])
    )
    figure.supylabel("Of the subjects [%]", fontsize=9.5)
    title = endpoint_title(protocol, name)
    inside = _inside(rows, "observed shares")
    caption = (
        f"Points: observed shares. Bars: where those of 90 % of simulated trials lie, "
        f"each with its median. {_counted(protocol, rows)} {inside}"
    )
    alt = f"Observed shares of {title} over simulated ones. {inside}"
    made = slug(f"predictive shares {name}")
    return Drawing(made, f"{title}, observed", alt, caption, figure, rows)


def _mark(axes: Axes, place: int, row: Any, colour: str) -> None:
    """Draw one share: a bar for what is expected, a point for what was seen."""
    low, middle, high, seen = (
        100 * getattr(row, name) for name in ("low", "median", "high", "observed")
    )
    edges = [place - 0.25, place + 0.25]
    axes.fill_between(edges, low, high, color=colour, alpha=0.3, linewidth=0)
    axes.plot(edges, [middle, middle], ":", color=colour, linewidth=1.2)
    axes.plot([place], [seen], "o", color=INK, ms=4)


def _over_time(
    protocol: Protocol, output: str, arm: str, rows: pd.DataFrame
) -> Drawing:
    """Draw the shares of an output's categories over time, a panel for each."""
    categories = sorted({float(c) for c in rows["category"]})
    figure = new_figure(0.7 + 1.25 * len(categories))
    panels = figure.subplots(len(categories), 1, sharex=True, squeeze=False)[:, 0]
    end = float(rows["time"].max())
    start = min(float(rows["time"].min()), 0.0)
    timing, colour = timing_of(protocol), pick_colour(protocol, arm)
    scale = timing.clock(end - start)
    for panel, category in zip(panels, categories, strict=True):
        one = rows[rows["category"] == category].sort_values("time")
        time_axis(panel, start, end, timing)
        panel.set_xlabel("")
        times = one["time"].to_numpy(float) / scale.hours
        low, middle, high, seen = (
            100 * one[k].to_numpy(float) for k in ("low", "median", "high", "observed")
        )
        panel.fill_between(times, low, high, color=colour, alpha=0.25, linewidth=0)
        panel.plot(times, middle, ":", color=colour, linewidth=1.0)
        panel.plot(times, seen, "o-", color=INK, linewidth=1.2, ms=2.4)
        panel.set_ylim(0.0, 100.0)
        panel.set_title(_category(protocol, output, category), color=MUTED)
        number_axis(panel)
    panels[-1].set_xlabel(timing.axis(scale))
    figure.supylabel("Of the subjects [%]", fontsize=9.5)
    many = len(protocol.arms) > 1
    title = output_title(protocol, output)
    title = f"{title}, shares{f', {arm_title(protocol, arm)}' if many else ''}"
    inside = _inside(rows, "observed shares")
    caption = f"Lines: observed shares. {_BAND} {inside}"
    made = slug(f"predictive shares {output} {arm if many else ''}")
    return Drawing(made, title, f"{title}: {inside}", caption, figure, rows)


def _category(protocol: Protocol, name: str, category: float) -> str:
    """Return the name of a category."""
    endpoint = next((point for point in protocol.endpoints if point.name == name), None)
    graded = any(
        seen.grades for seen in protocol.evidence.observed if seen.output == name
    )
    if endpoint is not None and endpoint.binary:
        return "responders" if category else "others"
    if endpoint is not None and endpoint.kind.categories and not endpoint.grades:
        return endpoint.kind.categories[int(category)]
    if graded or (endpoint is not None and endpoint.grades):
        return f"grade {number(category)}"
    return number(category)


def _counted(protocol: Protocol, rows: pd.DataFrame) -> str:
    """Return how many subjects were observed in each arm."""
    parts = [
        f"{arm_title(protocol, str(arm))}: {fixed(float(one['n'].iloc[0]), 0)}"
        for arm, one in rows.groupby("arm", sort=False)
    ]
    return f"Observed subjects: {'; '.join(parts)}."


def _inside(rows: pd.DataFrame, what: str) -> str:
    """Return how much of what was observed lies in its bands."""
    names = ["observed", "low", "high"]
    known = rows[np.isfinite(rows[names].to_numpy(float)).all(axis=1)]
    slack = 1e-9  # shares that are equal may differ in the last digit
    low, high = known["low"] - slack, known["high"] + slack
    within = known["observed"].between(low, high)
    return f"{int(within.sum())} of {len(known)} {what} lie in their bands."

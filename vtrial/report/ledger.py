"""What rules did, and which doses were given: tables, and a figure over time."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from vtrial.protocol.protocol import Protocol
from vtrial.report.bands import (
    MOST_LINES,
    OWN,
    by_quantile,
    draw_band,
    draw_median,
    lay_panels,
    limit_panels,
    own_scales,
)
from vtrial.report.design import arm_title
from vtrial.report.drawing import FAINT, Drawing, of_arm
from vtrial.report.frames import each_row
from vtrial.report.legend import arms_in, axis_label, pick_colour, place_of
from vtrial.report.rules import rule_title
from vtrial.report.tables import Cell, Table, make_table
from vtrial.report.words import amount, count, error_words, slug, unit_words
from vtrial.types import Given

_QUANTILES = {"low": 0.05, "median": 0.5, "high": 0.95}
_LEAST = 2  # times that make a course
_HEADS = {
    Given.PLANNED: "as planned",
    Given.CHANGED: "changed",
    Given.HELD: "held",
    Given.STOPPED: "after a stop",
    Given.MISSED: "missed",
    Given.EXTRA: "added",
}


def rules_table(protocol: Protocol, frame: pd.DataFrame) -> Table:
    """Lay down on how many subjects each rule acted, and how often."""
    rows = [
        (
            arm_title(protocol, row.arm),
            rule_title(protocol, row.rule),
            count(row.n),
            Cell(
                amount(row.acted, row.acted_error, "share"),
                _error(row.acted_error, "points"),
            ),
            Cell(amount(row.times, row.times_error), _error(row.times_error, "plain")),
        )
        for row in each_row(frame)
    ]
    caption = (
        "Subjects on whom a rule acted at least once, and how often it acted on a "
        "subject on average, ± Monte Carlo error."
    )
    heads = ["Arm", "Rule", "n", "Subjects", "Times"]
    return make_table("rules", caption, heads, rows, words=2)


def doses_table(protocol: Protocol, frame: pd.DataFrame) -> Table:
    """Lay down the doses of each arm by what became of them."""
    there = set(frame["reason"])
    kinds = [(r.words, head) for r, head in _HEADS.items() if r.words in there]
    rows = []
    for arm in arms_in(protocol, frame):
        mine = {row.reason: row for row in each_row(frame[frame["arm"] == arm])}
        total = next(iter(mine.values())).n
        cells = [
            Cell(
                amount(mine[words].share, mine[words].mc_error, "share"),
                _error(mine[words].mc_error, "points"),
            )
            if words in mine
            else Cell("0")
            for words, _ in kinds
        ]
        rows.append((arm_title(protocol, arm), count(total), *cells))
    caption = (
        "Doses that were due or added, over all replicates, and what became of them, "
        "± Monte Carlo error."
    )
    heads = ["Arm", "Doses", *(head for _, head in kinds)]
    return make_table("doses", caption, heads, rows)


def _error(error: float, kind: str) -> str:
    """Write a Monte Carlo error, if there is one."""
    known = np.isfinite(error) and error > 0
    return f"± {error_words(error, kind)}" if known else ""  # type: ignore[arg-type]


def draw_given(
    protocol: Protocol, given: pd.DataFrame, doses: pd.DataFrame
) -> Iterator[Drawing]:
    """Draw what was given over time, for each state dosed: a panel for each arm.

    It is the dose where rules changed any, else the share of doses that were given.
    `given` and `doses` are those of `Estimates`.
    """
    changed = (doses["reason"] == Given.CHANGED.words).any()
    for into, rows in given.groupby("into", sort=False):
        if rows["time"].nunique() >= _LEAST:
            several = given["into"].nunique() > 1
            state = f" into {into}" if several else ""
            yield _draw(protocol, rows, state, changed=bool(changed))


def _draw(
    protocol: Protocol, rows: pd.DataFrame, state: str, *, changed: bool
) -> Drawing:
    """Draw one state's doses by arm, those of other arms thin."""
    arms = arms_in(protocol, rows)
    tables = {str(arm): _laid(one, changed) for arm, one in rows.groupby("arm")}
    values = [[float(v) for v in tables[arm].to_numpy().ravel()] for arm in arms]
    own = changed and own_scales(values, log=False)
    start, end = float(rows["time"].min()), float(rows["time"].max())
    figure, panels, scale = lay_panels(protocol, arms, start, end, own=own)
    few = 1 < len(arms) <= MOST_LINES
    for panel, arm in zip(panels.flat, arms, strict=False):
        for other in arms if few else ():
            if other != arm:
                of = place_of(protocol, other)
                if changed:
                    draw_median(panel, tables[other], scale.hours, FAINT, 1.0, place=of)
                else:
                    _line(panel, tables[other], scale.hours, FAINT, 1.0, of)
        colour, place = pick_colour(protocol, arm), place_of(protocol, arm)
        if changed:
            draw_band(panel, tables[arm], scale.hours, colour, place=place)
        else:
            _line(panel, tables[arm], scale.hours, colour, 1.8, place, reads=True)
            panel.set_ylim(0.0, 102.0)
    if changed:
        limit_panels(panels, values, own=own, log=False)
    unit = str(rows["unit"].iloc[0]) if changed else "%"
    title = f"Dose given{state}" if changed else f"Doses given{state}"
    label = axis_label(title, "plain", unit) if changed else f"{title} [% of those due]"
    figure.supylabel(label, fontsize=9.5)
    caption = _caption(changed) + (" Grey lines: the other arms." if few else "")
    alt = f"{title} over time, by arm."
    name = slug(f"given{state}")
    made = Drawing(name, title, alt, caption + OWN * own, figure, rows)
    return made._replace(units=(scale.name, unit_words(unit) if changed else "%"))


def _laid(rows: pd.DataFrame, changed: bool) -> pd.DataFrame:
    """Lay one arm's doses out by time [h]: quantiles, or the share [%] alone."""
    if not changed:
        return rows.set_index("time")[["given"]] * 100.0
    long = rows.melt("time", list(_QUANTILES), "quantile", "value")
    return by_quantile(long.assign(quantile=long["quantile"].map(_QUANTILES)))


def _line(
    axes: Axes,
    table: pd.DataFrame,
    hours: float,
    colour: str,
    width: float,
    place: int,
    *,
    reads: bool = False,
) -> None:
    """Draw one arm's share [%] over time."""
    times = table.index.to_numpy(float) / hours
    (line,) = axes.plot(times, table["given"], color=colour, linewidth=width)
    of_arm(place, line, "line" if reads else "")


def _caption(changed: bool) -> str:
    """Say how the figure is read."""
    if not changed:
        return "Line: share of the doses that were due about then and were given."
    return (
        "Line: median of what subjects got of each dose due about then, 0 if it was "
        "not given. Shaded: the middle 90 % of subjects."
    )

"""Dose and response: an endpoint by arm over what the arm was given."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from vtrial.protocol.protocol import Protocol
from vtrial.report.design import arm_title, endpoint_title
from vtrial.report.drawing import (
    INK,
    MUTED,
    PAPER,
    Drawing,
    new_figure,
    number_axis,
    of_arm,
)
from vtrial.report.frames import each_row
from vtrial.report.layout import size_of
from vtrial.report.legend import (
    SCALE,
    axis_label,
    pick_colour,
    pick_marker,
    place_of,
    shared,
)
from vtrial.report.tables import endpoint_kind
from vtrial.report.words import amount, capital, number, slug

_DAY = 24.0
_LEAST = 3  # amounts that make a curve
_ACROSS = 3.5  # inches, about, between the ends of the axis


class Doses(NamedTuple):
    """What each arm is given, in one unit: each time, or each day."""

    by_arm: dict[str, float]
    unit: str
    how: str


def doses_of(protocol: Protocol) -> Doses | None:
    """Return what the arms are given, or None where that is no one number in one unit.

    An arm without doses is given 0, the others what their regimen keeps to in the end
    (`Regimen.nominal`). Amounts are by day if the arms' intervals differ, else by dose.
    """
    if any(arm.set for arm in protocol.arms):
        return None
    dosed = [arm for arm in protocol.arms if arm.regimen is not None]
    given = {arm.name: arm.regimen.nominal() for arm in dosed if arm.regimen}
    known = {name: one for name, one in given.items() if one is not None}
    if len(known) < len(dosed) or len({(x.unit, x.into) for x in known.values()}) != 1:
        return None
    intervals = {one.interval for one in known.values()}
    daily = len(intervals) > 1
    if daily and 0.0 in intervals:
        return None
    amounts = {
        name: one.amount * _DAY / one.interval if daily else one.amount
        for name, one in known.items()
    }
    by_arm = {arm.name: amounts.get(arm.name, 0.0) for arm in protocol.arms}
    if len(set(by_arm.values())) < _LEAST:
        return None
    last = "last " if any(one.changed for one in known.values()) else ""
    unit = next(iter(known.values())).unit
    return Doses(by_arm, unit, f"{last}amount by {'day' if daily else 'dose'}")


def draw_dose_response(
    protocol: Protocol,
    doses: Doses,
    rows: pd.DataFrame,
    published: pd.DataFrame | None = None,
) -> Drawing:
    """Draw one statistic of an endpoint over the arms' doses, with its band.

    `rows` are those of `Estimates.endpoints` for one endpoint and one statistic,
    `published` those of `Estimates.published` of the same.
    """
    endpoint, statistic = shared(rows, "endpoint"), shared(rows, "statistic")
    unit = shared(rows, "unit")
    kind = endpoint_kind(protocol, endpoint, statistic)
    rows = rows.assign(dose=[doses.by_arm[arm] for arm in rows["arm"]])
    rows = rows.sort_values("dose", kind="stable")
    known = rows[np.isfinite(rows["estimate"].astype(float))]
    at = known["dose"].to_numpy(float)
    middle, low, high = (
        known[name].to_numpy(float) * SCALE[kind]
        for name in ("estimate", "low", "high")
    )
    figure = new_figure(2.9)
    axes = figure.add_subplot()
    axes.fill_between(at, low, high, color=MUTED, alpha=0.18, linewidth=0)
    axes.plot(at, middle, color=MUTED, linewidth=1.2)
    for x, y, arm in zip(at, middle, known["arm"], strict=True):
        style = {"color": pick_colour(protocol, arm), "ms": 6, "ls": ""}
        (point,) = axes.plot([x], [y], marker=pick_marker(protocol, arm), **style)
        of_arm(place_of(protocol, arm), point)
    seen = _draw_published(axes, doses, published, SCALE[kind])
    axes.margins(x=0.14, y=0.16)
    points = list(zip(at, middle, known["arm"], strict=True))
    if points:
        _name_points(protocol, axes, points, above=not seen)
    title = endpoint_title(protocol, endpoint)
    number_axis(axes)
    number_axis(axes, which="x")
    axes.set_xlabel(axis_label(capital(doses.how), "plain", doses.unit))
    said = title if kind == "share" else f"{title}, {statistic}"
    axes.set_ylabel(axis_label(capital(said), kind, unit))
    told = [
        f"{arm_title(protocol, row.arm)} ({number(row.dose)}): "
        f"{amount(row.estimate, row.mc_error, kind, row.unit)}"
        for row in each_row(rows)
    ]
    caption = "A point an arm, joined by straight lines. Shaded: their intervals."
    caption += " Open diamonds: published, with what counts as within." * seen
    name = slug(f"dose response {endpoint}")
    alt = "; ".join(told)
    return Drawing(name, f"{capital(said)}, by dose", alt, caption, figure, rows)


def _draw_published(
    axes: Axes, doses: Doses, published: pd.DataFrame | None, scale: float
) -> bool:
    """Draw what was published of the arms; return whether there is any."""
    if published is None or not len(published):
        return False
    for row in each_row(published):
        x = doses.by_arm[row.arm]
        ends = [row.low * scale, row.high * scale]
        axes.plot([x, x], ends, color=INK, linewidth=0.8, zorder=2.5)
        style = {"ms": 5.5, "mfc": PAPER, "mec": INK, "mew": 0.9, "ls": ""}
        axes.plot([x], [row.published * scale], marker="D", zorder=2.6, **style)
    return True


def _name_points(
    protocol: Protocol,
    axes: Axes,
    points: list[tuple[float, float, str]],
    *,
    above: bool,
) -> None:
    """Write arms' titles at their points: the ends first, then all that have room."""
    low, high = axes.get_xlim()
    scale = _ACROSS / (high - low)
    taken: list[tuple[float, float]] = []
    order = [points[0], points[-1], *points[1:-1]] if len(points) > 1 else points
    for x, y, arm in order:
        words = arm_title(protocol, arm)
        half = size_of(words, 8.0)[0] / 2 + 0.04
        middle = (x - low) * scale
        span = (middle - half, middle + half)
        if any(span[0] < end and start < span[1] for start, end in taken):
            continue
        if len(order) > 2 and 2 * half > _ACROSS / 2:
            continue
        taken.append(span)
        place = {
            "xytext": (0, 7 if above else -14),
            "textcoords": "offset points",
            "fontsize": 8,
        }
        side = "left" if span[0] < 0 else "right" if span[1] > _ACROSS else "center"
        made = axes.annotate(words, (x, y), ha=side, color=INK, **place)
        of_arm(place_of(protocol, arm), made)

"""Dose and response: an endpoint by arm over what the arm was given."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from vtrial.protocol.protocol import Protocol
from vtrial.report.design import arm_title, endpoint_title, short_title
from vtrial.report.drawing import INK, MUTED, Drawing, new_figure, number_axis
from vtrial.report.frames import each_row
from vtrial.report.legend import SCALE, axis_label, pick_colour, pick_marker, shared
from vtrial.report.tables import endpoint_kind
from vtrial.report.words import amount, number, slug

_DAY = 24.0
_LEAST = 3  # amounts that make a curve


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


def draw_dose_response(protocol: Protocol, doses: Doses, rows: pd.DataFrame) -> Drawing:
    """Draw one statistic of an endpoint over the arms' doses, with its band.

    `rows` are those of `Estimates.endpoints` for one endpoint and one statistic.
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
    figure = new_figure(2.7)
    axes = figure.add_subplot()
    axes.fill_between(at, low, high, color=MUTED, alpha=0.18, linewidth=0)
    axes.plot(at, middle, color=MUTED, linewidth=1.2)
    for x, y, arm in zip(at, middle, known["arm"], strict=True):
        style = {"color": pick_colour(protocol, arm), "ms": 6, "ls": ""}
        axes.plot([x], [y], marker=pick_marker(protocol, arm), **style)
        words = short_title(protocol, arm, 14)
        place = {"xytext": (0, 6), "textcoords": "offset points", "fontsize": 8}
        axes.annotate(words, (x, y), ha="center", color=INK, **place)
    axes.margins(x=0.14, y=0.14)
    title = endpoint_title(protocol, endpoint)
    number_axis(axes)
    number_axis(axes, which="x")
    axes.set_xlabel(axis_label(doses.how.capitalize(), "plain", doses.unit))
    said = title if kind == "share" else f"{title}, {statistic}"
    axes.set_ylabel(axis_label(said, kind, unit))
    told = [
        f"{arm_title(protocol, row.arm)} ({number(row.dose)}): "
        f"{amount(row.estimate, (row.high - row.low) / 2, kind, row.unit)}"
        for row in each_row(rows)
    ]
    caption = "A point an arm, joined by straight lines. Shaded: their intervals."
    name = slug(f"dose response {endpoint}")
    alt = "; ".join(told)
    return Drawing(name, f"{said}, by dose", alt, caption, figure, rows)

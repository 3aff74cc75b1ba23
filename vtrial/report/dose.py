"""Dose and response: an endpoint by arm over what the arm was given."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from vtrial.protocol.protocol import Arm, Protocol
from vtrial.report.design import arm_title, endpoint_title, short_title
from vtrial.report.drawing import INK, MUTED, Drawing, new_figure, number_axis
from vtrial.report.frames import each_row
from vtrial.report.legend import SCALE, axis_label, pick_colour, pick_marker, shared
from vtrial.report.tables import endpoint_kind
from vtrial.report.words import amount, number, slug

_PER = {"WT": "kg", "BSA": "m2"}
_DAY = 24.0
_LEAST = 3  # amounts that make a curve


class Doses(NamedTuple):
    """What each arm is given, in one unit: each time, or each day."""

    by_arm: dict[str, float]
    unit: str
    how: str


class _Given(NamedTuple):
    """One arm's last amount, per what it is, and hours from one to the next."""

    amount: float
    per: str
    interval: float
    into: str
    unit: str
    changes: bool


def doses_of(protocol: Protocol) -> Doses | None:
    """Return what the arms are given, or None where that is no one number in one unit.

    An arm without doses is given 0. Of doses that change over time the last amount
    counts. Amounts are by day if the arms' intervals differ, else by dose.
    """
    given: dict[str, _Given] = {}
    for arm in protocol.arms:
        if arm.set:
            return None
        if arm.regimen is not None:
            one = _given(arm)
            if one is None:
                return None
            given[arm.name] = one
    kinds = {(one.per, one.into, one.unit) for one in given.values()}
    if len(kinds) != 1:
        return None
    per, _, unit = kinds.pop()
    intervals = {one.interval for one in given.values()}
    daily = len(intervals) > 1
    if daily and 0.0 in intervals:
        return None
    amounts = {
        arm.name: _amount(given[arm.name], daily) if arm.name in given else 0.0
        for arm in protocol.arms
    }
    if len(set(amounts.values())) < _LEAST:
        return None
    last = "last " if any(one.changes for one in given.values()) else ""
    how = f"{last}amount by {'day' if daily else 'dose'}"
    return Doses(amounts, f"{unit}/{per}" if per else unit, how)


def _amount(one: _Given, daily: bool) -> float:
    """Return an amount by dose or by day."""
    return one.amount * _DAY / one.interval if daily else one.amount


def _given(arm: Arm) -> _Given | None:
    """Read an arm's last amount; None if it is no number, or several at once."""
    if arm.regimen is None:
        return None
    steps = sorted(arm.regimen.steps, key=lambda step: step.at[0])
    starts = [step.at[0] for step in steps]
    apart = all(a.end <= b.at[0] for a, b in zip(steps, steps[1:], strict=False))
    if len(set(starts)) < len(starts) or not apart:
        return None
    if len({step.into for step in steps}) > 1:
        return None
    last = steps[-1]
    found = _plain(last.levels[-1].amount)
    if found is None or len(last.at) > 1:
        return None
    changes = sum(len(step.levels) for step in steps) > 1
    interval = last.inner_interval if last.count > 1 else 0.0
    return _Given(*found, interval, last.into, arm.regimen.unit, changes)


def _plain(expression: object) -> tuple[float, str] | None:
    """Read `100` or `100 * BSA`: the number, and per what it is.

    Equations are looked at from outside, for this room knows no model's grammar.
    """
    value = getattr(expression, "value", None)
    if isinstance(value, float):
        return value, ""
    if getattr(expression, "function", "") != "*":
        return None
    parts = getattr(expression, "arguments", ())
    values = [getattr(part, "value", None) for part in parts]
    names = [getattr(part, "name", "") for part in parts]
    numbers = [value for value in values if isinstance(value, float)]
    pers = [_PER[name] for name in names if name in _PER]
    if len(parts) == 2 and len(numbers) == 1 and len(pers) == 1:
        return numbers[0], pers[0]
    return None


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

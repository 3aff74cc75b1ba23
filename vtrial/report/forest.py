"""Forests: published numbers, contrasts, subgroups and shares, a row for each."""

from typing import Any

import pandas as pd

from vtrial.analysis.estimates import MISS, UNDECIDED, WITHIN
from vtrial.measure.registry import measures
from vtrial.protocol.analysis import Comparison
from vtrial.protocol.protocol import Protocol
from vtrial.protocol.subset import write_where
from vtrial.report.design import (
    arm_title,
    effect_words,
    endpoint_title,
    where_words,
)
from vtrial.report.drawing import GOOD, MISSED, MUTED, Drawing
from vtrial.report.forest_layout import Frame, Row, draw_rows
from vtrial.report.frames import each_row
from vtrial.report.legend import (
    SCALE,
    axis_label,
    pick_colour,
    pick_marker,
    place_of,
    shared,
)
from vtrial.report.words import amount, as_given, capital, interval, slug

_PAINT = {WITHIN: GOOD, UNDECIDED: MUTED, MISS: MISSED}


def draw_published(rows: pd.DataFrame) -> Drawing:
    """Draw simulated values on the ranges that the published ones allow.

    `rows` has words, unit, published, simulated, mc_low, mc_high, low, high, within,
    verdict, verified; all of one kind and unit.
    """
    kind, unit = shared(rows, "kind"), shared(rows, "unit")
    scale = SCALE[kind]
    lines = []
    for row in each_row(rows):
        text = amount(row.simulated, row.mc_error, kind, row.unit)
        text += f" / {as_given(row.published, kind, row.unit)}"
        lines.append(
            Row(
                row.words + ("" if row.verified else " (unverified)"),
                text + ("" if row.within else f" {row.verdict.lower()}"),
                row.simulated * scale,
                row.mc_low * scale,
                row.mc_high * scale,
                _PAINT[row.verdict],
                "X" if row.verdict == MISS else "o",
                (row.low * scale, row.high * scale),
                row.published * scale,
            )
        )
    figure = draw_rows(lines, Frame(axis_label("Simulated and published", kind, unit)))
    inside = int(rows["within"].sum())
    alt = f"{inside} of {len(rows)} simulated values lie within the published range."
    caption = (
        "Numbers: simulated / published. Grey: the range that counts as within, with "
        "the published value as a line. Point: simulated, with its 95 % Monte Carlo "
        "interval where that is wider than the point. A cross is a miss; undecided is "
        "what lies outside the range with an interval that reaches into it."
    )
    name = slug(f"published {unit if kind == 'plain' else kind}")
    return Drawing(name, "Published and simulated", alt, caption, figure, rows)


def draw_contrasts(protocol: Protocol, rows: pd.DataFrame) -> Drawing:
    """Draw a forest of contrasts that share a measure, a kind and a unit."""
    by, kind, unit = (shared(rows, column) for column in ("by", "kind", "unit"))
    scale = SCALE[kind]
    ratio = measures()[by].ratio
    lines = [
        Row(
            contrast_words(protocol, row),
            f"{amount(row.estimate, row.mc_error, kind)} "
            f"({interval(row.low, row.high, kind, error=row.mc_error)})",
            row.estimate * scale,
            row.low * scale,
            row.high * scale,
            pick_colour(protocol, row.arm),
            pick_marker(protocol, row.arm),
            arm=place_of(protocol, row.arm),
        )
        for row in each_row(rows)
    ]
    label = axis_label(capital(effect_words(by)), kind, unit)
    frame = Frame(label, 1.0 if ratio else 0.0, ratio, sides=sides_of(protocol, rows))
    figure = draw_rows(lines, frame)
    alt = "; ".join(f"{line.words}: {line.text}" for line in lines)
    caption = f"The line at {'1' if ratio else '0'} is no difference."
    name = slug(f"contrasts {by} {'' if kind != 'plain' or ratio else unit}")
    title = f"Comparisons: {effect_words(by)}"
    return Drawing(name, title, alt, caption, figure, rows)


def contrast_words(protocol: Protocol, row: Any) -> str:
    """Return what a row of `Estimates.contrasts` compares."""
    arms = (arm_title(protocol, arm) for arm in (row.arm, row.reference))
    words = f"{' with '.join(arms)}, {endpoint_title(protocol, row.endpoint)}"
    asked = (c for c in protocol.analysis.comparisons if c.name == row.comparison)
    where = next((c.where for c in asked), None)
    if where is None:
        return words
    return f"{words}, where {where_words(protocol, write_where(where, protocol.words))}"


def sides_of(protocol: Protocol, rows: pd.DataFrame) -> tuple[str, str]:
    """Return what lies left and right of no difference.

    Which arm is favoured can be said where a margin or a hierarchy tells which way is
    better; elsewhere it is which arm has more.
    """
    asked = {c.name: c for c in protocol.analysis.comparisons}
    known = [asked[name] for name in rows["comparison"] if name in asked]
    ways = {better_way(comparison) for comparison in known}
    one = len(set(rows["reference"])) == 1
    reference = (
        arm_title(protocol, shared(rows, "reference")) if one else "the reference"
    )
    same = len(set(rows["arm"])) == 1
    arm = arm_title(protocol, shared(rows, "arm")) if same else "the other"
    if ways == {1}:
        return f"favours {reference}", f"favours {arm}"
    if ways == {-1}:
        return f"favours {arm}", f"favours {reference}"
    by = shared(rows, "by")
    more = "more events" if by in _RATES else "higher"
    return f"{more} under {reference}", f"{more} under {arm}"


_RATES = {"hazard ratio", "log-rank", "rate ratio", "Poisson rate ratio"}


def better_way(comparison: Comparison) -> int:
    """Return 1 if a higher effect favours the arm, -1 if it does not, 0 if unknown."""
    if comparison.measure.of == "tiers":
        return 1
    if comparison.above is not None and comparison.below is None:
        return 1
    return -1 if comparison.below is not None and comparison.above is None else 0


def draw_shares(protocol: Protocol, rows: pd.DataFrame, name: str) -> Drawing:
    """Draw the share of responders, and of subjects with an event, by arm."""
    events = {point.name for point in protocol.endpoints if point.event}
    lines = [
        Row(
            f"{endpoint_title(protocol, row.endpoint)}"
            f"{' (seen)' if row.endpoint in events else ''}, "
            f"{arm_title(protocol, row.arm)}",
            amount(row.estimate, row.mc_error, "share"),
            row.estimate * 100,
            row.low * 100,
            row.high * 100,
            pick_colour(protocol, row.arm),
            pick_marker(protocol, row.arm),
            arm=place_of(protocol, row.arm),
        )
        for row in each_row(rows)
    ]
    frame = Frame("Share of subjects [%]", start=0.0, end=100.0)
    alt = "; ".join(f"{line.words}: {line.text}" for line in lines)
    figure = draw_rows(lines, frame)
    return Drawing(name, "Responders by arm", alt, "", figure, rows)

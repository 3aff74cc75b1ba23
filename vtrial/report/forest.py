"""Forests: published numbers, contrasts, subgroups and shares, a row for each."""

import pandas as pd

from vtrial.analysis.estimates import MISS, UNDECIDED, WITHIN
from vtrial.measure.registry import measures
from vtrial.protocol.protocol import Protocol
from vtrial.report.design import endpoint_title, short_title
from vtrial.report.drawing import GOOD, MISSED, MUTED, Drawing
from vtrial.report.forest_layout import Frame, Row, draw_rows
from vtrial.report.frames import each_row
from vtrial.report.legend import SCALE, axis_label, pick_colour, pick_marker, shared
from vtrial.report.words import amount, interval, slug

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
        text += f" / {amount(row.published, (row.high - row.low) / 2, kind, row.unit)}"
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
            f"{short_title(protocol, row.arm)} with "
            f"{short_title(protocol, row.reference)}, "
            f"{endpoint_title(protocol, row.endpoint)}",
            f"{amount(row.estimate, (row.high - row.low) / 2, kind)} "
            f"({interval(row.low, row.high, kind)})",
            row.estimate * scale,
            row.low * scale,
            row.high * scale,
            pick_colour(protocol, row.arm),
            pick_marker(protocol, row.arm),
        )
        for row in each_row(rows)
    ]
    label = axis_label(by.capitalize(), kind, unit)
    figure = draw_rows(lines, Frame(label, line=1.0 if ratio else 0.0, log=ratio))
    alt = "; ".join(f"{line.words}: {line.text}" for line in lines)
    caption = f"The line at {'1' if ratio else '0'} is no difference."
    name = slug(f"contrasts {by} {'' if kind != 'plain' or ratio else unit}")
    return Drawing(name, f"Contrasts: {by}", alt, caption, figure, rows)


def draw_shares(protocol: Protocol, rows: pd.DataFrame, name: str) -> Drawing:
    """Draw the share of responders, and of subjects with an event, by arm."""
    events = {point.name for point in protocol.endpoints if point.event}
    lines = [
        Row(
            f"{endpoint_title(protocol, row.endpoint)}"
            f"{' (seen)' if row.endpoint in events else ''}, "
            f"{short_title(protocol, row.arm)}",
            amount(row.estimate, (row.high - row.low) / 2, "share"),
            row.estimate * 100,
            row.low * 100,
            row.high * 100,
            pick_colour(protocol, row.arm),
            pick_marker(protocol, row.arm),
        )
        for row in each_row(rows)
    ]
    frame = Frame("Share of subjects [%]", start=0.0, end=100.0)
    alt = "; ".join(f"{line.words}: {line.text}" for line in lines)
    figure = draw_rows(lines, frame)
    return Drawing(name, "Responders by arm", alt, "", figure, rows)

"""Subgroups: effects and shares within thirds of a covariate."""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba

from vtrial.measure.registry import measures
from vtrial.protocol.analysis import Comparison
from vtrial.protocol.protocol import Protocol
from vtrial.report.design import (
    arm_title,
    code_words,
    effect_words,
    endpoint_title,
)
from vtrial.report.drawing import ARM_COLOURS, INK, WIDTH, Drawing, new_figure
from vtrial.report.forest import sides_of
from vtrial.report.forest_layout import Frame, Row, draw_rows
from vtrial.report.frames import each_row
from vtrial.report.layout import lines_of, size_of
from vtrial.report.legend import (
    SCALE,
    arms_in,
    axis_label,
    pick_colour,
    pick_marker,
)
from vtrial.report.tables import contrast_kind, contrast_unit
from vtrial.report.words import (
    amount,
    capital,
    fixed,
    interval,
    number,
    slug,
    suffix,
)

MOST_GROUPS = 36


class Effect(NamedTuple):
    """A contrast within a subgroup, and its Monte Carlo limits (95 %)."""

    value: float
    low: float
    high: float


def effect_between(
    by: str, arm: tuple[float, float], reference: tuple[float, float]
) -> Effect:
    """Contrast two arms, each an estimate and its Monte Carlo error.

    Ratios are taken on the scale of their logarithm (odds: logit), where the errors
    are those of the first order (delta method) and add as of independent arms.
    """
    (a, error_a), (b, error_b) = arm, reference
    if not measures()[by].ratio:
        value, error = a - b, math.hypot(error_a, error_b)
        return _around(value, error, by)
    odds = measures()[by].odds
    if min(a, b) <= 0 or (odds and max(a, b) >= 1):
        return Effect(math.nan, math.nan, math.nan)
    parts = [(a, error_a), (b, error_b)]
    slopes = [
        error / (value * (1 - value) if odds else value) for value, error in parts
    ]
    logs = [math.log(v / (1 - v)) if odds else math.log(v) for v in (a, b)]
    middle, error = logs[0] - logs[1], math.hypot(*slopes)
    return Effect(*(math.exp(middle + z * error) for z in (0.0, -1.96, 1.96)))


def _around(value: float, error: float, by: str) -> Effect:
    """Put Monte Carlo limits around a difference; shares differ by 1 at most."""
    most = 1.0 if measures()[by].shares else math.inf
    low, high = value - 1.96 * error, value + 1.96 * error
    return Effect(value, max(low, -most), min(high, most))


def group_words(protocol: Protocol, row: pd.Series) -> str:
    """Return which subjects a group holds: a code, or a range of a covariate."""
    found = [c for c in protocol.model.covariates if c.name == row["covariate"]]
    unit = suffix("plain", found[0].unit) if found else ""
    name = (found[0].title or found[0].name) if found else str(row["covariate"])
    low, high = float(row["low"]), float(row["high"])
    if low == high:
        known = code_words(protocol, str(row["covariate"]), low)
        return known or f"{name} = {number(low, 6)}{unit}"
    if not math.isfinite(low):
        return f"{name} up to {number(high)}{unit}"
    if not math.isfinite(high):
        return f"{name} above {number(low)}{unit}"
    return f"{name} {number(low)} to {number(high)}{unit}"


def effects_of(
    protocol: Protocol, comparison: Comparison, frame: pd.DataFrame
) -> pd.DataFrame:
    """Lay down a comparison within each group: a row a group, empty if it has none.

    `frame` is `Estimates.subgroups`.
    """
    rows = frame[frame["endpoint"] == comparison.endpoint]
    kept = [s for s in comparison.measure.made_of if s in set(rows["statistic"])]
    rows = rows[rows["statistic"] == kept[0]] if kept else rows.iloc[:0]
    made = []
    for (name, low, high), group in rows.groupby(
        ["covariate", "low", "high"], sort=False, dropna=False
    ):
        arms = {row.arm: (row.estimate, row.mc_error) for row in each_row(group)}
        if {comparison.arm, comparison.reference} <= set(arms):
            pair = (arms[comparison.arm], arms[comparison.reference])
            effect = effect_between(comparison.by, *pair)
            words = group_words(protocol, group.iloc[0])
            count = float(group["n"].sum())
            made.append((comparison.name, name, low, high, words, count, *effect))
    columns = ["comparison", "covariate", "low", "high", "group", "n", "estimate"]
    return pd.DataFrame(made, columns=[*columns, "estimate_low", "estimate_high"])


def draw_subgroups(
    protocol: Protocol, comparison: Comparison, rows: pd.DataFrame, whole: pd.DataFrame
) -> Drawing:
    """Draw a comparison within groups below the one of all subjects.

    `rows` are those of `effects_of`, `whole` the comparison's of `Estimates.contrasts`.
    """
    kind = contrast_kind(protocol, comparison.endpoint, comparison.by)
    scale, ratio = SCALE[kind], comparison.measure.ratio
    colour = pick_colour(protocol, comparison.arm)
    marker = pick_marker(protocol, comparison.arm)
    named = [("All subjects", *_all(row, ratio), INK) for row in each_row(whole)]
    named += [
        (row.group, row.estimate, row.estimate_low, row.estimate_high, colour)
        for row in each_row(rows.head(MOST_GROUPS))
    ]
    lines = [
        Row(
            words,
            f"{amount(value, _error(low, high), kind)} "
            f"({interval(low, high, kind, error=_error(low, high))})",
            value * scale,
            low * scale,
            high * scale,
            paint,
            marker,
        )
        for words, value, low, high, paint in named
    ]
    unit = "1"
    if len(whole):
        unit = contrast_unit(comparison.by, str(whole["unit"].iloc[0]))
    label = axis_label(capital(effect_words(comparison.by)), kind, unit)
    pair = {"comparison": [comparison.name], "by": [comparison.by]}
    pair |= {"arm": [comparison.arm], "reference": [comparison.reference]}
    sides = sides_of(protocol, pd.DataFrame(pair))
    frame = Frame(label, line=1.0 if ratio else 0.0, log=ratio, sides=sides)
    figure = draw_rows(lines, frame)
    arms = [arm_title(protocol, a) for a in (comparison.arm, comparison.reference)]
    title = f"{' with '.join(arms)}: {endpoint_title(protocol, comparison.endpoint)}"
    caption = (
        "The comparison within groups, not adjusted. Whiskers: 95 % Monte Carlo limits "
        "of the mean over all trials, not of a single trial; errors of the arms are "
        "added as if independent."
    )
    if len(rows) > MOST_GROUPS:
        caption += f" {MOST_GROUPS} of {len(rows)} groups are drawn."
    alt = "; ".join(f"{line.words}: {line.text}" for line in lines)
    name = slug(f"subgroups {comparison.name}")
    return Drawing(name, f"{title}, by group", alt, caption, figure, rows)


def _error(low: float, high: float) -> float:
    """Return the Monte Carlo error that 95 % limits were made of."""
    return (high - low) / (2 * 1.96)


def _all(row: Any, ratio: bool) -> Effect:
    """Return the effect in all subjects with its Monte Carlo limits."""
    value, error = row.estimate, row.mc_error
    if not ratio:
        return _around(value, error, row.by)
    spread = math.exp(1.96 * error / value) if value > 0 else math.nan
    return Effect(value, value / spread, value * spread)


def draw_attainment(protocol: Protocol, endpoint: str, rows: pd.DataFrame) -> Drawing:
    """Draw the share of responders as a heat map: groups down, arms across.

    `rows` are those of `Estimates.subgroups` for a response and its share.
    """
    arms = arms_in(protocol, rows)
    rows = rows.assign(group=[group_words(protocol, row) for _, row in rows.iterrows()])
    groups = list(dict.fromkeys(rows["group"]))[:MOST_GROUPS]
    table = rows.pivot_table(index="group", columns="arm", values="estimate")
    table = table.reindex(index=groups, columns=arms)
    shares = table.to_numpy(float)
    errors = rows.pivot_table(index="group", columns="arm", values="mc_error")
    errors = errors.reindex(index=groups, columns=arms).to_numpy(float)
    names = [arm_title(protocol, arm) for arm in arms]
    wide = max(size_of(name, 8.5)[0] for name in names)
    across = (WIDTH - 0.2) / len(arms)
    turn = 0 if wide < across else 90
    shown = ["\n".join(lines_of(n, 1.4 if turn else across, 8.5)) for n in names]
    figure = new_figure(0.55 + 0.46 * len(groups) + (min(wide, 1.5) if turn else 0.0))
    axes = figure.add_subplot()
    for line, group in enumerate(groups):
        axes.text(0, 1.0 * line + 0.36, group, va="bottom", fontsize=8.5)
        _number(axes, line, shares[line], errors[line])
    _shade(axes, shares)
    axes.set_xlim(0, len(arms))
    axes.set_ylim(len(groups), 0)
    axes.set_yticks([])
    axes.xaxis.tick_top()
    axes.set_xticks(np.arange(len(arms)) + 0.5, shown, fontsize=8.5)
    axes.tick_params(axis="x", labelrotation=turn)
    axes.tick_params(length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    title = endpoint_title(protocol, endpoint)
    caption = "Share of subjects [%] by arm and group; the deeper, the higher."
    if rows["group"].nunique() > MOST_GROUPS:
        caption += f" {MOST_GROUPS} of {rows['group'].nunique()} groups are drawn."
    told = [
        f"{group}: {', '.join(fixed(100 * v, 1) for v in table.loc[group])}"
        for group in groups
    ]
    alt = f"Arms {', '.join(names)}. {'; '.join(told)}."
    name = slug(f"attainment {endpoint}")
    return Drawing(name, f"{title}, by group", alt, caption, figure, rows)


def _number(axes: Axes, line: int, shares: np.ndarray, errors: np.ndarray) -> None:
    """Write the shares of a group, each into its cell, as far as they are known."""
    style = {"ha": "center", "va": "center", "fontsize": 8.5, "color": INK}
    for place in np.flatnonzero(np.isfinite(shares)):
        share, error = float(shares[place]), float(errors[place])
        words = amount(share, error, "share").removesuffix(suffix("share"))
        axes.text(place + 0.5, line + 0.69, words, **style)


def _shade(axes: Axes, shares: np.ndarray) -> None:
    """Shade the cells, so that the numbers stay legible.

    All are one collection: to draw them one by one takes several times as long.
    """
    boxes, shades = [], []
    for line, place in np.argwhere(np.isfinite(shares)):
        left, right, top, foot = place + 0.03, place + 0.97, line + 0.42, line + 0.94
        boxes.append([(left, top), (right, top), (right, foot), (left, foot)])
        shades.append(to_rgba(ARM_COLOURS[0], 0.06 + 0.42 * float(shares[line, place])))
    axes.add_collection(PolyCollection(boxes, facecolors=shades, linewidths=0))

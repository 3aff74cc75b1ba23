"""Convergence: an estimate and its Monte Carlo error as trials are added."""

import numpy as np
import pandas as pd

from vtrial.protocol.protocol import Protocol
from vtrial.report.design import arm_title, effect_words, endpoint_title
from vtrial.report.drawing import MUTED, Drawing, new_figure, number_axis
from vtrial.report.legend import SCALE, axis_label, pick_colour
from vtrial.report.tables import contrast_kind, contrast_unit
from vtrial.report.words import amount, capital, count, error_words, slug


def draw_convergence(
    protocol: Protocol, comparison: str, rows: pd.DataFrame
) -> Drawing:
    """Draw the estimate after so many trials, and 95 % Monte Carlo limits around it.

    `rows` are those of `Estimates.convergence` for one comparison.
    """
    asked = next(
        (c for c in protocol.analysis.comparisons if c.name == comparison), None
    )
    by = asked.by if asked else "estimate"
    kind = contrast_kind(protocol, asked.endpoint, by) if asked else "plain"
    colour = pick_colour(protocol, asked.arm) if asked else MUTED
    rows = rows.sort_values("replicates")
    trials = rows["replicates"].to_numpy(float)
    middle, error = (
        rows[name].to_numpy(float) * SCALE[kind] for name in ("estimate", "mc_error")
    )
    figure = new_figure(2.75)
    axes = figure.add_subplot()
    limits = (middle - 1.96 * error, middle + 1.96 * error)
    axes.fill_between(trials, *limits, color=colour, alpha=0.2, linewidth=0)
    axes.plot(trials, middle, color=colour, linewidth=1.6)
    axes.axhline(middle[-1], color=MUTED, linewidth=0.8)
    axes.set_xlim(0, max(float(trials.max()), 1.0))
    number_axis(axes)
    axes.set_xlabel("Replicate trials")
    unit = _unit(protocol, comparison)
    axes.set_ylabel(axis_label(capital(effect_words(by)), kind, unit))
    last = rows.iloc[-1]
    value, off = float(last["estimate"]), float(last["mc_error"])
    told = (
        f"{amount(value, off, kind, unit)} ± {error_words(off, kind, unit)} after "
        f"{count(trials[-1])} trials"
    )
    caption = (
        f"The estimate after so many trials; shaded: ±1.96 Monte Carlo errors. {told}."
    )
    return Drawing(
        slug(f"convergence {comparison}"), _title(protocol, comparison), told, caption,
        figure, rows,
    )  # fmt: skip


def _title(protocol: Protocol, comparison: str) -> str:
    """Name a comparison by its arms and endpoint."""
    for asked in protocol.analysis.comparisons:
        if asked.name == comparison:
            arms = (arm_title(protocol, arm) for arm in (asked.arm, asked.reference))
            return f"{' with '.join(arms)}, {endpoint_title(protocol, asked.endpoint)}"
    return comparison


def _unit(protocol: Protocol, comparison: str) -> str:
    """Return the unit of a comparison."""
    for asked in protocol.analysis.comparisons:
        found = [p for p in protocol.endpoints if p.name == asked.endpoint]
        if asked.name == comparison and found and not found[0].binary:
            return contrast_unit(asked.by, found[0].unit)
    return "1"


def settles(rows: pd.DataFrame) -> bool:
    """Return whether there is a course to draw: two points or more with a number."""
    return int(np.isfinite(rows["estimate"].astype(float)).sum()) > 1

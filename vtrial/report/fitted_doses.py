"""A dose-response that trials estimate and fit, over the doses (MCP-Mod)."""

import pandas as pd
from matplotlib.axes import Axes

from vtrial.analysis.dosed import CHOSEN, ESTIMATE
from vtrial.protocol.analysis import Comparison
from vtrial.protocol.protocol import Protocol
from vtrial.report.design import endpoint_title
from vtrial.report.drawing import INK, MUTED, Drawing, new_figure, number_axis
from vtrial.report.frames import each_row
from vtrial.report.legend import SCALE, axis_label
from vtrial.report.tables import endpoint_kind
from vtrial.report.words import amount, capital, number, slug

_CAPTION = (
    "Points: estimates at the doses, with where 90 % of the trials lie. Line: the mean "
    "of the chosen (or averaged) curves of trials that show a dose-response, with 90 % "
    "of them shaded; broken: the shapes, fitted in all trials."
)
_TARGET = " Upright: the target dose, the mean and 90 % of the trials that find one."
_LINES = ("--", ":", "-.", (0, (6, 2, 1, 2, 1, 2)))  # of shapes, in turn


def draw_fitted(
    protocol: Protocol, comparison: Comparison, rows: pd.DataFrame, told: pd.DataFrame
) -> Drawing:
    """Draw the estimates at the doses, the fitted shapes, and the target dose.

    `rows` are those of `Estimates.fitted` of one comparison, `told` those of
    `Estimates.details`.
    """
    endpoint = protocol.endpoint(comparison.endpoint)
    statistic = "share" if endpoint.binary else "mean"
    kind = endpoint_kind(protocol, endpoint.name, statistic)
    scale = SCALE[kind]
    figure = new_figure(3.1)
    axes = figure.add_subplot()
    _draw_curves(axes, rows, scale)
    seen = rows[rows["of"] == ESTIMATE]
    middle = seen["value"] * scale
    # A mean may lie beyond both ends, where few trials are far from the others.
    reach = [middle - seen["low"] * scale, seen["high"] * scale - middle]
    reach = [one.clip(lower=0.0) for one in reach]
    style = {"fmt": "o", "color": INK, "ms": 4.5, "elinewidth": 0.9, "capsize": 2.5}
    axes.errorbar(seen["dose"], middle, yerr=reach, label="estimates", **style)
    target = told[told["measure"] == "target dose"]
    caption = (
        "Points: estimates at the doses, with where 90 % of the trials lie. Line: "
    )
    caption += "the mean of the chosen (or averaged) curves of trials that show a "
    caption += "dose-response, with 90 % of them shaded; broken: the shapes, fitted in "
    caption += "all trials."
    alt = [
        f"{number(row.dose)}: {amount(row.value, float('nan'), kind, endpoint.unit)}"
        for row in each_row(seen)
    ]
    for row in each_row(target[target["value"].notna()]):
        axes.axvline(row.value, color=MUTED, linewidth=1.0)
        axes.axvspan(row.low, row.high, color=MUTED, alpha=0.1, linewidth=0)
        caption += (
            " Upright: the target dose, the mean and 90 % of the trials with one."
        )
        alt.append(f"target dose {number(row.value, 3)}")
    number_axis(axes)
    number_axis(axes, which="x")
    axes.margins(x=0.05)
    title = endpoint_title(protocol, endpoint.name)
    said = title if kind == "share" else f"{title}, {statistic}"
    axes.set_xlabel("Dose")
    axes.set_ylabel(axis_label(capital(said), kind, endpoint.unit))
    axes.legend(fontsize=8, frameon=False)
    name = slug(f"fitted {comparison.name}")
    heading = f"{capital(said)}, fitted over the doses"
    return Drawing(name, heading, "; ".join(alt), caption, figure, rows)


def _draw_curves(axes: Axes, rows: pd.DataFrame, scale: float) -> None:
    """Draw each fitted shape, and the curve that counts with its band."""
    shapes = [one for one in rows["of"].unique() if one not in (ESTIMATE, CHOSEN)]
    for place, shape in enumerate(shapes):
        one = rows[rows["of"] == shape]
        style = {"ls": _LINES[place % len(_LINES)], "color": MUTED, "linewidth": 0.9}
        axes.plot(one["dose"], one["value"] * scale, label=shape, **style)
    one = rows[rows["of"] == CHOSEN]
    if len(one):
        ends = (one["low"] * scale, one["high"] * scale)
        axes.fill_between(one["dose"], *ends, color=MUTED, alpha=0.18, linewidth=0)
        style = {"color": INK, "linewidth": 1.4, "label": "the curve that counts"}
        axes.plot(one["dose"], one["value"] * scale, **style)

"""Tornado: what explains the differences between subjects, the greatest first."""

import numpy as np
import pandas as pd

from vtrial.protocol.protocol import Protocol
from vtrial.report.design import arm_title, endpoint_title, factor_title
from vtrial.report.drawing import INK, MUTED, Drawing, new_figure, number_axis
from vtrial.report.layout import lines_of
from vtrial.report.legend import arms_in, pick_colour
from vtrial.report.words import number, slug

MOST_FACTORS = 12
MOST_ARMS = 4
_BAR = 0.13  # inches


def draw_tornado(protocol: Protocol, endpoint: str, rows: pd.DataFrame) -> Drawing:
    """Draw shares of variance, to the right where more means more.

    `rows` are those of `Estimates.explained` for one endpoint. Factors are ordered by
    their mean share over the arms; the sign is that of the rank correlation.
    """
    every = arms_in(protocol, rows)
    arms = every[:MOST_ARMS]
    rows = rows[rows["arm"].isin(arms)]
    order = rows.groupby("covariate")["share"].mean().sort_values(ascending=False)
    factors = list(order.index[:MOST_FACTORS])
    drawn = rows[rows["covariate"].isin(factors)]
    slot = 0.24 + _BAR * len(arms)
    names = [lines_of(arm_title(protocol, arm), 1.4, 8.5) for arm in arms]
    rows_of_two = [max(map(len, names[at : at + 2])) for at in range(0, len(names), 2)]
    head = 0.1 + 0.16 * sum(rows_of_two) if len(arms) > 1 else 0.0
    figure = new_figure(0.65 + head + slot * len(factors))
    axes = figure.add_subplot()
    tall = _BAR / slot
    for place, arm in enumerate(arms):
        one = drawn[drawn["arm"] == arm].set_index("covariate").reindex(factors)
        sign = np.where(one["correlation"].to_numpy(float) < 0, -1.0, 1.0)
        width = 100 * one["share"].to_numpy(float) * sign
        error = 196 * one["error"].to_numpy(float)
        at = np.arange(len(factors)) + 0.5 - tall * (len(arms) - place - 0.5)
        colour = pick_colour(protocol, arm)
        style = {"ecolor": INK, "error_kw": {"lw": 0.7}}
        name = "\n".join(names[place])
        axes.barh(at, width, 0.86 * tall, color=colour, xerr=error, label=name, **style)
    across = axes.get_yaxis_transform()
    for line, name in enumerate(factors):
        words = factor_title(protocol, name)
        axes.text(0, line - 0.5 + 0.2 / slot, words, transform=across, fontsize=8.5)
    axes.axvline(0.0, color=MUTED, linewidth=0.9)
    axes.set_ylim(len(factors) - 0.45, -0.5)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    number_axis(axes, which="x")
    most = max(1.0, float(np.abs(axes.get_xlim()).max()))
    axes.set_xlim(-most, most)
    axes.set_xticks(axes.get_xticks(), [number(abs(t), 3) for t in axes.get_xticks()])
    axes.set_xlim(-most, most)
    axes.set_xlabel("← lower with more · share of variance [%] · higher with more →")
    if len(arms) > 1:
        place = {"loc": "outside upper left", "frameon": False, "fontsize": 8.5}
        figure.legend(ncols=2, **place)
    made = Drawing(slug(f"explained {endpoint}"), "", "", "", figure, drawn)
    made = _with_words(protocol, endpoint, rows["covariate"].nunique(), made)
    if len(arms) == len(every):
        return made
    said = f" {len(arms)} of {len(every)} arms are drawn."
    return made._replace(caption=made.caption + said)


def _with_words(
    protocol: Protocol, endpoint: str, total: int, made: Drawing
) -> Drawing:
    """Give the figure its words, and say what was left out."""
    title = endpoint_title(protocol, endpoint)
    shown = made.data["covariate"].nunique()
    caption = (
        "Share of the variance between subjects that goes with each covariate or "
        "individual parameter, alone; factors that hang together share it, so the bars "
        "need not add up. To the right: more of it, higher values (rank correlation). "
        "Whiskers: 95 % Monte Carlo limits."
    )
    if shown < total:
        caption += f" The first {shown} of {total} are drawn."
    means = made.data.groupby("covariate")["share"].mean().sort_values(ascending=False)
    told = [
        f"{factor_title(protocol, str(name))} {number(100 * share, 2)} %"
        for name, share in means.items()
    ]
    alt = f"Shares of variance: {', '.join(told)}."
    return made._replace(title=f"What explains {title}", alt=alt, caption=caption)

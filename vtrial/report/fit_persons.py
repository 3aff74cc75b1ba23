"""Persons of a fit, drawn: each one's course, and random effects by others."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from vtrial.report.drawing import (
    FAINT,
    INK,
    MISSED,
    MUTED,
    Drawing,
    feet_of,
    new_figure,
    number_axis,
)
from vtrial.report.fit_goodness import (
    BLUE,
    FEWEST,
    RED,
    WIDE,
    draw_histogram,
    draw_smooth,
    labelled,
)
from vtrial.report.frames import each_row
from vtrial.report.words import fixed, number, slug

ACROSS, ON_A_PAGE = 3, 12  # persons
MOST_PAIRS, MOST_EFFECTS, MOST_CODES = 15, 12, 6


def draw_persons(
    courses: pd.DataFrame, rows: pd.DataFrame, output: str, unit: str, time: str
) -> Iterator[Drawing]:
    """Draw the courses of the first persons, a panel each, some in a figure."""
    people = list(dict.fromkeys(courses["ID"]))
    shared = rows[rows["ID"].isin(people)]
    top = 1.06 * float(np.nanmax([shared["DV"].max(), courses["IPRED"].max()]))
    low = min(0.0, float(shared["DV"].min()))
    for first in range(0, len(people), ON_A_PAGE):
        some = people[first : first + ON_A_PAGE]
        lines = math.ceil(len(some) / ACROSS)
        figure = new_figure(0.75 + 1.35 * lines, WIDE)
        panels = figure.subplots(lines, ACROSS, sharex=True, sharey=True, squeeze=False)
        for panel, who in zip(panels.flat, some, strict=False):
            line, seen = courses[courses["ID"] == who], rows[rows["ID"] == who]
            panel.plot(line["TIME"], line["PRED"], "--", color=MUTED, linewidth=1.0)
            panel.plot(line["TIME"], line["IPRED"], "-", color=BLUE, linewidth=1.4)
            for below, marker in ((0, "o"), (1, "v")):
                mine = seen[seen["below"] == below]
                colour = INK if not below else MISSED
                style = {"markersize": 3.2, "mfc": "none", "mew": 0.8, "mec": colour}
                panel.plot(mine["TIME"], mine["DV"], marker, **style)
            panel.set_title(str(who), fontsize=8.5)
            number_axis(panel)
        panels.flat[0].set_ylim(low, top)
        for foot in feet_of(panels, len(some)):
            foot.set_xlabel(labelled("Time", time))
        figure.supylabel(labelled(output, unit), fontsize=9.5)
        low_too = "; triangles: below a limit, which is drawn"
        caption = (
            f"Circles: observed{low_too if rows['below'].any() else ''}. Blue: with "
            "the subject's most probable effects; dashed: without effects, at its "
            "covariates and doses."
        )
        number_of = f"{first + 1} to {first + len(some)}"
        title = f"Individual courses of {output}, {number_of}"
        alt = f"Observed and predicted courses of persons {number_of}"
        yield Drawing(
            slug(f"persons {output}"),
            title,
            alt,
            caption,
            figure,
            rows[rows.ID.isin(some)],
        )


def draw_effects(individuals: pd.DataFrame, effects: pd.DataFrame) -> Iterator[Drawing]:
    """Draw each effect's histogram over the law that the model says."""
    shown = effects.head(MOST_EFFECTS)
    if not len(shown):
        return
    lines = math.ceil(len(shown) / ACROSS)
    figure = new_figure(0.4 + 1.75 * lines, WIDE)
    panels = figure.subplots(lines, ACROSS, squeeze=False)
    for panel, row in zip(panels.flat, each_row(shown), strict=False):
        draw_histogram(panel, individuals[row.effect].to_numpy(float), row.sd)
        panel.set_xlabel(f"{row.effect}, shrinkage {100 * row.shrinkage:.0f} %")
        panel.xaxis.set_major_locator(_few())
        number_axis(panel, which="x")
        panel.grid(False)
    for panel in panels.flat[len(shown) :]:
        panel.set_visible(False)
    caption = (
        "Most probable effects of the subjects, and the normal law of the model. What "
        "shrinkage there is makes the histogram narrower than the law."
    )
    yield Drawing(
        "effects",
        "Random effects",
        "Histograms of random effects",
        caption,
        figure,
        individuals[["ID", *shown["effect"]]],
    )


def draw_pairs(
    individuals: pd.DataFrame, effects: pd.DataFrame, told: pd.DataFrame
) -> Iterator[Drawing]:
    """Draw effects over each other, with their correlation."""
    names = [str(name) for name in effects["effect"]]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]][:MOST_PAIRS]
    if not pairs or len(individuals) < 3:
        return
    modelled = {
        (f"eta.{row.effect}", f"eta.{row.other}"): row.correlation
        for row in each_row(told)
    }
    lines, across = math.ceil(len(pairs) / ACROSS), min(ACROSS, max(2, len(pairs)))
    figure = new_figure(0.4 + 1.85 * lines, WIDE)
    panels = figure.subplots(lines, across, squeeze=False)
    for panel, (one, other) in zip(panels.flat, pairs, strict=False):
        x, y = (individuals[name].to_numpy(float) for name in (one, other))
        panel.plot(x, y, "o", color=BLUE, markersize=3.2, mew=0, alpha=0.6)
        said = f"r {fixed(_correlation(x, y), 2)}"
        if (one, other) in modelled:
            said += f", model {fixed(modelled[one, other], 2)}"
        panel.set_title(said, fontsize=8.5)
        panel.set_xlabel(one)
        panel.set_ylabel(other)
        _tidy(panel)
    for panel in panels.flat[len(pairs) :]:
        panel.set_visible(False)
    caption = (
        "Most probable effects of the subjects over each other; r: their correlation; "
        "model: the correlation that was estimated, where there is one. A clear trend "
        "where the model has none asks for a covariance."
    )
    title, alt = "Random effects over each other", "Pairs of random effects"
    yield Drawing(
        "effect-pairs", title, alt, caption, figure, individuals[["ID", *names]]
    )


def draw_covariates(
    individuals: pd.DataFrame,
    effects: pd.DataFrame,
    covariates: pd.DataFrame,
    titles: dict[str, str],
) -> Iterator[Drawing]:
    """Draw effects over each covariate: a row of panels a covariate."""
    names = [str(name) for name in effects["effect"]][:MOST_EFFECTS]
    known = [str(name) for name in covariates.columns if name != "ID"]
    factors = [name for name in known if covariates[name].nunique() > 1]
    for factor in factors if names else ():
        x = covariates[factor].to_numpy(float)
        lines, across = math.ceil(len(names) / ACROSS), min(ACROSS, max(2, len(names)))
        figure = new_figure(0.5 + 1.75 * lines, WIDE)
        panels = figure.subplots(lines, across, squeeze=False)
        codes = np.unique(x)
        for panel, name in zip(panels.flat, names, strict=False):
            y = individuals[name].to_numpy(float)
            if len(codes) <= MOST_CODES:
                _by_code(panel, x, y, codes)
            else:
                panel.plot(x, y, "o", color=BLUE, markersize=3.2, mew=0, alpha=0.6)
                draw_smooth(panel, x, y)
                panel.set_title(f"r {fixed(_correlation(x, y), 2)}", fontsize=8.5)
            panel.axhline(0.0, color=INK, linewidth=0.8)
            panel.set_xlabel(titles.get(factor, factor))
            panel.set_ylabel(name)
            _tidy(panel, codes if len(codes) <= MOST_CODES else None)
        for panel in panels.flat[len(names) :]:
            panel.set_visible(False)
        caption = (
            "Most probable effects over what the covariate is at the first record. A "
            "trend says that the model leaves out what the covariate would explain; "
            "where shrinkage is high, its absence says little."
        )
        title = f"Random effects by {titles.get(factor, factor)}"
        data = individuals[["ID", *names]].assign(**{factor: x})
        yield Drawing(slug(f"effects by {factor}"), title, title, caption, figure, data)


def _by_code(panel: Axes, x: np.ndarray, y: np.ndarray, codes: np.ndarray) -> None:
    """Draw the values of each code of a category, with their quartiles."""
    for place, code in enumerate(codes):
        mine = y[x == code]
        aside = place + 0.16 * np.sin(1.0 + 2.4 * np.arange(len(mine)))
        panel.plot(aside, mine, "o", color=FAINT, markersize=3.0, mew=0, zorder=1)
        low, middle, high = np.percentile(mine, (25, 50, 75))
        panel.plot([place, place], [low, high], color=BLUE, linewidth=5, alpha=0.5)
        panel.plot([place - 0.22, place + 0.22], [middle] * 2, color=RED, linewidth=1.6)
    panel.set_xlim(-0.5, len(codes) - 0.5)


def _tidy(panel: Axes, codes: np.ndarray | None = None) -> None:
    """Set few ticks; those of a category at its codes."""
    number_axis(panel)
    if codes is not None:
        panel.set_xticks(range(len(codes)), [number(code) for code in codes])
    else:
        panel.xaxis.set_major_locator(_few())
        number_axis(panel, which="x")


def _few() -> MaxNLocator:
    """Return ticks that three panels side by side have room for."""
    return MaxNLocator(3)


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Return Pearson's correlation; NaN where one does not vary."""
    if len(x) < FEWEST // 4 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])

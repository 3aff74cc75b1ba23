"""Predictive checks of a fit, its likelihood's profile, and covariates' reach."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from vtrial.report.drawing import (
    ARM_COLOURS,
    INK,
    MISSED,
    MUTED,
    SHADE,
    Drawing,
    log_axis,
    new_figure,
    number_axis,
)
from vtrial.report.fit_goodness import WIDE, labelled
from vtrial.report.words import slug

BLUE, RED = ARM_COLOURS[0], ARM_COLOURS[1]
OUTER, MIDDLE = BLUE, RED
CHI = 3.841458820694124  # 95 % quantile of chi-squared with one degree of freedom
_PARTS = (("p5", OUTER, "--"), ("p50", MIDDLE, "-"), ("p95", OUTER, "--"))
_TIMES = {"TIME": "Time", "TAD": "Time after dose"}


def draw_check(
    check: pd.DataFrame, rows: pd.DataFrame, output: str, unit: str, time: str
) -> Iterator[Drawing]:
    """Draw percentiles that were seen over where those of replicates lie."""
    corrected, by = bool(check["corrected"].iloc[0]), str(check["by"].iloc[0])
    share = check["below"].notna().any()
    figure = new_figure(4.6 if share else 3.4, WIDE)
    ratios = (3, 1.2) if share else (1,)
    panels = figure.subplots(
        len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios
    )[:, 0]
    top = panels[0]
    at = check["time"].to_numpy(float)
    for part, colour, dash in _PARTS:
        low, middle, high, seen = (
            check[name].to_numpy(float)
            for name in (f"{part} low", f"{part} middle", f"{part} high", part)
        )
        top.fill_between(at, low, high, color=colour, alpha=0.2, linewidth=0)
        top.plot(at, middle, ":", color=colour, linewidth=1.0)
        top.plot(at, seen, dash, color=colour, marker="o", markersize=3, linewidth=1.5)
    top.plot(
        rows[by],
        _corrected(rows, check, by) if corrected else rows["DV"],
        "o",
        color=MUTED,
        markersize=2.2,
        mew=0,
        alpha=0.45,
        zorder=1,
    )
    number_axis(top)
    top.set_ylim(bottom=min(0.0, float(rows["DV"].min())))
    said = f"{output}, prediction-corrected" if corrected else output
    top.set_ylabel(labelled(said, unit))
    if share:
        _draw_below(panels[1], check, at)
    panels[-1].set_xlabel(labelled(_TIMES[by], time))
    number_axis(panels[-1], which="x")
    panels[-1].grid(True, axis="y")
    outside, count = outside_of(check)
    caption = (
        "Lines with circles: 5th, 50th and 95th percentile of what was observed, by "
        "bins; bands: the 95 % interval of the same of simulated studies, with their "
        f"middle dotted. {outside} of {count} percentiles lie outside; by chance 5 % "
        "would. "
    )
    if corrected:
        caption += (
            "Values are corrected for what PRED differs by within a bin (Bergstrand "
            "2011). "
        )
    if share:
        caption += (
            "Below: the share of values below the limit, which are left out above."
        )
    title = f"Visual predictive check, {output}"
    yield Drawing(slug(f"check {output}"), title, title, caption.strip(), figure, check)


def _corrected(rows: pd.DataFrame, check: pd.DataFrame, by: str) -> np.ndarray:
    """Correct values by their bins, as those of the check are."""
    typical, value = rows["PRED"].to_numpy(float), rows["DV"].to_numpy(float)
    starts = check["from"].to_numpy(float)
    place = np.searchsorted(starts, rows[by].to_numpy(float), "right") - 1
    place = np.clip(place, 0, len(starts) - 1)
    found = np.full(len(value), np.nan)
    usable = (typical > 0) & (rows["below"].to_numpy() == 0)
    for number in np.unique(place):
        mine = (place == number) & usable
        if mine.any():
            found[mine] = value[mine] * np.median(typical[mine]) / typical[mine]
    return found


def _draw_below(panel: Axes, check: pd.DataFrame, at: np.ndarray) -> None:
    """Draw the share below a limit, in per cent."""
    low, middle, high, seen = (
        100 * check[f"below{word}"].to_numpy(float)
        for word in (" low", " middle", " high", "")
    )
    panel.fill_between(at, low, high, color=SHADE, linewidth=0)
    panel.plot(at, middle, ":", color=MUTED, linewidth=1.0)
    panel.plot(at, seen, "-", color=INK, marker="o", markersize=3, linewidth=1.4)
    panel.set_ylabel("Below limit [%]")
    panel.set_ylim(bottom=0)
    number_axis(panel)


def outside_of(check: pd.DataFrame) -> tuple[int, int]:
    """Count percentiles outside the interval of the replicates, and all of them."""
    outside = count = 0
    for part, _, _ in _PARTS:
        seen = check[part].to_numpy(float)
        known = np.isfinite(seen) & np.isfinite(check[f"{part} low"].to_numpy(float))
        low, high = (check[f"{part} {w}"].to_numpy(float) for w in ("low", "high"))
        outside += int(((seen < low) | (seen > high))[known].sum())
        count += int(known.sum())
    return outside, count


def draw_profiles(frame: pd.DataFrame, units: dict[str, str]) -> Iterator[Drawing]:
    """Draw how the objective rises along an estimate."""
    for name, rows in frame.groupby("parameter", sort=False):
        figure = new_figure(2.7)
        axes = figure.add_subplot()
        axes.plot(
            rows["value"], rows["rise"], "o-", color=BLUE, markersize=3.5, linewidth=1.4
        )
        axes.axhline(CHI, color=MISSED, linewidth=1.0, linestyle="--")
        for end in (float(rows["low"].iloc[0]), float(rows["high"].iloc[0])):
            if math.isfinite(end):
                axes.axvline(end, color=MUTED, linewidth=0.8, linestyle=":")
        number_axis(axes)
        number_axis(axes, which="x")
        axes.set_ylim(0, max(float(rows["rise"].max()), CHI) * 1.08)
        axes.set_xlabel(labelled(str(name), units.get(str(name), "1")))
        axes.set_ylabel("Rise of the objective")
        caption = (
            "The least objective with the parameter held at a value, all others "
            "searched anew. Dashed: 3.84; where the curve crosses it, the 95 % "
            "interval ends (dotted)."
        )
        title = f"Profile of the likelihood, {name}"
        yield Drawing(slug(f"profile {name}"), title, title, caption, figure, rows)


def draw_forest(frame: pd.DataFrame) -> Iterator[Drawing]:
    """Draw by what ratio covariates change parameters, with intervals."""
    if not len(frame):
        return
    figure = new_figure(0.9 + 0.27 * len(frame), WIDE)
    axes = figure.add_subplot()
    places = np.arange(len(frame))
    low, middle, high = (
        frame[name].to_numpy(float) for name in ("low", "ratio", "high")
    )
    axes.axvspan(0.8, 1.25, color=SHADE, linewidth=0, zorder=0)
    axes.axvline(1.0, color=INK, linewidth=0.9)
    known = np.isfinite(low) & np.isfinite(high)
    axes.hlines(places[known], low[known], high[known], color=BLUE, linewidth=1.5)
    axes.plot(middle, places, "s", color=BLUE, markersize=4.5)
    axes.set_yticks(places, [str(one) for one in frame["what"]])
    axes.set_ylim(len(frame) - 0.5, -0.5)
    every = np.concatenate([low[known], high[known], middle, [0.8, 1.25]])
    log_axis(axes, every.min() / 1.08, every.max() * 1.08, which="x")
    axes.set_xlabel("Ratio to the reference subject")
    caption = (
        "By what each covariate multiplies a parameter, at its 5th and 95th percentile "
        "among the subjects or in another category, beside the reference (the median, "
        "or the most frequent category); bars: 95 % intervals. Shaded: 0.8 to 1.25."
    )
    title = "Reach of the covariates"
    yield Drawing("covariate-forest", title, title, caption, figure, frame)

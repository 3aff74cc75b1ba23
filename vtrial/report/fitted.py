"""The page of a fit: what was found, in words and tables, and how well it fits."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vtrial.report.drawing import Drawing, house_style
from vtrial.report.fit_check import (
    draw_check,
    draw_forest,
    draw_profiles,
    outside_of,
)
from vtrial.report.fit_goodness import draw_course, draw_goodness, draw_npde
from vtrial.report.fit_persons import (
    draw_covariates,
    draw_effects,
    draw_pairs,
    draw_persons,
)
from vtrial.report.frames import each_row
from vtrial.report.gallery import hang
from vtrial.report.page import FIGURES, put, template
from vtrial.report.tables import Cell, Table, make_table
from vtrial.report.words import (
    MISSING,
    count,
    fixed,
    listing,
    number,
    unit_words,
)

PAGE, TEMPLATE = "report.html", "fit.html"
NAMED = 4  # parameters that the first words tell
Frames = Mapping[str, pd.DataFrame]
_TITLES = (
    ("estimates", "Estimates"),
    ("goodness", "Goodness of fit"),
    ("check", "Predictive check"),
    ("npde", "NPDE"),
    ("persons", "Individual courses"),
    ("effects", "Random effects"),
    ("forest", "Covariates"),
    ("profile", "Profiles"),
    ("course", "The search"),
)


def render_fit(
    summary: Mapping[str, Any],
    frames: Frames,
    folder: str | Path,
    *,
    png: bool = False,
) -> Path:
    """Write the page of a fit into its folder; return it.

    `report.html`, and `figures/` with the figures and their data.

    Parameters
    ----------
    summary, frames
        As `vtrial.fit.summary_of` and `vtrial.fit.checks_of` give them; frames may
        hold `steps` and `forest` of a search for covariates, too.
    png
        Whether figures are written as PNG, too.
    """
    folder = Path(folder)
    with house_style():
        shown = hang(_walks(summary, frames), folder / FIGURES, png=png)
    steps = _steps(frames["steps"]) if "steps" in frames else None
    sections = [("answer", "The answer")]
    for name, title in _TITLES:
        there = shown.get(name) or name == "estimates" or (name == "forest" and steps)
        sections += [(name, title)] if there else []
    page = template(TEMPLATE).render(
        title=summary["title"] or summary["model"],
        subtitle=f"{summary['model']}, fitted to {summary['data']}",
        sections=sections,
        answer=_answer(summary),
        judged=_judged(frames),
        doubts=[f"{text}." for text in summary["doubts"]],
        estimates=_estimates(summary),
        figures=shown,
        steps=steps,
        summary=summary,
    )
    return put(folder / PAGE, page)


def _walks(summary: Mapping[str, Any], frames: Frames) -> dict[str, Iterator[Drawing]]:
    """Return the figures of each section."""
    time, units = str(summary["time"]), dict(summary["units"])
    people, effects = frames["individuals"], frames["effects"]
    seen = {row["parameter"]: row["unit"] for row in summary["estimates"]}

    def by_output(name: str) -> Iterator[Drawing]:
        for output, rows in frames["predictions"].groupby("output", sort=False):
            told = (str(output), units.get(str(output), "1"), time)
            if name == "goodness":
                yield from draw_goodness(rows, *told)
            elif name == "npde":
                yield from draw_npde(rows, *told)
            elif name == "persons":
                part = frames["courses"]
                yield from draw_persons(part[part["output"] == output], rows, *told)
            elif len(frames["check"]):
                part = frames["check"]
                part = part[part["output"] == output]
                if len(part):
                    yield from draw_check(part, rows, *told)

    def persons_of() -> Iterator[Drawing]:
        yield from draw_effects(people, effects)
        yield from draw_pairs(people, effects, frames["correlations"])
        titles = dict(summary["covariates"])
        yield from draw_covariates(people, effects, frames["covariates"], titles)

    names = ("goodness", "check", "npde", "persons")
    return {
        **{name: by_output(name) for name in names},
        "effects": persons_of(),
        "forest": draw_forest(frames.get("forest", pd.DataFrame())),
        "profile": draw_profiles(frames["profile"], seen),
        "course": draw_course(frames["course"]),
    }


def _answer(summary: Mapping[str, Any]) -> str:
    """Say what was fitted to what, and what came out."""
    rows = summary["estimates"]
    extra = []
    if summary["below"]:
        extra.append(f"{count(summary['below'])} of them below a limit")
    if summary["left_out"]:
        extra.append(f"{count(summary['left_out'])} more left out")
    words = (
        f"{str(summary['method']).upper()} estimated {count(len(rows))} numbers of "
        f"{summary['model']} from {count(summary['observations'])} observations "
        f"{'(' + ', '.join(extra) + ') ' if extra else ''}"
        f"of {count(summary['subjects'])} subjects"
    )
    ended = "converged" if summary["converged"] else "did not converge"
    words += (
        f". The search {ended} in {count(summary['steps'])} steps, at an objective of "
        f"{fixed(summary['objective'], 3)} (AIC {fixed(summary['aic'], 1)}, BIC "
        f"{fixed(summary['bic'], 1)})."
    )
    first = [r for r in rows if not r["parameter"].startswith("omega(")][:NAMED]
    told = [f"{row['parameter']} is {_value(row)}" for row in first]
    return f"{words} Of the estimates, {listing(told)}." if told else words


def _value(row: Mapping[str, Any]) -> str:
    """Write an estimate with unit and interval."""
    unit = unit_words(row["unit"])
    said = number(row["estimate"]) + (f" {unit}" if unit else "")
    if row["low"] is None or row["high"] is None:
        return said
    return f"{said} ({number(row['low'])} to {number(row['high'])})"


def _judged(frames: Frames) -> list[str]:
    """Say what replicates say of the model."""
    found = []
    if len(frames["check"]):
        outside, whole = outside_of(frames["check"])
        found.append(
            f"In the predictive check, {outside} of {whole} percentiles lie outside "
            "their 95 % intervals."
        )
    for row in each_row(frames["tests"]):
        verdict = "as" if row.p >= 0.05 else "not as"
        found.append(
            f"NPDE of {row.output} have mean {fixed(row.mean, 2)} and variance "
            f"{fixed(row.variance, 2)}: {verdict} a standard normal's (p "
            f"{_p(row.p)}, of mean, variance and shape together)."
        )
    return found


def _p(p: float | None) -> str:
    """Write a p-value."""
    if p is None or not np.isfinite(p):
        return MISSING
    return "< 0.001" if p < 0.001 else number(p, 2)


def _estimates(summary: Mapping[str, Any]) -> Table:
    """Lay down estimates with errors, intervals, shrinkage; variances as CV, too."""
    rows = []
    for row in summary["estimates"]:
        value, unit = row["estimate"], unit_words(row["unit"])
        name = row["parameter"]
        small = ""
        if name.startswith("omega(") and "," not in name and 0 < value < 3:
            small = f"CV {number(100 * np.sqrt(np.expm1(value)), 3)} % if lognormal"
        ends = (
            MISSING
            if row["low"] is None or row["high"] is None
            else f"{number(row['low'])} to {number(row['high'])}"
        )
        rows.append(
            [
                Cell(name, summary["titles"].get(name, "")),
                Cell(unit),
                Cell(number(value, 4), small),
                Cell(_percent(row["rse"]), "", _mark(row["rse"], 0.5, name)),
                Cell(ends),
                Cell(_percent(row["shrinkage"]), "", _mark(row["shrinkage"], 0.3, "")),
            ]
        )
    left = summary["shrinkage"].get("residual")
    caption = (
        "Estimates with relative standard errors (by "
        f"{summary['covariance_by']}) and 95 % intervals; shrinkage of the random "
        f"effect, and of residuals {_percent(left)}. Condition number "
        f"{MISSING if summary['condition'] is None else number(summary['condition'])}."
    )
    heads = ("Parameter", "Unit", "Estimate", "RSE", "95 % interval", "Shrinkage")
    return make_table("estimates", caption, heads, rows, words=2)


def _percent(value: float | None) -> str:
    return MISSING if value is None else f"{fixed(100 * value, 1)}\u202f%"


def _mark(value: float | None, limit: float, name: str) -> str:
    """Mark what is above a limit; a covariance may well be 0."""
    return "bad" if value is not None and value > limit and "," not in name else ""


def _steps(frame: pd.DataFrame) -> Table:
    """Lay down the steps of a search for covariates."""
    rows = [
        [
            Cell(str(row.step)),
            Cell(str(row.tried)),
            Cell(str(row.verdict), "", "good" if row.verdict == "taken" else ""),
            Cell(fixed(row.objective, 3)),
            Cell(fixed(row.change, 3)),
            Cell(number(row.df)),
            Cell(_p(row.p)),
        ]
        for row in each_row(frame)
    ]
    caption = (
        "Each relation that was tried at each step: the objective with it (backward: "
        "without it), by how much it fell (rose), and the p-value of that."
    )
    heads = ("Step", "Tried", "Verdict", "Objective", "Change", "df", "p")
    return make_table("steps", caption, heads, rows, words=3)

"""The page of an optimisation: the result, its verification, the front, the search."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from vtrial.protocol.optimisation import Optimisation, Variable
from vtrial.protocol.protocol import Protocol
from vtrial.report.design import Line, arm_title, endpoint_title
from vtrial.report.drawing import (
    ARM_COLOURS,
    GOOD,
    MISSED,
    MUTED,
    Drawing,
    house_style,
    new_figure,
    number_axis,
)
from vtrial.report.frames import each_row
from vtrial.report.gallery import hang
from vtrial.report.legend import SCALE, axis_label
from vtrial.report.page import FIGURES, TABLES, put, template, write_tables
from vtrial.report.tables import Cell, Table, endpoint_kind, make_table
from vtrial.report.words import Kind, amount, capital, count, interval, number

PAGE = "optimum.html"
FIRST, SECOND = ARM_COLOURS[0], ARM_COLOURS[1]
MOST_CANDIDATES = 20
VERIFIED = ("against verified", "goal verified")


def render_optimum(
    protocol: Protocol,
    frames: Mapping[str, pd.DataFrame],
    folder: str | Path,
    *,
    words: str,
    by: str,
    png: bool = False,
) -> Path:
    """Write the page of an optimisation; return it.

    `optimum.html`, `figures/` and `tables/` are written into the folder.

    Parameters
    ----------
    protocol
        With its variables at what was found.
    frames
        `course`, `candidates`, `verification` and `front`, as `Optimum` has them.
    words, by
        The result, and how was searched.
    """
    asked, folder = protocol.optimisation, Path(folder)
    assert asked is not None, "it was optimised"
    write_tables(frames, folder / TABLES)
    with house_style():
        shown = hang(
            {
                "front": _front(protocol, asked, frames),
                "course": _course(protocol, asked, frames),
                "looked": _looked(protocol, asked, frames),
            },
            folder / FIGURES,
            png=png,
        )
    sections = [("answer", "The result"), ("verification", "Verification")]
    sections += [("front", "Front")] if shown["front"] else []
    sections += [("search", "Search"), ("candidates", "Candidates")]
    page = template(PAGE).render(
        title=protocol.title or protocol.name,
        subtitle=f"{protocol.name}: what was looked for, found and verified",
        sections=sections,
        words=words,
        asked=_asked(protocol, asked, by),
        verification=_verification(protocol, frames["verification"]),
        candidates=_candidates(protocol, asked, frames["candidates"]),
        figures=shown,
    )
    return put(folder / PAGE, page)


def _asked(protocol: Protocol, asked: Optimisation, by: str) -> list[Line]:
    """Say what was asked, line by line."""
    lines = [Line("Arm", arm_title(protocol, asked.arm))]
    for one in asked.variables:
        real = (
            f"{count(len(one.values))} values"
            if one.values
            else f"in steps of {one.written(one.step)}"
        )
        reach = f"{one.written(one.low)} to {one.written(one.high)}, {real}"
        lines.append(Line(f"Varied: {one.name}", reach))
    lines.append(Line(capital(asked.sense), _mean(protocol, asked.endpoint)))
    for limit in asked.limits:
        kind = endpoint_kind(protocol, limit.endpoint, "mean")
        unit = protocol.endpoint(limit.endpoint).unit
        bound = amount(limit.bound, 0.0, kind, unit)
        where = (
            f" in {100 * limit.confidence:g} % of replicates"
            if limit.confidence is not None
            else ""
        )
        title = endpoint_title(protocol, limit.endpoint)
        lines.append(Line("Subject to", f"{title} {limit.side} {bound}{where}"))
    for name, crowd in (("Searched on", asked.search), ("Verified on", asked.verify)):
        people = f"{count(crowd.subjects)} subjects, seed {crowd.seed}"
        more = f", {count(crowd.replicates)} draws of the parameters"
        lines.append(Line(name, people + (more if crowd.replicates > 1 else "")))
    lines.append(Line("Search by", by))
    return lines


def _mean(protocol: Protocol, name: str) -> str:
    """Say what the mean of an endpoint is."""
    kind = "probability" if protocol.endpoint(name).binary else "mean"
    return f"{kind} of {endpoint_title(protocol, name)}"


def _verification(protocol: Protocol, frame: pd.DataFrame) -> Table:
    """Lay down the search's number and the verified one, each with its limit."""
    rows = []
    for row in each_row(frame):
        shares = row.role == "limit, share of replicates"
        kind: Kind = (
            "share" if shares else endpoint_kind(protocol, row.endpoint, "mean")
        )
        unit = "1" if shares else row.unit
        wide = interval(row.low, row.high, kind, error=row.mc_error)
        mark = {"h": "good", "v": "bad"}.get(str(row.verdict)[:1], "")
        rows.append(
            [
                Cell(capital(endpoint_title(protocol, row.endpoint)), row.role),
                Cell(str(row.bound)),
                Cell(str(row.verdict), "", mark),
                Cell(amount(row.search, row.mc_error, kind, unit)),
                Cell(amount(row.verified, row.mc_error, kind, unit), wide),
                Cell(count(row.subjects)),
            ]
        )
    caption = (
        "Search: on the people of the search, without smoothing. Verified: on fresh "
        "people, with the 95 % interval of the Monte Carlo error below."
    )
    heads = ("What", "Bound", "Verdict", "Search", "Verified", "Of")
    return make_table("verification", caption, heads, rows, words=3)


def _candidates(protocol: Protocol, asked: Optimisation, frame: pd.DataFrame) -> Table:
    """Lay down real candidates, the best on the search's people first."""
    variables = [one.name for one in asked.variables]
    limits = [
        str(name)
        for name in frame.columns
        if f"{name} verified" in frame.columns and name != "goal"
    ]
    heads = [*variables, capital(endpoint_title(protocol, asked.endpoint))]
    rows = []
    for record in frame.head(MOST_CANDIDATES).to_dict("records"):
        cells = [Cell(number(float(record[name]), 6)) for name in variables]
        for name in ("goal", *limits):
            point = asked.endpoint if name == "goal" else name.split(" (")[0]
            kind = endpoint_kind(protocol, point, "mean")
            before, after = float(record[name]), float(record[f"{name} verified"])
            small = f"verified {_said(after, kind)}" if np.isfinite(after) else ""
            cells.append(Cell(_said(before, kind), small))
        rows.append([*cells, Cell(str(record["holds"]))])
    heads += [capital(name) for name in limits]
    caption = (
        "Real candidates, the best on the people of the search first; below, on fresh "
        "people, in whose order they were verified until one kept to all limits."
    )
    return make_table("candidates", caption, [*heads, "Holds"], rows, words=0)


def _said(value: float, kind: Kind) -> str:
    """Write a mean."""
    return number(value * SCALE[kind], 4) + (" %" if kind == "share" else "")


def _front(
    protocol: Protocol, asked: Optimisation, frames: Mapping[str, pd.DataFrame]
) -> Iterator[Drawing]:
    """Draw the goal over what it is traded against, as verified on fresh people."""
    frame = frames["front"]
    if frame.empty or asked.front is None:
        return
    figure = new_figure(3.0)
    axes = figure.add_subplot()
    names = (asked.front.against, asked.endpoint)
    kinds: list[Kind] = [endpoint_kind(protocol, name, "mean") for name in names]
    x, y = (
        frame[column].to_numpy(float) * SCALE[kind]
        for column, kind in zip(
            ("against verified", "goal verified"), kinds, strict=True
        )
    )
    wide, high = (
        1.96 * frame[column].to_numpy(float) * SCALE[kind]
        for column, kind in zip(("against error", "goal error"), kinds, strict=True)
    )
    axes.errorbar(
        x, y, xerr=wide, yerr=high, color=FIRST, marker="o", markersize=4, linewidth=1.2
    )
    for row, a, b in zip(frame.to_dict("records"), x, y, strict=True):
        said = ", ".join(number(float(row[v.name]), 3) for v in asked.variables)
        right = a > (x.min() + x.max()) / 2
        axes.annotate(
            said,
            (a, b),
            xytext=(-5 if right else 5, 5 if right else -10),
            textcoords="offset points",
            ha="right" if right else "left",
            fontsize=8,
        )
    for limit in asked.limits:
        if limit.endpoint == asked.front.against and limit.confidence is None:
            bound = limit.bound * SCALE[kinds[0]]
            axes.axvline(bound, color=MISSED, linewidth=1.0, linestyle="--")
    number_axis(axes)
    number_axis(axes, which="x")
    axes.set_xlabel(_axis(protocol, names[0]))
    axes.set_ylabel(_axis(protocol, names[1]))
    written = " and ".join(v.name for v in asked.variables)
    caption = (
        "Each point is the best of the goal for a bound on the other; verified on "
        f"fresh people, bars: 95 % Monte Carlo limits. Beside the points: {written}. "
        "Dashed: the limit that is asked for."
    )
    title = f"{capital(endpoint_title(protocol, names[1]))} against "
    title += endpoint_title(protocol, names[0])
    yield Drawing("front", title, f"{len(frame)} points", caption, figure, frame)


def _course(
    protocol: Protocol, asked: Optimisation, frames: Mapping[str, pd.DataFrame]
) -> Iterator[Drawing]:
    """Draw the goal and the variables by evaluation, stage by stage."""
    frame = frames["course"]
    if frame.empty:
        return
    rows = 1 + len(asked.variables)
    figure = new_figure(1.1 + 1.15 * rows)
    panels = np.atleast_1d(figure.subplots(rows, 1, sharex=True))
    when = frame["evaluation"].to_numpy(float)
    kind = endpoint_kind(protocol, asked.endpoint, "mean")
    top = panels[0]
    if frame["width"].gt(0).any():
        smooth = frame["smooth"].to_numpy(float) * SCALE[kind]
        top.plot(when, smooth, color=SECOND, linewidth=1.0, label="smooth")
    hard = frame["goal"].to_numpy(float) * SCALE[kind]
    top.plot(when, hard, "o", color=FIRST, markersize=3, label="as it is")
    top.legend(fontsize=8, frameon=False)
    top.set_ylabel(_axis(protocol, asked.endpoint), fontsize=8)
    for panel, one in zip(panels[1:], asked.variables, strict=True):
        panel.plot(
            when, frame[one.name].to_numpy(float), "o-", color=FIRST, markersize=3
        )
        panel.set_ylabel(
            f"{one.name} [{one.unit}]" if one.unit else one.name, fontsize=8
        )
    ends = np.flatnonzero(np.diff(frame["stage"].to_numpy(float))) + 1
    for panel in panels:
        number_axis(panel)
        for end in ends:
            panel.axvline(when[end] - 0.5, color=MUTED, linewidth=0.7, linestyle=":")
    panels[-1].set_xlabel("Candidate")
    caption = (
        "What the search looked at, one candidate after another, always on the same "
        "people. Dotted: where the surrogate becomes sharper."
    )
    yield Drawing(
        "search", "The search", f"{len(frame)} candidates", caption, figure, frame
    )


def _looked(
    protocol: Protocol, asked: Optimisation, frames: Mapping[str, pd.DataFrame]
) -> Iterator[Drawing]:
    """Draw the goal and the limits over a single variable."""
    frame = frames["course"].sort_values([one.name for one in asked.variables])
    if len(asked.variables) != 1 or frame.empty:
        return
    (one,) = asked.variables
    limits = [limit for limit in asked.limits if limit.confidence is None]
    names = [asked.endpoint, *dict.fromkeys(limit.endpoint for limit in limits)]
    figure = new_figure(0.9 + 1.5 * len(names))
    panels = np.atleast_1d(figure.subplots(len(names), 1, sharex=True))
    found = protocol.optimisation
    assert found is not None, "it was optimised"
    for place, (panel, name) in enumerate(zip(panels, names, strict=True)):
        kind = endpoint_kind(protocol, name, "mean")
        column = frame["goal" if not place else name].to_numpy(float) * SCALE[kind]
        panel.plot(
            frame[one.name], column, "o-", color=FIRST, markersize=3, linewidth=0.8
        )
        panel.set_ylabel(_axis(protocol, name), fontsize=8)
        panel.axvline(found.variables[0].start, color=GOOD, linewidth=1.0)
        for limit in limits if place else ():
            if limit.endpoint == name:
                bound = limit.bound * SCALE[kind]
                panel.axhline(bound, color=MISSED, linewidth=1.0, linestyle="--")
        number_axis(panel)
    panels[-1].set_xlabel(_called(one))
    caption = (
        "All candidates that were looked at, without smoothing, on the people of the "
        "search. Upright: what was found. Dashed: the limit."
    )
    yield Drawing("looked-at", "Goal and limits", one.name, caption, figure, frame)


def _called(variable: Variable) -> str:
    """Name a variable's axis."""
    unit = f" [{variable.unit}]" if variable.unit else ""
    return f"{variable.name}{unit}"


def _axis(protocol: Protocol, name: str) -> str:
    """Name the axis of an endpoint's mean."""
    kind = endpoint_kind(protocol, name, "mean")
    return axis_label(
        capital(endpoint_title(protocol, name)), kind, protocol.endpoint(name).unit
    )

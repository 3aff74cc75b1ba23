"""Pairs: two runs side by side, by design, endpoints, contrasts, published, bands."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from vtrial.analysis.estimates import Estimates
from vtrial.protocol.periods import as_shown
from vtrial.protocol.protocol import Protocol
from vtrial.report.computed import computed_lines
from vtrial.report.design import (
    ArmWords,
    Line,
    arm_title,
    arms_in_words,
    comparison_in_words,
    design_lines,
    effect_words,
    endpoint_in_words,
    endpoint_title,
    visit_in_words,
)
from vtrial.report.drawing import Drawing, house_style
from vtrial.report.frames import each_row
from vtrial.report.gallery import MOST_FIGURES, hang
from vtrial.report.overlay import draw_overlay
from vtrial.report.page import FIGURES, TABLES, put, template, write_tables
from vtrial.report.tables import (
    MARKS,
    Cell,
    Table,
    contrast_kind,
    contrast_unit,
    endpoint_kind,
    make_table,
    published_words,
)
from vtrial.report.words import (
    MISSING,
    Kind,
    amount,
    as_given,
    capital,
    error_words,
    interval,
)

PAIR = "compare.html"
_KEYS = {
    "endpoints": ["arm", "endpoint", "statistic"],
    "contrasts": ["arm", "reference", "endpoint", "by", "adjust"],
    "published": ["words"],
}
_HEADINGS = ("What differs in the design", "Endpoints", "Comparisons", "Published")
_ALWAYS = {"Started", "Finished", "Seconds"}  # no two runs agree in these
_CLOSE = 2.0  # Monte Carlo errors: what differs by less may be chance


class Run(NamedTuple):
    """One run: what it saw, what it was asked, and its record's attributes."""

    estimates: Estimates
    protocol: Protocol
    attributes: Mapping[str, object]

    @property
    def name(self) -> str:
        """The protocol's name, and the head of the record's digest if it has one."""
        digest = str(self.attributes.get("digest", ""))[:8]
        return f"{self.protocol.name} {digest}".strip()


def juxtapose(
    first: Run, second: Run, folder: str | Path, *, png: bool = False
) -> Path:
    """Write a page that lays two runs side by side; return it.

    `compare.html`, `figures/` and `tables/` are written into the folder. Differences
    are the second less the first, with the Monte Carlo error of two independent runs.
    """
    folder = Path(folder)
    runs = (first, second)
    frames = differences(first, second)
    write_tables({f"compared_{k}": v for k, v in frames.items()}, folder / TABLES)
    with house_style():
        shown = hang({"bands": _overlays(runs)}, folder / FIGURES, png=png)
    sections = (("answer", "Runs"), ("design", "Design"), ("endpoints", "Endpoints"))
    sections += (("contrasts", "Comparisons"), ("published", "Published"))
    page = template(PAIR).render(
        title=f"{_title(first)} and {_title(second)}",
        subtitle=f"A: {first.name}. B: {second.name}.",
        sections=(*sections, ("bands", "Over time")),
        runs=[Line(letter, run.name) for letter, run in zip("AB", runs, strict=True)],
        counted=_counted(frames),
        design=_design_table(frames["design"]),
        tables={name: _table(runs, name, frames[name]) for name in _KEYS},
        figures=shown,
    )
    return put(folder / PAIR, page)


def differences(first: Run, second: Run) -> dict[str, pd.DataFrame]:
    """Return what differs as tables: `design`, `endpoints`, `contrasts`, `published`.

    `design` has the lines that differ, `a` and `b`. The others have a row for each
    number of either run: its keys, `a`, `b`, `difference` (b less a), `mc_error` (of
    the difference, the runs taken as independent) and `unit`; NaN where a run lacks it.
    """
    runs = (first, second)
    named = [published_words(run.protocol, run.estimates.published) for run in runs]
    named = [frame.rename(columns={"simulated": "estimate"}) for frame in named]
    return {
        "design": _design(runs),
        "endpoints": _joined([run.estimates.endpoints for run in runs], "endpoints"),
        "contrasts": _joined([run.estimates.contrasts for run in runs], "contrasts"),
        "published": _joined(named, "published"),
    }


def differences_in_words(first: Run, second: Run) -> dict[str, pd.DataFrame]:
    """Return what differs as tables of words, by their titles, for a terminal.

    Tables without a row are left out.
    """
    frames = differences(first, second)
    tables = [_design_table(frames["design"])]
    tables += [_table((first, second), name, frames[name]) for name in _KEYS]
    named = zip(_HEADINGS, tables, strict=True)
    return {title: _in_words(table) for title, table in named if table is not None}


def _in_words(table: Table) -> pd.DataFrame:
    """Write a page's table as one of plain words."""
    rows = [
        [f"{cell.text} ({cell.small})" if cell.small else cell.text for cell in row]
        for row in table.rows
    ]
    return pd.DataFrame(rows, columns=list(table.heads))


def _joined(frames: Sequence[pd.DataFrame], name: str) -> pd.DataFrame:
    """Join two runs' numbers by their keys, in the order of the first, then others."""
    keys = _KEYS[name]
    kept = [*keys, "estimate", "mc_error", "low", "high", "unit"]
    kept += ["published", "verdict", "kind"] if name == "published" else []
    parts = [
        frame[kept].drop_duplicates(keys).set_index(keys).add_suffix(f"_{letter}")
        for frame, letter in zip(frames, "ab", strict=True)
    ]
    order = list(dict.fromkeys([*parts[0].index, *parts[1].index]))
    both = pd.concat([part.reindex(order) for part in parts], axis=1)
    both["a"] = both["estimate_a"].astype(float)
    both["b"] = both["estimate_b"].astype(float)
    both["difference"] = both["b"] - both["a"]
    errors = (both["mc_error_a"].astype(float), both["mc_error_b"].astype(float))
    both["mc_error"] = np.hypot(*errors)
    both["unit"] = both["unit_a"].where(both["unit_a"].notna(), both["unit_b"])
    other = both["unit_b"].notna() & (both["unit_b"] != both["unit"])
    both.loc[other, ["difference", "mc_error"]] = math.nan  # of another unit
    ends = [f"{end}_{letter}" for letter in "ab" for end in ("low", "high")]
    extra = [
        c for c in both if str(c).split("_")[0] in {"published", "verdict", "kind"}
    ]
    columns = ["a", "b", "difference", "mc_error", "unit", *ends, *extra]
    if not order:
        return pd.DataFrame(columns=[*keys, *columns])
    return both[columns].rename_axis(keys).reset_index()


def _lines(run: Run) -> dict[str, str]:
    """Return a whole design and how it was computed, every line under its name."""
    protocol = as_shown(run.protocol)
    lines = [(line.name, line.words) for line in design_lines(protocol)]
    lines += [(f"Arm {a.name}", _said(a)) for a in arms_in_words(protocol)]
    lines += [(f"Visit {v.name}", visit_in_words(protocol, v)) for v in protocol.visits]
    lines += [
        (f"Endpoint {point.name}", endpoint_in_words(protocol, point))
        for point in protocol.endpoints
    ]
    lines += [
        (f"Comparison {c.name}", comparison_in_words(protocol, c))
        for c in protocol.analysis.comparisons
    ]
    computed = computed_lines(protocol, run.attributes)
    return dict(lines) | {line.name: line.words for line in computed}


def _said(arm: ArmWords) -> str:
    """Return an arm's title and treatment."""
    return arm.treatment if arm.title == arm.name else f"{arm.title}: {arm.treatment}"


def _design(runs: Sequence[Run]) -> pd.DataFrame:
    """Lay down the lines of two designs that differ."""
    first, second = (_lines(run) for run in runs)
    names = dict.fromkeys([*first, *second])
    rows = [
        (name, first.get(name, MISSING), second.get(name, MISSING))
        for name in names
        if first.get(name) != second.get(name) and name not in _ALWAYS
    ]
    return pd.DataFrame(rows, columns=["line", "a", "b"])


def _design_table(frame: pd.DataFrame) -> Table | None:
    """Lay down the differing lines for the page."""
    rows = [(str(row.line), str(row.a), str(row.b)) for row in each_row(frame)]
    caption = "The lines of design and computation that differ; all others agree."
    if not rows:
        return None
    return make_table("design", caption, ("Line", "A", "B"), rows, words=3)


def _table(runs: Sequence[Run], name: str, frame: pd.DataFrame) -> Table | None:
    """Lay down numbers of both runs, and their difference, for the page."""
    if frame.empty:
        return None
    rows = [_row(runs, name, row) for row in each_row(frame)]
    heads = {
        "endpoints": ["Endpoint", "Arm"],
        "contrasts": ["Comparison", "Endpoint", "By"],
        "published": ["What", "Published"],
    }[name]
    words = len(heads)
    caption = (
        "Difference: B less A, with its Monte Carlo standard error as of independent "
        "runs; runs with the same seed share random numbers, and their difference is "
        "then known better. Marked: more than two of these errors."
    )
    return make_table(
        name, caption, [*heads, "A", "B", "Difference"], rows, words=words
    )


def _row(runs: Sequence[Run], name: str, row: Any) -> list[Cell]:
    """Write one number of both runs, and their difference."""
    named = [as_shown(run.protocol) for run in runs]
    protocol = next(one for one in named if _knows(one, row))
    if name == "endpoints":
        kind = endpoint_kind(protocol, row.endpoint, row.statistic)
        unit = row.unit
        title = capital(endpoint_title(protocol, row.endpoint))
        lead = (Cell(title, row.statistic), Cell(arm_title(protocol, row.arm)))
    elif name == "contrasts":
        kind = contrast_kind(protocol, row.endpoint, row.by)
        unit = contrast_unit(row.by, row.unit)
        arms = " with ".join(arm_title(protocol, a) for a in (row.arm, row.reference))
        said = f"adjusted for {row.adjust}" if row.adjust else ""
        titled = Cell(capital(endpoint_title(protocol, row.endpoint)))
        lead = (Cell(arms), titled, Cell(effect_words(row.by), said))
    else:
        known = row.kind_a if isinstance(row.kind_a, str) else row.kind_b
        kind = cast(Kind, known)
        unit = row.unit
        aims = [p for p in (row.published_a, row.published_b) if math.isfinite(p)]
        shown = dict.fromkeys(as_given(aim, kind, unit) for aim in aims)
        lead = (Cell(row.words), Cell(" / ".join(shown)))
    return [*lead, *_both(row, kind, unit, judged=name == "published")]


def _knows(protocol: Protocol, row: Any) -> bool:
    """Return whether a protocol names a row's arm and endpoint."""
    arms = {"", *(arm.name for arm in protocol.arms)}
    compared = protocol.analysis.comparisons
    arms |= {side for one in compared for side in (one.arm, one.reference)}
    points = {"", *(point.name for point in protocol.endpoints)}
    return getattr(row, "arm", "") in arms and getattr(row, "endpoint", "") in points


def _both(row: Any, kind: Kind, unit: str, *, judged: bool) -> list[Cell]:
    """Write A, B and their difference."""
    cells = []
    for letter in "ab":
        value = getattr(row, letter)
        low, high = (getattr(row, f"{end}_{letter}") for end in ("low", "high"))
        small, mark = "", ""
        if judged and math.isfinite(value):
            small = str(getattr(row, f"verdict_{letter}"))
            mark = MARKS[small]
        elif math.isfinite(low) and math.isfinite(high):
            small = interval(low, high, kind, error=row.mc_error)
        cells.append(Cell(amount(value, row.mc_error, kind, unit), small, mark))
    apart: Kind = "points" if kind == "share" else kind
    unit = "pp" if unit == "%" else unit
    error = row.mc_error
    off = math.isfinite(error) and abs(row.difference) > _CLOSE * error
    said = f"± {error_words(error, apart)}" if math.isfinite(error) else ""
    words = amount(row.difference, error, apart, unit)
    return [*cells, Cell(words, said, "warn" if off else "")]


def _counted(frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return how much differs, a sentence each."""
    lines = len(frames["design"])
    verb = "line differs" if lines == 1 else "lines differ"
    said = [f"{lines or 'No'} {verb} in design and computation."]
    for name, thing in (("endpoints", "endpoint"), ("contrasts", "comparison")):
        frame = frames[name]
        known = frame[np.isfinite(frame["difference"].astype(float))]
        off = known["difference"].abs() > _CLOSE * known["mc_error"]
        total = len(known)
        said.append(
            f"{int(off.sum())} of {total} {thing} number{'s'[: total != 1]} in both "
            f"{'differ' if total != 1 else 'differs'} by more than {_CLOSE:g} Monte "
            "Carlo errors."
        )
    return said


def _title(run: Run) -> str:
    return run.protocol.title or run.protocol.name


def _overlays(runs: Sequence[Run]) -> Iterator[Drawing]:
    """Draw the bands of each output over each other."""
    frames = [run.estimates.bands for run in runs]
    outputs = dict.fromkeys([*frames[0]["output"], *frames[1]["output"]])
    for output in list(outputs)[:MOST_FIGURES]:
        pair = [frame[frame["output"] == output] for frame in frames]
        yield from draw_overlay(runs[0].protocol, runs[1].protocol, str(output), pair)

"""The answer as a small table: endpoints and effects by arm, and what was published."""

from typing import Any, NamedTuple

import pandas as pd

from vtrial.analysis.estimates import centre_of
from vtrial.protocol.protocol import Protocol
from vtrial.protocol.subset import write_where
from vtrial.report.design import (
    arm_title,
    effect_words,
    endpoint_title,
    where_words,
)
from vtrial.report.frames import each_row
from vtrial.report.tables import (
    MARKS,
    MOST_ACROSS,
    Cell,
    Note,
    Table,
    contrast_kind,
    contrast_unit,
    endpoint_kind,
    make_table,
)
from vtrial.report.words import amount, as_given, capital, interval, number

MOST_ENDPOINTS, MOST_ASIDE = 6, 3  # the fewer where arms lie down the table


class Part(NamedTuple):
    """An endpoint, or an effect on it: its name, a smaller one, and a cell an arm."""

    title: str
    small: str
    cells: dict[str, Cell]


def ordered_endpoints(protocol: Protocol, frame: pd.DataFrame) -> list[str]:
    """List endpoints: those compared first, then those published, then all others.

    The first of them is the one by which a report answers.
    """
    asked = [c.endpoint for c in protocol.analysis.comparisons]
    asked += [point.endpoint for point in protocol.evidence.published]
    there = list(dict.fromkeys(str(name) for name in frame["endpoint"]))
    return list(dict.fromkeys([name for name in [*asked, *there] if name in there]))


def told_by(protocol: Protocol, frame: pd.DataFrame, endpoint: str) -> pd.DataFrame:
    """Pick the rows of the one statistic by which an endpoint is told."""
    rows = frame[frame["endpoint"] == endpoint]
    event = any(point.name == endpoint and point.event for point in protocol.endpoints)
    return rows[rows["statistic"] == centre_of(list(rows["statistic"]), event=event)]


def answer_table(
    protocol: Protocol,
    endpoints: pd.DataFrame,
    contrasts: pd.DataFrame,
    published: pd.DataFrame,
) -> Table | None:
    """Lay endpoints and effects down and arms across; or the other way if many arms."""
    names = ordered_endpoints(protocol, endpoints)
    if not names:
        return None
    arms = [arm.name for arm in protocol.arms if arm.name in set(endpoints["arm"])]
    across = len(arms) <= MOST_ACROSS
    most = MOST_ENDPOINTS if across else MOST_ASIDE
    parts = []
    for name in names[:most]:
        rows = told_by(protocol, endpoints, name)
        parts.append(_endpoint(protocol, rows, published))
        parts += _effects(protocol, contrasts, name, published)
    caption = _caption(contrasts, published, len(names) - most)
    titles = [arm_title(protocol, arm) for arm in arms]
    blank = Cell("")
    if across:
        lead = [Cell(p.title, p.small) for p in parts]
        body = [[part.cells.get(arm, blank) for arm in arms] for part in parts]
        rows = [[one, *cells] for one, cells in zip(lead, body, strict=True)]
        return make_table("answer", caption, ["Endpoint", *titles], rows)
    heads = ["Arm", *(capital(f"{p.title} {p.small}".strip()) for p in parts)]
    rows = [
        [title, *(part.cells.get(arm, blank) for part in parts)]
        for title, arm in zip(titles, arms, strict=True)
    ]
    return make_table("answer", caption, heads, rows)


def _endpoint(protocol: Protocol, rows: pd.DataFrame, published: pd.DataFrame) -> Part:
    """Write one statistic of an endpoint for each arm."""
    name, statistic = str(rows["endpoint"].iloc[0]), str(rows["statistic"].iloc[0])
    kind = endpoint_kind(protocol, name, statistic)
    seen = published[(published["endpoint"] == name) & (published["comparison"] == "")]
    seen = seen[(seen["statistic"] == statistic) & (seen["where"] == "")]
    cells = {
        row.arm: Cell(
            amount(row.estimate, row.mc_error, kind, row.unit),
            notes=_notes(seen[seen["arm"] == row.arm]),
        )
        for row in each_row(rows)
    }
    said = "" if kind == "share" else statistic
    return Part(capital(endpoint_title(protocol, name)), said, cells)


def _effects(
    protocol: Protocol, contrasts: pd.DataFrame, endpoint: str, published: pd.DataFrame
) -> list[Part]:
    """Write the effects on an endpoint: one part for each reference and measure."""
    asked = {c.name: c for c in protocol.analysis.comparisons}
    known = {arm.name for arm in protocol.arms}
    found: dict[str, dict[str, Cell]] = {}
    for row in each_row(contrasts[contrasts["endpoint"] == endpoint]):
        if not {row.arm, row.reference} <= known:
            continue  # of a factor, which has no column
        where = asked[row.comparison].where if row.comparison in asked else None
        title = f"{effect_words(row.by)} against {arm_title(protocol, row.reference)}"
        title += f", adjusted for {row.adjust}" if row.adjust else ""
        if where is not None:
            title += (
                f", where {where_words(protocol, write_where(where, protocol.words))}"
            )
        cells = found.setdefault(title, {row.reference: Cell("", "reference")})
        cells[row.arm] = _effect(protocol, row, published)
    return [Part("", title, cells) for title, cells in found.items()]


def _effect(protocol: Protocol, row: Any, published: pd.DataFrame) -> Cell:
    """Write one effect with its interval, and what was published of it."""
    kind, unit = (
        contrast_kind(protocol, row.endpoint, row.by),
        contrast_unit(row.by, row.unit),
    )
    return Cell(
        amount(row.estimate, row.mc_error, kind, unit),
        interval(row.low, row.high, kind, unit, error=row.mc_error),
        notes=_notes(published[published["comparison"] == row.comparison]),
    )


def _notes(rows: pd.DataFrame) -> tuple[Note, ...]:
    """Write what was published, with the verdict on what was simulated."""
    return tuple(
        Note(
            f"published {as_given(row.published, row.kind, row.unit)}: "
            f"{row.verdict.lower()}",
            MARKS[row.verdict],
        )
        for row in each_row(rows)
    )


def _caption(contrasts: pd.DataFrame, published: pd.DataFrame, left: int) -> str:
    """Return how the table is read, and how many endpoints it leaves out."""
    said = []
    if len(contrasts):
        level = number(100 * float(contrasts["level"].iloc[0]), 4)
        single = "confidence" in set(contrasts["interval"])
        held = f"its {level} % confidence interval"
        spread = (
            held if single else f"the interval that holds {level} % of single trials"
        )
        said.append(f"Below an effect: {spread}.")
    if len(published):
        said.append(
            "Published numbers: within, missed, or undecided by too few replicates; "
            "their ranges and sources are under Published."
        )
    if left > 0:
        are = "endpoints are" if left > 1 else "endpoint is"
        said.append(f"{left} more {are} under Endpoints.")
    return " ".join(said) or "Estimates by arm."

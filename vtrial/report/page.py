"""Render Estimates as one HTML page, with its figures and tables beside it.

The picture of a report (README) is made of the page by any Chromium::

    chromium --headless --no-sandbox --disable-gpu --hide-scrollbars \
        --window-size=1200,1650 --screenshot=docs/pictures/docetaxel-dose.png \
        "file://$(echo $PWD/results/docetaxel-dose-*/report.html)"
"""

import importlib.metadata
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from vtrial.analysis.estimates import Estimates
from vtrial.protocol.protocol import Protocol
from vtrial.report.answer import answer_in_words
from vtrial.report.computed import (
    computed_lines,
    observed_list,
    sheets_given,
    sources_list,
)
from vtrial.report.design import (
    Line,
    arms_in_words,
    design_lines,
    endpoint_in_words,
    size_in_words,
    visit_in_words,
)
from vtrial.report.drawing import Drawing, house_style, keep
from vtrial.report.figures import (
    MOST_FIGURES,
    MOST_ROWS,
    Bars,
    draw_bands,
    draw_contrasts,
    draw_distribution,
    draw_flow,
    draw_published,
    draw_shares,
)
from vtrial.report.flow import flow_of, flow_table
from vtrial.report.frames import each_row
from vtrial.report.tables import (
    comparisons_list,
    contrast_kind,
    contrasts_table,
    endpoint_kind,
    endpoints_table,
    failures_table,
    interval_in_words,
    published_table,
    published_words,
)

PAGE, FIGURES, TABLES = "report.html", "figures", "tables"
_FRAMES = (
    "flow",
    "endpoints",
    "contrasts",
    "bands",
    "distributions",
    "failures",
    "published",
)
_SECTIONS = (
    ("answer", "Answer"),
    ("published", "Published"),
    ("design", "Design"),
    ("flow", "Flow"),
    ("endpoints", "Endpoints"),
    ("contrasts", "Contrasts"),
    ("bands", "Over time"),
    ("distributions", "Distributions"),
    ("failures", "Failures"),
    ("computed", "Computed"),
    ("sources", "Sources"),
)


class Shown(NamedTuple):
    """A figure in the page."""

    title: str
    caption: str
    svg: Markup


def render(
    estimates: Estimates,
    protocol: Protocol,
    folder: str | Path,
    *,
    attributes: Mapping[str, object],
) -> Path:
    """Write `report.html`, `figures/` and `tables/` into a folder; return the page.

    `attributes` are those of the record: what the page tells of how it was computed.
    The page needs no other file and no network, and is never seen half-written. The
    same arguments give the same bytes.
    """
    folder = Path(folder)
    frames = {name: getattr(estimates, name) for name in _FRAMES}
    write_tables(frames, folder / TABLES)
    frames["published"] = published_words(protocol, frames["published"])
    with house_style():
        drawn = draw_all(frames, protocol, folder / FIGURES)
    page = write_page(frames, protocol, drawn, attributes)
    return _put(folder / PAGE, page)


def write_tables(frames: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Write every table as CSV, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        _put(folder / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))


def _put(path: Path, text: str) -> Path:
    """Write a file under another name, then give it its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8", newline="\n")
    return draft.replace(path)


def draw_all(
    frames: Mapping[str, pd.DataFrame], protocol: Protocol, folder: Path
) -> dict[str, list[Shown]]:
    """Draw and keep every figure; return them by the section they stand in."""
    walks = {
        "flow": _flow(frames, protocol),
        "published": _published(frames, protocol),
        "contrasts": _contrasts(frames, protocol),
        "bands": _bands(frames, protocol),
        "distributions": _distributions(frames, protocol),
    }
    shown: dict[str, list[Shown]] = {section: [] for section in walks}
    taken: dict[str, int] = {}
    for section, drawings in walks.items():
        for drawing in drawings:
            name = drawing.name
            taken[name] = taken.get(name, 0) + 1
            if taken[name] > 1:  # names that differ only in what a file's name drops
                drawing = drawing._replace(name=f"{name}--{taken[name]}")
            svg = Markup(keep(drawing, folder))
            shown[section].append(Shown(drawing.title, drawing.caption, svg))
    return shown


def _flow(frames: Mapping[str, pd.DataFrame], protocol: Protocol) -> Iterator[Drawing]:
    yield draw_flow(protocol, flow_of(protocol, frames["flow"]))


def _published(
    frames: Mapping[str, pd.DataFrame], protocol: Protocol
) -> Iterator[Drawing]:
    """Draw published numbers of a kind and unit together."""
    groups = frames["published"].groupby(["kind", "unit"], sort=False)
    for _, rows in groups:
        yield draw_published(rows.head(MOST_ROWS))


def _contrasts(
    frames: Mapping[str, pd.DataFrame], protocol: Protocol
) -> Iterator[Drawing]:
    """Draw contrasts by the same measure in the same unit together."""
    frame = frames["contrasts"]
    if frame.empty:
        return
    kinds = [
        contrast_kind(protocol, endpoint, by)
        for endpoint, by in zip(frame["endpoint"], frame["by"], strict=True)
    ]
    units = [
        "1" if "ratio" in by else u
        for by, u in zip(frame["by"], frame["unit"], strict=True)
    ]
    frame = frame.assign(kind=kinds, unit=units)
    for _, rows in frame.groupby(["by", "kind", "unit"], sort=False):
        yield draw_contrasts(protocol, rows.head(MOST_ROWS))


def _bands(frames: Mapping[str, pd.DataFrame], protocol: Protocol) -> Iterator[Drawing]:
    """Draw every output's bands."""
    groups = frames["bands"].groupby("output", sort=False)
    for output, rows in list(groups)[:MOST_FIGURES]:
        yield from draw_bands(protocol, str(output), rows)


def _distributions(
    frames: Mapping[str, pd.DataFrame], protocol: Protocol
) -> Iterator[Drawing]:
    """Draw shares together, then each other endpoint's histogram."""
    shares = _shares(frames["endpoints"], protocol)
    for start in range(0, len(shares), MOST_ROWS):
        name = "responders" if not start else f"responders-{start // MOST_ROWS + 1}"
        yield draw_shares(protocol, shares.iloc[start : start + MOST_ROWS], name)
    binary = {point.name for point in protocol.endpoints if point.binary}
    groups = frames["distributions"].groupby("endpoint", sort=False)
    others = [(name, rows) for name, rows in groups if name not in binary]
    for endpoint, rows in others[:MOST_FIGURES]:
        bars = [
            Bars(str(arm), _edges(one), one["share"].to_numpy(float))
            for arm, one in rows.groupby("arm", sort=False)
        ]
        yield draw_distribution(
            protocol, str(endpoint), str(rows["unit"].iloc[0]), bars
        )


def _edges(rows: pd.DataFrame) -> np.ndarray:
    """Return the edges of adjoining bins."""
    edges = np.append(rows["low"].to_numpy(float), float(rows["high"].iloc[-1]))
    inside = edges[np.isfinite(edges)]
    wide = np.diff(inside).max(initial=0.0) or 1.0
    return np.clip(edges, inside.min() - wide, inside.max() + wide)


def _shares(frame: pd.DataFrame, protocol: Protocol) -> pd.DataFrame:
    """Pick the shares of responders, one a row."""
    picked = [
        endpoint_kind(protocol, row.endpoint, row.statistic) == "share"
        and row.statistic != "sd"
        for row in each_row(frame)
    ]
    return frame[np.asarray(picked, bool)].drop_duplicates(["arm", "endpoint"])


def write_page(
    frames: Mapping[str, pd.DataFrame],
    protocol: Protocol,
    drawn: Mapping[str, list[Shown]],
    attributes: Mapping[str, object],
) -> str:
    """Fill the template."""
    flow = flow_of(protocol, frames["flow"])
    failed = sum(arm.failed for arm in flow.arms)
    simulated = sum(arm.simulated for arm in flow.arms)
    tables = {name: frames[name] for name in ("endpoints", "contrasts", "published")}
    version = importlib.metadata.version("vtrial")
    answer = answer_in_words(protocol, **tables, failed=failed, simulated=simulated)
    return _template().render(
        title=protocol.title or protocol.name,
        subtitle=f"{protocol.name}: {size_in_words(protocol)}",
        sections=_SECTIONS,
        answer=answer,
        published=_if_any(published_table, frames["published"]),
        design=design_lines(protocol),
        arms=arms_in_words(protocol),
        visits=[Line(v.name, visit_in_words(protocol, v)) for v in protocol.visits],
        endpoint_lines=[
            Line(point.title or point.name, endpoint_in_words(protocol, point))
            for point in protocol.endpoints
        ],
        comparisons=comparisons_list(protocol),
        flow=flow_table(protocol, flow),
        endpoints=_if_any(lambda f: endpoints_table(protocol, f), frames["endpoints"]),
        contrasts=_if_any(lambda f: contrasts_table(protocol, f), frames["contrasts"]),
        failures=_if_any(lambda f: failures_table(protocol, f), frames["failures"]),
        interval_note=interval_in_words(frames["endpoints"]),
        contrast_note=interval_in_words(frames["contrasts"]),
        figures=drawn,
        notes=_notes(frames, protocol),
        observed=observed_list(protocol),
        computed=computed_lines(protocol, attributes),
        sheets=sheets_given(protocol, attributes),
        sources=sources_list(protocol),
        digest=str(attributes.get("digest", protocol.digest)),
        version=version,
    )


def _if_any(make: object, frame: pd.DataFrame) -> object:
    """Make a table of a frame that has rows."""
    return make(frame) if len(frame) else None  # type: ignore[operator]


def _notes(
    frames: Mapping[str, pd.DataFrame], protocol: Protocol
) -> dict[str, list[str]]:
    """Say what was left out of the figures; the tables hold it all."""
    outputs = frames["bands"]["output"].nunique()
    binary = {point.name for point in protocol.endpoints if point.binary}
    others = len(set(frames["distributions"]["endpoint"]) - binary)
    said = "{} of {} are drawn; all are in tables/{}.csv."
    return {
        "bands": [said.format(MOST_FIGURES, outputs, "bands")]
        if outputs > MOST_FIGURES
        else [],
        "distributions": [said.format(MOST_FIGURES, others, "distributions")]
        if others > MOST_FIGURES
        else [],
    }


def _template() -> jinja2.Template:
    """Load the page's template; all it is given is escaped, but for the figures."""
    folder = Path(__file__).parent / "templates"
    house = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    return house.get_template(PAGE)

"""Render Estimates as one HTML page, with its figures and tables beside it.

The picture of a report (README) is made of the page by any Chromium; PROTOCOL is
`docetaxel-dose` or another's name, and `preferredColorScheme` 0 makes it dark::

    chromium --headless --no-sandbox --disable-gpu --hide-scrollbars \
        --blink-settings=preferredColorScheme=1 --window-size=1200,1650 \
        --screenshot=docs/pictures/PROTOCOL.png \
        "file://$(echo $PWD/results/PROTOCOL-*/report.html)"
"""

import base64
import hashlib
import importlib.metadata
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jinja2
import pandas as pd
from markupsafe import Markup

from vtrial.analysis.estimates import Estimates
from vtrial.protocol.periods import as_shown
from vtrial.protocol.protocol import Protocol
from vtrial.report.answer import answer_in_words
from vtrial.report.answer_table import answer_table
from vtrial.report.balance import balance_table, sites_table
from vtrial.report.bands import not_drawn
from vtrial.report.borrowed import priors_table
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
    output_title,
    size_in_words,
    visit_in_words,
)
from vtrial.report.drawing import house_style
from vtrial.report.enacted import (
    enacted_table,
    enacted_words,
    enactment_lines,
    looks_table,
    ordered_table,
    sizes_table,
)
from vtrial.report.escalated import escalated_table, escalated_words
from vtrial.report.flow import flow_of, flow_table
from vtrial.report.gallery import (
    MOST_DETAILS,
    MOST_FIGURES,
    Shown,
    draw_all,
    on_or_off,
)
from vtrial.report.gist import answering_figure, gists_of
from vtrial.report.ledger import doses_table, rules_table
from vtrial.report.rules import rules_lines
from vtrial.report.sheet_time import in_sheet_time
from vtrial.report.tables import (
    comparisons_list,
    contrasts_table,
    departed_table,
    endpoints_tables,
    failures_table,
    fallbacks_table,
    interval_in_words,
    published_table,
    published_words,
    stopped_table,
)
from vtrial.report.words import capital
from vtrial.report.worth import details_table, operating_table

_TEMPLATES = Path(__file__).parent / "templates"
PAGE, FIGURES, TABLES = "report.html", "figures", "tables"
_FRAMES = (
    "flow",
    "endpoints",
    "missing",
    "contrasts",
    "bands",
    "distributions",
    "failures",
    "fallbacks",
    "departed",
    "stopped",
    "published",
    "curves",
    "operating",
    "details",
    "fitted",
    "convergence",
    "subgroups",
    "explained",
    "persons",
    "predictive",
    "predictive_events",
    "predictive_shares",
    "courses",
    "proportions",
    "rules",
    "doses",
    "given",
    "enacted",
    "looks",
    "decided",
    "allocated",
    "sites",
    "balance",
    "escalated",
)
_SECTIONS = (
    ("answer", "Answer"),
    ("design", "Design"),
    ("flow", "Flow"),
    ("contrasts", "Comparisons"),
    ("enacted", "Enacted"),
    ("bands", "Over time"),
    ("ledger", "Doses given"),
    ("published", "Published"),
    ("endpoints", "Endpoints"),
    ("dose", "Dose"),
    ("survival", "Survival"),
    ("subgroups", "Subgroups"),
    ("operating", "Operating characteristics"),
    ("predictive", "Predictive checks"),
    ("distributions", "Distributions"),
    ("persons", "Subjects"),
    ("explained", "Explanations"),
    ("failures", "Failures"),
    ("computed", "Computation"),
    ("sources", "Sources"),
)
_IF_ANY = {  # sections that stand only where one of these has something to show
    "dose": ("dose",),
    "survival": ("survival",),
    "subgroups": ("subgroups", "attainment"),
    "operating": ("convergence",),
    "predictive": ("predictive", "predictive_events", "predictive_shares"),
    "persons": ("persons",),
    "explained": ("explained",),
}
_DRAWN = {  # a section's frame, and what its figures are of
    "bands": ("bands", "output"),
    "courses": ("courses", "output"),
    "survival": ("curves", "endpoint"),
    "predictive": ("predictive", "output"),
    "predictive_events": ("predictive_events", "endpoint"),
    "predictive_shares": ("predictive_shares", "of"),
    "convergence": ("convergence", "comparison"),
    "explained": ("explained", "endpoint"),
}


def render(
    estimates: Estimates,
    protocol: Protocol,
    folder: str | Path,
    *,
    attributes: Mapping[str, object],
    png: bool = False,
) -> Path:
    """Write `report.html`, `figures/` and `tables/` into a folder; return the page.

    `attributes` are those of the record: what the page tells of how it was computed.
    Figures are written as SVG, and as PNG if it is asked for.
    The page needs no other file and no network, and is never seen half-written. The
    same arguments give the same bytes.
    """
    folder = Path(folder)
    frames = {name: getattr(estimates, name) for name in _FRAMES}
    write_tables(frames, folder / TABLES)
    frames, protocol = in_sheet_time(frames, as_shown(protocol))
    frames["published"] = published_words(protocol, frames["published"])
    with house_style():
        drawn = draw_all(frames, protocol, folder / FIGURES, png=png)
    page = write_page(frames, protocol, drawn, attributes)
    return put(folder / PAGE, page)


def write_tables(frames: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Write every table as CSV, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        put(folder / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))


def put(path: Path, text: str) -> Path:
    """Write a file under another name, then give it its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8", newline="\n")
    return draft.replace(path)


def write_page(
    frames: Mapping[str, pd.DataFrame],
    protocol: Protocol,
    drawn: Mapping[str, list[Shown]],
    attributes: Mapping[str, object],
) -> str:
    """Fill the template."""
    flow = flow_of(protocol, frames["flow"])
    tables = {name: frames[name] for name in ("endpoints", "contrasts", "published")}
    answer, *warnings = answer_in_words(protocol, **tables, flow=flow)
    figure, drawn = answering_figure(protocol, frames["endpoints"], drawn)
    sources = sources_list(protocol)
    return template(PAGE).render(
        title=protocol.title or protocol.name,
        subtitle=f"{protocol.name}: {size_in_words(protocol)}",
        sections=_sections(frames, drawn),
        answer=answer.words,
        warnings=warnings,
        answered=answer_table(protocol, **tables),
        figure=figure,
        published=_if_any(published_table, frames["published"]),
        design=design_lines(protocol),
        arms=arms_in_words(protocol),
        rules=rules_lines(protocol),
        visits=[Line(v.name, visit_in_words(protocol, v)) for v in protocol.visits],
        endpoint_lines=[
            Line(capital(point.title or point.name), endpoint_in_words(protocol, point))
            for point in protocol.endpoints
        ],
        comparisons=comparisons_list(protocol),
        flow=flow_table(protocol, flow),
        departed=_if_any(lambda f: departed_table(protocol, f), frames["departed"]),
        stopped=_if_any(lambda f: stopped_table(protocol, f), frames["stopped"]),
        balance=_if_any(lambda f: balance_table(protocol, f), frames["balance"]),
        endpoints=_if_any(
            lambda f: endpoints_tables(protocol, f, frames["missing"]),
            frames["endpoints"],
        ),
        contrasts=_if_any(lambda f: contrasts_table(protocol, f), frames["contrasts"]),
        details=_if_any(details_table, frames["details"]),
        failures=_if_any(lambda f: failures_table(protocol, f), frames["failures"]),
        fallbacks=_if_any(lambda f: fallbacks_table(protocol, f), frames["fallbacks"]),
        acts=_if_any(lambda f: rules_table(protocol, f), frames["rules"]),
        doses=_if_any(lambda f: doses_table(protocol, f), frames["doses"]),
        course=enactment_lines(protocol),
        enacted=_enacted(frames, protocol),
        interval_note=interval_in_words(frames["endpoints"]),
        contrast_note=interval_in_words(frames["contrasts"]),
        operating=_if_any(lambda f: operating_table(protocol, f), frames["operating"]),
        figures=drawn,
        notes=_notes(frames, protocol),
        gists=gists_of(frames, protocol, sources=len(sources)),
        observed=observed_list(protocol),
        computed=computed_lines(protocol, attributes),
        sheets=sheets_given(protocol, attributes),
        sources=sources,
        digest=str(attributes.get("digest", protocol.digest)),
    )


def _if_any(make: object, frame: pd.DataFrame) -> object:
    """Make a table of a frame that has rows."""
    return make(frame) if len(frame) else None  # type: ignore[operator]


def _enacted(
    frames: Mapping[str, pd.DataFrame], protocol: Protocol
) -> tuple[str, list[object]]:
    """Say how enacted trials went, and lay it down; nothing if none were."""
    frame, climbed = frames["enacted"], frames["escalated"]
    if len(climbed):
        return escalated_words(protocol, climbed), [escalated_table(protocol, climbed)]
    if not len(frame):
        return "", []
    tables: list[object] = [
        looks_table(protocol, frames["looks"], frames["decided"]),
        sizes_table(protocol, frame, frames["allocated"]),
    ]
    if len(frames["sites"]):
        tables.append(sites_table(frames["sites"]))
    if protocol.analysis.comparisons:
        ordered = ordered_table(protocol, frame)
        priors = priors_table(protocol, frame)
        more = [one for one in (ordered, priors) if one]
        tables[:0] = [enacted_table(protocol, frame), *more]
    return enacted_words(protocol, frame), tables


def _sections(
    frames: Mapping[str, pd.DataFrame], drawn: Mapping[str, list[Shown]]
) -> list[tuple[str, str]]:
    """List the sections that stand in the page: always, or with something to show."""
    there = {
        name: any(drawn[part] for part in parts) for name, parts in _IF_ANY.items()
    }
    there["ledger"] = bool(len(frames["doses"]))
    there["enacted"] = bool(len(frames["enacted"]) + len(frames["escalated"]))
    there["operating"] = there["operating"] or bool(len(frames["operating"]))
    return [(name, title) for name, title in _SECTIONS if there.get(name, True)]


def _notes(
    frames: Mapping[str, pd.DataFrame], protocol: Protocol
) -> dict[str, list[str]]:
    """Return what was left out of the figures; the tables hold it all."""
    said = "{} of {} are drawn; all are in tables/{}.csv."
    binary = {point.name for point in protocol.endpoints if point.binary}
    totals = {
        section: (frames[frame][column].nunique(), frame)
        for section, (frame, column) in _DRAWN.items()
    }
    others = len(set(frames["distributions"]["endpoint"]) - binary)
    totals["distributions"] = (others, "distributions")
    totals["subgroups"] = (len(protocol.analysis.comparisons), "subgroups")
    most = dict.fromkeys(totals, MOST_FIGURES)
    most |= dict.fromkeys(("convergence", "explained", "subgroups"), MOST_DETAILS)
    notes = {
        section: [said.format(most[section], total, frame)]
        if total > most[section]
        else []
        for section, (total, frame) in totals.items()
    }
    bands = frames["bands"]
    drawn = on_or_off(frames)
    for output, rows in bands.groupby("output", sort=False):
        if output in drawn:
            continue
        said = "Not drawn: “{}” {}; it is in tables/bands.csv."
        title, why = output_title(protocol, str(output)), not_drawn(rows)
        notes["bands"] += [said.format(title, why)] if why else []
    return notes


class Script(NamedTuple):
    """The pages' script, and the digest by which a browser runs no other."""

    text: Markup
    digest: str


def template(name: str) -> jinja2.Template:
    """Load a page's template; all it is given is escaped, but for the figures."""
    house = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    house.globals["script"] = _script()
    house.globals["version"] = importlib.metadata.version("vtrial")
    return house.get_template(name)


def _script() -> Script:
    """Load the script and name it as a Content-Security-Policy does (SHA-256)."""
    text = (_TEMPLATES / "script.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Script(Markup(text), f"sha256-{digest}")

"""The gallery: every figure of a report, drawn, kept, and by its section."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from vtrial.analysis.estimates import CENTRES
from vtrial.protocol.protocol import Protocol
from vtrial.report.answer_table import ordered_endpoints
from vtrial.report.bands import draw_bands, not_drawn
from vtrial.report.convergence import draw_convergence, settles
from vtrial.report.courses import draw_courses
from vtrial.report.design import factors_shown
from vtrial.report.dose import doses_of, draw_dose_response
from vtrial.report.drawing import Drawing, keep, read_off
from vtrial.report.enacted import draw_allocation, draw_decisions
from vtrial.report.escalated import draw_escalation
from vtrial.report.fitted_doses import draw_fitted
from vtrial.report.flow import draw_flow, flow_of
from vtrial.report.forest import draw_contrasts, draw_published, draw_shares
from vtrial.report.frames import each_row
from vtrial.report.histogram import Bars, draw_distribution
from vtrial.report.ledger import draw_given
from vtrial.report.predictive import draw_predictive
from vtrial.report.proportions import draw_proportions
from vtrial.report.subgroups import draw_attainment, draw_subgroups, effects_of
from vtrial.report.subject_plots import draw_lanes, draw_waterfall, is_change, lanes_of
from vtrial.report.survival import draw_survival
from vtrial.report.tables import contrast_kind, contrast_unit, endpoint_kind
from vtrial.report.tornado import draw_tornado
from vtrial.report.vpc_events import draw_predictive_events, draw_predictive_shares

MOST_ROWS = 40
MOST_FIGURES = 24
MOST_FIRST = 2  # outputs that are shown over time before the others
MOST_DETAILS = 8  # figures of one kind in what explains a number
MOST_ARMS = 16  # side by side: every further one takes a panel, and a line in all
Frames = Mapping[str, pd.DataFrame]


class Shown(NamedTuple):
    """A figure in the page, its file's name, and on which of two scales it is.

    `reads` tells the page how values are read off it, if they can be.
    """

    name: str
    title: str
    caption: str
    svg: Markup
    scale: str = ""
    reads: str = ""


def draw_all(
    frames: Frames, protocol: Protocol, folder: Path, *, png: bool = False
) -> dict[str, list[Shown]]:
    """Draw and keep every figure of a report; return them by section."""
    walks: dict[str, Callable[[Frames, Protocol], Iterator[Drawing]]] = {
        "flow": _flow,
        "published": _published,
        "dose": _dose,
        "survival": _survival,
        "contrasts": _contrasts,
        "subgroups": _subgroups,
        "attainment": _attainment,
        "convergence": _convergence,
        "bands": _bands,
        "others": _others,
        "courses": _courses,
        "given": _given,
        "decisions": _decisions,
        "allocation": _allocation,
        "predictive": _predictive,
        "predictive_events": _predictive_events,
        "predictive_shares": _predictive_shares,
        "distributions": _distributions,
        "persons": _persons,
        "explained": _explained,
    }
    frames = _without_helpers(frames, protocol)
    chosen = arms_drawn(protocol)
    few = {name: _of_arms(frame, chosen) for name, frame in frames.items()}
    drawn = {
        name: walk(frames, protocol)
        if name not in _BY_ARM or len(chosen) == len(protocol.arms)
        else _told(walk(few, protocol), protocol)
        for name, walk in walks.items()
    }
    return hang(drawn, folder, png=png)


def _without_helpers(frames: Frames, protocol: Protocol) -> Frames:
    """Leave out covariates that only helped to make the cohort; tables have them."""
    asked = factors_shown(protocol)
    few = {
        name: frames[name][frames[name]["covariate"].isin(asked)]
        for name in ("subgroups", "explained")
    }
    return {**frames, **few}


_BY_ARM = {
    *("survival", "bands", "others", "courses", "predictive", "predictive_events"),
    *("predictive_shares", "distributions", "persons", "given"),
}


def arms_drawn(protocol: Protocol) -> list[str]:
    """Name the arms that figures by arm show: all, or as many as are told apart.

    These are spread evenly over the protocol's order, the first and the last included.
    """
    arms = [arm.name for arm in protocol.arms]
    if len(arms) <= MOST_ARMS:
        return arms
    if protocol.crossover is not None:  # treatments first, then some sequences
        return arms[: max(MOST_ARMS, len(protocol.crossover.treatments))]
    places = np.linspace(0, len(arms) - 1, MOST_ARMS).round().astype(int)
    return [arms[place] for place in places]


def _of_arms(frame: pd.DataFrame, arms: list[str]) -> pd.DataFrame:
    """Take the rows of some arms, and those of no arm."""
    if "arm" not in frame:
        return frame
    return frame[frame["arm"].isin([*arms, ""])]


def _told(drawings: Iterable[Drawing], protocol: Protocol) -> Iterator[Drawing]:
    """Add to captions that figures do not show all arms."""
    words = f" {MOST_ARMS} of {len(protocol.arms)} arms are drawn; the tables hold all."
    for drawing in drawings:
        yield drawing._replace(caption=drawing.caption + words)


def hang(
    walks: Mapping[str, Iterable[Drawing]], folder: Path, *, png: bool = False
) -> dict[str, list[Shown]]:
    """Keep figures in a folder, each under a name of its own, and show them."""
    shown: dict[str, list[Shown]] = {section: [] for section in walks}
    taken: dict[str, int] = {}
    for section, drawings in walks.items():
        for drawing in drawings:
            name = drawing.name
            taken[name] = taken.get(name, 0) + 1
            if taken[name] > 1:  # names that differ only in what a file's name drops
                drawing = drawing._replace(name=f"{name}--{taken[name]}")
            svg = Markup(keep(drawing, folder, png=png))
            words = (drawing.name, drawing.title, drawing.caption)
            reads = read_off(drawing)
            shown[section].append(Shown(*words, svg, drawing.scale, reads))
    return shown


def _groups(
    frame: pd.DataFrame, by: str, most: int = MOST_FIGURES
) -> list[tuple[str, pd.DataFrame]]:
    """Divide a frame in its order, as many parts as are drawn."""
    groups = [(str(name), rows) for name, rows in frame.groupby(by, sort=False)]
    return groups[:most]


def _flow(frames: Frames, protocol: Protocol) -> Iterator[Drawing]:
    yield draw_flow(protocol, flow_of(protocol, frames["flow"]))


def _published(frames: Frames, protocol: Protocol) -> Iterator[Drawing]:
    """Draw published numbers of a kind and unit together."""
    groups = frames["published"].groupby(["kind", "unit"], sort=False)
    for _, rows in groups:
        yield draw_published(rows.head(MOST_ROWS))


def _dose(frames: Frames, protocol: Protocol) -> Iterator[Drawing]:
    """Draw each endpoint over dose, by the first statistic that it has."""
    doses = doses_of(protocol)
    if doses is None:
        return
    for _, rows in _groups(frames["endpoints"], "endpoint"):
        named = [name for name in CENTRES if name in set(rows["statistic"])]
        if named:
            one = rows[rows["statistic"] == named[0]]
            yield draw_dose_response(protocol, doses, one, _seen(frames, one))


def _seen(frames: Frames, rows: pd.DataFrame) -> pd.DataFrame:
    """Pick what was published of whole arms, of the endpoint and statistic of rows."""
    frame, first = frames["published"], rows.iloc[0]
    same = (frame["endpoint"] == first["endpoint"]) & frame["arm"].isin(rows["arm"])
    same &= (frame["comparison"] == "") & (frame["where"] == "")
    return frame[same & (frame["statistic"] == first["statistic"])]


def _survival(frames: Frames, protocol: Protocol) -> Iterator[Drawing]:
    for endpoint, rows in _groups(frames["curves"], "endpoint"):
        yield draw_survival(protocol, endpoint, rows)


def _contrasts(frames: Frames, protocol: Protocol) -> Iterator[Drawing]:
    """Draw contrasts by the same measure in the same unit together."""
    frame = frames["contrasts"]
    if frame.empty:
        return
    kinds = [
        contrast_kind(protocol, endpoint, by)
        for endpoint, by in zip(frame["endpoint"], frame["by"], strict=True)
    ]
    units = [
        contrast_unit(by, u) for by, u in zip(frame["by"], frame["unit"], strict=True)
    ]
    frame = frame.assign(kind=kinds, unit=units)
    for _, rows in frame.groupby(["by", "kind", "unit"], sort=False):
        yield draw_contrasts(protocol, rows.head(MOST_ROWS))
    for comparison in protocol.analysis.comparisons:
        rows, told = (
            one[one["comparison"] == comparison.name]
            for one in (frames["fitted"], frames["details"])
        )
        if len(rows):
            yield draw_fitted(protocol, comparison, rows, told)


def _subgroups(frames: Frames, protocol: Protocol) -> Iterator[Drawing]:
    """Draw each comparison within the groups of its endpoint."""
    contrasts = frames["contrasts"]
    for comparison in protocol.analysis.comparisons[:MOST_DETAILS]:
        effects = effects_of(protocol, comparison, frames["subgroups"])
        whole = contrasts[contrasts["comparison"] == comparison.name]
        if len(effects):
            yield draw_subgroups(protocol, comparison, effects, whole)


def _attainment(frames: Frames, protocol: Protocol) -> Iterator[Drawing]:
    """Draw the heat map of each response."""
    binary = {point.name for point in protocol.endpoints if point.binary}
    frame = frames["subgroups"]
    frame = frame[frame["endpoint"].isin(binary)]
    for endpoint, rows in _groups(frame, "endpoint"):
        rows = rows[rows["statistic"].isin(["share", "mean"])]
        if len(rows):
            rows = rows[rows["statistic"] == rows["statistic"].iloc[0]]
            yield draw_attainment(protocol, endpoint, rows)


def _convergence(frames: Frames, protocol: Protocol) -> Iterator[Drawing]:
    for comparison, rows in _groups(frames["convergence"], "comparison", MOST_DETAILS):
        if settles(rows):
            yield draw_convergence(protocol, comparison, rows)


def _bands(frames: Frames, protocol: Protocol) -> Iterator[Drawing]:
    """Draw the outputs that endpoints are of, the first ones, over time."""
    for output, rows in _outputs(frames, protocol)[:MOST_FIRST]:
        yield from _over_time(frames, protocol, output, rows)


def _others(frames: Frames, protocol: Protocol) -> Iterator[Drawing]:
    """Draw all other outputs over time that have something to show."""
    for output, rows in _outputs(frames, protocol)[MOST_FIRST:]:
        yield from _over_time(frames, protocol, output, rows)


def _over_time(
    frames: Frames, protocol: Protocol, output: str, rows: pd.DataFrame
) -> Iterator[Drawing]:
    """Draw one output: proportions of what is 0 or 1, else its bands."""
    if output in on_or_off(frames):
        shares = frames["proportions"]
        yield draw_proportions(protocol, output, shares[shares["output"] == output])
    else:
        yield from draw_bands(protocol, output, rows)


def on_or_off(frames: Frames) -> set[str]:
    """Name the outputs that are 0 or 1 in each subject."""
    return set(frames["proportions"]["output"])


def _outputs(frames: Frames, protocol: Protocol) -> list[tuple[str, pd.DataFrame]]:
    """Order outputs as endpoints are told, and leave out what is not drawn."""
    told = ordered_endpoints(protocol, frames["endpoints"])
    of = {point.name: point.of for point in protocol.endpoints}
    first = list(dict.fromkeys(of[name] for name in told if name in of))
    groups = _groups(frames["bands"], "output")
    groups.sort(key=lambda one: first.index(one[0]) if one[0] in first else len(first))
    drawn = on_or_off(frames)
    return [one for one in groups if one[0] in drawn or not not_drawn(one[1])]


def _courses(frames: Frames, protocol: Protocol) -> Iterator[Drawing]:
    """Draw every output's single subjects, with the medians of all."""
    bands = frames["bands"]
    for output, rows in _groups(frames["courses"], "output"):
        if not_drawn(bands[bands["output"] == output]):
            continue
        yield from draw_courses(
            protocol, output, rows, bands[bands["output"] == output]
        )


def _decisions(frames: Frames, protocol: Protocol) -> Iterator[Drawing]:
    """Draw what becomes of comparisons from look to look."""
    yield from draw_decisions(protocol, frames["decided"])
    yield from draw_escalation(protocol, frames["escalated"])


def _allocation(frames: Frames, protocol: Protocol) -> Iterator[Drawing]:
    """Draw how allocation changes."""
    yield from draw_allocation(protocol, frames["allocated"])


def _given(frames: Frames, protocol: Protocol) -> Iterator[Drawing]:
    yield from draw_given(protocol, frames["given"], frames["doses"])


def _predictive(frames: Frames, protocol: Protocol) -> Iterator[Drawing]:
    for output, rows in _groups(frames["predictive"], "output"):
        yield from draw_predictive(protocol, output, rows)


def _predictive_events(frames: Frames, protocol: Protocol) -> Iterator[Drawing]:
    for endpoint, rows in _groups(frames["predictive_events"], "endpoint"):
        yield draw_predictive_events(protocol, endpoint, rows)


def _predictive_shares(frames: Frames, protocol: Protocol) -> Iterator[Drawing]:
    for name, rows in _groups(frames["predictive_shares"], "of"):
        yield from draw_predictive_shares(protocol, name, rows)


def _distributions(frames: Frames, protocol: Protocol) -> Iterator[Drawing]:
    """Draw shares together, then each other endpoint's histogram."""
    shares = _shares(frames["endpoints"], protocol)
    for start in range(0, len(shares), MOST_ROWS):
        name = "responders" if not start else f"responders-{start // MOST_ROWS + 1}"
        yield draw_shares(protocol, shares.iloc[start : start + MOST_ROWS], name)
    binary = {point.name for point in protocol.endpoints if point.binary}
    frame = frames["distributions"]
    for endpoint, rows in _groups(frame[~frame["endpoint"].isin(binary)], "endpoint"):
        bars = [
            Bars(str(arm), _edges(one), one["share"].to_numpy(float))
            for arm, one in rows.groupby("arm", sort=False)
        ]
        yield draw_distribution(protocol, endpoint, str(rows["unit"].iloc[0]), bars)


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


def _persons(frames: Frames, protocol: Protocol) -> Iterator[Drawing]:
    """Draw changes in per cent as waterfalls, and all events as lanes."""
    frame = frames["persons"]
    for endpoint, rows in _groups(frame, "endpoint"):
        known = rows[np.isfinite(rows["value"].astype(float))]
        if len(known) and is_change(protocol, endpoint, str(rows["unit"].iloc[0])):
            yield draw_waterfall(protocol, endpoint, known)
    lanes = lanes_of(protocol, frame)
    if len(lanes):
        yield draw_lanes(protocol, lanes)


def _explained(frames: Frames, protocol: Protocol) -> Iterator[Drawing]:
    for endpoint, rows in _groups(frames["explained"], "endpoint", MOST_DETAILS):
        if np.isfinite(rows["share"].astype(float)).any():
            yield draw_tornado(protocol, endpoint, rows)

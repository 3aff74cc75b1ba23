"""Enacted trials: the design in words, what it did as tables and figures."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from vtrial.protocol.adaptation_kinds import adaptation_kinds
from vtrial.protocol.enactment import Adaptation, Look, Milestone
from vtrial.protocol.protocol import Protocol
from vtrial.report.borrowed import borrowed_lines
from vtrial.report.design import Line, arm_title, endpoint_title
from vtrial.report.drawing import (
    FAINT,
    GOOD,
    MISSED,
    MUTED,
    Drawing,
    new_figure,
    number_axis,
    of_arm,
)
from vtrial.report.escalated import escalation_line
from vtrial.report.frames import each_row
from vtrial.report.legend import arms_in, pick_colour, place_of
from vtrial.report.randomised import site_words
from vtrial.report.tables import Cell, Table, make_table
from vtrial.report.words import (
    Kind,
    amount,
    count,
    error_words,
    interval,
    listing,
    number,
    slug,
)

MONTH, DAY = 730.5, 24.0
_LONG = 120 * DAY  # from which on durations are told in months
_BARE = ("logarithm", "1", "h")  # units that are not written behind a number
_TOLD = {
    "shown": "Shown",
    "estimate": "Mean estimate",
    "true effect": "True effect",
    "bias": "Bias",
    "bias where shown": "Bias where shown",
    "coverage": "Coverage",
}


def span_words(hours: float) -> str:
    r"""Write a length of the calendar in months, or in days if it is short.

    Examples
    --------
    >>> span_words(1461.0), span_words(21915.0)
    ('60.9\u202fd', '30.0\u202fmo')
    """
    if not np.isfinite(hours):
        return "never"
    if abs(hours) < _LONG:
        return f"{number(round(hours / DAY, 1), 4)}\u202fd"
    return f"{hours / MONTH:.1f}\u202fmo"


def enactment_lines(protocol: Protocol) -> list[Line]:
    """Return accrual, looks and adaptations, a named line for each."""
    enactment = protocol.enactment
    if enactment is None:
        return []
    if enactment.escalation is not None:
        return [Line("Escalation", escalation_line(protocol))]
    lines = [Line("Accrual", _accrual(protocol))]
    sites = enactment.accrual.sites
    for name in dict.fromkeys(one.of for one in sites):
        own = tuple(one for one in sites if one.of == name)
        lines.append(Line(f"Sites: {name}", site_words(own)))
    point = endpoint_title(protocol, enactment.outcome)
    if enactment.delay:
        after = span_words(enactment.delay)
        lines.append(Line("Outcomes", f"known {after} after they are measured"))
    for look in enactment.looks:
        own = endpoint_title(protocol, look.outcome) if look.outcome else point
        words = " or ".join(_set(parts, own) for parts in look.when)
        lines.append(Line(f"Look: {look.name}", words))
    lines += borrowed_lines(protocol)
    for one in enactment.adaptations:
        lines.append(Line(one.name, _adaptation(protocol, one, enactment.looks)))
    return lines


def _accrual(protocol: Protocol) -> str:
    """Say how fast subjects come."""
    assert protocol.enactment is not None, "the caller has looked"
    accrual, planned = protocol.enactment.accrual, protocol.enactment.planned
    size = f"{count(planned)} subjects are planned"
    if planned < protocol.subjects:
        size += f", {count(protocol.subjects)} at most"
    if accrual.sites:
        how = "by chance at their rates" if accrual.by == "poisson" else "evenly"
        sites = count(len(accrual.sites))
        return f"at {sites} {'site' if sites == '1' else 'sites'}, {how}; {size}"
    if not accrual.stretches:
        return f"all are enrolled at once; {size}"
    rates = []
    for one in accrual.stretches:
        rate = f"{number(one.last * MONTH, 3)} a month"
        if one.rate != one.last:
            rate = f"rising to {rate}"
        since = f" from {span_words(one.start)} on" if one.start else ""
        rates.append(rate + since)
    how = "by chance at these rates" if accrual.by == "poisson" else "evenly"
    return f"{', '.join(rates)}, {how}; {size}"


def _set(parts: Sequence[Milestone], outcome: str) -> str:
    """Say what must be reached."""
    return listing(_milestone(one, outcome) for one in parts)


def _milestone(one: Milestone, outcome: str) -> str:
    if one.counter == "hours":
        return f"at {span_words(one.number)}"
    if one.of:
        return f"once “{outcome}” is known of {number(100 * one.number)}\u202f%"
    many = count(float(np.ceil(one.number - 1e-9)))
    if one.counter == "known":
        return f"once “{outcome}” is known of {many}"
    return (
        f"once {many} are enrolled"
        if one.counter == "enrolled"
        else (f"once there are {many} events of “{outcome}”")
    )


def _adaptation(protocol: Protocol, one: Adaptation, looks: Sequence[Look]) -> str:
    """Say what an adaptation does, on what, when, and with which options."""
    endpoint = adaptation_kinds()[one.by].of == "endpoint"
    on = endpoint_title(protocol, one.on[0]) if endpoint else listing(one.on)
    words = f"{one.by}, on {on}"
    if len(one.looks) < len(looks):
        words += f", at {listing(looks[place].name for place in one.looks)}"
    words += f"; {one.better} is better"
    told = []
    for key, value in one.options:
        if key == "keep" and isinstance(value, tuple):
            names = [protocol.arms[int(place)].name for place in value]
            told.append(f"keeps {listing(names)}")
        elif isinstance(value, tuple):
            told.append(f"{key} {', '.join(f'{part:g}' for part in value)}")
        elif isinstance(value, bool):
            told.append(key if value else f"not {key}")
        else:
            told.append(
                f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
            )
    return words + (f" ({'; '.join(told)})" if told else "")


def enacted_words(protocol: Protocol, frame: pd.DataFrame) -> str:
    """Say in one sentence how the trial would go; empty if none was enacted."""
    rows = {(row.of, row.measure): row for row in each_row(frame)}
    size = rows.get(("", "expected size"))
    if size is None:
        return ""
    length = rows["", "expected duration"]
    words = (
        f"Enacted {count(size.trials)} times with its looks, the trial enrols "
        f"{amount(size.value, size.mc_error)} subjects and takes "
        f"{span_words(length.value)} on average"
    )
    early = rows.get(("", "ended early"))
    if early is not None:
        words += f"; {amount(early.value, early.mc_error, 'share')} of trials end early"
    shown = [
        f"{amount(row.value, row.mc_error, 'share')} show {row.of}"
        for row in rows.values()
        if row.measure == "shown"
    ]
    return words + (f". {_capital(listing(shown))}" if shown else "") + "."


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def enacted_table(protocol: Protocol, frame: pd.DataFrame) -> Table:
    """Lay comparisons down and their operating characteristics across."""
    names = [one.name for one in protocol.analysis.comparisons]
    found = {(row.of, row.measure): row for row in each_row(frame)}
    heads = [key for key in _TOLD if any((name, key) in found for name in names)]
    rows = [(name, *(_cell(found.get((name, key))) for key in heads)) for name in names]
    caption = (
        "Operating characteristics of the design, over all enacted trials, ± Monte "
        "Carlo error. The true effect is that of all subjects under both arms; an "
        "estimate is made when its comparison is decided, and its interval is the "
        "usual one, as if there had been one look. Biases of ratios are of logarithms."
    )
    return make_table("enacted", caption, ["Comparison", *map(_TOLD.get, heads)], rows)  # type: ignore[list-item]


_ORDERED = {
    "bias, median unbiased": "Bias of the median unbiased estimate",
    "above the truth, median unbiased": "It is above the truth",
    "coverage, final interval": "Coverage, final",
    "coverage, repeated interval": "Coverage, repeated",
    "stage-wise p, median": "Median p",
}


def ordered_table(protocol: Protocol, frame: pd.DataFrame) -> Table | None:
    """Lay down what estimates are worth that allow for stopping early, if any do."""
    found = {(row.of, row.measure): row for row in each_row(frame)}
    names = [one.name for one in protocol.analysis.comparisons]
    there = [name for name in names if any((name, key) in found for key in _ORDERED)]
    if not there:
        return None
    rows = [
        (name, *(_cell(found.get((name, key))) for key in _ORDERED)) for name in there
    ]
    caption = (
        "Estimates that allow for stopping early, ± Monte Carlo error: the median "
        "unbiased estimate and its final interval go by the stage-wise ordering, as "
        "does the one-sided p-value, of which the median over the trials stands here; "
        "the repeated interval holds at every look at once. Biases of ratios are of "
        "logarithms."
    )
    return make_table("ordered", caption, ["Comparison", *_ORDERED.values()], rows)


def _kind(unit: str) -> Kind:
    """Return what kind of number a characteristic is."""
    kinds: dict[str, Kind] = {"share": "share", "points": "points"}
    return kinds.get(unit, "plain")


def _cell(row: object) -> Cell:
    """Write one characteristic with its Monte Carlo error."""
    if row is None:
        return Cell("–")
    kind = _kind(row.unit)  # type: ignore[attr-defined]
    unit = "" if kind != "plain" or row.unit in _BARE else row.unit  # type: ignore[attr-defined]
    error = row.mc_error  # type: ignore[attr-defined]
    small = f"± {error_words(error, kind)}" if np.isfinite(error) else ""
    return Cell(amount(row.value, error, kind, unit), small)  # type: ignore[attr-defined]


def looks_table(
    protocol: Protocol, looks: pd.DataFrame, decided: pd.DataFrame
) -> Table:
    """Lay looks down: when they are held, what is known, what they decide."""
    names = [one.name for one in protocol.analysis.comparisons]
    shares = {
        (row.comparison, row.look, row.decision): row for row in each_row(decided)
    }
    timed = bool((looks["events"] > 0).any())
    heads = ["Look", "Held", "When", "Enrolled", "Known", *["Events"] * timed]
    several = len(names) > 1
    for name in names:
        of = f": {name}" if several else ""
        heads += [f"Shown{of}", f"Given up{of}"]
    heads.append("Trial ends")
    rows = []
    for row in each_row(looks):
        cells = [
            amount(row.held, 0.001, "share"),
            span_words(row.time),
            *(amount(value, 0.5) for value in (row.enrolled, row.known)),
            *([amount(row.events, 0.5)] if timed else []),
        ]
        for name in names:
            cells += [
                _share(shares[name, row.look, decision])
                for decision in ("success", "futile")
            ]
        ended = amount(row.ended, row.ended_error, "share")
        rows.append((row.look, *cells, ended))
    caption = (
        "When looks are held (from the first day of accrual), what they know on "
        "average, and in which share of all trials they decide."
    )
    return make_table("looks", caption, heads, rows)


def _share(row: object) -> str:
    return amount(row.share, row.mc_error, "share")  # type: ignore[attr-defined]


def sizes_table(
    protocol: Protocol, frame: pd.DataFrame, allocated: pd.DataFrame
) -> Table:
    """Lay arms down, and the whole trial last: how many subjects they get."""
    rows = [
        (
            arm_title(protocol, row.arm),
            Cell(amount(row.value, row.mc_error), f"± {error_words(row.mc_error)}"),
            interval(row.low, row.high),
        )
        for row in each_row(allocated[allocated["look"] == ""])
    ]
    found = {row.measure: row for row in each_row(frame[frame["of"] == ""])}
    mean = found["expected size"]
    ends = [found[f"size, {q} % of trials below"].value for q in (5, 95)]
    small = f"± {error_words(mean.mc_error)}"
    rows.append(
        ("All", Cell(amount(mean.value, mean.mc_error), small), interval(*ends))
    )
    caption = "Subjects by arm at the end: the mean, and where 90 % of the trials lie."
    return make_table("sizes", caption, ["Arm", "Subjects", "90 % of trials"], rows)


def enacted_in_words(table: pd.DataFrame) -> pd.DataFrame:
    """Write rows of `Estimates.enacted` as people do; other columns stay as they are.

    Shares are in per cent, durations in months or days.
    """
    own = {"of", "measure", "unit", "value", "mc_error", "low", "high", "trials"}
    kept = [name for name in table.columns if name not in own]
    rows = []
    for row in each_row(table):
        kind, hours = _kind(row.unit), row.unit == "h"
        unit = "" if kind != "plain" or row.unit in _BARE else row.unit
        known = np.isfinite(row.mc_error)
        error = error_words(row.mc_error, kind)
        rows.append(
            {
                **{name: getattr(row, name) for name in kept if name.isidentifier()},
                "of": row.of or "trial",
                "what": row.measure,
                "value": span_words(row.value)
                if hours
                else amount(row.value, row.mc_error, kind, unit),
                "mc error": (span_words(row.mc_error) if hours else error)
                if known
                else "",
            }
        )
    made = pd.DataFrame(rows)
    for place, name in enumerate(kept):
        if name not in made:
            made.insert(place, name, table[name].to_numpy())
    return made


def draw_decisions(protocol: Protocol, decided: pd.DataFrame) -> Iterator[Drawing]:
    """Draw for each comparison what becomes of it from look to look."""
    for comparison, rows in decided.groupby("comparison", sort=False):
        looks = list(dict.fromkeys(rows["look"]))
        table = rows.pivot_table(index="look", columns="decision", values="share")
        table = table.reindex(looks) * 100.0
        shown = table["success"].to_numpy().cumsum()
        futile = table["futile"].to_numpy().cumsum()
        places = np.arange(len(looks))
        figure = new_figure(0.9 + 0.34 * len(looks))
        axes = figure.subplots()
        open_ = 100.0 - shown - futile
        style = {"height": 0.62, "linewidth": 0}
        axes.barh(places, shown, color=GOOD, **style)
        axes.barh(places, open_, left=shown, color=FAINT, **style)
        axes.barh(places, futile, left=shown + open_, color=MISSED, **style)
        axes.set_yticks(places, looks)
        axes.invert_yaxis()
        axes.set_xlim(0.0, 100.0)
        axes.set_xlabel("Shown by then (left), open, given up (right) [% of trials]")
        for place in places:
            words = f"{shown[place]:.0f} | {futile[place]:.0f}"
            style = {"ha": "left", "va": "center", "fontsize": 8, "color": MUTED}
            axes.annotate(words, (101.5, place), annotation_clip=False, **style)
        title = f"Decisions: {comparison}"
        caption = "Share of trials that show it (left) or give it up (right) by a look."
        yield Drawing(
            f"decisions-{slug(str(comparison))}", title, caption, caption, figure, rows
        )


def draw_allocation(protocol: Protocol, allocated: pd.DataFrame) -> Iterator[Drawing]:
    """Draw the probability of each arm from look to look, where looks change it."""
    rows = allocated[allocated["look"] != ""]
    if rows.empty or (rows.groupby("arm")["value"].nunique() < 2).all():
        return
    looks = list(dict.fromkeys(rows["look"]))
    figure = new_figure(2.4)
    axes = figure.subplots()
    weights = np.asarray(protocol.design.allocation.weights, float)
    for arm in arms_in(protocol, rows):
        mine = rows[rows["arm"] == arm].set_index("look").reindex(looks)
        place = place_of(protocol, arm)
        first = weights[place] / weights.sum()
        colour = pick_colour(protocol, arm)
        at = np.arange(len(looks) + 1)
        low, middle, high = (
            100 * np.append(first, mine[name].to_numpy(float))
            for name in ("low", "value", "high")
        )
        band = axes.fill_between(at, low, high, color=colour, alpha=0.12, linewidth=0)
        (line,) = axes.plot(at, middle, color=colour, linewidth=1.8, marker="o", ms=3.5)
        of_arm(place, band, "band")
        of_arm(place, line, "line")
    axes.set_xticks(np.arange(len(looks) + 1), ["start", *looks])
    axes.set_ylim(0.0, 100.0)
    number_axis(axes)
    axes.set_ylabel("Allocated after it [%]")
    title = "Allocation over time"
    caption = (
        "Probability with which subjects after each look get an arm: the mean over "
        "trials, shaded where 90 % of them lie."
    )
    yield Drawing("allocation", title, caption, caption, figure, rows)

"""Dose escalations: the method in words, what is selected, and how many are treated."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from vtrial.protocol.protocol import Protocol
from vtrial.report.design import arm_title, endpoint_title
from vtrial.report.drawing import (
    ARM_COLOURS,
    FAINT,
    INK,
    Drawing,
    new_figure,
    number_axis,
    of_arm,
)
from vtrial.report.frames import each_row
from vtrial.report.legend import pick_colour, place_of
from vtrial.report.tables import Cell, Table, make_table
from vtrial.report.timing import timing_of
from vtrial.report.words import amount, count, error_words, number


def escalation_line(protocol: Protocol) -> str:
    """Say by which method doses go up, on what, and in which cohorts."""
    assert protocol.enactment is not None, "the caller has looked"
    one = protocol.enactment.escalation
    assert one is not None, "the caller has looked"
    most = one.most or protocol.subjects
    first = arm_title(protocol, one.arms[one.start])
    words = (
        f"{one.by} on {endpoint_title(protocol, one.on)}, cohorts of {one.cohort}, "
        f"{count(most)} subjects at most, from {first}"
    )
    if one.rows:
        words += f", among {one.rows} x {len(one.arms) // one.rows} combinations"
    if one.target is not None:
        words += f", aiming at {number(100 * one.target)}\u202f% with a toxicity"
    if one.window:
        words += "; nobody waits for those before, who are observed for "
        words += f"{timing_of(protocol).duration(one.window)} and count by the share "
        words += "of it that has passed"
    if one.enough:
        words += f"; ends once a dose has been given to {one.enough}"
    return words + ("; doses may be passed over" if one.skipping else "")


def escalated_words(protocol: Protocol, frame: pd.DataFrame) -> str:
    """Say in a sentence or two which dose is selected how often."""
    rows = list(each_row(frame))
    doses, whole = rows[:-1], rows[-1]
    best = max(doses, key=lambda row: row.selected)
    words = (
        f"Enacted {count(whole.trials)} times, the escalation selects "
        f"{arm_title(protocol, best.arm)} most often, in "
        f"{amount(best.selected, best.selected_error, 'share')} of trials; its true "
        f"rate of toxicity is {amount(best.truth, 0.001, 'share')}. It takes "
        f"{amount(whole.treated, whole.treated_error)} subjects, of whom "
        f"{amount(whole.toxic, whole.toxic_error)} have a toxicity"
    )
    if whole.selected > 0:
        none = amount(whole.selected, whole.selected_error, "share")
        words += f"; {none} of trials select no dose"
    return words + "."


def escalated_table(protocol: Protocol, frame: pd.DataFrame) -> Table:
    """Lay doses down: true rate, how often selected, subjects, toxicities."""
    rows = []
    for row in each_row(frame):
        name = arm_title(protocol, row.arm) if row.arm else "None, or all"
        truth = amount(row.truth, 0.001, "share") if row.arm else ""
        error = row.selected_error
        rows.append(
            (
                name,
                truth,
                Cell(amount(row.selected, error, "share"), _error(error, share=True)),
                Cell(amount(row.treated, row.treated_error), _error(row.treated_error)),
                Cell(amount(row.toxic, row.toxic_error), _error(row.toxic_error)),
            )
        )
    assert protocol.enactment is not None, "it was enacted"
    escalation = protocol.enactment.escalation
    combined = escalation is not None and escalation.rows
    order = "Combinations, row by row" if combined else "Doses from the lowest on"
    caption = (
        f"{order}: the share of simulated subjects with a toxicity, "
        "the share of trials that select the dose, and mean numbers of subjects and "
        "toxicities in a trial, ± Monte Carlo error. The last row: trials that select "
        "none, and all doses together."
    )
    heads = [
        "Combination" if combined else "Dose",
        "True rate",
        "Selected",
        "Subjects",
        "Toxicities",
    ]
    return make_table("escalated", caption, heads, rows)


def _error(error: float, *, share: bool = False) -> str:
    known = np.isfinite(error) and error > 0
    return f"± {error_words(error, 'points' if share else 'plain')}" if known else ""


def draw_escalation(protocol: Protocol, frame: pd.DataFrame) -> Iterator[Drawing]:
    """Draw how often each dose is selected, and its true rate of toxicity."""
    doses = frame[frame["arm"] != ""]
    if doses.empty:
        return
    assert protocol.enactment is not None, "it was enacted"
    escalation = protocol.enactment.escalation
    assert escalation is not None, "it was enacted"
    if escalation.rows:
        yield _draw_grid(protocol, doses, escalation.rows)
        return
    figure = new_figure(2.4)
    axes = figure.subplots()
    places = np.arange(len(doses))
    for place, row in enumerate(each_row(doses)):
        colour = pick_colour(protocol, row.arm)
        (bar,) = axes.bar([place], [100 * row.selected], 0.6, color=colour)
        of_arm(place_of(protocol, row.arm), bar)
    truth = 100 * doses["truth"].to_numpy(float)
    axes.plot(places, truth, color=INK, marker="o", ms=4, linewidth=1.2)
    if escalation.target is not None:
        axes.axhline(100 * escalation.target, color=FAINT, linewidth=1.0, zorder=0)
    axes.set_xticks(places, [arm_title(protocol, arm) for arm in doses["arm"]])
    axes.set_ylim(0.0, 100.0)
    number_axis(axes)
    axes.set_ylabel("Selected; toxicity [%]")
    title = "Dose selected"
    caption = (
        "Bars: share of trials that select a dose. Line: its true rate of toxicity; "
        "grey: the rate aimed at."
    )
    yield Drawing("escalation", title, caption, caption, figure, doses)


def _draw_grid(protocol: Protocol, doses: pd.DataFrame, rows: int) -> Drawing:
    """Draw how often each combination is selected as a map, the lowest at lower left.

    A cell is the darker the more often; its true rate of toxicity stands in it.
    """
    columns = len(doses) // rows
    figure = new_figure(0.6 + 0.62 * rows)
    axes = figure.subplots()
    most = max(float(doses["selected"].max()), 1e-9)
    for place, one in enumerate(each_row(doses)):
        y, x = divmod(place, columns)
        shade = 0.6 * one.selected / most
        cell = ([x - 0.5, x + 0.5], y - 0.5, y + 0.5)
        axes.fill_between(*cell, color=ARM_COLOURS[0], alpha=shade, linewidth=0)
        name = arm_title(protocol, one.arm)
        words = (
            f"{name}\n{100 * one.selected:.0f}\u202f% ({100 * one.truth:.0f}\u202f%)"
        )
        axes.text(x, y, words, ha="center", va="center", fontsize=7.5, color=INK)
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(-0.5, rows - 0.5)
    axes.set_xticks(range(columns), [str(level + 1) for level in range(columns)])
    axes.set_yticks(range(rows), [str(level + 1) for level in range(rows)])
    axes.set_xlabel("Level of the second drug")
    axes.set_ylabel("Level of the first")
    title = "Combination selected"
    caption = (
        "Share of trials that select a combination, the darker the more; in brackets "
        "its true rate of toxicity."
    )
    return Drawing("escalation", title, caption, caption, figure, doses)

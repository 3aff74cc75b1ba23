"""The operating characteristics of a design, as a table."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from vtrial.protocol.analysis import Comparison
from vtrial.protocol.protocol import Protocol
from vtrial.report.design import comparison_in_words
from vtrial.report.frames import each_row
from vtrial.report.tables import (
    Cell,
    Table,
    contrast_kind,
    contrast_unit,
    make_table,
)
from vtrial.report.words import MISSING, Kind, amount, count, interval


def operating_table(protocol: Protocol, frame: pd.DataFrame) -> Table:
    """Lay down the operating characteristics of a design, with Monte Carlo errors.

    `frame` is `Estimates.operating`.
    """
    asked = {
        comparison.name: comparison for comparison in protocol.analysis.comparisons
    }
    rows: list[Sequence[Cell | str]] = []
    last = None
    for row in each_row(frame):
        comparison = asked.get(row.comparison)
        named = comparison_in_words(protocol, comparison) if comparison else ""
        lead = (named or str(row.comparison)) if row.comparison != last else ""
        last = row.comparison
        kind, unit = _measured_in(protocol, comparison, str(row.measure))
        rows.append((lead, str(row.measure), *_worth(protocol, row, kind, unit)))
    heads = ("Comparison", "Measure", "Value", "95 % Monte Carlo limits")
    return make_table("operating", _OPERATING, heads, rows, words=2)


def details_table(frame: pd.DataFrame) -> Table:
    """Lay down what comparisons say beside their effects.

    `frame` is `Estimates.details`.
    """
    rows: list[Sequence[Cell | str]] = []
    last = None
    for row in each_row(frame):
        lead = str(row.comparison) if row.comparison != last else ""
        last = row.comparison
        told = str(row.measure)
        share = told.startswith(("chosen", "p <")) or "found" in told
        kind: Kind = "share" if share else "plain"
        if not math.isfinite(row.value):
            cells: tuple[Cell, str] = (Cell("not available"), MISSING)
        else:
            ends = interval(row.low, row.high, kind, error=row.mc_error)
            cells = (Cell(amount(row.value, row.mc_error, kind)), ends)
        rows.append((lead, str(row.measure), *cells))
    heads = ("Comparison", "Measure", "Value", "Limits")
    told = " ".join(frame["measure"].astype(str))
    caption = _DETAILS
    if "within persons" in told:
        caption = _WITHIN + _PERIODS if "p <" in told else _WITHIN
    if "within sites" in told:
        caption = _SITES + _INFLATION if "design effect" in told else _SITES
    return make_table("details", caption, heads, rows, words=2)


def _worth(protocol: Protocol, row: Any, kind: Kind, unit: str) -> tuple[Cell, str]:
    """Write a measure of a design with its limits; or why it has none."""
    total = protocol.replicates
    if not math.isfinite(row.value):
        lacks = {"coverage": "no trial has an interval", "power": "no trial has a p"}
        return Cell("not available", lacks.get(row.measure, "")), MISSING
    of = (
        f"of {count(row.trials)} of {count(total)} trials" if row.trials < total else ""
    )
    value = amount(row.value, row.mc_error, kind, unit)
    return Cell(value, of), interval(row.low, row.high, kind, unit, error=row.mc_error)


_OPERATING = (
    "Operating characteristics of the design. Power: share of trials whose p is below "
    "one minus the level. Coverage: share of trials whose interval holds the true "
    "effect. Bias: mean estimate less the true effect. Standard deviations: of one "
    "trial's estimate, and its parts. Ratios are judged on the scale of their "
    "logarithm. Limits of shares are Wilson's."
)
_DETAILS = (
    "What comparisons say beside their effects. Chosen: how much a shape counts in the "
    "curve of a trial, on average over all trials; it counts for nothing where no "
    "dose-response is shown. Target dose: the mean over the trials that find one, with "
    "where 90 % of them lie, in the unit of the sheet's doses. Limits of shares are "
    "Monte Carlo limits, of 95 %."
)
_WITHIN = (
    "What a crossover says beside its effects. How much a person varies from one "
    "period to another, and persons from one another: the mean over the trials, with "
    "where 90 % of them lie."
)
_PERIODS = (
    " p < 0.05: the share of trials in which periods differ by their tests, or "
    "sequences, as where a treatment still acts in the next period; with Monte Carlo "
    "limits of 95 %."
)
_SITES = (
    "How alike subjects of a site are: the share of the variance within arms that lies "
    "between sites: the mean over the trials, with where 90 % of them lie."
)
_INFLATION = (
    " The design effect: by how much the variance of a mean is larger than of as many "
    "subjects who share no sites."
)
_SHARED = ("power", "coverage", "share", "probability", "error rate")
_COUNTED = ("size", "precision", "number")


def _measured_in(
    protocol: Protocol, comparison: Comparison | None, measure: str
) -> tuple[Kind, str]:
    """Return of what kind and in what unit a measure of a design is."""
    if any(word in measure for word in _SHARED):
        return "share", "1"
    if comparison is None or any(word in measure for word in _COUNTED):
        return "plain", "1"
    kind = contrast_kind(protocol, comparison.endpoint, comparison.by)
    found = [p for p in protocol.endpoints if p.name == comparison.endpoint]
    plain = kind == "plain" and found and not found[0].binary
    return kind, contrast_unit(comparison.by, found[0].unit) if plain else "1"

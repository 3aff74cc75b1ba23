"""Event tables in NONMEM's format: a row an event, read into padded arrays.

What the columns mean is the NONMEM Users Guide's (Part V, PREDPP); what vtrial makes of
each is in `docs/dosing.md`. Additional doses are written out, each with the rank and
the period of the record that ordered it: the lag of that record holds for them, and at
the time of a later record they come before it. A reset, or a dose that starts a steady
state anew, cancels those still to come.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from vtrial.dosing.columns import OCCASION, check_columns, in_capitals
from vtrial.dosing.doses import DOSE, OTHER, RESET, RESET_DOSE, Doses, Times
from vtrial.dosing.periods import Convention, check_convention, follow_covariates
from vtrial.dosing.records import (
    Records,
    Units,
    check_order,
    read_covariate,
    read_records,
)
from vtrial.model.model import Covariate
from vtrial.sheets.csv_number import read_number
from vtrial.sheets.csv_table import Rows
from vtrial.sheets.words import listed, nearest
from vtrial.units import factor

if TYPE_CHECKING:
    import pandas as pd

OBSERVED = (0, OTHER)
EVENTS = (DOSE, RESET, RESET_DOSE)
_TURN = "|occasion"  # a name that no sheet can hold


class Events(NamedTuple):
    """An event table as arrays; the first axis is subjects, in the order of the file.

    Fields
    ------
    identity
        The IDs as they stand in the file.
    doses
        Doses and resets (EVID 1, 3, 4), additional doses written out.
    times
        Observation records (EVID 0 and 2).
    row
        Their row in `data`, from 0; -1 for padding.
    covariates
        By name, (subject, period); where they move, their values at its end.
    slopes
        [unit/h] By name, how fast they move; none unless they were read `linear`.
    periods
        [h] Start of each period, the first -inf; one period if nothing changes.
    data
        The table itself; rows that were left out as comments are not in it.
    occasions
        The OCC of each period as it stands in the file; None unless it was asked for.
    """

    identity: Shaped[np.ndarray, " subject"]
    doses: Doses
    times: Times
    row: Int[np.ndarray, "subject time"]
    covariates: dict[str, Float[np.ndarray, "subject period"]]
    slopes: dict[str, Float[np.ndarray, "subject period"]]
    periods: Float[np.ndarray, "subject period"]
    data: "pd.DataFrame"
    occasions: Shaped[np.ndarray, "subject period"] | None = None


def read_events(
    path: str | Path | Rows,
    *,
    states: Sequence[str],
    covariates: Collection[str | Covariate] = (),
    time: str = "h",
    amount: str = "",
    convention: Convention = "backward",
    occasions: bool = False,
) -> Events:
    """Read an event table in NONMEM's format.

    `time` is the unit of TIME, II and (per time) RATE, `amount` that of AMT. Covariates
    of a record hold on the interval that ends at it (`backward`), as in NONMEM, or from
    it to the next (`forward`), or are joined by straight lines (`linear`); where they
    are given with the values of a category, no other may stand there, and those are not
    joined. `occasions`: part time by the column OCC, too, whose values hold as
    covariates do.

    Raises
    ------
    DataError
        With every wrong row, by line.
    """
    check_convention(convention)
    asked = [c if isinstance(c, Covariate) else Covariate(c, "") for c in covariates]
    names = [covariate.name for covariate in asked]
    rows = in_capitals(Rows.of(path), names)
    check_columns(rows, names, occasions=occasions)
    identity = rows.names_of_subjects()
    starts = np.flatnonzero(np.r_[True, identity[1:] != identity[:-1]])
    check_order(rows, identity, starts)
    units = Units(time, factor(time, "h"), amount)
    records = read_records(rows, states, starts, units, covariates=names)
    there = [covariate for covariate in asked if covariate.name in rows.names]
    values = {c.name: read_covariate(rows, c) for c in there}
    steps = {covariate.name for covariate in there if covariate.values}
    kinds = np.array([""])
    if occasions:
        kinds, values[_TURN] = np.unique(rows.labels(OCCASION), return_inverse=True)
        steps.add(_TURN)
    rows.refuse()
    course = follow_covariates(records, values, convention, steps)
    turn = course.covariates.pop(_TURN, None)
    course.slopes.pop(_TURN, None)
    records = records._replace(period=course.period)
    times, row = _observations(records, len(starts))
    return Events(
        identity[starts],
        _doses(records, len(starts)),
        times,
        row,
        course.covariates,
        course.slopes,
        course.begins,
        rows.table(),
        None if turn is None else kinds[turn.astype(int)],
    )


def _observations(records: Records, subjects: int) -> tuple[Times, np.ndarray]:
    """Lay observation records out by subject."""
    rows = np.flatnonzero(np.isin(records.event, OBSERVED))
    pad = _padder(records.subject[rows], subjects)
    time = pad(records.time[rows], np.inf)
    rank, period = pad(records.place[rows], 0), pad(records.period[rows], 0)
    return Times(time, rank, period), pad(rows, -1)  # type: ignore[arg-type]


def _doses(records: Records, subjects: int) -> Doses:
    """Write additional doses out, drop the cancelled ones, and lay all out."""
    rows = np.flatnonzero(np.isin(records.event, EVENTS))
    counts = records.additional[rows] + 1
    parent = np.repeat(rows, counts)
    number = np.arange(len(parent)) - np.repeat(np.cumsum(counts) - counts, counts)
    time = records.time[parent] + number * records.interval[parent]
    kept = (number == 0) | (time < _cancelled(records)[parent])
    parent, number, time = parent[kept], number[kept], time[kept]
    order = np.lexsort((records.place[parent], time, records.subject[parent]))
    parent, number, time = parent[order], number[order], time[order]
    pad = _padder(records.subject[parent], subjects)
    first = number == 0
    return Doses(
        time=pad(time, np.inf),  # type: ignore[arg-type]
        amount=pad(records.amount[parent], 0.0),  # type: ignore[arg-type]
        compartment=pad(records.compartment[parent], 0),  # type: ignore[arg-type]
        rate=pad(records.rate[parent], 0.0),  # type: ignore[arg-type]
        interval=pad(records.interval[parent], 0.0),  # type: ignore[arg-type]
        steady=pad(np.where(first, records.steady[parent], 0), 0),  # type: ignore[arg-type]
        event=pad(np.where(first, records.event[parent], DOSE), DOSE),  # type: ignore[arg-type]
        rank=pad(records.place[parent], 0),  # type: ignore[arg-type]
        period=pad(records.period[parent], 0),  # type: ignore[arg-type]
    )


def _cancelled(records: Records) -> np.ndarray:
    """Return, for each row, when the next reset of its subject is [h]; or inf.

    EVID 3 and 4 cancel what is pending, and so does SS=1 (NONMEM, help on SS).
    """
    anew = np.isin(records.event, (RESET, RESET_DOSE)) | (records.steady == 1)
    resets = np.flatnonzero(anew)
    following = np.searchsorted(resets, np.arange(len(anew)), side="right")
    found = np.r_[resets, -1][following]
    same = (found >= 0) & (records.subject[found] == records.subject)
    return np.where(same, records.time[found], np.inf)


def _padder(
    subject: np.ndarray, subjects: int
) -> Callable[[np.ndarray, float | int], np.ndarray]:
    """Return a function that lays a column out as (subject, event)."""
    counts = np.bincount(subject, minlength=subjects)
    place = np.arange(len(subject)) - (np.cumsum(counts) - counts)[subject]
    width = int(counts.max(initial=0))

    def pad(values: np.ndarray, filler: float | int) -> np.ndarray:
        block = np.full((subjects, width), filler, values.dtype)
        block[subject, place] = values
        return block

    return pad


def read_parameters(
    path: str | Path,
    *,
    names: Collection[str],
    identities: np.ndarray,
    occasions: np.ndarray | None = None,
    lasting: Collection[str] = (),
) -> dict[str, np.ndarray]:
    """Read a table of parameters: a row an ID, or one row without ID for all.

    With a column OCC there is a row an ID and occasion, or a row an occasion for all;
    `occasions` are those of the events, by period. `lasting` are names that no
    occasion changes. IDs and occasions are matched as they are written.

    Returns the columns by name, in the order of `identities` (and by period, if they
    go by occasion), or of length one.

    Raises
    ------
    DataError
        With every fault, by line.
    """
    rows = Rows(path)
    known = tuple(names)
    for name in rows.names:
        if name not in (*known, "ID", OCCASION):
            near = nearest(name, known)
            allowed = listed(["ID", OCCASION, *known], like=name)
            rows.fault("a column", f"`{name}`", allowed, near, name)
    given = [name for name in rows.names if name in known]
    if not given and not rows.faults:
        allowed = f"made of columns of parameters: {listed(known)}"
        rows.fault("the table", "without a parameter", allowed)
    keys = [name for name in ("ID", OCCASION) if name in rows.names]
    if not keys and len(rows) > 1:
        rows.fault("ID", "missing", "a column, where there are several rows")
    if OCCASION in keys and occasions is None:
        found = "in the table of parameters, but not in the events"
        rows.fault(OCCASION, found, "a column of both")
    rows.refuse()
    values = {name: read_covariate(rows, Covariate(name, "")) for name in given}
    if not keys:
        rows.refuse()
        return values
    written = [rows.labels(name) for name in keys]
    if keys == ["ID", OCCASION]:
        _check_lasting(rows, written[0], {n: values[n] for n in given if n in lasting})
    asked = [identities.astype(str)[:, None]] if "ID" in keys else []
    asked += [] if occasions is None or OCCASION not in keys else [occasions]
    order = _matched(rows, keys, written, np.broadcast_arrays(*asked))
    rows.refuse()
    place = order if OCCASION in keys else order[:, 0]
    return {name: value[place] for name, value in values.items()}


def _check_lasting(
    rows: Rows, identity: np.ndarray, values: Mapping[str, np.ndarray]
) -> None:
    """Refuse what an occasion does not change, if it differs between a subject's."""
    _, first, subject = np.unique(identity, return_index=True, return_inverse=True)
    for name, column in values.items():
        before = column[first][subject]
        other = (column != before) & ~np.isnan(column) & ~np.isnan(before)
        allowed = "the same at all occasions: it is drawn once a subject"
        rows.wrong(other, name, "`{}`", allowed)


def _matched(
    rows: Rows,
    keys: Sequence[str],
    written: Sequence[np.ndarray],
    asked: Sequence[np.ndarray],
) -> np.ndarray:
    """Find the row of each subject (and period); note those not there or there twice.

    What is asked, and returned, is (subject, period) or (subject, 1).
    """
    entries = list(zip(*(column.tolist() for column in written), strict=True))
    where: dict[tuple[str, ...], int] = {}
    again = np.zeros(len(rows), bool)
    for place, key in enumerate(entries):
        again[place] = where.setdefault(key, place) != place
    once = f"there once: one row an {' and '.join(keys)}"
    rows.wrong(again, keys[-1], "`{}` again", once)
    wanted = list(zip(*(part.ravel().tolist() for part in asked), strict=True))
    lacking = [key for key in dict.fromkeys(wanted) if key not in where]
    if lacking:
        said = listed([", ".join(key) for key in lacking], 10)
        spelt = _spelt_otherwise(lacking[0], where)
        found = f"without a row for {said}{spelt}"
        allowed = f"complete: a row for every {' and '.join(keys)} of the events"
        allowed += ", written as there" if spelt else ""
        rows.fault(keys[-1], found, allowed)
    return np.array([where.get(key, 0) for key in wanted], int).reshape(asked[0].shape)


def _spelt_otherwise(key: tuple[str, ...], known: Mapping[tuple[str, ...], int]) -> str:
    """Return a note if the same number is there in another spelling, else nothing."""
    number = [read_number(part) for part in key]
    for other in known:
        if [read_number(part) for part in other] == number:
            return f", which stands here as {', '.join(other)}"
    return ""

"""Event tables in NONMEM's format: a row an event, read into padded arrays.

What the columns mean is the NONMEM Users Guide's (Part V, PREDPP); what vtrial makes of
each is in `docs/dosing.md`. Additional doses are written out, each with the rank and
the period of the record that ordered it: the lag of that record holds for them, and at
the time of a later record they come before it. A reset, or a dose that starts a steady
state anew, cancels those still to come.
"""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from vtrial.dosing.doses import DOSE, OTHER, RESET, RESET_DOSE, Doses, Times
from vtrial.dosing.periods import Convention, check_convention, follow_covariates
from vtrial.dosing.records import Records, check_order, read_covariate, read_records
from vtrial.dosing.rows import Rows
from vtrial.sheets import listed, nearest
from vtrial.units import factor

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("ID", "TIME", "AMT", "EVID", "CMT", "RATE", "II", "ADDL", "SS", "DV", "MDV"),
)
OBSERVED = (0, OTHER)
EVENTS = (DOSE, RESET, RESET_DOSE)


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
    """

    identity: Shaped[np.ndarray, " subject"]
    doses: Doses
    times: Times
    row: Int[np.ndarray, "subject time"]
    covariates: dict[str, Float[np.ndarray, "subject period"]]
    slopes: dict[str, Float[np.ndarray, "subject period"]]
    periods: Float[np.ndarray, "subject period"]
    data: "pd.DataFrame"


def read_events(
    path: str | Path,
    *,
    states: Sequence[str],
    covariates: Collection[str] = (),
    time: str = "h",
    convention: Convention = "backward",
) -> Events:
    """Read an event table in NONMEM's format.

    `time` is the unit of TIME, II and (per time) RATE. Covariates of a record hold on
    the interval that ends at it (`backward`), as in NONMEM, or from it to the next
    (`forward`), or are joined by straight lines (`linear`).

    Raises
    ------
    DataError
        With every wrong row, by line.
    """
    check_convention(convention)
    rows = Rows(path)
    covariates = tuple(covariates)
    _check_columns(rows, covariates)
    identity = rows.names_of_subjects()
    starts = np.flatnonzero(np.r_[True, identity[1:] != identity[:-1]])
    check_order(rows, identity, starts)
    records = read_records(rows, states, starts, factor(time, "h"))
    there = [name for name in covariates if name in rows.names]
    values = {name: read_covariate(rows, name) for name in there}
    rows.refuse()
    course = follow_covariates(records, values, convention)
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
    )


def _check_columns(rows: Rows, covariates: Sequence[str]) -> None:
    """Refuse what is missing and what is nearly right."""
    meant = rows.misspelt((*COLUMNS, *covariates))
    for name in ("ID", "TIME"):
        if name not in (*rows.names, *meant):
            rows.fault(name, "missing", "a column", f"{name},...")
    basic = bool(rows.faults)
    for name in covariates:
        if name not in (*rows.names, *meant):
            allowed = "a column, for the model asks for it"
            rows.fault(name, "missing", allowed, f"{name},...")
    if basic:  # rows make no sense under such a header
        rows.refuse()


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
    path: str | Path, *, names: Collection[str], identities: np.ndarray
) -> dict[str, np.ndarray]:
    """Read a table of parameters: a row an ID, or one row without ID for all.

    Returns the columns by name, in the order of `identities`, or of length one.

    Raises
    ------
    DataError
        With every fault, by line.
    """
    rows = Rows(path)
    known = tuple(names)
    for name in rows.names:
        if name not in (*known, "ID"):
            near = nearest(name, known)
            allowed = f"ID or one of {listed(known, 30)}"
            rows.fault("a column", f"`{name}`", allowed, near)
    given = [name for name in rows.names if name in known]
    if not given and not rows.faults:
        allowed = f"made of columns of parameters: {listed(known, 30)}"
        rows.fault("the table", "without a parameter", allowed, f"ID,{known[0]}")
    if "ID" not in rows.names and len(rows) > 1:
        rows.fault("ID", "missing", "a column, where there are several rows", "ID,...")
    rows.refuse()
    values = {}
    for name in given:
        values[name] = read_covariate(rows, name)
    if "ID" not in rows.names:
        rows.refuse()
        return values
    order = _matched(rows, identities)
    rows.refuse()
    return {name: value[order] for name, value in values.items()}


def _matched(rows: Rows, identities: np.ndarray) -> np.ndarray:
    """Find the row of each subject; note IDs that are not there or there twice."""
    identity = rows.names_of_subjects()
    if identity.dtype.kind == "U" or identities.dtype.kind == "U":
        identity, identities = identity.astype(str), identities.astype(str)
    _, first = np.unique(identity, return_index=True)
    again = np.ones(len(identity), bool)
    again[first] = False
    rows.wrong(again, "ID", "`{}` again", "there once", "one row an ID")
    where = {key: index for index, key in enumerate(identity.tolist())}
    lacking = [key for key in identities.tolist() if key not in where]
    if lacking:
        found = f"without a row for {listed(map(str, lacking), 10)}"
        allowed = "complete: a row for every ID of the events"
        rows.fault("ID", found, allowed, f"{lacking[0]},...")
    return np.array([where.get(key, 0) for key in identities.tolist()], int)

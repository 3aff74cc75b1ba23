"""Measured profiles of a table: what was seen after each dose, since that dose."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from vtrial.dosing.columns import in_capitals
from vtrial.sheets.csv_number import read_number
from vtrial.sheets.csv_table import Rows
from vtrial.sheets.words import listed, nearest

Route = Literal["extravascular", "bolus", "infusion"]
ROUTES: tuple[Route, ...] = ("extravascular", "bolus", "infusion")
EXTRAVASCULAR, BOLUS, INFUSION = range(3)
ID, TIME, VALUE, NUMBER = "ID", "TIME", "DV", "DOSENO"
LEAST = 2  # values of a profile
_BELOW = re.compile(r"<=?\s*[\d.,]*|[BA]LQ|[BA]QL|L?LOQ", re.IGNORECASE)
_ROUTE_WORDS = {
    **dict.fromkeys(("extravascular", "oral", "po", "sc", "im", "ev"), EXTRAVASCULAR),
    **dict.fromkeys(("bolus", "iv bolus", "intravascular", "iv"), BOLUS),
    **dict.fromkeys(("infusion", "iv infusion"), INFUSION),
}


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the table does not say of itself.

    Fields
    ------
    route
        Of all doses, if there is no column ROUTE: an infusion where a rate or duration
        is given, else extravascular.
    amount
        A number or a column, where the table has no doses: each is given at time 0.
    tau
        [the table's time] The dosing interval; 0: II, or the gap to the next dose.
    steady
        Whether all doses are at steady state, whatever SS says.
    by
        Columns whose values part a subject's rows: period, analyte.
    """

    route: Route | None = None
    amount: str = ""
    tau: float = 0.0
    steady: bool = False
    by: tuple[str, ...] = ()


class Profiles(NamedTuple):
    """Profiles side by side; the first place of each is kept for the time of its dose.

    Fields
    ------
    who
        A row each: ID, the columns of `by`, and the number of the dose where subjects
        have several.
    time, value
        Since the dose, ascending; NaN where there is nothing.
    below
        Whether a value is below the limit of quantification.
    dose, duration, route
        The amount (NaN if unknown), how long it took, a place in `ROUTES`.
    tau
        The dosing interval; NaN if there is none.
    steady, alone
        Whether it is at steady state; whether no dose came before.
    """

    who: pd.DataFrame
    time: Float[np.ndarray, "profile time"]
    value: Float[np.ndarray, "profile time"]
    below: Bool[np.ndarray, "profile time"]
    dose: Float[np.ndarray, " profile"]
    duration: Float[np.ndarray, " profile"]
    route: Int[np.ndarray, " profile"]
    tau: Float[np.ndarray, " profile"]
    steady: Bool[np.ndarray, " profile"]
    alone: Bool[np.ndarray, " profile"]


class _Table(NamedTuple):
    """The columns of a table, a row each."""

    time: np.ndarray
    value: np.ndarray
    below: np.ndarray
    seen: np.ndarray
    given: np.ndarray
    amount: np.ndarray
    duration: np.ndarray
    route: np.ndarray
    interval: np.ndarray
    more: np.ndarray
    steady: np.ndarray


class _Profile(NamedTuple):
    """One profile on its way to the others."""

    who: tuple[object, ...]
    number: int
    rows: np.ndarray
    start: float
    dose: float
    duration: float
    route: int
    tau: float
    steady: bool


def read_profiles(path: str | Path, told: Told) -> Profiles:
    """Read a table with ID, TIME and DV, and doses if it has any.

    A profile goes from a dose to the next; what is seen at the time of that belongs to
    both. Values that are missing, or of rows with MDV 1, are left out.

    Raises
    ------
    DataError
        With every wrong row, by line.
    """
    rows = in_capitals(Rows(path))
    if VALUE not in rows.names and "CONC" in rows.names:
        rows = rows.renamed({"CONC": VALUE})
    for name in (ID, TIME, VALUE, *told.by):
        if name not in rows.names:
            write = nearest(name, rows.names) or name
            rows.fault(name, "missing", "a column", write)
    rows.refuse()
    table = _columns(rows, told)
    keys = [rows.names_of_subjects(), *(rows.labels(name) for name in told.by)]
    rows.refuse()
    frame = pd.DataFrame(dict(enumerate(keys)))
    groups = frame.groupby([*frame.columns], sort=False).indices
    groups = {who: np.asarray(places) for who, places in groups.items()}
    _check_order(rows, table, list(groups.values()))
    rows.refuse()
    found: list[_Profile] = []
    for who, places in groups.items():
        found += _profiles(who, places, table, told)
    if not found:
        allowed = f"with at least {LEAST} values after some dose"
        rows.fault("the table", "without a profile", allowed, "")
    rows.refuse()
    return _laid(found, table, told.by)


def _columns(rows: Rows, told: Told) -> _Table:
    """Read the columns that count, noting what is wrong in them."""
    time = rows.numbers(TIME, default=np.nan)
    rows.wrong(rows.gaps(TIME), TIME, "missing", "given in every row", "0")
    text = rows.each(VALUE, lambda cell: bool(_BELOW.fullmatch(cell))).astype(bool)
    amount = rows.numbers("AMT")
    event = rows.numbers("EVID", default=np.nan)
    event = np.where(np.isnan(event), (amount > 0).astype(float), event)
    strange = ~np.isin(event, range(5))
    rows.wrong(strange, "EVID", "`{}`", "0 to 4, as in NONMEM", "1 for a dose")
    given, idle = np.isin(event, (1, 4)), event != 0
    rows.wrong(
        given & ~(amount > 0), "AMT", "`{}` of a dose", "above 0", "100"
    ) if "AMT" in rows.names else None
    flagged = np.zeros(len(rows), bool)
    for name in ("BLQ", "CENS"):
        flagged |= rows.numbers(name) == 1
    value = rows.numbers(VALUE, default=np.nan, aside=text | idle)
    seen = ~idle & (rows.numbers("MDV") == 0) & (text | flagged | ~np.isnan(value))
    amount = _amounts(rows, told, amount)
    rate = rows.numbers("RATE")
    for name in ("RATE", "DUR", "TINF"):
        if name in rows.names:
            negative = given & (rows.numbers(name) < 0)
            rows.wrong(negative, name, "`{}`", "0 or above: no model is here", "0")
    with np.errstate(divide="ignore", invalid="ignore"):
        duration = np.where(rate > 0, amount / rate, 0.0)
    duration = np.maximum.reduce(
        [duration, *(rows.numbers(name) for name in ("DUR", "TINF"))]
    )
    return _Table(
        time,
        value,
        text | flagged,
        seen,
        given,
        amount,
        duration,
        _routes(rows, told, duration),
        rows.numbers("II"),
        rows.numbers("ADDL"),
        rows.numbers("SS"),
    )


def _amounts(rows: Rows, told: Told, amount: np.ndarray) -> np.ndarray:
    """Return the amounts of doses, or of the one that each subject got at time 0."""
    if not told.amount:
        return amount if "AMT" in rows.names else np.full(len(rows), np.nan)
    if "AMT" in rows.names:
        found = f"`{told.amount}`, and the table has AMT"
        rows.fault("the amount", found, "one of the two", "")
        return amount
    number = read_number(told.amount)
    if number > 0:
        return np.full(len(rows), number)
    if told.amount in rows.names:
        return rows.numbers(told.amount, default=np.nan)
    allowed = f"a number, or a column: {listed(rows.names, 30)}"
    rows.fault("the amount", f"`{told.amount}`", allowed, "320")
    return amount


def _routes(rows: Rows, told: Told, duration: np.ndarray) -> np.ndarray:
    """Return the route of each row's dose."""
    usual = np.where(duration > 0, INFUSION, EXTRAVASCULAR)
    if told.route is not None:
        return np.full(len(rows), ROUTES.index(told.route))
    if "ROUTE" not in rows.names:
        return usual
    found = rows.each("ROUTE", lambda cell: _ROUTE_WORDS.get(cell.casefold(), -1))
    strange = (found < 0) & ~rows.gaps("ROUTE")
    rows.wrong(strange, "ROUTE", "`{}`", f"{listed(ROUTES)}", "extravascular")
    found = np.where(found < 0, usual, found)
    return np.where((found == BOLUS) & (duration > 0), INFUSION, found)


def _check_order(rows: Rows, table: _Table, groups: Sequence[np.ndarray]) -> None:
    """Refuse times that go back, and values twice at one time."""
    back, again = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
    for places in groups:
        back[places[1:]] = np.diff(table.time[places]) < 0
        seen = places[table.seen[places]]
        again[seen[1:]] = np.diff(table.time[seen]) == 0
    rows.wrong(back, TIME, "`{}`, after a later one", "in ascending order", "")
    allowed = "measured once; name the column that parts the rows (analyte, period)"
    rows.wrong(again, TIME, "`{}` again", allowed, "--by PERIOD")


def _profiles(
    who: object, places: np.ndarray, table: _Table, told: Told
) -> list[_Profile]:
    """Part one subject's rows by doses."""
    whose = who if isinstance(who, tuple) else (who,)
    seen = places[table.seen[places]]
    doses = places[table.given[places]]
    if doses.size:
        counts = table.more[doses].astype(int) + 1
        source = np.repeat(doses, counts)
        order = np.concatenate([np.arange(count) for count in counts])
        start = table.time[source] + order * table.interval[source]
        ranked = np.argsort(start, kind="stable")
        source, start, first = source[ranked], start[ranked], order[ranked] == 0
    else:
        source, start, first = places[:1], np.zeros(1), np.zeros(1, bool)
    known = bool(doses.size or told.amount)
    ends = np.append(start[1:], np.inf)
    found = []
    for place, (row, begin, end) in enumerate(zip(source, start, ends, strict=True)):
        time = table.time[seen]
        mine = seen[(time >= begin) & (time <= end)]
        if table.route[row] == BOLUS and first[place]:  # before it is not after it
            mine = mine[(table.time[mine] > begin) | (mine > row)]
        if mine.size < LEAST or table.time[mine[-1]] <= begin:
            continue
        tau = told.tau or table.interval[row] or (end - begin if end < np.inf else 0.0)
        found.append(
            _Profile(
                whose,
                place + 1,
                mine,
                float(begin),
                float(table.amount[row]) if known else np.nan,
                float(table.duration[row]),
                int(table.route[row]),
                float(tau) or np.nan,
                bool(told.steady or table.steady[row]),
            )
        )
    return found


def _laid(found: list[_Profile], table: _Table, by: Sequence[str]) -> Profiles:
    """Lay profiles out side by side, with a place for the time of the dose."""
    width = 1 + max(one.rows.size for one in found)
    time, value = (np.full((len(found), width), np.nan) for _ in range(2))
    below = np.zeros((len(found), width), bool)
    for place, one in enumerate(found):
        end = 1 + one.rows.size
        time[place, 1:end] = table.time[one.rows] - one.start
        value[place, 1:end] = table.value[one.rows]
        below[place, 1:end] = table.below[one.rows]
    who = pd.DataFrame([one.who for one in found], columns=[ID, *by])
    if any(one.number > 1 for one in found):
        who[NUMBER] = [one.number for one in found]

    def column(name: str, kind: type) -> np.ndarray:
        return np.array([getattr(one, name) for one in found], kind)

    return Profiles(
        who,
        time,
        value,
        below,
        column("dose", float),
        column("duration", float),
        column("route", int),
        column("tau", float),
        column("steady", bool),
        column("number", int) == 1,
    )

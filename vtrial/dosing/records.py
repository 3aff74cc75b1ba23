"""Records of an event table: each row's columns, checked against each other."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from vtrial.dosing.clock import day_word, read_elapsed, read_span, refuse_clock
from vtrial.dosing.columns import DURATIONS
from vtrial.dosing.doses import DOSE, OTHER, RESET_DOSE
from vtrial.dosing.regimen import MODEL_DURATION, MODEL_RATE
from vtrial.model.model import Covariate
from vtrial.sheets.csv_table import Rows
from vtrial.sheets.words import listed, nearest

GIVEN = (DOSE, RESET_DOSE)
MAX_DOSES = 10_000_000
MAX_TIME = 1e9
AGREEMENT = 1e-3  # of a duration and AMT / RATE, which tables round


class Units(NamedTuple):
    """What a table's numbers are in: its time, how many hours that is, its amounts."""

    time: str
    hours: float
    amount: str

    @property
    def rate(self) -> str:
        """Unit of rates, amounts per time; empty where that of amounts is unknown."""
        return f"{self.amount}/{self.time}" if self.amount else ""


class Records(NamedTuple):
    """The columns of a checked table, each (row)."""

    subject: np.ndarray
    place: np.ndarray
    period: np.ndarray
    time: np.ndarray
    event: np.ndarray
    amount: np.ndarray
    compartment: np.ndarray
    rate: np.ndarray
    interval: np.ndarray
    additional: np.ndarray
    steady: np.ndarray


def check_order(rows: Rows, identity: np.ndarray, starts: np.ndarray) -> None:
    """Refuse a subject whose rows do not stand together."""
    _, first = np.unique(identity[starts], return_index=True)
    again = np.zeros(len(identity), bool)
    again[starts] = True
    again[starts[first]] = False
    rows.wrong(again, "ID", "`{}` again, after another", "in one block of rows")


def read_covariate(rows: Rows, covariate: Covariate) -> np.ndarray:
    """Read a column in which nothing may be missing, and only what the model knows."""
    name = covariate.name
    gaps = rows.gaps(name)
    rows.wrong(gaps, name, "missing", "given in every row")
    unit = "" if covariate.unit == "1" else covariate.unit
    values = rows.numbers(name, default=np.nan, unit=unit)
    if covariate.values:
        strange = ~np.isin(values, covariate.values) & ~np.isnan(values)
        known = listed([f"{value:g}" for value in covariate.values])
        rows.wrong(strange, name, "`{}`", f"a value that the model knows: {known}")
    return values


def read_records(
    rows: Rows,
    states: Sequence[str],
    starts: np.ndarray,
    units: Units,
    *,
    covariates: Collection[str] = (),
) -> Records:
    """Read the event columns and check each row.

    A covariate called DUR is one, and no duration of infusions.
    """
    begins = np.zeros(len(rows), int)
    begins[starts] = 1
    subject = np.cumsum(begins) - 1
    place = np.arange(len(rows)) - starts[subject]
    time = read_time(rows, starts, units)
    amount = rows.numbers("AMT", unit=units.amount)
    rate = rows.numbers("RATE", unit=units.rate)
    interval = read_span(rows, "II", units.time, units.hours)
    steady, additional = rows.numbers("SS"), rows.numbers("ADDL")
    there = [name for name in DURATIONS if name in rows.names]
    name = next((name for name in there if name not in covariates), "")
    duration = read_span(rows, name, units.time, units.hours)
    columns = {"AMT": amount, "RATE": rate, "SS": steady, "ADDL": additional}
    event = _event(rows, np.any([c != 0 for c in columns.values()], axis=0))
    columns[name] = duration
    given = np.isin(event, GIVEN)
    compartment = _compartment(rows, states, given)
    idle = ~given & (event >= 0)
    for column, values in columns.items():
        stray = idle & ((values > 0) if column == "AMT" else (values != 0))
        found = "`{}` in a row that is no dose"
        rows.wrong(stray, column, found, "0, or in a row with EVID 1")
    _check_amounts(rows, given, amount, rate, steady)
    _check_repeats(rows, given, amount, rate, interval, additional, steady)
    rate = _over(rows, name, given, amount, rate, duration)
    with np.errstate(over="ignore"):
        per_hour = np.where(rate > 0, rate / units.hours, rate)
    zero = np.zeros(len(rows))
    return Records(
        subject,
        place,
        np.zeros(len(rows), int),
        time,
        event,
        np.where(given, amount, zero),
        compartment,
        np.where(given, per_hour, zero),
        np.where(given, np.minimum(interval, MAX_TIME) * units.hours, zero),
        np.clip(np.where(given, additional, zero), 0, MAX_DOSES).astype(int),
        np.clip(np.where(given, steady, zero), 0, 2).astype(int),
    )


def read_time(rows: Rows, starts: np.ndarray, units: Units) -> np.ndarray:
    """Read when each record is [h]: numbers, or dates and clock times, ascending.

    Numbers count from when they say they do; dates and clock times from the subject's
    first record.
    """
    elapsed = read_elapsed(rows, starts)
    if elapsed is None:
        gaps, clock = rows.gaps("TIME"), refuse_clock(rows)
        rows.wrong(gaps, "TIME", "missing", "given in every row")
        time = rows.numbers("TIME", default=np.nan, aside=clock, unit=units.time)
        wrong = (time < 0) | (time > MAX_TIME)
        rows.wrong(wrong, "TIME", "`{}`", f"from 0 to {MAX_TIME:g}")
        elapsed = np.minimum(time, MAX_TIME) * units.hours
    earlier = np.r_[False, elapsed[1:] < elapsed[:-1]]
    earlier[starts] = False
    allowed = "no earlier than the row before, within a subject: "
    allowed += day_word(rows)
    rows.wrong(earlier, "TIME", "`{}`, after a later one", allowed)
    return elapsed


def is_observation(rows: Rows, *, by_amount: bool = True) -> np.ndarray:
    """Return which rows are observation records: no dose, no other event, MDV not 1.

    A table in which nothing tells doses has only observations. `by_amount`: without
    EVID, AMT tells them.
    """
    dosing = np.zeros(len(rows), bool)
    if by_amount and "AMT" in rows.names:
        columns = ("AMT", "RATE", "SS", "ADDL")
        dosing = np.any([rows.numbers(name) != 0 for name in columns], axis=0)
    return (_event(rows, dosing) == 0) & (rows.numbers("MDV") != 1)


def _event(rows: Rows, dosing: np.ndarray) -> np.ndarray:
    """Read EVID, or derive it: a dose if a row says anything of one, else by MDV."""
    mdv = rows.numbers("MDV")
    rows.wrong(~np.isin(mdv, (0, 1)), "MDV", "`{}`", "0 or 1")
    derived = np.where(dosing, DOSE, np.where(mdv == 1, OTHER, 0))
    if "EVID" not in rows.names:
        return derived
    event = rows.numbers("EVID")
    wrong = ~np.isin(event, (0, *range(1, 5)))
    allowed = "0 observation, 1 dose, 2 other, 3 reset or 4 reset and dose"
    rows.wrong(wrong, "EVID", "`{}`", allowed)
    event = np.where(wrong, 0, event).astype(int)
    unsaid = rows.gaps("EVID")
    event = np.where(unsaid, derived, event)
    return np.where(wrong, -1, event)


def _compartment(rows: Rows, states: Sequence[str], given: np.ndarray) -> np.ndarray:
    """Read CMT, by number from 1 or by the state's name; default: the first state."""
    zero = np.zeros(len(rows), int)
    if given.any() and not states:
        allowed = "free of doses, for the model has no states"
        rows.wrong(given, "EVID", "a dose", allowed)
        return zero
    if "CMT" not in rows.names:
        return zero
    text, numbers = rows.cells["CMT"], rows.values("CMT")
    named = {name: float(i) for i, name in enumerate(states, start=1)}
    by_name = text.map(named).to_numpy(float)
    number = np.where(np.isnan(by_name), numbers, by_name)
    gaps = rows.gaps("CMT") & np.isnan(by_name)
    number = np.where(gaps | (number == 0), 1.0, number)
    unknown = np.isnan(number)
    allowed = f"1 to {len(states)}, or a state: {listed(states)}"
    for name in sorted(set(text[unknown])):
        near = nearest(name, states)
        mine = unknown & (text == name).to_numpy()
        rows.wrong(mine, "CMT", "`{}`", allowed, near)
    outside = given & ((number < 1) | (number > len(states)))
    outside |= ~unknown & (number != np.round(number))
    rows.wrong(outside, "CMT", "`{}`", allowed)
    off = ~given & (number < 0)
    rows.wrong(off, "CMT", "`{}`, which turns a compartment off", allowed)
    inside = given & ~unknown & ~outside
    return np.where(inside, number - 1, 0).astype(int)


def _check_amounts(
    rows: Rows,
    given: np.ndarray,
    amount: np.ndarray,
    rate: np.ndarray,
    steady: np.ndarray,
) -> None:
    """Check AMT and RATE of doses."""
    negative = amount < 0
    rows.wrong(negative, "AMT", "`{}`", "0 or more")
    wrong = (rate < 0) & ~np.isin(rate, (MODEL_RATE, MODEL_DURATION))
    allowed = "0 (bolus), above 0, -1 (the model's rate) or -2 (its duration)"
    rows.wrong(wrong, "RATE", "`{}`", allowed)
    constant = ((rate > 0) | (rate == -1)) & (steady != 0)
    nothing = given & (amount == 0) & ~constant
    gaps = rows.gaps("AMT") if "AMT" in rows.names else np.ones(len(rows), bool)
    rows.wrong(nothing & gaps, "AMT", "missing", "given for a dose")
    allowed = "above 0 for a dose (0 only for a constant infusion at steady state)"
    rows.wrong(nothing & ~gaps, "AMT", "`{}`", allowed)


def _over(
    rows: Rows,
    name: str,
    given: np.ndarray,
    amount: np.ndarray,
    rate: np.ndarray,
    duration: np.ndarray,
) -> np.ndarray:
    """Return the rates of doses, those that last a duration AMT / duration."""
    wrong = given & ((duration < 0) | (duration > MAX_TIME))
    allowed = f"0 (bolus) or above, to {MAX_TIME:g}"
    rows.wrong(wrong, name, "`{}`", allowed)
    lasts = given & (duration > 0) & (duration <= MAX_TIME)
    modelled = lasts & (rate < 0)
    allowed = "0 beside a RATE that the model says, or RATE 0"
    rows.wrong(modelled, name, "`{}`", allowed)
    both = lasts & (rate > 0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        implied = np.where(both, amount / rate, duration)
        found = np.where(lasts & (rate == 0), amount / duration, rate)
    off = both & ~(np.abs(implied - duration) <= AGREEMENT * duration)
    allowed = "AMT / RATE where both are given"
    rows.wrong(off, name, "`{}`, which does not go with RATE", allowed)
    return found


def _check_repeats(
    rows: Rows,
    given: np.ndarray,
    amount: np.ndarray,
    rate: np.ndarray,
    interval: np.ndarray,
    additional: np.ndarray,
    steady: np.ndarray,
) -> None:
    """Check II, ADDL and SS against each other."""
    wrong = (interval < 0) | (interval > MAX_TIME)
    rows.wrong(wrong, "II", "`{}`", f"from 0 to {MAX_TIME:g}")
    wrong = (additional < 0) | (additional != np.round(additional))
    rows.wrong(wrong, "ADDL", "`{}`", "a whole number, 0 or more")
    wrong = ~np.isin(steady, (0, 1, 2))
    allowed = "0 none, 1 steady state anew or 2 added to what is there"
    rows.wrong(wrong, "SS", "`{}`", allowed)
    constant = (amount == 0) & ((rate > 0) | (rate == -1)) & (steady != 0)
    lone = given & (additional > 0) & (interval == 0)
    rows.wrong(lone & ~constant, "ADDL", "`{}` without an interval", "with II above 0")
    rows.wrong(
        given & constant & (additional > 0),
        "ADDL",
        "`{}` behind a constant infusion",
        "0",
    )
    lone = given & np.isin(steady, (1, 2)) & (interval == 0) & ~constant
    rows.wrong(lone, "SS", "`{}` without an interval", "with II above 0")
    with np.errstate(over="ignore"):  # too many by far
        total = np.sum(np.where(given & (additional > 0), additional, 0.0))
    if total > MAX_DOSES:
        found = f"{total:g} doses in all"
        rows.fault("ADDL", found, f"at most {MAX_DOSES} doses")

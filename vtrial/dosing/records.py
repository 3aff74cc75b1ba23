"""Records of an event table: each row's columns, checked against each other."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vtrial.dosing.doses import DOSE, OTHER, RESET_DOSE
from vtrial.dosing.rows import Rows
from vtrial.sheets import listed, nearest

GIVEN = (DOSE, RESET_DOSE)
MODELLED = (-1.0, -2.0)
MAX_DOSES = 10_000_000
MAX_TIME = 1e9


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
    rows.wrong(
        again, "ID", "`{}` again, after another", "in one block of rows", "rows by ID"
    )


def read_covariate(rows: Rows, name: str) -> np.ndarray:
    """Read a column in which nothing may be missing."""
    gaps = rows.gaps(name)
    there = rows.cells[name][~gaps]
    write = str(there.iloc[0])[:40] if len(there) else "70"
    rows.wrong(gaps, name, "missing", "given in every row", write)
    return rows.numbers(name, default=np.nan)


def read_records(
    rows: Rows, states: Sequence[str], starts: np.ndarray, hours: float
) -> Records:
    """Read the event columns and check each row."""
    begins = np.zeros(len(rows), int)
    begins[starts] = 1
    subject = np.cumsum(begins) - 1
    place = np.arange(len(rows)) - starts[subject]
    time = _time(rows, subject)
    amount, rate = rows.numbers("AMT"), rows.numbers("RATE")
    interval, steady = rows.numbers("II"), rows.numbers("SS")
    additional = rows.numbers("ADDL")
    says = (amount != 0) | (rate != 0) | (steady != 0) | (additional != 0)
    event = _event(rows, says)
    given = np.isin(event, GIVEN)
    compartment = _compartment(rows, states, given)
    idle = ~given & (event >= 0)
    columns = {"AMT": amount, "RATE": rate, "SS": steady, "ADDL": additional}
    for name, values in columns.items():
        stray = idle & ((values > 0) if name == "AMT" else (values != 0))
        found = "`{}` in a row that is no dose"
        rows.wrong(stray, name, found, "0, or in a row with EVID 1", "0")
    _check_amounts(rows, given, amount, rate, steady)
    _check_repeats(rows, given, amount, rate, interval, additional, steady)
    with np.errstate(over="ignore"):
        per_hour = np.where(rate > 0, rate / hours, rate)
    zero = np.zeros(len(rows))
    return Records(
        subject,
        place,
        np.zeros(len(rows), int),
        np.minimum(time, MAX_TIME) * hours,
        event,
        np.where(given, amount, zero),
        compartment,
        np.where(given, per_hour, zero),
        np.where(given, np.minimum(interval, MAX_TIME) * hours, zero),
        np.clip(np.where(given, additional, zero), 0, MAX_DOSES).astype(int),
        np.clip(np.where(given, steady, zero), 0, 2).astype(int),
    )


def _time(rows: Rows, subject: np.ndarray) -> np.ndarray:
    """Read TIME: numbers that do not run backwards."""
    text = rows.cells["TIME"]
    clock = text.str.contains(r"[:/]|\d-\d", regex=True).to_numpy()
    allowed = "a number: time since the subject's first record"
    rows.wrong(clock, "TIME", "`{}`, a date or a clock time", allowed, "26.5")
    gaps = rows.gaps("TIME")
    rows.wrong(gaps, "TIME", "missing", "given in every row", "0")
    time = rows.numbers("TIME", default=np.nan, aside=clock)
    wrong = (time < 0) | (time > MAX_TIME)
    rows.wrong(wrong, "TIME", "`{}`", f"from 0 to {MAX_TIME:g}", "0")
    earlier = np.zeros(len(rows), bool)
    earlier[1:] = (time[1:] < time[:-1]) & (subject[1:] == subject[:-1])
    allowed = "no earlier than the row before, within a subject"
    rows.wrong(earlier, "TIME", "`{}`, after a later one", allowed, "rows by TIME")
    return time


def _event(rows: Rows, dosing: np.ndarray) -> np.ndarray:
    """Read EVID, or derive it: a dose if a row says anything of one, else by MDV."""
    mdv = rows.numbers("MDV")
    rows.wrong(~np.isin(mdv, (0, 1)), "MDV", "`{}`", "0 or 1", "1")
    derived = np.where(dosing, DOSE, np.where(mdv == 1, OTHER, 0))
    if "EVID" not in rows.names:
        return derived
    event = rows.numbers("EVID")
    wrong = ~np.isin(event, (0, *range(1, 5)))
    allowed = "0 observation, 1 dose, 2 other, 3 reset or 4 reset and dose"
    rows.wrong(wrong, "EVID", "`{}`", allowed, "1")
    event = np.where(wrong, 0, event).astype(int)
    unsaid = rows.gaps("EVID")
    event = np.where(unsaid, derived, event)
    return np.where(wrong, -1, event)


def _compartment(rows: Rows, states: Sequence[str], given: np.ndarray) -> np.ndarray:
    """Read CMT, by number from 1 or by the state's name; default: the first state."""
    zero = np.zeros(len(rows), int)
    if given.any() and not states:
        allowed = "free of doses, for the model has no states"
        rows.wrong(given, "EVID", "a dose", allowed, "0")
        return zero
    if "CMT" not in rows.names:
        return zero
    import pandas as pd

    text = rows.cells["CMT"]
    numbers = pd.to_numeric(text, errors="coerce").to_numpy(float)
    named = {name: float(i) for i, name in enumerate(states, start=1)}
    by_name = text.map(named).to_numpy(float)
    number = np.where(np.isnan(numbers), by_name, numbers)
    number = np.where(rows.gaps("CMT") | (number == 0), 1.0, number)
    unknown = np.isnan(number)
    allowed = f"1 to {len(states)}, or a state: {listed(states)}"
    for name in sorted(set(text[unknown])):
        near = nearest(name, states) or "1"
        mine = unknown & (text == name).to_numpy()
        rows.wrong(mine, "CMT", "`{}`", allowed, near)
    outside = given & ((number < 1) | (number > len(states)))
    outside |= ~unknown & (number != np.round(number))
    rows.wrong(outside, "CMT", "`{}`", allowed, "1")
    off = ~given & (number < 0)
    rows.wrong(off, "CMT", "`{}`, which turns a compartment off", allowed, "1")
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
    rows.wrong(negative, "AMT", "`{}`", "0 or more", lambda text: text.lstrip("-"))
    wrong = (rate < 0) & ~np.isin(rate, MODELLED)
    allowed = "0 (bolus), above 0, -1 (the model's rate) or -2 (its duration)"
    rows.wrong(wrong, "RATE", "`{}`", allowed, "-2")
    constant = ((rate > 0) | (rate == -1)) & (steady != 0)
    nothing = given & (amount == 0) & ~constant
    gaps = rows.gaps("AMT") if "AMT" in rows.names else np.ones(len(rows), bool)
    rows.wrong(nothing & gaps, "AMT", "missing", "given for a dose", "100")
    allowed = "above 0 for a dose (0 only for a constant infusion at steady state)"
    rows.wrong(nothing & ~gaps, "AMT", "`{}`", allowed, "100")


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
    rows.wrong(wrong, "II", "`{}`", f"from 0 to {MAX_TIME:g}", "24")
    wrong = (additional < 0) | (additional != np.round(additional))
    rows.wrong(wrong, "ADDL", "`{}`", "a whole number, 0 or more", "6")
    wrong = ~np.isin(steady, (0, 1, 2))
    allowed = "0 none, 1 steady state anew or 2 added to what is there"
    rows.wrong(wrong, "SS", "`{}`", allowed, "1")
    constant = (amount == 0) & ((rate > 0) | (rate == -1)) & (steady != 0)
    lone = given & (additional > 0) & (interval == 0)
    rows.wrong(
        lone & ~constant, "ADDL", "`{}` without an interval", "with II above 0", "0"
    )
    rows.wrong(
        given & constant & (additional > 0),
        "ADDL",
        "`{}` behind a constant infusion",
        "0",
        "0",
    )
    lone = given & np.isin(steady, (1, 2)) & (interval == 0) & ~constant
    rows.wrong(lone, "SS", "`{}` without an interval", "with II above 0", "0")
    with np.errstate(over="ignore"):  # too many by far
        total = np.sum(np.where(given & (additional > 0), additional, 0.0))
    if total > MAX_DOSES:
        found = f"{total:g} doses in all"
        rows.fault("ADDL", found, f"at most {MAX_DOSES} doses", "6")

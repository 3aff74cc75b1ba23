"""rxode2's event numbers as NONMEM's: the few beyond 4, and the classic ones from 101.

A classic number is made of digits: `cIddss`, with I the kind of event, dd the
compartment (and c hundreds of it), ss how it is given. Infusions are two records with
the rate in AMT, the second one negative, where it ends.

References
----------
Fidler ML et al., rxode2: event types and classic events (vignette of rxode2 2.0); the
digits were not checked against a run of rxode2.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int

from vtrial.jobs.raw_table import GAP, Raw

CLASSIC = 100  # the least of the classic numbers
BOLUS, RATE, DURATION, REPLACE, MULTIPLY = 0, 1, 2, 4, 5
OFF_MODELLED, ON_MODELLED = (6, 7), {8: "-2", 9: "-1"}
GIVEN, STEADY, OFF = 1, {10: "1", 20: "2"}, 30
_BEYOND = {5: "replaces an amount", 6: "multiplies an amount", 7: "a transit dose"}
_DOSES = "EVID 0 to 4, with CMT, RATE and SS"


class _Classic(NamedTuple):
    """The digits of classic numbers, by row; 0 where there is none."""

    here: Bool[np.ndarray, " row"]
    kind: Int[np.ndarray, " row"]
    compartment: Int[np.ndarray, " row"]
    given: Int[np.ndarray, " row"]


def settle_rxode(raw: Raw) -> None:
    """Write rxode2's events as NONMEM's; what has no like there is refused by line."""
    event = raw.numbers("EVID")
    for number, says in _BEYOND.items():
        found = f"{number}, which {says}" if number < 7 else f"{number}, {says}"
        raw.wrong(event == number, "EVID", found, _DOSES, "")
    odd = (event > 7) & (event < CLASSIC) | (event < 0) | (event != np.floor(event))
    raw.wrong(odd, "EVID", "`{}`", _DOSES, "")
    classic = _classic(event)
    _refuse_classic(raw, classic)
    raw.refuse()
    if not classic.here.any():
        return
    for name in ("CMT", "RATE", "SS"):
        if name not in raw.names:
            raw.cells[name] = GAP
    raw.cells.loc[classic.here, "CMT"] = classic.compartment[classic.here].astype(str)
    for number, steady in STEADY.items():
        raw.cells.loc[classic.given == number, "SS"] = steady
    for kind, rate in ON_MODELLED.items():
        raw.cells.loc[classic.here & (classic.kind == kind), "RATE"] = rate
    ends = classic.here & np.isin(classic.kind, OFF_MODELLED)
    ends |= _infusions(raw, classic)
    raw.refuse()
    raw.cells.loc[classic.here, "EVID"] = "1"
    raw.cells = raw.cells[~ends].reset_index(drop=True)
    raw.lines = raw.lines[~ends]
    raw.change(f"{int(classic.here.sum()):,} classic events of rxode2 are EVID 1")
    if ends.any():
        raw.change(f"{int(ends.sum()):,} ends of infusions are in RATE now")


def _classic(event: np.ndarray) -> _Classic:
    """Take classic numbers apart."""
    here = event >= CLASSIC
    number = np.where(here, event, 0).astype(int)
    hundreds, rest = np.divmod(number, 100_000)
    kind, rest = np.divmod(rest, 10_000)
    compartment, given = np.divmod(rest, 100)
    return _Classic(here, kind, 100 * hundreds + compartment, given)


def _refuse_classic(raw: Raw, classic: _Classic) -> None:
    """Note classic numbers that have no like in NONMEM, or mean nothing."""
    dose = np.isin(classic.given, (GIVEN, *STEADY))
    infused = np.isin(classic.kind, (RATE, DURATION))
    told = {
        "which replaces an amount": classic.kind == REPLACE,
        "which multiplies an amount": classic.kind == MULTIPLY,
        "which turns a compartment off": classic.given == OFF,
        "an infusion at steady state": infused & (classic.given != GIVEN),
        "which is no event": (classic.compartment == 0) | (classic.kind == 3),
    }
    told["which is no event"] |= ~dose & (classic.given != OFF) & ~infused
    before = np.zeros(len(raw.cells), bool)
    for says, wrong in told.items():
        wrong = wrong & classic.here & ~before
        before |= wrong
        raw.wrong(wrong, "EVID", f"`{{}}`, {says}", _DOSES, "")


def _infusions(raw: Raw, classic: _Classic) -> Bool[np.ndarray, " row"]:
    """Give infusions their amount and rate; return the records that end them."""
    infused = classic.here & np.isin(classic.kind, (RATE, DURATION))
    rows = pd.DataFrame(
        {
            "row": np.flatnonzero(infused),
            "ID": raw.cells["ID"][infused].to_numpy(str),
            "to": classic.compartment[infused],
            "rate": raw.numbers("AMT")[infused],
            "time": raw.numbers("TIME")[infused],
        }
    )
    rows["size"] = rows["rate"].abs()
    rows["begins"] = rows["rate"] > 0
    keys = ["ID", "to", "size"]
    rows["turn"] = rows.groupby([*keys, "begins"]).cumcount()
    first, last = rows[rows["begins"]], rows[~rows["begins"]]
    pairs = first.merge(last, how="outer", on=[*keys, "turn"], suffixes=("", "_end"))
    alone = pairs["row"].isna() | pairs["row_end"].isna()
    alone |= pairs["time_end"] <= pairs["time"]
    lost = pairs.loc[alone, "row"].fillna(pairs.loc[alone, "row_end"]).astype(int)
    wrong = np.zeros(len(raw.cells), bool)
    wrong[lost.to_numpy()] = True
    allowed = "an infusion with a beginning and, later, an end: AMT with the same rate"
    raw.wrong(wrong, "EVID", "`{}`, half an infusion", allowed, "")
    pairs = pairs[~alone]
    lasts = pairs["time_end"] - pairs["time"]
    place = raw.cells.index[pairs["row"].to_numpy(int)]
    for name, values in (("AMT", pairs["size"] * lasts), ("RATE", pairs["size"])):
        raw.cells.loc[place, name] = [f"{value:.12g}" for value in values]
    ends = np.zeros(len(raw.cells), bool)
    ends[last["row"].to_numpy(int)] = True
    return ends

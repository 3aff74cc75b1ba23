"""Doses to choose from: real strengths, intervals, and how long an infusion runs."""

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from vtrial.dosing.regimen import Regimen
from vtrial.dosing.words import parse_regimen
from vtrial.errors import DataError, DosingError, Fault
from vtrial.model.model import Model
from vtrial.sheets.span import span_of

MOST = 500
_BARE = re.compile(r"\d+\.?\d*")


@dataclass(frozen=True)
class Candidate:
    """A regimen, what it is called, and how much it gives a day.

    `dosing` are its dosing words; `daily` is in the model's amount, or in it per kg or
    m2 if the dose is.
    """

    words: str
    dosing: str
    regimen: Regimen
    daily: float


def candidates_of(
    model: Model,
    doses: str,
    every: str,
    *,
    over: str = "",
    into: str = "",
    lasting: float = 48.0,
) -> tuple[Candidate, ...]:
    """Make every dose with every interval a regimen, which begins at time 0.

    Parameters
    ----------
    doses
        Amounts with commas between: `500, 750, 1000 mg`, or `10 mg/kg, 15 mg/kg`. A
        bare number has the unit of the next one that has one.
    every
        Intervals: `8 h, 12 h, 24 h`, or `8, 12, 24 h`.
    over
        How long an infusion runs; empty for none.
    into
        The state that it goes into; the model's first unless given.
    lasting
        [h] How long they are given.

    Raises
    ------
    DataError, DosingError
        With every fault of the words.

    Examples
    --------
    >>> from vtrial.model.sheet import load_model
    >>> found = candidates_of(load_model("theophylline"), "200, 300 mg", "12 h, 24 h")
    >>> [one.words for one in found]
    ['200 mg every 12 h', '200 mg every 24 h', '300 mg every 12 h', '300 mg every 24 h']
    """
    amounts, intervals = parts_of(doses, at="doses"), parts_of(every, at="every")
    if len(amounts) * len(intervals) > MOST:
        found = f"{len(amounts) * len(intervals)} candidates"
        raise DataError("doses", found, f"at most {MOST}", "")
    hours = {text: span_of(text, at="every") for text in intervals}
    if bad := [text for text, value in hours.items() if not value > 0]:
        raise DataError("every", f"`{bad[0]}`", "above 0 h", "12 h")
    made, faults = [], []
    for amount, interval in itertools.product(amounts, intervals):
        rounds = max(math.ceil(lasting / hours[interval] - 1e-9), 1)
        tail = (f" over {over}" if over else "") + (f" into {into}" if into else "")
        words = f"{amount}{tail} every {interval}"
        dosing = f"{words} x {rounds}"
        try:
            regimen = parse_regimen(dosing, model=model)
        except DosingError as error:
            faults += [fault._replace(line=0, column=0) for fault in error.faults]
            continue
        nominal = regimen.nominal()
        each = nominal.amount if nominal else math.nan
        made.append(Candidate(words, dosing, regimen, each * 24.0 / hours[interval]))
    if faults:
        raise DosingError.of(dict.fromkeys(faults))
    return tuple(made)


def parts_of(text: str, *, at: str) -> Sequence[str]:
    """Part a list with commas; a bare number takes the unit of the next that has one.

    Raises
    ------
    DataError
        If a part is empty, or the last is a bare number.

    Examples
    --------
    >>> parts_of("500, 750 mg, 1 g", at="doses")
    ['500 mg', '750 mg', '1 g']
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(parts) or _BARE.fullmatch(parts[-1]):
        found = f"`{text[:60]}`"
        allowed = "quantities with commas between, the last of them with its unit"
        such = "500, 750, 1000 mg" if at == "doses" else "8 h, 12 h, 24 h"
        raise DataError.of([Fault(at, found, allowed, such)])
    unit, found_ = "", []
    for part in reversed(parts):
        if _BARE.fullmatch(part):
            found_.append(f"{part} {unit}")
        else:
            unit = part.lstrip("0123456789. ")
            found_.append(part)
    return found_[::-1]

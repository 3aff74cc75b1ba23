"""Other programs' data as an event table: every quirk that is changed is said.

What columns mean is in NONMEM's Users Guide, Part V, in Monolix's documentation of data
sets, and in rxode2's of events. What could mean two things is refused, with what to
write for each.
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

from vtrial.dosing.columns import COLUMNS, DATES, FOREIGN, OCCASION
from vtrial.dosing.records import Units, read_time
from vtrial.dosing.table import read_events
from vtrial.errors import DataError
from vtrial.jobs.raw_table import GAP, Raw, read_raw
from vtrial.jobs.rxode_events import settle_rxode
from vtrial.sheets.csv_number import is_missing
from vtrial.sheets.words import listed, nearest
from vtrial.units import factor

Dialect = Literal["nonmem", "monolix", "rxode2"]
Both = Literal["", "dose", "split"]
DIALECTS: tuple[Dialect, ...] = ("nonmem", "monolix", "rxode2")
KNOWN = (*COLUMNS, *DATES, OCCASION, "BLQ", "CENS", "LIMIT")
_MONOLIX = {
    **dict.fromkeys(("SUBJECT", "SUBJ"), "ID"),
    **dict.fromkeys(("Y", "OBSERVATION", "OBS", "CONC"), "DV"),
    **dict.fromkeys(("AMOUNT", "DOSE"), "AMT"),
    **dict.fromkeys(("YTYPE", "OBSID", "OBSERVATIONID"), "DVID"),
    **dict.fromkeys(("ADM", "ADMID", "ADMINISTRATION"), "ADM"),
    **dict.fromkeys(("TINF", "INFUSIONDURATION"), "DUR"),
    **dict.fromkeys(("OCCASION",), OCCASION),
    **dict.fromkeys(("CENSORING", "CENSORED"), "CENS"),
}


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a table does not say of itself.

    Fields
    ------
    ignore
        Rows that begin with this character are comments; `@`: with any letter.
    columns
        Names of ours by the table's.
    routes
        Where doses of each administration (ADM) go: a state, or its number.
    both
        What a row of Monolix is that has a dose and a measured value: a `dose` alone,
        or both, the value before the dose (`split`).
    time
        The unit of TIME, in which dates and clock times are written.
    """

    ignore: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    routes: Mapping[str, str] = field(default_factory=dict)
    both: Both = ""
    time: str = "h"


class Converted(NamedTuple):
    """An event table, all of it text, and what was changed to make it, in words."""

    table: pd.DataFrame
    changes: tuple[str, ...]


def convert_table(
    path: str | Path, dialect: str, *, out: str | Path, **told: object
) -> Converted:
    """Read a table with another program's quirks, and write an event table.

    What is written is what `read_events` reads; nothing is written if it would not.
    `told` are the fields of `Told`; `columns` and `routes` may be text: `1=depot`.

    Raises
    ------
    DataError
        With everything that is wrong, or that could mean two things, by line.
    """
    asked = _told(told)
    if dialect not in DIALECTS:
        write = nearest(dialect, DIALECTS) or DIALECTS[0]
        raise DataError("from", f"`{dialect}`", listed(DIALECTS), f"--from {write}")
    raw = read_raw(path, asked.ignore)
    _rename(raw, dialect, asked)
    if dialect == "monolix":
        _settle_monolix(raw, asked)
    _settle_time(raw, asked)
    if dialect == "rxode2":
        settle_rxode(raw)
    _settle_events(raw)
    _settle_values(raw)
    found = Converted(_ordered(raw.cells), tuple(raw.changes))
    _write(found.table, raw, Path(out), asked)
    return found


def _told(given: Mapping[str, object]) -> Told:
    """Read what is told; pairs may be text."""
    read = {
        name: pairs_of(value)
        if name in ("columns", "routes") and isinstance(value, str)
        else value
        for name, value in given.items()
    }
    if read.get("both", "") not in get_args(Both):
        allowed = listed(get_args(Both)[1:])
        raise DataError("both", f"`{read['both']}`", allowed, "--both split")
    return Told(**read)  # type: ignore[arg-type]


def _rename(raw: Raw, dialect: str, told: Told) -> None:
    """Call columns by our names: as it is told, in capitals, by the program's words."""
    names = raw.names
    for name in told.columns:
        if name not in names:
            write = nearest(name, names)
            raw.fault("column", f"`{name}`", f"one of {listed(names, 30)}", write)
    wanted = dict(told.columns)
    for name in names:
        bare = "".join(letter for letter in name.upper() if letter.isalnum())
        ours = bare if bare in KNOWN else ""
        if dialect == "monolix" and not ours:
            ours = _MONOLIX.get(bare, "")
        ours = "DUR" if (ours, dialect) == ("TINF", "monolix") else ours
        if not ours or name in told.columns:
            continue
        rivals = [n for n in (*names, *wanted.values()) if n == ours and n != name]
        if not rivals and name != ours:
            wanted[name] = ours
    for name in names:
        ours = FOREIGN.get(name.upper(), "")
        if (name, dialect) == ("ADM", "monolix"):
            continue
        if ours and ours not in (*names, *wanted.values()) and name not in wanted:
            allowed = f"called {ours}, or something quite different"
            raw.fault(
                f"column {name}", "read by nothing", allowed, f"--column {name}={ours}"
            )
    for name, ours in wanted.items():
        if name in names and name != ours:
            raw.change(f"column {name} is called {ours}")
    raw.cells = raw.cells.rename(columns=wanted)
    for name in ("ID", "TIME"):
        if name not in raw.names:
            near = nearest(name, raw.names) or "COLUMN"
            raw.fault(name, "missing", "a column", f"--column {near}={name}")
    again = [name for name in dict.fromkeys(raw.names) if raw.names.count(name) > 1]
    for name in again:
        raw.fault(f"column {name}", "there twice", "there once", "")
    raw.refuse()


def _settle_monolix(raw: Raw, told: Told) -> None:
    """Give Monolix's columns our meaning: MDV 2, ADM, SS, rows that are two."""
    if "MDV" in raw.names and "EVID" not in raw.names:
        other = raw.is_number("MDV", 2)
        if other.any():
            raw.cells["EVID"] = np.where(other, "2", GAP)
            raw.cells.loc[other, "MDV"] = "1"
            raw.change(f"{_count(other, 'row')} with MDV 2 are EVID 2")
    dose = raw.numbers("AMT") > 0
    if "EVID" not in raw.names and "DV" in raw.names:
        _part_rows(raw, dose & ~raw.gaps("DV") & ~raw.is_number("MDV", 1), told)
        dose = raw.numbers("AMT") > 0
    if "ADM" in raw.names:
        _settle_routes(raw, dose, told)
    if (raw.numbers("SS") == 1).any():
        raw.change(
            "SS 1 stands for the steady state itself; Monolix gives some doses before "
            "(5, unless it is told otherwise)"
        )
    for name in ("CENS", "LIMIT", "DVID"):
        if name in raw.names:
            raw.change(f"column {name} is carried along: it changes no prediction")


def _part_rows(raw: Raw, both: np.ndarray, told: Told) -> None:
    """Settle rows with a dose and a measured value."""
    if not both.any():
        return
    if told.both == "":
        allowed = "a dose alone, or a value that was measured before the dose"
        write = "--both dose, or --both split"
        raw.wrong(both, "DV", "`{}` in a row with a dose", allowed, write)
        raw.refuse()
    if told.both == "dose":
        raw.cells.loc[both, "DV"] = GAP
        raw.change(f"the values of {_count(both, 'row')} with a dose are left out")
        return
    seen = raw.cells[both].copy()
    for name in ("AMT", "RATE", "DUR", "SS", "II", "ADDL"):
        if name in seen:
            seen[name] = GAP
    raw.cells.loc[both, "DV"] = GAP
    place = np.r_[np.flatnonzero(both) - 0.5, np.arange(len(raw.cells), dtype=float)]
    raw.lines = np.r_[raw.lines[both], raw.lines][np.argsort(place, kind="stable")]
    raw.cells = pd.concat([seen, raw.cells]).iloc[np.argsort(place, kind="stable")]
    raw.cells = raw.cells.reset_index(drop=True)
    raw.change(f"{_count(both, 'row')} are two each: the measured value, then the dose")


def _settle_routes(raw: Raw, dose: np.ndarray, told: Told) -> None:
    """Turn administrations into compartments."""
    kinds = sorted(set(raw.cells["ADM"][dose]))
    lacking = [kind for kind in kinds if kind not in told.routes]
    if len(kinds) > 1 and lacking:
        example = ", ".join(f"{kind}=STATE" for kind in kinds)
        raw.fault(
            "column ADM",
            f"of {listed(kinds).replace(' or ', ' and ')}, which are no compartments",
            "told where each goes",
            f'--adm "{example}"',
        )
        raw.refuse()
    elif lacking:
        raw.change(
            f"ADM is {kinds[0]} in all doses, and left out: they go to the first state"
        )
    else:
        where = [told.routes[k] if d else GAP for k, d in zip(raw.cells["ADM"], dose)]  # noqa: B905
        raw.cells["CMT"] = where
        pairs = ", ".join(f"{kind} to {told.routes[kind]}" for kind in kinds)
        raw.change(f"ADM says CMT: {pairs}")
    raw.cells = raw.cells.drop(columns="ADM")


def _settle_time(raw: Raw, told: Told) -> None:
    """Write dates and clock times as time since the subject's first record."""
    there = [name for name in DATES if name in raw.names]
    clock = raw.cells["TIME"].str.contains(":", regex=False).any()
    if not there and not clock:
        return
    rows = raw.rows()
    identity = rows.cells["ID"].to_numpy(str)
    starts = np.flatnonzero(np.r_[True, identity[1:] != identity[:-1]])
    hours = factor(told.time, "h")
    time = read_time(rows, starts, Units(told.time, hours, ""))
    rows.refuse()
    raw.cells["TIME"] = [f"{value / hours:.12g}" for value in time]
    raw.cells = raw.cells.drop(columns=there)
    what = f"{listed(there)} and TIME" if there else "clock times"
    raw.change(f"{what} are TIME in {told.time} since each subject's first record")


def _settle_events(raw: Raw) -> None:
    """Say in EVID what each row is, where nothing says it."""
    dosing = np.zeros(len(raw.cells), bool)
    for name in ("AMT", "RATE", "SS", "ADDL"):
        dosing |= raw.numbers(name) != 0
    other = raw.is_number("MDV", 1)
    derived = np.where(dosing, "1", np.where(other, "2", "0"))
    if "EVID" not in raw.names:
        raw.cells["EVID"] = derived
        what = f"{_count(dosing, 'dose')}, {int((derived == '0').sum())} observations"
        raw.change(f"EVID is made of AMT and MDV: {what}")
        return
    gaps = raw.gaps("EVID")
    if gaps.any():
        raw.cells["EVID"] = np.where(gaps, derived, raw.cells["EVID"])
        raw.change(f"EVID of {_count(gaps, 'row')} is made of AMT and MDV")


def _settle_values(raw: Raw) -> None:
    """Empty the cells that mean nothing in their row, and mark missing values."""
    event = raw.numbers("EVID")
    given = np.isin(event, (1, 4))
    for name in ("AMT", "RATE", "DUR", "II", "ADDL", "SS"):
        if name in raw.names:
            idle = ~given & raw.is_number(name, 0)
            raw.cells.loc[idle, name] = GAP
    if "DV" not in raw.names:
        return
    nothing = (event != 0) & raw.is_number("DV", 0)
    raw.cells.loc[nothing, "DV"] = GAP
    if nothing.any():
        raw.change(f"DV 0 of {_count(nothing, 'row')} that measure nothing is `{GAP}`")
    lost = (event == 0) & raw.gaps("DV") & ~raw.is_number("MDV", 1)
    if lost.any():
        held = raw.cells["MDV"] if "MDV" in raw.names else "0"
        raw.cells["MDV"] = np.where(lost, "1", held)
        raw.change(
            f"{_count(lost, 'observation')} without a value have MDV 1 (NONMEM reads "
            "0 there)"
        )


def _ordered(cells: pd.DataFrame) -> pd.DataFrame:
    """Put our columns first, in their order."""
    first = ["ID", "TIME", "EVID", "AMT", "CMT", "RATE", "DUR", "II", "ADDL", "SS"]
    first = [name for name in (*first, "DV", "MDV") if name in cells]
    return cells[[*first, *(name for name in cells.columns if name not in first)]]


def _write(table: pd.DataFrame, raw: Raw, out: Path, told: Told) -> None:
    """Write the table where it can be read as an event table, and only then."""
    out.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    os.close(handle)
    try:
        table.to_csv(draft, index=False, lineterminator="\n")
        read_events(draft, states=_states(table), time=told.time)
        Path(draft).chmod(0o644)
        Path(draft).replace(out)
    except DataError as error:
        raise DataError.of(raw.back(error.faults)) from None
    finally:
        Path(draft).unlink(missing_ok=True)


def _states(table: pd.DataFrame) -> Sequence[str]:
    """Name so many states as the table's compartments need."""
    kinds = [kind for kind in set(table.get("CMT", ())) if not is_missing(kind)]
    named = sorted(kind for kind in kinds if not kind.lstrip("-").isdigit())
    most = max([1, *(int(kind) for kind in kinds if kind.isdigit())])
    return [*named, *(f"state {n}" for n in range(len(named), min(most, 1000)))]


def _count(mask: np.ndarray, word: str) -> str:
    """Count things in words."""
    number = int(np.sum(mask))
    return f"{number:,} {word}{'s'[: number != 1]}"


def pairs_of(text: str) -> dict[str, str]:
    """Read `1=depot, 2=central`.

    Raises
    ------
    DataError
        If it is otherwise.

    Examples
    --------
    >>> pairs_of("1=depot, 2=central")
    {'1': 'depot', '2': 'central'}
    """
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    for name, mark, value in pairs:
        if not (mark and name.strip() and value.strip()):
            said = f"`{name.strip()}`"
            raise DataError("a pair", said, "NAME=VALUE", "1=depot, 2=central")
    return {name.strip(): value.strip() for name, _, value in pairs}

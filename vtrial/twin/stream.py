"""A stream of messages from wards and laboratories, read into a study's table.

A row is a message: who (`person`), when (`time`, ISO 8601), what (`code`, such as a
LOINC), `value` and `unit` (UCUM). It may have an `id`, a `version` and a `status`, and
doses an `end`. Rows come in any order. Of rows with one id the highest version counts,
without versions the last; `entered-in-error` withdraws it. A row that is there twice
counts once, and one without a value not at all. What was done is counted, by kind.

Nothing personal is kept: persons become numbers, in the order in which they first come,
and times the hours since a person's first message, unless it is asked otherwise.

References
----------
Logical Observation Identifiers Names and Codes (LOINC) Users' Guide, appendix C: the
check digit (modulus 10). HL7 FHIR R4, observation-status.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vtrial.errors import UnitError
from vtrial.fit.study import Below, Study, read_study
from vtrial.model.model import Model
from vtrial.sheets.csv_number import is_missing
from vtrial.sheets.csv_table import Rows
from vtrial.sheets.words import listed, nearest
from vtrial.units import factor

NEEDED = ("person", "time", "code", "value", "unit")
MORE = ("id", "version", "status", "end")
STATUSES = ("registered", "preliminary", "final", "amended", "corrected", "cancelled")
WITHDRAWN = ("entered-in-error", "cancelled")
_LOINC = re.compile(r"(\d{3,7})-(\d)")
_BELOW = re.compile(r"\s*<\s*(.+)")
_DOSE = re.compile(r"dose(?:\s+into\s+(\w+))?")


@dataclass(frozen=True)
class Stream:
    """What a stream holds, and what was done to read it.

    Fields
    ------
    rows
        A table of NONMEM's columns, by person and time.
    counts
        How many rows were `duplicated`, `corrected`, `withdrawn`, `missing` a value,
        or of codes that are `not asked for`; and how many came `late`, behind one of
        the same person that is later.
    """

    rows: Rows
    counts: Mapping[str, int]

    def study(self, model: Model, *, below: Below = "M3") -> Study:
        """Return the study of these persons; on `below`, see `read_study`.

        Raises
        ------
        DataError
            With every fault of the table, by line of the stream.
        """
        return read_study(
            model, self.rows, below=below, convention="forward", unobserved=True
        )


def read_stream(
    model: Model,
    path: str | Path,
    codes: Mapping[str, str],
    *,
    identities: bool = False,
) -> Stream:
    """Read a stream of messages about persons, and check it.

    Parameters
    ----------
    codes
        What each code is: an output, a covariate, `dose`, or `dose into STATE`. Rows
        with other codes are counted, and left out.
    identities
        Whether persons keep their names.

    Raises
    ------
    DataError
        With every fault, by line.
    """
    rows = Rows(path, by_subject=False)
    meaning = _meaning(rows, model, codes)
    _check_columns(rows)
    table = _read(rows, model, meaning)
    rows.refuse()
    counts, kept = _settled(rows, table)
    rows.refuse()
    found = table[kept].sort_values(["person", "when", "place"])
    return Stream(_laid(rows, model, found, identities=identities), counts)


def _check_columns(rows: Rows) -> None:
    rows.misspelt((*NEEDED, *MORE))
    for name in NEEDED:
        if name not in rows.names:
            rows.fault(name, "missing", f"a column, beside {listed(NEEDED)}")
    rows.refuse()


def _meaning(
    rows: Rows, model: Model, codes: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """Return of each code what kind it is and which name, or note what is wrong."""
    outputs = [output.name for output in model.outputs if output.error.varies]
    covariates = [covariate.name for covariate in model.covariates]
    known = [*outputs, *covariates, "dose", *(f"dose into {s}" for s in model.states)]
    found: dict[str, tuple[str, str]] = {}
    for code, meant in codes.items():
        dose = _DOSE.fullmatch(meant.strip())
        if meant in outputs:
            found[code] = ("measured", meant)
        elif meant in covariates:
            found[code] = ("covariate", meant)
        elif dose and model.states and (dose[1] or model.states[0]) in model.states:
            found[code] = ("dose", dose[1] or model.states[0])
        else:
            allowed, near = listed(known, 30), nearest(meant, known)
            rows.fault(f"the code {code}", f"`{meant}`", allowed, near)
        loinc = _LOINC.fullmatch(code)
        if loinc and check_digit(loinc[1]) != int(loinc[2]):
            right = f"{loinc[1]}-{check_digit(loinc[1])}"
            allowed = f"with the check digit of a LOINC: {right}"
            rows.fault("a code", f"`{code}`", allowed, right)
    return found


def check_digit(number: str) -> int:
    """Return the check digit of a LOINC.

    Examples
    --------
    >>> check_digit("20578"), check_digit("2345")
    (1, 7)
    """
    digits = [int(letter) for letter in reversed(number)]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[::2]]
    return -(sum(doubled) + sum(digits[1::2])) % 10


def _read(
    rows: Rows, model: Model, meaning: Mapping[str, tuple[str, str]]
) -> pd.DataFrame:
    """Read every cell, and note what is none."""
    code = rows.cells["code"].astype(str).str.strip()
    kind = code.map({name: one[0] for name, one in meaning.items()}).fillna("")
    of = code.map({name: one[1] for name, one in meaning.items()}).fillna("")
    asked = (kind != "").to_numpy()
    gaps = rows.gaps("value")
    person = rows.labels("person")
    text = rows.cells["value"].astype(str)
    below = text.str.match(_BELOW.pattern).to_numpy() & asked & ~gaps
    bare = rows.of_cells(
        rows.cells.assign(value=text.str.replace(r"^\s*<\s*", "", regex=True)),
        rows.lines,
        rows.source,
    )
    value = bare.numbers("value", default=np.nan, aside=~asked)
    rows.faults += bare.faults
    measured = (kind == "measured").to_numpy()
    rows.wrong(below & ~measured, "value", "`{}`", "a number: only measurements have <")
    scale = _scales(rows, model, kind.to_numpy(str), of.to_numpy(str), asked & ~gaps)
    when = _times(rows, "time", asked)
    end = (
        _times(rows, "end", asked)
        if "end" in rows.names
        else np.full(len(rows), np.nan)
    )
    rows.wrong(asked & (end <= when), "end", "`{}`", "behind `time`, or missing")
    return pd.DataFrame(
        {
            "person": person,
            "place": np.arange(len(rows)),
            "line": rows.lines,
            "asked": asked,
            "kind": kind.to_numpy(str),
            "of": of.to_numpy(str),
            "value": value * scale,
            "below": below,
            "when": when,
            "end": end,
        }
    )


def _scales(
    rows: Rows, model: Model, kind: np.ndarray, of: np.ndarray, asked: np.ndarray
) -> np.ndarray:
    """Return what each value is multiplied by; note units that do not convert."""
    units = {("measured", o.name): o.unit for o in model.outputs}
    units |= {("covariate", c.name): c.unit for c in model.covariates}
    units |= {("dose", state): model.amount for state in model.states}
    given = rows.cells["unit"].astype(str).str.strip().to_numpy(str)
    pairs = pd.DataFrame({"kind": kind, "of": of, "unit": given})[asked]
    scale = np.ones(len(rows))
    for (one, name, unit), part in pairs.groupby(["kind", "of", "unit"]):
        mine = np.zeros(len(rows), bool)
        mine[part.index] = True
        want = units[str(one), str(name)]
        if is_missing(str(unit)) and want != "1":
            rows.wrong(mine, "unit", "missing", f"a unit that converts to {want}", want)
            continue
        try:
            own = "1" if is_missing(str(unit)) else str(unit)
            scale[mine] = factor(own, want, molar_mass=model.molar_mass)
        except UnitError:
            rows.wrong(mine, "unit", "`{}`", f"a unit that converts to {want}", want)
    return scale


def _times(rows: Rows, name: str, asked: np.ndarray) -> np.ndarray:
    """Read time stamps as seconds; all with an offset, or all without."""

    def read(text: str) -> Any:
        try:
            found = datetime.fromisoformat(text.strip())
        except ValueError:
            return np.nan, False
        aware = found.tzinfo is not None
        return (found if aware else found.replace(tzinfo=UTC)).timestamp(), aware

    places, kinds = pd.factorize(rows.cells[name].astype(str))
    each = [read(str(kind)) for kind in kinds]
    seconds = np.array([one[0] for one in each], float)[places]
    aware = np.array([one[1] for one in each], bool)[places]
    gaps = rows.gaps(name)
    bad = asked & np.isnan(seconds) & ~(gaps & (name == "end"))
    such = "a time stamp of ISO 8601, such as 2026-03-01T08:30:00+01:00"
    rows.wrong(bad & ~gaps, name, "`{}`", such)
    rows.wrong(bad & gaps, name, "missing", such)
    sound = asked & np.isfinite(seconds)
    if sound.any() and aware[sound].any():
        odd = sound & ~aware
        rows.wrong(odd, name, "`{}` without an offset", "with one, as others have")
    return seconds


def _settled(rows: Rows, table: pd.DataFrame) -> tuple[dict[str, int], np.ndarray]:
    """Return what was done with rows, and which of them count."""
    asked = table["asked"].to_numpy()
    counts = {"not asked for": int((~asked).sum())}
    told = pd.DataFrame({name: rows.cells[name].astype(str) for name in rows.cells})
    again = told.duplicated().to_numpy() & asked
    counts["duplicated"] = int(again.sum())
    kept = asked & ~again
    identity = _column(rows, "id")
    named = np.array([not is_missing(one) for one in identity], bool) & kept
    version = np.zeros(len(rows))
    if "version" in rows.names:
        version = rows.numbers("version")
        pairs = pd.DataFrame({"id": identity, "version": version})
        twice = named & pairs.where(pd.Series(named)).duplicated(keep=False).to_numpy()
        allowed = "another version than that of another row with this id"
        rows.wrong(twice, "version", "`{}` again, with another content", allowed)
    order = np.lexsort((table["place"], version))
    # Rows without an id are never versions of each other.
    alone = [f"row {place}" for place in range(len(rows))]
    known = pd.Series(np.where(named, np.char.add("id ", identity), alone))
    last = known[order].duplicated(keep="last").sort_index().to_numpy()
    older = named & last
    counts["corrected"] = int(older.sum())
    kept &= ~older
    status = _column(rows, "status")
    strange = ~np.isin(status, [*STATUSES, *WITHDRAWN, "", "."])
    rows.wrong(asked & strange, "status", "`{}`", listed([*STATUSES, *WITHDRAWN]))
    gone = kept & np.isin(status, WITHDRAWN)
    counts["withdrawn"] = int(gone.sum())
    kept &= ~gone
    missing = kept & rows.gaps("value")
    counts["missing"] = int(missing.sum())
    kept &= ~missing
    when = table["when"].where(pd.Series(kept))
    so_far = when.groupby(table["person"]).cummax()
    counts["late"] = int((when < so_far).sum())
    if not kept.any() and not rows.faults:
        rows.fault("the stream", "without a row that counts", "one at least")
    return counts, kept


def _column(rows: Rows, name: str) -> np.ndarray:
    """Return a column of words; empty where it is not there."""
    if name not in rows.names:
        return np.full(len(rows), "")
    return rows.cells[name].astype(str).str.strip().to_numpy(str)


def _laid(rows: Rows, model: Model, found: pd.DataFrame, *, identities: bool) -> Rows:
    """Write what counts as a table of NONMEM's columns."""
    start = found.groupby("person")["when"].transform("min")
    hours = (found["when"] - start) / 3600.0
    clock = factor("h", model.time)
    first = found.groupby("person")["place"].transform("min")
    number = first.rank(method="dense").astype(int)
    dose, seen = (found["kind"] == kind for kind in ("dose", "measured"))
    lasts = (found["end"] - found["when"]).fillna(0.0) / 3600.0
    table = {
        "ID": found["person"] if identities else number,
        "TIME": (hours * clock).map(repr),
        "EVID": np.select([dose, seen], ["1", "0"], "2"),
        "AMT": found["value"].map(repr).where(dose, "."),
        "DV": found["value"].map(repr).where(seen, "."),
        "DVID": found["of"].where(seen, "."),
    }
    if dose.any():
        table["CMT"] = found["of"].where(dose, ".")
        table["DUR"] = (lasts * clock).map(repr).where(dose, ".")
    if found["below"].any():
        table["BLQ"] = found["below"].map({True: "1", False: "0"})
        table["LLOQ"] = found["value"].map(repr).where(found["below"], ".")
    for covariate in model.covariates:
        mine = (found["kind"] == "covariate") & (found["of"] == covariate.name)
        known = found["value"].where(mine).groupby(found["person"])
        held = known.transform(lambda values: values.ffill().bfill())
        table[covariate.name] = held.map(
            lambda one: "." if np.isnan(one) else repr(one)
        )
    cells = pd.DataFrame(table).astype(str)
    order = np.lexsort((found["place"], dose, hours, number))
    cells, lines = cells.iloc[order], found["line"].to_numpy()[order]
    return Rows.of_cells(cells, lines, rows.source)

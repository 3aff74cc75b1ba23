"""Tables beside a sheet: columns of numbers out of a CSV file, or its faults.

A table in NONMEM's format may stand there as it is: doses and rows in which nothing was
measured (MDV) are left out, dates and clock times are read, as in an event table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vtrial.dosing.clock import read_elapsed
from vtrial.dosing.columns import record_columns
from vtrial.dosing.records import is_observation
from vtrial.errors import DataError, Fault
from vtrial.protocol.faults import Faults
from vtrial.sheets.csv_number import explain_number
from vtrial.sheets.csv_table import LENGTH, Rows
from vtrial.sheets.sheet import Path_
from vtrial.sheets.words import listed, nearest

MAX_FILE = 20_000_000
MOST = 20  # faults of a column that are told


class Column(NamedTuple):
    """A column of numbers: the key that names it, its name, and its unit's size.

    Without `among` any number may stand in it. `clock`: TIME may be dates and clock
    times, which are read as hours.
    """

    key: str
    name: str
    scale: float = 1.0
    among: tuple[float, ...] = ()
    clock: bool = False


@dataclass(frozen=True)
class CompleteRows:
    """The rows of a file in which something was seen and no number is missing.

    `table` has all rows, `kept` says which these are, `columns` are their numbers.
    """

    path: Path_
    faults: Faults
    table: Rows
    kept: np.ndarray
    columns: list[tuple[float, ...]]

    @property
    def file(self) -> str:
        """The file's name, as the sheet has it."""
        return Path(self.table.source).name

    def words(self, key: str, name: str) -> list[str] | None:
        """Return another column as it stands; None if it is missing."""
        if not _has(self.path, key, name, self.table, self.faults):
            return None
        gaps = self.table.gaps(name) & self.kept
        self.wrong(gaps, name, "a table with a name there", "")
        return [str(cell) for cell in self.table.cells[name][self.kept]]

    def of_subjects(
        self, name: str, subjects: Sequence[str]
    ) -> dict[str, float] | None:
        """Return a covariate of each subject, the same in all of its rows.

        None if the column is missing, or where it says nothing, or two things.
        """
        if not _has(self.path, "file", name, self.table, self.faults, asked=True):
            return None
        before = len(self.faults.entries)
        values, gaps = self.table.values(name), self.table.gaps(name)
        self.not_numbers(np.isnan(values) & ~gaps & self.kept, name)
        found: dict[str, float] = {}
        rows = np.flatnonzero(self.kept)
        for subject, row in zip(subjects, rows, strict=True):
            value = float(values[row])
            if value == value and found.setdefault(subject, value) != value:
                allowed = f"a table with one value for each subject, {found[subject]:g}"
                here = np.arange(len(self.table)) == row
                self.wrong(here, name, allowed, "")
        for subject in dict.fromkeys(subjects):
            if subject not in found and len(self.faults.entries) == before:
                self.faults.add(
                    (*self.path, "file"),
                    found=f"`{self.file}`, without {name} of subject {subject}",
                    allowed="a table that holds it in one of the subject's rows",
                    write="",
                )
        return found if len(self.faults.entries) == before else None

    def not_numbers(self, mask: np.ndarray, name: str) -> None:
        """Add a fault for each cell that holds no number, with what it may mean."""
        for row in np.flatnonzero(mask)[:MOST]:
            text = str(self.table.cells[name].iloc[row])
            allowed, write = explain_number(text, comma=self.table.comma)
            here = np.arange(len(self.table)) == row
            allowed = f"a table with numbers there: {allowed}"
            self.wrong(here, name, allowed, write)

    def wrong(self, mask: np.ndarray, name: str, allowed: str, write: str) -> None:
        """Add a fault for each cell of a mask."""
        for row in np.flatnonzero(mask)[:MOST]:
            cell = str(self.table.cells[name].iloc[row])[:LENGTH]
            line = self.table.lines[row]
            at = ".".join(map(str, (*self.path, "file")))
            found = f"`{self.file}`, whose row {line} has `{cell}` under {name}"
            where = (self.table.source, int(line), 0, (name,), cell)
            self.faults.note(Fault(at, found, allowed, write, *where))


def read_rows(
    path: Path_,
    file: str,
    columns: Sequence[Column],
    faults: Faults,
    *,
    subject: str = "",
) -> CompleteRows | None:
    """Read columns of a CSV file; a missing number leaves its row out.

    `subject` names the column of a table of points that says whose each is; in such a
    table an AMT alone makes a row a dose. None if the file or a column is missing.
    """
    table = _table(path, file, faults)
    if table is None or not all(
        _has(path, column.key, column.name, table, faults) for column in columns
    ):
        return None
    kept = is_observation(record_columns(table), by_amount=bool(subject))
    if not kept.any():
        found = f"`{table.source}`, all of whose {len(table)} rows are doses or MDV"
        allowed = "a table with observations (EVID 0, or AMT 0 and no EVID)"
        faults.add((*path, "file"), found=found, allowed=allowed, write="")
    seen = CompleteRows(path, faults, table, kept, [])
    numbers = [_numbers(seen, column, subject) for column in columns]
    kept &= ~np.any([np.isnan(values) for values in numbers], axis=0)
    seen.columns.extend(tuple(values[kept].tolist()) for values in numbers)
    _relay(table, faults)
    return seen


def _numbers(seen: CompleteRows, column: Column, subject: str) -> np.ndarray:
    """Read a column, NaN where a number is missing or not one of its kinds."""
    table = seen.table
    if column.clock and column.name == "TIME":
        elapsed = read_elapsed(table, _starts(table, subject))
        if elapsed is not None:
            return elapsed
    values, gaps = table.values(column.name), table.gaps(column.name)
    seen.not_numbers(np.isnan(values) & ~gaps & seen.kept, column.name)
    if column.among:
        strange = ~np.isin(values, column.among) & ~np.isnan(values) & seen.kept
        kinds = listed([f"{kind:g}" for kind in column.among])
        allowed = f"a table with {kinds} there"
        seen.wrong(strange, column.name, allowed, "")
        values = np.where(strange, np.nan, values)
    return values * column.scale


def _starts(table: Rows, subject: str) -> np.ndarray:
    """Return where each subject's rows begin; all are one's if nothing says whose."""
    if subject not in table.names:
        return np.zeros(1, int)
    text = table.cells[subject].to_numpy(str)
    return np.flatnonzero(np.r_[True, text[1:] != text[:-1]])


def _relay(table: Rows, faults: Faults) -> None:
    """Take over what is wrong with the table itself, by its lines."""
    faults.entries += [f for f in table.told() if f not in faults.entries]


def _has(
    path: Path_,
    key: str,
    name: str,
    table: Rows,
    faults: Faults,
    *,
    asked: bool = False,
) -> bool:
    """Return whether a table has a column; add a fault if not.

    `asked`: the column is not named by a key, but asked for by the arm.
    """
    if name in table.names:
        return True
    there = table.names
    if asked:
        faults.add(
            (*path, key),
            found=f"without a column {name}, which the prediction of a point asks for",
            allowed=f"with it; its columns are {listed(there)}",
        )
    else:
        faults.unknown((*path, key), name, there, "column")
    return False


def _table(path: Path_, name: str, faults: Faults) -> Rows | None:
    """Read a CSV file that lies in the sheet's folder, and nowhere else."""
    folder = Path(faults.sheet.source).parent.resolve()
    there = sorted(p.name for p in folder.glob("*.csv"))
    file = folder
    try:
        file = (folder / name).resolve()
        beside = file.is_relative_to(folder) and file.suffix == ".csv"
        beside = beside and file.is_file()
    except (OSError, ValueError):  # a name of 300 characters, or with a NUL
        beside = False
    if not beside:
        faults.add(
            (*path, "file"),
            found=f"`{name}`, not a CSV file beside the sheet",
            allowed="the name of one in the sheet's folder"
            + (f": {listed(there, like=name)}" if there else ""),
            write=nearest(name, there),
        )
        return None
    try:
        table = Rows(file, most=MAX_FILE)
    except DataError as error:
        faults.relay((*path, "file"), error)
        return None
    if table.faults:
        _relay(table, faults)
        return None
    return table

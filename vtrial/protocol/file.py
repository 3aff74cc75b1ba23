"""Tables beside a sheet: columns of numbers out of a CSV file, or its faults."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from vtrial.protocol.faults import Faults
from vtrial.sheets import Path_, listed, nearest

MAX_FILE = 20_000_000
_MISSING = {"", ".", "NA", "NaN", "nan"}
_LENGTH = 40  # characters of a cell that are said
Cells = dict[str, str]


class Column(NamedTuple):
    """A column of numbers: the key that names it, its name, and its unit's size.

    Without `among` any number may stand in it.
    """

    key: str
    name: str
    scale: float = 1.0
    among: tuple[float, ...] = ()


@dataclass(frozen=True)
class Rows:
    """The rows of a file in which no number is missing.

    `columns` are the numbers, `kept` the rows that they stand in, `every` all rows with
    their numbers in the file.
    """

    path: Path_
    file: str
    faults: Faults
    every: list[tuple[int, Cells]]
    kept: list[tuple[int, Cells]]
    columns: list[tuple[float, ...]]

    def words(self, key: str, name: str) -> list[str] | None:
        """Return another column as it stands; None if it is missing."""
        if not _has(self.path, key, name, self.every, self.faults):
            return None
        found = [(number, _cell(row, name)) for number, row in self.kept]
        for number, cell in found:
            if cell in _MISSING:
                self.wrong(number, cell, name, "a table with a name there", "1")
        return [cell for _, cell in found]

    def of_subjects(
        self, name: str, subjects: Sequence[str]
    ) -> dict[str, float] | None:
        """Return a covariate of each subject, the same in all of its rows.

        None if the column is missing, or where it says nothing, or two things.
        """
        if not _has(self.path, "file", name, self.every, self.faults, asked=True):
            return None
        found: dict[str, float] = {}
        before = len(self.faults.entries)
        for subject, (number, row) in zip(subjects, self.kept, strict=True):
            cell = _cell(row, name)
            try:
                value = float("nan" if cell in _MISSING else cell)
            except ValueError:
                self.wrong(number, cell, name, "a table with numbers there", "NA")
                continue
            if value == value and found.setdefault(subject, value) != value:
                allowed = f"a table with one value for each subject, {found[subject]:g}"
                self.wrong(number, cell, name, allowed, f"{found[subject]:g}")
        for subject in dict.fromkeys(subjects):
            if subject not in found and len(self.faults.entries) == before:
                self.faults.add(
                    (*self.path, "file"),
                    found=f"`{self.file}`, without {name} of subject {subject}",
                    allowed="a table that holds it in one of the subject's rows",
                    write="",
                )
        return found if len(self.faults.entries) == before else None

    def wrong(
        self, number: int, cell: str, name: str, allowed: str, write: str
    ) -> None:
        """Say what stands in a cell."""
        found = f"`{self.file}`, whose row {number} has `{cell[:_LENGTH]}` under {name}"
        self.faults.add((*self.path, "file"), found=found, allowed=allowed, write=write)


def read_rows(
    path: Path_, file: str, columns: Sequence[Column], faults: Faults
) -> Rows | None:
    """Read columns of a CSV file; a missing number leaves its row out.

    None if the file or a column is missing.
    """
    every = _every(path, file, faults)
    if every is None or not all(
        _has(path, column.key, column.name, every, faults) for column in columns
    ):
        return None
    rows = Rows(path, file, faults, every, [], [])
    numbers = []
    for number, row in every:
        cells = [_cell(row, column.name) for column in columns]
        if _MISSING & set(cells):
            continue
        read = [
            _number(rows, number, cell, column)
            for cell, column in zip(cells, columns, strict=True)
        ]
        if None not in read:
            rows.kept.append((number, row))
            numbers.append(read)
    rows.columns.extend(zip(*numbers, strict=True) if numbers else [()] * len(columns))
    return rows


def _number(rows: Rows, number: int, cell: str, column: Column) -> float | None:
    """Read a cell, or say what stands there."""
    try:
        value = float(cell)
    except ValueError:
        allowed, write = "a table with numbers there", "NA (where a value is missing)"
        rows.wrong(number, cell, column.name, allowed, write)
        return None
    if column.among and value not in column.among:
        kinds = listed([f"{kind:g}" for kind in column.among])
        allowed = f"a table with {kinds} there"
        rows.wrong(number, cell, column.name, allowed, f"{column.among[0]:g}")
        return None
    return value * column.scale


def _cell(row: Cells, name: str) -> str:
    return (row.get(name) or "").strip()


def _has(
    path: Path_,
    key: str,
    name: str,
    rows: Sequence[tuple[int, Cells]],
    faults: Faults,
    *,
    asked: bool = False,
) -> bool:
    """Say whether a table has a column; note it if not.

    `asked`: the column is not named by a key, but asked for by the arm.
    """
    if not rows or name in rows[0][1]:
        return True
    there = [str(column) for column in rows[0][1]]
    if asked:
        faults.add(
            (*path, key),
            found=f"without a column {name}, which the prediction of a point asks for",
            allowed=f"with it; its columns are {listed(there)}",
            write=f"{name} (a column, one value for each subject)",
        )
    else:
        faults.unknown((*path, key), name, there, "column")
    return False


def _every(path: Path_, name: str, faults: Faults) -> list[tuple[int, Cells]] | None:
    """Read a CSV file that lies in the sheet's folder, and nowhere else."""
    folder = Path(faults.sheet.source).parent.resolve()
    file = (folder / name).resolve()
    there = sorted(p.name for p in folder.glob("*.csv"))
    if not file.is_relative_to(folder) or file.suffix != ".csv" or not file.is_file():
        faults.add(
            (*path, "file"),
            found=f"`{name}`, not a CSV file beside the sheet",
            allowed="the name of one in the sheet's folder",
            write=nearest(name, there),
        )
        return None
    if file.stat().st_size > MAX_FILE:
        faults.add(
            (*path, "file"),
            found=f"{file.stat().st_size} bytes long",
            allowed=f"at most {MAX_FILE} bytes",
            write="",
        )
        return None
    with file.open(newline="", encoding="utf-8-sig", errors="replace") as lines:
        return list(enumerate((dict(row) for row in csv.DictReader(lines)), start=2))

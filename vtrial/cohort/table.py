"""Read a table of real subjects, refusing every cell that holds no number."""

from pathlib import Path

import numpy as np

from vtrial.cohort.cohort import Table
from vtrial.cohort.shape import TableShape
from vtrial.errors import DataError, Fault
from vtrial.sheets.csv_table import Rows
from vtrial.sheets.sheet import Sheet
from vtrial.sheets.words import listed, nearest

MAX_BYTES = 50_000_000
MOST_FILES = 100


def read_table(sheet: Sheet, shape: TableShape) -> tuple[Table, list[Fault]]:
    """Return the columns that a sheet takes from the file beside it, and all faults."""
    names, units, titles, faults = _columns(sheet, shape)
    rows: list[tuple[float, ...]] = []
    effects = tuple(shape.effects)
    faults += _wrong_effects(sheet, shape)
    path = Path(sheet.source).parent / shape.file
    problem = _unreadable(path, shape.file)
    if problem:
        there = sorted(p.name for p in Path(sheet.source).parent.glob("*.csv"))[
            :MOST_FILES
        ]
        faults.append(
            sheet.fault(
                ("table", "file"),
                found=f"`{shape.file}`, {problem}",
                allowed="a CSV file that lies beside the sheet"
                + (f": {listed(there, like=shape.file)}" if there else ""),
                write=nearest(shape.file, there),
            )
        )
    else:
        every = (*units, *("1" for _ in effects))
        rows, found = _rows(sheet, path, (*names, *effects), every)
        faults += found
    size = len(names)
    table = Table(
        names,
        units,
        titles,
        tuple(row[:size] for row in rows),
        shape.draw,
        shape.file,
        effects,
        tuple(row[size:] for row in rows) if effects else (),
    )
    return table, faults


def _wrong_effects(sheet: Sheet, shape: TableShape) -> list[Fault]:
    """Find random effects that are called otherwise, or whose rows are drawn."""
    faults = [
        sheet.fault(
            ("table", "effects", place),
            found=f"`{name}`",
            allowed="a random effect, such as eta.CL, once",
            write="",
        )
        for place, name in enumerate(shape.effects)
        if not name.startswith("eta.") or name in shape.effects[:place]
    ]
    if shape.effects and shape.draw != "in order":
        allowed = "left out, or the rows taken in order: `draw: in order`"
        found = "given, though rows are drawn"
        path = ("table", "effects")
        faults.append(sheet.fault(path, found=found, allowed=allowed, write=""))
    return faults


def _columns(
    sheet: Sheet, shape: TableShape
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], list[Fault]]:
    """Read which columns are taken, with units and titles."""
    units, titles, faults = [], [], []
    for name, entry in shape.columns.items():
        entry = {"unit": entry} if isinstance(entry, str) else entry
        plain = isinstance(entry, dict) and set(entry) <= {"unit", "title"}
        if not plain:
            faults.append(
                sheet.fault(
                    ("table", "columns", name),
                    found=f"`{entry}`",
                    allowed="a unit, or unit and title, such as "
                    "`{unit: kg, title: body weight}`",
                    write="",
                )
            )
        entry = entry if plain else {}
        units.append(str(entry.get("unit", "1")))
        titles.append(str(entry.get("title", "")))
    return tuple(shape.columns), tuple(units), tuple(titles), faults


def _unreadable(path: Path, name: str) -> str:
    """Return why a file cannot be read; empty if it can."""
    if Path(name).name != name or name.startswith(".") or "\0" in name:
        return "which is not a plain file name"
    try:
        there = path.is_file() and not path.is_symlink()
    except OSError:  # a name of 300 characters
        there = False
    return "" if there else "which is not there"


def _rows(
    sheet: Sheet, path: Path, names: tuple[str, ...], units: tuple[str, ...]
) -> tuple[list[tuple[float, ...]], list[Fault]]:
    """Read the rows; a line that lacks a number is a fault."""
    try:
        rows = Rows(path, most=MAX_BYTES, by_subject=False)
    except DataError as error:
        return [], list(error.faults)
    lacking = [name for name in names if name not in rows.names]
    if lacking:
        told = [_lacking(sheet, path, name, rows.names) for name in lacking]
        return [], [*told, *rows.told()]
    columns = []
    for name, unit in zip(names, units, strict=True):
        gaps = rows.gaps(name)
        allowed = "a number: there are no missing values in a cohort"
        write = ""
        empty = (rows.cells[name] == "").to_numpy()
        rows.wrong(gaps & empty, name, "empty", allowed, write)
        rows.wrong(gaps & ~empty, name, "`{}`", allowed, write)
        unit = "" if unit == "1" else unit
        columns.append(rows.numbers(name, default=np.nan, unit=unit).tolist())
    return list(zip(*columns, strict=True)), rows.told()


def _lacking(sheet: Sheet, path: Path, name: str, header: list[str]) -> Fault:
    """Describe a column that the file does not have."""
    return sheet.fault(
        ("table", "columns", name),
        found=f"no column of `{path.name}`",
        allowed=f"one of its columns ({listed(header, like=name) or 'it has none'})",
        write=nearest(name, header),
        old=name,
    )

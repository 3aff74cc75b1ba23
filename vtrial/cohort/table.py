"""Read a table of real subjects, refusing every cell that holds no number."""

import csv
import math
from pathlib import Path

from vtrial.cohort.cohort import Table
from vtrial.cohort.shape import TableShape
from vtrial.errors import Fault
from vtrial.sheets import Sheet, listed, nearest

MAX_BYTES = 50_000_000
MOST = 20


def read_table(sheet: Sheet, shape: TableShape) -> tuple[Table, list[Fault]]:
    """Return the columns that a sheet takes from the file beside it, and all faults."""
    names, units, titles, faults = _columns(sheet, shape)
    rows: list[tuple[float, ...]] = []
    path = Path(sheet.source).parent / shape.file
    problem = _unreadable(path, shape.file)
    if problem:
        faults.append(
            sheet.fault(
                ("table", "file"),
                found=f"`{shape.file}`, {problem}",
                allowed="a CSV file that lies beside the sheet",
                write="file: subjects.csv",
            )
        )
    else:
        rows, found = _rows(sheet, path, names)
        faults += found
    table = Table(names, units, titles, tuple(rows), shape.draw, shape.file)
    return table, faults


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
                    allowed="a unit, or unit and title",
                    write=f"{name}: {{unit: kg, title: body weight}}",
                )
            )
        entry = entry if plain else {}
        units.append(str(entry.get("unit", "1")))
        titles.append(str(entry.get("title", "")))
    return tuple(shape.columns), tuple(units), tuple(titles), faults


def _unreadable(path: Path, name: str) -> str:
    """Say why a file cannot be read; nothing if it can."""
    if Path(name).name != name or name.startswith("."):
        return "which is not a plain file name"
    try:
        if path.is_symlink() or not path.is_file():
            return "which is not there"
        if path.stat().st_size > MAX_BYTES:
            return f"larger than {MAX_BYTES // 1_000_000} MB"
        path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return "which cannot be read as UTF-8"
    return ""


def _rows(
    sheet: Sheet, path: Path, names: tuple[str, ...]
) -> tuple[list[tuple[float, ...]], list[Fault]]:
    """Read the rows; a line that lacks a number is a fault."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        lines = csv.reader(stream)
        header = [cell.strip() for cell in next(lines, [])]
        lacking = [name for name in names if name not in header]
        if lacking:
            return [], [_lacking(sheet, path, name, header) for name in lacking]
        places = [header.index(name) for name in names]
        rows, faults = [], []
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            values = []
            for name, place in zip(names, places, strict=True):
                cell = cells[place].strip() if place < len(cells) else ""
                values.append(_number(cell))
                if not math.isfinite(values[-1]):
                    faults.append(_empty(path, name, cell, lines.line_num))
            rows.append(tuple(values))
    if not rows:
        found, allowed = f"`{path.name}`, without a row", "a table with subjects"
        faults.append(
            sheet.fault(("table", "file"), found=found, allowed=allowed, write="")
        )
    return rows, faults[:MOST]


def _lacking(sheet: Sheet, path: Path, name: str, header: list[str]) -> Fault:
    """Describe a column that the file does not have."""
    return sheet.fault(
        ("table", "columns", name),
        found=f"no column of `{path.name}`",
        allowed=f"one of its columns ({listed(header) or 'it has none'})",
        write=nearest(name, header),
    )


def _empty(path: Path, name: str, cell: str, line: int) -> Fault:
    """Describe a cell that holds no number."""
    return Fault(
        at=f"column {name}",
        found=f"`{cell}`" if cell else "empty",
        allowed="a number: there are no missing values in a cohort",
        write="the value, or leave the row out",
        source=str(path),
        line=line,
    )


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan

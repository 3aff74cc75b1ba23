"""A table of another program on its way to ours: cells, lines, changes, faults."""

import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from vtrial.errors import DataError, Fault
from vtrial.sheets.csv_number import is_missing, read_number
from vtrial.sheets.csv_table import Rows
from vtrial.sheets.csv_text import SEPARATORS

GAP = "."
_LETTER = re.compile(r"\s*[A-Za-z@]")


@dataclass
class Raw:
    """A table being changed.

    Fields
    ------
    source
        The file that it is from.
    cells
        All of them text; a missing one is `.`.
    lines
        Where in the file each row stands.
    changes, faults
        What was changed, in words; what is wrong.
    """

    source: str
    cells: pd.DataFrame
    lines: np.ndarray
    changes: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The columns."""
        return [str(name) for name in self.cells.columns]

    def change(self, words: str) -> None:
        """Note a change."""
        self.changes.append(words)

    def fault(self, at: str, found: str, allowed: str, write: str) -> None:
        """Note a fault of the header."""
        self.faults.append(Fault(at, found, allowed, write, self.source, 1))

    def wrong(
        self, mask: np.ndarray, name: str, found: str, allowed: str, write: str
    ) -> None:
        """Note a fault for each row of a mask; `{}` in `found` is the cell."""
        for row in np.flatnonzero(mask):
            said = found.replace("{}", str(self.cells[name].iloc[row])[:40])
            line = int(self.lines[row])
            self.faults.append(Fault(name, said, allowed, write, self.source, line))

    def refuse(self) -> None:
        """Raise everything that is wrong."""
        if self.faults:
            raise DataError.of(self.faults)

    def numbers(self, name: str) -> np.ndarray:
        """Return a column as numbers; 0 where it is missing or holds none."""
        return np.nan_to_num(self._values(name))

    def gaps(self, name: str) -> np.ndarray:
        """Return which cells are missing; all, if there is no such column."""
        if name not in self.names:
            return np.ones(len(self.cells), bool)
        return (self.cells[name] == GAP).to_numpy(bool)

    def is_number(self, name: str, number: int) -> np.ndarray:
        """Return which cells hold a number."""
        return self._values(name) == number

    def _values(self, name: str) -> np.ndarray:
        """Return a column as numbers, NaN where there is none."""
        if name not in self.names:
            return np.full(len(self.cells), np.nan)
        return np.array([read_number(cell) for cell in self.cells[name]], float)

    def rows(self) -> Rows:
        """Return the table as readers take it, with the lines of the file."""
        return Rows.of_cells(self.cells, self.lines, self.source)

    def back(self, faults: Iterable[Fault]) -> list[Fault]:
        """Return faults of what was written with the lines of what was read."""
        placed = []
        for fault in faults:
            row = fault.line - 2
            known = 0 <= row < len(self.lines)
            line = int(self.lines[row]) if known else 1
            placed.append(fault._replace(source=self.source, line=line))
        return placed


def read_raw(path: str | Path, ignore: str = "") -> Raw:
    """Read a table: comments left out, blanks made commas, gaps `.`, decimals a point.

    Raises
    ------
    DataError
        If it is no table.
    """
    source = str(path)
    text, changes, hidden = _plain(path, ignore)
    if text is None:
        rows = Rows(path)
    else:
        with tempfile.TemporaryDirectory() as folder:
            draft = Path(folder) / "table.csv"
            draft.write_text(text, encoding="utf-8")
            try:
                rows = Rows(draft)
            except DataError as error:
                faults = [fault._replace(source=source) for fault in error.faults]
                raise DataError.of(faults) from None
        rows.source = source
        rows.faults = [fault._replace(source=source) for fault in rows.faults]
    rows.refuse()
    if hidden:
        changes.append(f"{hidden:,} row{'s'[: hidden != 1]} of comment are left out")
    cells = rows.cells.astype(str).reset_index(drop=True)
    if "C" in rows.names[:1]:
        cells = cells.drop(columns="C")
        changes.append("column C, which marks comments, is left out")
    cells, filled = _filled(cells, comma=rows.comma)
    return Raw(source, cells, np.asarray(rows.lines), changes + filled)


def _plain(path: str | Path, ignore: str) -> tuple[str | None, list[str], int]:
    """Blank out comments and make a table parted by blanks one parted by commas.

    Returns no text where there is nothing to do.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None, [], 0  # the reader says why
    lines = text.splitlines()
    place = next((i for i, line in enumerate(lines) if line.strip()), 0)
    if not lines:
        return None, [], 0
    hidden = sum(
        line.lstrip().startswith("#") or _is_marked(line, lines[place])
        for line in lines[place + 1 :]
    )
    changed: list[str] = []
    for row in range(place + 1, len(lines)):
        line = lines[row]
        first = line.lstrip()[:1]
        comment = _LETTER.match(line) if ignore == "@" else first == ignore
        if ignore and first and comment and first != "#":
            hidden += not _is_marked(line, lines[place])
            lines[row] = ""
    blank = not any(mark in lines[place] for mark in SEPARATORS)
    if blank and len(lines[place].split()) > 1:
        lines = [",".join(line.split()) for line in lines]
        changed.append("cells that blanks part are parted by commas")
    done = "\n".join(lines) + "\n"
    return (done if changed or ignore else None), changed, hidden


def _is_marked(line: str, header: str) -> bool:
    """Return whether a line is a comment by its first column, called C."""
    cells = [
        re.split(r"[,;\t ]", text.strip().lstrip("#"))[0] for text in (header, line)
    ]
    return cells == ["C", "C"]


def _filled(cells: pd.DataFrame, *, comma: bool) -> tuple[pd.DataFrame, list[str]]:
    """Write every missing cell as `.`, and decimals behind a point."""
    changes = []
    gaps = cells.map(is_missing)
    other = gaps & (cells != GAP)
    if other.to_numpy().any():
        kinds = sorted({cell or "nothing" for cell in cells.to_numpy()[other]})
        count = int(other.to_numpy().sum())
        said = ", ".join(kinds[:5])
        changes.append(
            f"{count:,} missing cell{'s'[: count != 1]} ({said}) are `{GAP}`"
        )
    cells = cells.mask(gaps, GAP)
    if comma:

        def pointed(cell: str) -> str:
            number = read_number(cell, comma=True)
            return cell.replace(",", ".") if np.isfinite(number) else cell

        cells = cells.map(pointed)
        changes.append("decimals stand behind a point")
    return cells, changes

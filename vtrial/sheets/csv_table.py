"""A table of a CSV file: its columns as text and as numbers, and every fault told.

Event tables, parameters, cohorts and what was observed are all read by this, so that
all of them take, and refuse, the same.
"""

import copy
import difflib
import functools
import itertools
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vtrial.errors import DataError, Fault
from vtrial.sheets.csv_number import (
    explain_number,
    has_decimal_comma,
    is_missing,
    read_number,
)
from vtrial.sheets.csv_text import MAX_BYTES, NUMBER, read_cells

MAX_FAULTS = 50
LIKENESS = 0.8
SHORT = 3
DIGITS = "0123456789"
LENGTH = 40  # characters of a cell that are said
Words = str | Callable[[str], str]
_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)
_CODE = re.compile(r"[+-]?(0\d+|\d{16,})", re.ASCII)  # 007 is a name, no number


class Rows:
    """A table as it stands in a file, with the line of each row.

    `by_subject`: faults name whose row it is, by the column ID.
    """

    def __init__(
        self, path: str | Path, *, most: int = MAX_BYTES, by_subject: bool = True
    ) -> None:
        import pandas as pd

        read, self.faults, self.source = read_cells(path, most=most)
        self.hidden = 0
        self.begins, self.separator = read.begins, read.separator
        self.by_subject = by_subject
        self.lines = np.asarray(read.lines, int)
        self.names = read.names
        width = len(self.names)
        cells = pd.DataFrame(read.rows, columns=range(width), dtype=object)
        first = [self.names.index(name) == i for i, name in enumerate(self.names)]
        self.cells = cells.loc[:, first]
        self.cells.columns = [
            n for n, mine in zip(self.names, first, strict=True) if mine
        ]
        self._heading()

    @classmethod
    def of_cells(cls, cells: Any, lines: np.ndarray, source: str) -> "Rows":
        """Return a table of cells, all of them text, and where in a file they stood."""
        rows = cls.__new__(cls)
        rows.faults, rows.source, rows.hidden = [], source, 0
        rows.begins, rows.separator, rows.by_subject = 1, ",", True
        rows.lines = np.asarray(lines, int)
        rows.names = [str(name) for name in cells.columns]
        rows.cells = cells.astype(object).reset_index(drop=True)
        rows._heading()
        return rows

    @classmethod
    def of(cls, table: "str | Path | Rows") -> "Rows":
        """Read a table, or take one that was read, without the faults found in it."""
        if not isinstance(table, Rows):
            return cls(table)
        return cls.of_cells(table.cells, table.lines, table.source)

    def __len__(self) -> int:
        return len(self.cells)

    def renamed(self, names: Mapping[str, str]) -> "Rows":
        """Return the same table, and the same faults, with columns called otherwise."""
        other = copy.copy(self)
        other.names = [names.get(name, name) for name in self.names]
        other.cells = self.cells.rename(columns=dict(names))
        return other

    @functools.cached_property
    def comma(self) -> bool:
        """Whether decimals stand behind a comma; never where commas part cells."""
        if self.separator == ",":
            return False
        return any(has_decimal_comma(self.cells[n].unique()) for n in self.cells)

    def _heading(self) -> None:
        """Refuse a table without rows, and columns without a name or with one twice."""
        if not len(self) and not self.faults:
            allowed = "a header and at least a row below it"
            self.fault("the table", "without a row", allowed)
        if len(self.names) == 1 and any(mark in self.names[0] for mark in "| "):
            found = f"the one column `{self.names[0][:LENGTH]}`"
            self.fault("the header", found, "parted by commas, as ID,TIME,AMT,EVID is")
        for name in dict.fromkeys(self.names):
            if self.names.count(name) > 1 or not name:
                found = f"`{name}`, {self.names.count(name)} times" if name else "empty"
                self.fault("a column's name", found, "there, and there once")
            elif NUMBER.fullmatch(name):
                allowed = "a name: the first line is the header"
                self.fault("a column's name", f"`{name}`, a number", allowed)

    def fault(
        self, at: str, found: str, allowed: str, write: str = "", column: str = ""
    ) -> None:
        """Note a fault of the header; `write` is another name for a column."""
        where = (self.source, self.begins, 0, (column,) if column else (), column)
        self.faults.append(Fault(at, found, allowed, write, *where))

    def misspelt(
        self, known: Collection[str], is_near: Callable[[str, str], bool] | None = None
    ) -> set[str]:
        """Refuse columns that are nearly, but not quite, one of those that are known.

        A name is let pass if what it looks like is there itself. Returns what was
        meant.
        """
        is_near = is_near or is_alike
        absent = [name for name in known if name not in self.names]
        meant = set()
        for name in self.names:
            if name in known:
                continue
            near = next((other for other in absent if is_near(name, other)), "")
            if near:
                allowed = f"spelt `{near}`, or called something quite different"
                self.fault("a column", f"`{name}`", allowed, near, name)
                meant.add(near)
        return meant

    def wrong(
        self,
        mask: np.ndarray,
        name: str,
        found: str,
        allowed: Words,
        write: Words = "",
    ) -> None:
        """Note a fault for each row of a mask; `{}` in `found` is the cell's text.

        `write` is what the cell is to hold, where that is known.
        """
        rows = np.flatnonzero(mask)
        for row in rows[:MAX_FAULTS]:
            text = str(self.cells[name].iloc[row]) if name in self.names else ""
            said = found.replace("{}", text[:LENGTH])
            may = allowed(text[:LENGTH]) if callable(allowed) else allowed
            remedy = write(text[:LENGTH]) if callable(write) else write
            at, line = self._at(name, int(row)), int(self.lines[row])
            where = (self.source, line, 0, (name,), text)
            self.faults.append(Fault(at, said, may, remedy, *where))
        self.hidden += max(len(rows) - MAX_FAULTS, 0)

    def _at(self, name: str, row: int) -> str:
        """Name a column and, where rows are of subjects, whose row it is."""
        if not self.by_subject:
            return f"column {name}"
        if name == "ID" or "ID" not in self.names:
            return name
        subject = self.cells["ID"].iloc[row]
        return name if is_missing(subject) else f"{name} of subject {subject[:LENGTH]}"

    def each(self, name: str, find: Callable[[str], Any]) -> np.ndarray:
        """Return what a function makes of every cell of a column."""
        import pandas as pd

        places, kinds = pd.factorize(self.cells[name])
        return np.array([find(kind) for kind in kinds])[places]

    def gaps(self, name: str) -> np.ndarray:
        """Return which cells of a column are missing."""
        return self.each(name, is_missing).astype(bool)

    def values(self, name: str) -> np.ndarray:
        """Return a column as numbers, NaN where there is none."""
        read = functools.partial(read_number, comma=self.comma)
        return self.each(name, read).astype(float)

    def numbers(
        self,
        name: str,
        *,
        default: float = 0.0,
        aside: np.ndarray | bool = False,
        unit: str = "",
    ) -> np.ndarray:
        """Return a column as numbers, `default` where it is missing or not there.

        Cells that are no numbers are noted as faults, but for those set `aside`, and
        count as the default. `unit`: that of the column, which no cell may say.
        """
        if name not in self.names:
            return np.full(len(self), default)
        values, gaps = self.values(name), self.gaps(name)
        bad = np.isnan(values) & ~gaps
        self.not_numbers(bad & ~np.asarray(aside), name, unit)
        return np.where(bad | gaps, default, values)

    def not_numbers(self, mask: np.ndarray, name: str, unit: str = "") -> None:
        """Note cells that hold no number."""

        def explain(text: str) -> tuple[str, str]:
            return explain_number(text, unit=unit, comma=self.comma)

        allowed = lambda text: explain(text)[0]  # noqa: E731
        self.wrong(mask, name, "`{}`", allowed, lambda text: explain(text)[1])

    def names_of_subjects(self) -> np.ndarray:
        """Return the IDs as they stand: whole numbers if all are written so, else text.

        `007` and `7` are two names.
        """
        text = self.labels("ID")
        whole = all(_WHOLE.fullmatch(kind) for kind in set(text.tolist()))
        return text.astype(np.int64) if whole else text

    def labels(self, name: str) -> np.ndarray:
        """Return a column of names as text, in which nothing is missing.

        `1` and `1.0` in one table are refused: nobody means two by them.
        """
        self.wrong(self.gaps(name), name, "missing", "given in every row")
        text = self.cells[name].to_numpy(str)
        known: dict[float, str] = {}
        for kind in sorted(set(text.tolist()), key=lambda kind: (len(kind), kind)):
            value = read_number(kind)
            first = known.setdefault(value, kind) if value == value else kind
            if first != kind and not (kind.isdigit() and first.isdigit()):
                allowed = "the same text wherever the same one is meant"
                found = f"`{{}}` in a table that has `{first}`, too"
                self.wrong(text == kind, name, found, allowed, first)
        return text

    def table(self) -> Any:
        """Return the rows as a DataFrame, numbers where a whole column is numbers.

        A column with a code, such as `007` or of more digits than a number holds, stays
        text.
        """
        table = self.cells.copy()
        for name in table.columns:
            values, gaps = self.values(name), self.gaps(name)
            coded = self.each(name, lambda text: bool(_CODE.fullmatch(text)))
            if ((np.isnan(values) & ~gaps) | coded).any():
                continue
            whole = self.each(name, lambda text: bool(_WHOLE.fullmatch(text)))
            table[name] = values
            if not gaps.all() and (whole | gaps).all():
                table[name] = table[name].astype("Int64" if gaps.any() else "int64")
        return table

    def told(self) -> list[Fault]:
        """Return everything that is wrong, the first so many lines of it."""
        faults = sorted(dict.fromkeys(self.faults), key=lambda fault: fault[4:7])
        more = len(faults) - MAX_FAULTS + self.hidden
        if more <= 0:
            return faults
        last = faults[: MAX_FAULTS + 1][-1]
        found = f"wrong in {more} more places from here on"
        rest = Fault("the table", found, "free of them", "", self.source, last.line)
        return [*faults[:MAX_FAULTS], rest]

    def refuse(self) -> None:
        """Raise everything that is wrong.

        Raises
        ------
        DataError
            If anything is.
        """
        if faults := self.told():
            raise DataError.of(faults)


def is_slip(name: str, known: str) -> bool:
    """Return whether a name is a known one but for its case or a doubled letter.

    Examples
    --------
    >>> is_slip("cl", "CL"), is_slip("CLL", "CL"), is_slip("V2", "V1")
    (True, True, False)
    """
    if name == known:
        return False
    low, wanted = name.lower(), known.lower()
    single, meant = _single(low), _single(wanted)
    return low == wanted or (single == meant and len(meant) > 1)


def is_alike(name: str, known: str) -> bool:
    """Return whether a name looks like a typo of a known one.

    Very short names (SS, II, DV) look like everything, so of those only slips count;
    a number behind a name (DUR1) makes it another by intent.

    Examples
    --------
    >>> is_alike("AMNT", "AMT"), is_alike("EVDI", "EVID"), is_alike("DOSE", "DV")
    (True, True, False)
    >>> is_alike("DUR1", "DUR")
    False
    """
    low, wanted = name.lower(), known.lower()
    if name == known or is_slip(name, known):
        return name != known
    if low.rstrip(DIGITS) == wanted.rstrip(DIGITS):
        return False
    if min(len(low), len(wanted)) < SHORT:
        return False
    if len(low) == len(wanted) > SHORT and sorted(low) == sorted(wanted):
        return True
    return difflib.SequenceMatcher(None, low, wanted).ratio() > LIKENESS


def _single(name: str) -> str:
    """Write a name without doubled letters."""
    return "".join(letter for letter, _ in itertools.groupby(name))

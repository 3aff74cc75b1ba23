"""Rows of a CSV file: its cells as text and as numbers, and every wrong one told."""

import difflib
import io
import itertools
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np

from vtrial.errors import DataError, Fault

MAX_FAULTS = 50
MAX_BYTES = 2_000_000_000
MISSING = ("", ".", "NA", "NaN", "nan")
COMMENT = "#"
LIKENESS = 0.8
SHORT = 3


class Rows:
    """A table as it stands in a file, with the line of each row.

    Left out are empty lines, lines that begin with `#`, and, where the first column is
    called `C`, lines with a C in it: so do NONMEM's control streams.
    """

    def __init__(self, path: str | Path) -> None:
        self.source = str(path)
        self.faults: list[Fault] = []
        self.hidden = 0
        table = _read(path, self.source)
        names = [str(name).strip() for name in table.iloc[0]]
        cells = table.iloc[1:].apply(lambda column: column.str.strip())
        cells.columns = names
        empty = (cells == "").all(axis=1).to_numpy()
        first = cells.iloc[:, 0]
        left_out = first.str.startswith(COMMENT).to_numpy() | empty
        if names[0] == "C":
            left_out |= (first == "C").to_numpy()
        self.lines = np.flatnonzero(~left_out) + 2
        self.cells = cells[~left_out].reset_index(drop=True)
        self.names = names
        self._heading()

    def __len__(self) -> int:
        return len(self.cells)

    def _heading(self) -> None:
        """Refuse a table without rows, and columns without a name or with one twice."""
        if not len(self):
            allowed = "a header and at least a row"
            self.fault("the table", "without rows", allowed, "1,0,100,1")
        if len(self.names) == 1 and any(mark in self.names[0] for mark in ";\t "):
            found = f"the one column `{self.names[0][:40]}`"
            self.fault("the header", found, "parted by commas", "ID,TIME,AMT,EVID")
        for name in dict.fromkeys(self.names):
            if self.names.count(name) > 1 or not name:
                found = f"`{name}`, {self.names.count(name)} times" if name else "empty"
                write = f"{name}2" if name else "NOTE"
                self.fault("a column's name", found, "there, and there once", write)

    def fault(self, at: str, found: str, allowed: str, write: str) -> None:
        """Note a fault of the header."""
        self.faults.append(Fault(at, found, allowed, write, self.source, 1))

    def misspelt(self, known: Collection[str]) -> set[str]:
        """Refuse columns that are nearly, but not quite, one of those that are known.

        A name is let pass if what it looks like is there itself. Returns what was
        meant.
        """
        absent = [name for name in known if name not in self.names]
        meant = set()
        for name in self.names:
            if name in known:
                continue
            near = next((other for other in absent if is_alike(name, other)), "")
            if near:
                allowed = f"spelt `{near}`, or called something quite different"
                self.fault("a column", f"`{name}`", allowed, near)
                meant.add(near)
        return meant

    def wrong(
        self,
        mask: np.ndarray,
        name: str,
        found: str,
        allowed: str,
        write: str | Callable[[str], str],
    ) -> None:
        """Note a fault for each row of a mask; `{}` in `found` is the cell's text."""
        rows = np.flatnonzero(mask)
        for row in rows[:MAX_FAULTS]:
            text = self.cells[name].iloc[row] if name in self.names else ""
            said = found.replace("{}", str(text)[:40])
            place = (self.source, int(self.lines[row]))
            remedy = write(str(text)[:40]) if callable(write) else write
            at = self._at(name, int(row))
            self.faults.append(Fault(at, said, allowed, remedy, *place))
        self.hidden += max(len(rows) - MAX_FAULTS, 0)

    def _at(self, name: str, row: int) -> str:
        """Name a column and whose row it is."""
        if name == "ID" or "ID" not in self.names:
            return name
        subject = self.cells["ID"].iloc[row]
        return name if subject in MISSING else f"{name} of subject {subject[:40]}"

    def gaps(self, name: str) -> np.ndarray:
        """Say which cells of a column are missing: empty, `.` or NA."""
        return self.cells[name].isin(MISSING).to_numpy()

    def numbers(
        self, name: str, *, default: float = 0.0, aside: np.ndarray | bool = False
    ) -> np.ndarray:
        """Return a column as numbers, `default` where it is missing or not there.

        Cells that are no numbers are noted as faults, but for those set `aside`, and
        count as the default.
        """
        import pandas as pd

        if name not in self.names:
            return np.full(len(self), default)
        values = pd.to_numeric(self.cells[name], errors="coerce").to_numpy(float)
        gaps = self.gaps(name)
        bad = ~np.isfinite(values) & ~gaps
        self.wrong(bad & ~np.asarray(aside), name, "`{}`", "a number", _as_number)
        return np.where(bad | gaps, default, values)

    def names_of_subjects(self) -> np.ndarray:
        """Return the IDs: whole numbers if all are, else numbers, else text."""
        import pandas as pd

        self.wrong(self.gaps("ID"), "ID", "missing", "given in every row", "1")
        values = pd.to_numeric(self.cells["ID"], errors="coerce").to_numpy(float)
        if not np.isfinite(values).all():
            return self.cells["ID"].to_numpy(str)
        whole = (values == np.round(values)).all() and (np.abs(values) < 2**53).all()
        return values.astype(np.int64) if whole else values

    def table(self) -> Any:
        """Return the rows as a DataFrame, numbers where a whole column is numbers."""
        import pandas as pd

        table = self.cells.copy()
        for name in table.columns:
            values = pd.to_numeric(table[name], errors="coerce")
            if not (values.isna() & ~table[name].isin(MISSING)).any():
                table[name] = values
        return table

    def refuse(self) -> None:
        """Raise everything that is wrong, the first so many lines of it.

        Raises
        ------
        DataError
            If anything is.
        """
        if not self.faults:
            return
        faults = sorted(dict.fromkeys(self.faults), key=lambda fault: fault[4:])
        more = len(faults) - MAX_FAULTS + self.hidden
        if more > 0:
            faults = faults[: MAX_FAULTS + 1]
            found = f"wrong in {more} more places from here on"
            line = faults[-1].line
            last = Fault("the table", found, "free of them", "", self.source, line)
            faults = [*faults[:MAX_FAULTS], last]
        raise DataError.of(faults)


def is_slip(name: str, known: str) -> bool:
    """Say whether a name is a known one but for its case or a letter doubled.

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
    """Say whether a name looks like a slip for a known one.

    Very short names (SS, II, DV) look like everything, so of those only slips count.

    Examples
    --------
    >>> is_alike("AMNT", "AMT"), is_alike("EVDI", "EVID"), is_alike("DOSE", "DV")
    (True, True, False)
    """
    low, wanted = name.lower(), known.lower()
    if name == known or is_slip(name, known):
        return name != known
    if min(len(low), len(wanted)) < SHORT:
        return False
    if len(low) == len(wanted) > SHORT and sorted(low) == sorted(wanted):
        return True
    return difflib.SequenceMatcher(None, low, wanted).ratio() > LIKENESS


def _as_number(text: str) -> str:
    """Write what a cell may have meant: `1,5` and `5 mg` are 1.5 and 5."""
    found = re.match(r"[+-]?\d+([.,]\d+)?", text)
    return found[0].replace(",", ".") if found else "1.5"


def _single(name: str) -> str:
    """Write a name without doubled letters."""
    return "".join(letter for letter, _ in itertools.groupby(name))


def _read(path: str | Path, source: str) -> Any:
    """Read all cells as text, header included."""
    import pandas as pd

    allowed, write = "a CSV file: a header, then a row a record", "ID,TIME,AMT,EVID"
    cause: Exception | None = None
    try:
        size = Path(path).stat().st_size
        if size > MAX_BYTES:
            found = f"{size} bytes long"
            allowed, write = f"at most {MAX_BYTES} bytes", "several tables"
        else:
            return pd.read_csv(
                io.StringIO(Path(path).read_bytes().decode("utf-8-sig")),
                header=None,
                dtype=str,
                keep_default_na=False,
                na_values=[],
                skip_blank_lines=False,
                skipinitialspace=True,
            ).fillna("")
    except OSError as error:
        cause, found = error, f"not readable ({error.strerror})"
    except UnicodeDecodeError as error:
        cause, found = error, f"not UTF-8 text (byte {error.start})"
        allowed, write = "text in UTF-8", "plain letters and numbers"
    except pd.errors.EmptyDataError as error:
        cause, found = error, "empty"
    except (pd.errors.ParserError, ValueError) as error:
        words = str(error).strip().splitlines()[0].rpartition("error: ")[2][:80]
        cause, found = error, f"no table ({words})"
        allowed, write = "as many cells in each line as in the header", "."
    raise DataError("the table", found, allowed, write, source=source) from cause

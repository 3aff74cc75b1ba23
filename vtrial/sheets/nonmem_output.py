"""What a NONMEM run leaves: estimates (.ext), their covariance (.cov), subjects (.phi).

All are tables of columns parted by blanks under a line that begins with `TABLE NO.`; a
run of several steps has several, of which the last counts. In an .ext file ITERATION
-1000000000 marks the final estimates; those that are fixed have rows and columns of
zeros in .cov.

References
----------
Bauer RJ, NONMEM Users Guide: Introduction to NONMEM 7 (raw output files).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from vtrial.errors import DataError

FINAL = -1_000_000_000
MAX_BYTES = 50_000_000


def read_estimates(path: str | Path) -> dict[str, float]:
    """Return the final estimates of an .ext file, by NONMEM's names: `THETA1`.

    Raises
    ------
    DataError
        If it is no such file, or has no final estimates.
    """
    names, rows = _last_table(path)
    if not names or names[0] != "ITERATION":
        raise _wrong(path, "without a column ITERATION", "NONMEM's .ext file")
    final = [row for row in rows if float(row[0]) == FINAL]
    if not final:
        allowed = f"a run that ended: ITERATION {FINAL} holds its final estimates"
        raise _wrong(path, "without final estimates", allowed)
    return dict(zip(names[1:], map(float, final[-1][1:]), strict=True))


def read_covariance(
    path: str | Path, names: Sequence[str]
) -> Float[np.ndarray, "name name"]:
    """Return the covariance of some estimates from a .cov file, by NONMEM's names.

    Raises
    ------
    DataError
        If it is no such file, or does not have all of the names.
    """
    columns, rows = _last_table(path)
    if not columns or columns[0] != "NAME":
        raise _wrong(path, "without a column NAME", "NONMEM's .cov file")
    there = [row[0] for row in rows]
    lacking = [name for name in names if name not in columns or name not in there]
    if lacking:
        allowed = f"one with {', '.join(columns[1:])}"
        raise _wrong(path, f"without {', '.join(lacking)}", allowed)
    chosen = [rows[there.index(name)] for name in names]
    places = [columns.index(name) for name in names]
    return np.array([[float(row[i]) for i in places] for row in chosen])


def read_individuals(
    path: str | Path,
) -> tuple[list[str], Float[np.ndarray, " row"], Float[np.ndarray, "row name"]]:
    """Return a .phi file's columns behind ID, each row's ID, and the values.

    Raises
    ------
    DataError
        If it is no such file, or has a subject twice.
    """
    names, rows = _last_table(path)
    if names[:2] != ["SUBJECT_NO", "ID"]:
        raise _wrong(path, "without SUBJECT_NO and ID", "NONMEM's .phi file")
    values = np.array([[float(cell) for cell in row[1:]] for row in rows])
    identity, often = np.unique(values[:, 0], return_counts=True)
    if (often > 1).any():
        twice = f"{identity[often > 1][0]:g}"
        raise _wrong(path, f"with ID {twice} twice", "a row an ID")
    return names[2:], values[:, 0], values[:, 1:]


def _last_table(path: str | Path) -> tuple[list[str], list[list[str]]]:
    """Return the columns and the rows of the last table of a file."""
    try:
        size = Path(path).stat().st_size
        text = Path(path).read_text(encoding="utf-8") if size <= MAX_BYTES else ""
    except (OSError, ValueError) as error:
        raise _wrong(path, "not readable", "a text file that NONMEM wrote") from error
    lines = [line.split() for line in text.splitlines() if line.strip()]
    starts = [i for i, line in enumerate(lines) if line[:2] == ["TABLE", "NO."]]
    table = lines[starts[-1] + 1 :] if starts else lines
    if len(table) < 2 or any(len(row) != len(table[0]) for row in table):
        raise _wrong(path, "no table", "a table of columns parted by blanks")
    try:
        values = [float(cell) for row in table[1:] for cell in row[1:]]
    except ValueError as error:
        raise _wrong(path, f"with {error}", "numbers only") from error
    if not np.isfinite(values).all():
        raise _wrong(path, "with numbers that are none", "finite numbers")
    return table[0], table[1:]


def _wrong(path: str | Path, found: str, allowed: str) -> DataError:
    return DataError(
        at="the file", found=found, allowed=allowed, write="", source=str(path)
    )

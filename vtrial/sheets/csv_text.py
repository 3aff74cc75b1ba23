"""The text of a CSV file, parted into cells: encoding, separator, lines that fit.

One strictness for all tables. What spreadsheet programs write is read: UTF-8 and UTF-16
with their marks, lines that end in CR, LF or both, cells parted by commas, semicolons
or tabs, empty lines and empty columns without a name. A line with more or fewer cells
than the header is refused, for then nobody knows which cell is which.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vtrial.errors import DataError, Fault

MAX_BYTES = 500_000_000
COMMENT = "#"
SEPARATORS = (",", ";", "\t")
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DECLARED = re.compile(r"sep=([,;\t|])\s*", re.IGNORECASE)
_NOTHING = ' \t,;"'  # what a line without a word is made of
_QUOTED = re.compile(r'"[^"]*"')
_SAVE = "the file saved as UTF-8 (in a spreadsheet program: CSV UTF-8)"


class Cells(NamedTuple):
    """A table's cells as text, without blanks around them.

    Fields
    ------
    names
        The header.
    rows, lines
        The rows with as many cells as the header, and where they stand in the file.
    separator
        What parts the cells.
    begins
        The line of the header.
    """

    names: list[str]
    rows: list[list[str]]
    lines: list[int]
    separator: str
    begins: int


def read_cells(
    path: str | Path, *, most: int = MAX_BYTES
) -> tuple[Cells, list[Fault], str]:
    """Part a file into cells; also return its faults and its name.

    Left out are empty lines, lines that begin with `#` and, where the first column is
    called `C`, lines with a C in it: so do NONMEM's control streams.

    Raises
    ------
    DataError
        If it is no text, or no table.
    """
    source = str(path)
    text = _decoded(_bytes(path, source, most), source)
    lines = io.StringIO(text, newline=None).read().split("\n")
    place, separator = _heading(lines, source)
    faults: list[Fault] = []
    rows, numbers = [], []
    names: list[str] = []
    for number, cells in _records(lines[place:], place, separator, faults, source):
        if not names:
            names = [cell.lstrip(COMMENT).strip() for cell in cells[:1]] + cells[1:]
        elif _counts(names, cells):
            numbers.append(number)
            rows.append(cells)
    rows, numbers = _fitting(names, rows, numbers, faults, source)
    names, rows = _named(names, rows)
    return Cells(names, rows, numbers, separator, place + 1), faults, source


def _bytes(path: str | Path, source: str, most: int) -> bytes:
    """Read a file, but no more of it than it may have."""
    allowed = "a CSV file: a header, then a row a record"
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(most + 1)
    except (OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or str(error)
        found = f"not readable ({words})"
        raise DataError(
            "the table", found, allowed, "ID,TIME,AMT,EVID", source=source
        ) from error
    if len(data) > most:
        found = f"longer than {most} bytes"
        allowed = f"at most {most} bytes"
        raise DataError("the table", found, allowed, "several tables", source=source)
    return data


def _decoded(data: bytes, source: str) -> str:
    """Make text of bytes: UTF-8, or what a mark at the beginning says."""
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        words = f"byte {error.start} is 0x{data[error.start]:02X}"
        found = f"not {encoding[:6].upper().rstrip('-')} text ({words})"
        allowed = f"text in UTF-8, or in UTF-16 with its mark: {_SAVE}"
        raise DataError(
            "the table", found, allowed, "", source=source, line=line
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        found = "not text: it holds the character NUL, as UTF-16 without its mark does"
        raise DataError(
            "the table", found, f"text in UTF-8: {_SAVE}", "", source=source, line=line
        )
    return text


def _heading(lines: list[str], source: str) -> tuple[int, str]:
    """Find the line of the header, from 0, and what parts its cells.

    Comments may stand before it. If a row of numbers follows them, the last of them is
    the header itself, with a `#` before it as NONMEM's users write it.
    """
    place, declared, comment = 0, "", -1
    for place, line in enumerate(lines):  # noqa: B007 (the place is what is sought)
        if found := _DECLARED.fullmatch(line):
            declared = found[1]
        elif line.lstrip().startswith(COMMENT):
            comment = place
        elif line.strip(_NOTHING):
            break
    else:
        place = comment
    if place < 0:
        allowed = "a CSV file: a header, then a row a record"
        raise DataError(
            "the table", "empty", allowed, "ID,TIME,AMT,EVID", source=source
        )
    if comment >= 0 and place > comment and _is_data(lines[place]):
        place = comment
    return place, declared or _separator(lines[place])


def _separator(line: str) -> str:
    """Return the separator of a line's cells: the most frequent one outside quotes."""
    bare = _QUOTED.sub("", line)
    return max(SEPARATORS, key=bare.count)


def _is_data(line: str) -> bool:
    """Return whether a line holds a number, which no header does."""
    cells = line.split(_separator(line))
    return any(NUMBER.fullmatch(cell.strip(' "')) for cell in cells)


def _records(
    lines: list[str], offset: int, separator: str, faults: list[Fault], source: str
) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each record, without blanks, and the line it begins on."""
    begins = True

    def physical() -> Iterator[str]:
        nonlocal begins
        for place, line in enumerate(lines):
            comment = begins and place and line.lstrip().startswith(COMMENT)
            begins = False
            yield "\n" if comment else f"{line}\n"

    reader = csv.reader(
        physical(), delimiter=separator, strict=True, skipinitialspace=True
    )
    while True:
        begins, number = True, offset + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            faults.append(_unreadable(error, source, number))
            return
        yield number, [cell.strip() for cell in cells]


def _unreadable(error: csv.Error, source: str, line: int) -> Fault:
    """Return the fault for a cell's quotes or length."""
    words = str(error)
    found, allowed = f"not parted into cells ({words})", "cells, parted as the header"
    if "field limit" in words:
        most = f"{csv.field_size_limit():,} characters"
        found = f"one with a cell of more than {most}"
        allowed = f"made of cells of at most {most}; or a quote does not end"
    elif "unexpected end" in words:
        found, allowed = "one with a quote that does not end", "with quotes in pairs"
    elif "expected after" in words:
        found = "one with text behind the quote that ends a cell"
        allowed = "with quotes around whole cells, and doubled inside them"
    return Fault("a row", found, allowed, "", source, line)


def _counts(names: list[str], cells: list[str]) -> bool:
    """Return whether a record is to be read: no empty line, and no comment."""
    if not any(cells) or cells[0].startswith(COMMENT):
        return False
    return not (names[0] == "C" and cells[0] == "C")


def _fitting(
    names: list[str],
    rows: list[list[str]],
    numbers: list[int],
    faults: list[Fault],
    source: str,
) -> tuple[list[list[str]], list[int]]:
    """Keep the rows with as many cells as the header, and note the others."""
    width = len(names)
    kept = [place for place, cells in enumerate(rows) if len(cells) == width]
    if len(kept) == len(rows):
        return rows, numbers
    for place, cells in enumerate(rows):
        if len(cells) != width:
            found = f"{len(cells)} cells where the header has {width}"
            allowed = "as many as in the header, a missing one as `.`"
            if len(cells) > width:
                allowed = "as many as in the header: a decimal comma makes two of one"
            faults.append(Fault("a row", found, allowed, "", source, numbers[place]))
    return [rows[place] for place in kept], [numbers[place] for place in kept]


def _named(
    names: list[str], rows: list[list[str]]
) -> tuple[list[str], list[list[str]]]:
    """Leave out columns without a name that are empty, and one that counts the rows.

    Spreadsheet programs leave the former behind; R and pandas write the latter first.
    """
    idle = {
        place
        for place, name in enumerate(names)
        if not name and not any(cells[place] for cells in rows)
    }
    if rows and names and not names[0]:
        first = [cells[0] for cells in rows]
        counted = (range(start, start + len(rows)) for start in (0, 1))
        if any(first == [str(number) for number in count] for count in counted):
            idle.add(0)
    if not idle or len(idle) == len(names):
        return names, rows
    kept = [place for place in range(len(names)) if place not in idle]
    return [names[place] for place in kept], [[r[p] for p in kept] for r in rows]

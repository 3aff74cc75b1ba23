"""Do what a fault says to write, where it says it, in the text of the sheet."""

import csv
import io

from ruamel.yaml import YAML

from vtrial.errors import Fault

from .corpus import EVENTS
from .splice import entries_of, swapped


def mended(sheet: str, text: str, fault: Fault) -> str:
    """Return a text with the remedy of one of its faults in place.

    Words that a remedy replaces must stand where the fault says that they do.
    """
    if sheet == EVENTS:
        return _in_table(text, fault)
    if fault.old:
        return swapped(text, (fault.line, fault.column), fault.old, fault.write)
    spliced = entries_of(text)
    value = YAML(typ="safe").load(fault.write)
    key = str(fault.path[-1])
    if isinstance(value, dict) and list(map(str, value)) == [key]:
        (value,) = value.values()
    return spliced.set(fault.path, value)


def is_new_there(fault: Fault, mended: Fault, before: set) -> bool:
    """Return whether a fault came up at the place of one that was mended."""
    whole = mended.path[: -1 if _is_key(mended) else len(mended.path)]
    return fault.path[: len(whole)] == whole and spot(fault) not in before


def spot(fault: Fault) -> tuple:
    """Return what tells one fault of a sheet from the others, wherever lines move."""
    return fault.path or fault.at, fault.found


def _is_key(fault: Fault) -> bool:
    return bool(fault.path) and fault.old == fault.path[-1]


def _in_table(text: str, fault: Fault) -> str:
    """Write another cell: in the column that the path names, on the fault's line."""
    rows = list(csv.reader(text.splitlines()))
    (name,) = fault.path
    row, column = rows[fault.line - 1], rows[0].index(name)
    assert row[column] == fault.old, f"{name} holds {row[column]!r}"
    row[column] = fault.write
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()

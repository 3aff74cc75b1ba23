"""The law of remedies: one is offered only if writing it ends its fault.

A loader holds what it would tell against this: remedies are written into a copy of the
sheet's data, which is read again. All are tried together, and halves of them where they
do not hold, so that a usual sheet is read once or twice more.
"""

import copy
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from vtrial.errors import Fault
from vtrial.sheets.sheet import Path_, Sheet

MOST = 40  # times that a sheet is read again
Read = Callable[[Sheet], Iterable[Fault]]


def proved(sheet: Sheet, faults: Iterable[Fault], read: Read) -> list[Fault]:
    """Return the faults of a sheet, without the remedies that would not do.

    `read` returns all faults of a sheet, none of them proved. Faults of other files
    are passed on as they are.
    """
    faults = list(faults)
    asked = [i for i, one in enumerate(faults) if one.write and _ours(sheet, one)]
    trial = _Trial(sheet, faults, read)
    good = trial.good(asked)
    return [
        one._replace(write="", old="") if i in asked and i not in good else one
        for i, one in enumerate(faults)
    ]


def remedied(sheet: Sheet, faults: Iterable[Fault]) -> dict[str, object] | None:
    """Return a sheet's data with remedies in place; None if one cannot be written."""
    data = copy.deepcopy(sheet.data)
    later = sorted(faults, key=lambda fault: fault[5:7], reverse=True)
    done = all([_write(sheet, data, fault) for fault in later])
    return data if done else None


@dataclasses.dataclass
class _Trial:
    """Which remedies hold: those of a few faults are tried at a time."""

    sheet: Sheet
    faults: Sequence[Fault]
    read: Read
    left: int = MOST

    def good(self, asked: Sequence[int]) -> set[int]:
        """Return which of the faults asked about have a remedy that ends them."""
        if not asked or not self.left:
            return set()
        if self.hold(asked):
            return set(asked)
        if len(asked) == 1:
            return set()
        half = len(asked) // 2
        return self.good(asked[:half]) | self.good(asked[half:])

    def hold(self, asked: Sequence[int]) -> bool:
        """Return whether some remedies end their faults, and nothing comes up there."""
        chosen = [self.faults[i] for i in asked]
        data = remedied(self.sheet, chosen)
        if data is None:
            return False
        self.left -= 1
        other = dataclasses.replace(self.sheet, data=data)
        after, before = _spots(self.read(other)), _spots(self.faults)
        mended = _spots(chosen)
        if any(after[spot] > before[spot] - count for spot, count in mended.items()):
            return False
        new = [place for place, found in after if (place, found) not in before]
        return not any(_is_in(place, _around(one)) for place in new for one in chosen)


def _spots(faults: Iterable[Fault]) -> Counter[tuple[Path_, str]]:
    """Count faults by what tells them apart wherever lines move."""
    return Counter((one.path or (one.at,), one.found) for one in faults)


def _is_in(place: Path_, around: Path_) -> bool:
    return place[: len(around)] == around


def _ours(sheet: Sheet, fault: Fault) -> bool:
    return bool(fault.path) and fault.source == sheet.source


def _around(fault: Fault) -> Path_:
    """Return the place where a remedy may bring up something else."""
    return fault.path[: -1 if fault.old == fault.path[-1] else None]


def _write(sheet: Sheet, data: dict[str, object], fault: Fault) -> bool:
    """Write a remedy into a sheet's data; return whether that can be done."""
    key = fault.path[-1]
    node = dataclasses.replace(sheet, data=data).value(fault.path[:-1])
    if isinstance(node, dict) and isinstance(key, str):
        return _enter(sheet, node, key, fault)
    if isinstance(node, list) and isinstance(key, int) and key < len(node):
        value = _value(sheet, node[key], fault)
        node[key] = value
        return value is not None
    return False


def _enter(sheet: Sheet, node: dict[str, object], key: str, fault: Fault) -> bool:
    """Write a remedy into a map: another key, or another value of it."""
    if fault.old == key:
        if fault.write in node or key not in node:
            return False
        entries = [(fault.write if k == key else k, v) for k, v in node.items()]
        node.clear()
        node.update(entries)
        return True
    value = _value(sheet, node.get(key), fault)
    if value is not None:
        node[key] = value
    return value is not None


def _value(sheet: Sheet, value: object, fault: Fault) -> object:
    """Return what stands at an entry with the remedy in place; None if nothing may."""
    if not fault.old:
        return read_value(fault.write, str(fault.path[-1]))
    if not isinstance(value, str):
        return None
    place = value.find(fault.old)
    while place >= 0:
        if sheet.spot(fault.path, place) == (fault.line, fault.column):
            rest = value[place + len(fault.old) :]
            return value[:place] + fault.write + rest
        place = value.find(fault.old, place + 1)
    return None


def read_value(text: str, key: str) -> object:
    """Return the value that is written for an entry, with or without its key.

    Examples
    --------
    >>> read_value("5 pp", "within"), read_value("within: 5 pp", "within")
    ('5 pp', '5 pp')
    """
    try:
        read = YAML(typ="safe").load(text)
    except (YAMLError, ValueError):
        return None
    if isinstance(read, dict) and [str(one) for one in read] == [key]:
        (read,) = read.values()
    return _plain(read)


def _plain(value: object) -> object:
    """Write keys as text, as in the data of a sheet."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value

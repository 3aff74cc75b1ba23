"""Faults: what is wrong with a sheet, gathered until all of it has been read."""

import re
from collections.abc import Iterable

from vtrial.errors import Fault, ProtocolError, VtrialError
from vtrial.sheets.sheet import Path_, Sheet
from vtrial.sheets.validate import raise_faults
from vtrial.sheets.words import listed, nearest


class Faults:
    """Gather the faults of one sheet, each with its place there."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self.entries: list[Fault] = []

    def add(
        self, path: Path_, *, found: str, allowed: str, write: str = "", old: str = ""
    ) -> None:
        """Note a fault at an entry, or at words `old` of it."""
        self.note(
            self.sheet.fault(path, found=found, allowed=allowed, write=write, old=old)
        )

    def note(self, fault: Fault) -> None:
        """Note a fault once."""
        if fault not in self.entries:
            self.entries.append(fault)

    def unknown(self, path: Path_, word: str, known: Iterable[str], kind: str) -> None:
        """Note a name that nothing bears, with the one that is meant by it.

        It stands at the path, as a key or a value, or in the text there.
        """
        known = list(known)
        article = "an" if kind[0] in "aeiou" else "a"
        allowed = f"{article} {kind}: {listed(known, like=word)}"
        self.add(
            path,
            found=f"`{word}`, an unknown {kind}",
            allowed=allowed if known else f"left out, for there is no {kind}",
            write=nearest(word, known),
            old=word,
        )

    def relay(self, path: Path_, error: VtrialError) -> None:
        """Take over another room's faults; those of this sheet get its lines."""
        for fault in error.faults:
            if fault.source and fault.source != self.sheet.source:
                self.note(fault)
            else:
                self.note(self.sheet.inside(_within(self.sheet, path, fault), fault))

    def refuse(self) -> None:
        """Raise everything gathered as one error, if there is anything."""
        raise_faults(ProtocolError, self.entries)


def _within(sheet: Sheet, path: Path_, fault: Fault) -> Path_:
    """Return the text of a list that a fault says by number that it is in."""
    number = re.fullmatch(r"\w+ (\d+)", fault.at)
    many = isinstance(sheet.value(path), list)
    return (*path, int(number[1]) - 1) if number and many else path

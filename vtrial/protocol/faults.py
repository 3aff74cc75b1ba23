"""Faults: what is wrong with a sheet, gathered until all of it has been read."""

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

    def add(self, path: Path_, *, found: str, allowed: str, write: str) -> None:
        """Note a fault at an entry."""
        fault = self.sheet.fault(path, found=found, allowed=allowed, write=write)
        if fault not in self.entries:
            self.entries.append(fault)

    def unknown(self, path: Path_, word: str, known: Iterable[str], kind: str) -> None:
        """Note a name that nothing bears, with the nearest one that something does."""
        known = list(known)
        article = "an" if kind[0] in "aeiou" else "a"
        allowed = f"{article} {kind}: {listed(known)}" if known else "left out"
        self.add(
            path,
            found=f"`{word}`, an unknown {kind}",
            allowed=allowed if known else f"{allowed}, for there is no {kind}",
            write=nearest(word, known),
        )

    def relay(self, path: Path_, error: VtrialError) -> None:
        """Take over another room's faults; those of this sheet get its lines."""
        for fault in error.faults:
            if fault.source and fault.source != self.sheet.source:
                self.entries.append(fault)
                continue
            self.add(path, found=fault.found, allowed=fault.allowed, write=fault.write)

    def refuse(self) -> None:
        """Raise everything gathered as one error, if there is anything."""
        raise_faults(ProtocolError, self.entries)

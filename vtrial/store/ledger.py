"""The ledger: which blocks are done, one JSON line each, written by one process."""

import json
import os
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    """A finished block: how many subjects, what was written, by whom, how long.

    `failed` counts the subjects that could not be solved under some arm.
    """

    block: int
    subjects: int
    checksum: str
    seconds: float = 0.0
    worker: str = ""
    failed: int = 0


class Ledger:
    """The finished blocks of a record, in a file beside it.

    A line is appended in one write and forced to disk; a torn last line (the process
    was killed in it) does not count, and the next append starts on a line of its own.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def read(self) -> dict[int, Entry]:
        """Return the last entry of each block."""
        if not self.path.exists():
            return {}
        entries = {}
        for line in self.path.read_bytes().split(b"\n"):
            try:
                entry = Entry(**json.loads(line))
            except (ValueError, TypeError):
                continue
            if isinstance(entry.block, int):
                entries[entry.block] = entry
        return entries

    def append(self, entry: Entry) -> None:
        """Note that a block is done."""
        line = json.dumps(entry._asdict())
        with self.path.open("a+b") as file:
            file.seek(0, os.SEEK_END)
            if file.tell():
                file.seek(-1, os.SEEK_END)
                torn = file.read(1) != b"\n"
                line = ("\n" if torn else "") + line
            file.write(f"{line}\n".encode())
            file.flush()
            os.fsync(file.fileno())

"""The ledger: which blocks are done, one JSON line each, written by one process."""

import json
import os
from pathlib import Path
from typing import NamedTuple

from vtrial.errors import StoreError
from vtrial.store.place import clear

LEDGER = "ledger.jsonl"


class Entry(NamedTuple):
    """A finished block: how many subjects, what was written, by whom, how long.

    `checksum` is of the numbers. `shards` is of the files that hold them: eight
    hexadecimal digits for each array, in the order of the arrays' paths. `failed`
    counts the subjects that could not be solved under some arm.
    """

    block: int
    subjects: int
    checksum: str
    shards: str = ""
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
        """Return the last entry of each block; none where no file stands.

        Raises
        ------
        StoreError
            If the file cannot be read.
        """
        if not self.path.is_file():
            return {}
        try:
            lines = self.path.read_bytes().split(b"\n")
        except OSError as error:
            raise StoreError(
                at=str(self.path),
                found=f"not to be read ({error.strerror})",
                allowed="a file with a line for each block",
                write="",
            ) from error
        entries = [_entry(line) for line in lines]
        return {entry.block: entry for entry in entries if entry is not None}

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

    def clear_way(self) -> None:
        """Remove whatever is not a file where the ledger is to stand."""
        if self.path.is_symlink() or not self.path.is_file():
            clear(self.path)


def _entry(line: bytes) -> Entry | None:
    """Read a line; None if it is no entry."""
    try:
        entry = Entry(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
    whole = (entry.block, entry.subjects, entry.failed)
    words = (entry.checksum, entry.shards, entry.worker)
    right = all(type(part) is int for part in whole) and entry.block >= 0
    right &= all(isinstance(part, str) for part in words)
    return entry if right and isinstance(entry.seconds, int | float) else None

"""A run's folder: one coordinator at a time, and the sheets that made the record."""

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vtrial.errors import StoreError

LOCK, SHEETS = "coordinator.lock", "sheets"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for this coordinator alone; leave none behind that is empty.

    The system frees the lock of a process that ends, however it ends, so that a stale
    file locks nobody out.

    Raises
    ------
    StoreError
        If another coordinator is at work there, or the folder cannot be made.
    """
    made = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a+b")
    except (OSError, ValueError) as error:  # the latter: no path at all
        raise StoreError(
            at=str(folder),
            found=f"not to be written ({getattr(error, 'strerror', error)})",
            allowed="a folder that can be made and written",
            write="--out FOLDER",
        ) from error
    try:
        _take(file, folder)
        try:
            yield
        finally:
            (folder / LOCK).unlink(missing_ok=True)
    finally:
        file.close()
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()


def _take(file: BinaryIO, folder: Path) -> None:
    """Lock the file and write into it who holds it."""
    try:
        import fcntl
    except ImportError:  # no such locks here: two coordinators are the user's care
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise StoreError(
            at=str(folder),
            found=f"in the hands of another run ({_holder(folder)})",
            allowed="one that no run is at work in",
            write="--out FOLDER, or wait until it is done",
        ) from error
    file.seek(0)
    file.truncate()
    words = {"process": os.getpid(), "host": socket.gethostname()}
    file.write(json.dumps(words).encode())
    file.flush()


def _holder(folder: Path) -> str:
    """Return the process that holds the lock, if that can be read."""
    try:
        held = json.loads((folder / LOCK).read_text())
        return f"process {held['process']} on {held['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown"


def write_sheets(folder: Path, texts: dict[str, str]) -> None:
    """Write the sheets' texts beside the record, for people."""
    place = folder / SHEETS
    place.mkdir(exist_ok=True)
    for name, text in texts.items():
        (place / Path(name).name).write_text(text, encoding="utf-8")

"""Places on a disk: what stands there, what its bytes are, and how to clear it."""

import contextlib
import os
import shutil
import zlib
from pathlib import Path

PART = 1 << 24  # bytes read at once


def clear(path: Path) -> None:
    """Remove whatever stands at a place: a file, a link (not what it leads to), a tree.

    Raises
    ------
    OSError
        If it cannot be removed.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()


def make_way(path: Path, within: Path) -> None:
    """Make the folders above a place real ones, where files or links stand instead."""
    *above, _root = path.relative_to(within).parents  # which itself may be a link
    for folder in reversed(above):
        place = within / folder
        if place.is_symlink() or not place.is_dir():
            clear(place)
            place.mkdir()


def stands(path: Path) -> bool:
    """Return whether anything exists at a path, a dangling link included."""
    return os.path.lexists(path)


def print_of(path: Path) -> str:
    """Return the fingerprint of a file: the CRC-32 of its bytes, in hexadecimal.

    Raises
    ------
    OSError
        If there is no file, or it cannot be read.
    """
    sum_ = 0
    with path.open("rb") as file:
        while part := file.read(PART):
            sum_ = zlib.crc32(part, sum_)
    return f"{sum_:08x}"


def print_of_bytes(content: bytes) -> str:
    """Return the fingerprint of bytes, as of a file that holds them."""
    return f"{zlib.crc32(content):08x}"

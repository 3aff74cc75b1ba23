"""The arrays that blocks are written to: opened once, and written side by side.

Zarr does the work for an array in another thread. A block of a small trial is so little
that a process would mostly wait for that thread, once for each of its arrays.
"""

import asyncio
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import zarr
from zarr.core.sync import sync
from zarr.errors import NodeTypeValidationError

from vtrial.errors import StoreError
from vtrial.store.layout import METADATA

TOGETHER = 1 << 22  # bytes of rows that are encoded side by side


class Rows(NamedTuple):
    """Rows of an array, from a place on."""

    array: zarr.Array
    start: int
    values: np.ndarray


def target_of(record: Path, path: str) -> zarr.Array:
    """Return an array of a record, as it is laid out now; blocks are written whole.

    Raises
    ------
    StoreError
        If there is no such array.
    """
    at = (record / METADATA).stat()
    return _opened(record, path, (at.st_mtime_ns, at.st_ino, at.st_size))


@functools.lru_cache(maxsize=8192)
def _opened(record: Path, path: str, laid_out: tuple[int, ...]) -> zarr.Array:
    """Open an array, once for a layout: the root changes whenever that does."""
    del laid_out
    try:
        member = zarr.open_array(record / path, mode="r+")
    except (FileNotFoundError, NodeTypeValidationError) as error:
        raise StoreError(
            at=path,
            found="not an array of the record",
            allowed="one that was laid out when the record was created",
            write="",
        ) from error
    return member.with_config({"write_empty_chunks": True})


def write_together(parts: Sequence[Rows]) -> None:
    """Write rows, of many arrays at once as long as they are small."""
    waiting: list[Rows] = []
    for part in parts:
        if sum(rows.values.nbytes for rows in (*waiting, part)) > TOGETHER:
            _write(waiting)
            waiting = []
        waiting.append(part)
    _write(waiting)


def _write(parts: Sequence[Rows]) -> None:
    async def write() -> list[BaseException | None]:
        return await asyncio.gather(
            *(
                rows.array.async_array.setitem(
                    slice(rows.start, rows.start + len(rows.values)), rows.values
                )
                for rows in parts
            ),
            return_exceptions=True,  # so that none is still at it when this is over
        )

    for error in sync(write()) if parts else ():
        if error is not None:
            raise error

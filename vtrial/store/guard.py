"""A store that hands out only what is as it was written.

xarray reads a record through it. Each file is held against its fingerprint when it is
read, so that a report of any size rests on no torn file. What the run did not write (an
unfinished file of a killed one, a file of somebody else) is not there.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.storage import LocalStore, WrapperStore

from vtrial.errors import StoreError
from vtrial.store.check import Torn, fingerprints
from vtrial.store.layout import METADATA, shard_name
from vtrial.store.ledger import Entry
from vtrial.store.place import print_of_bytes

HELD = 64_000_000  # bytes of files that were read last
Told = Callable[[list[Torn]], StoreError]


class GuardedStore(WrapperStore[LocalStore]):
    """A record's folder, read only.

    `laid` is what the record knows of its layout, `entries` the ledger; `told` makes
    an error of what is torn.
    """

    def __init__(
        self,
        folder: Path,
        laid: Mapping[str, Any],
        entries: Mapping[int, Entry],
        told: Told,
    ) -> None:
        super().__init__(LocalStore(folder, read_only=True))
        self.folder, self.told, self.entries = folder, told, entries
        self.files, self.arrays = dict(laid["files"]), dict(laid["arrays"])
        self._known = _folders([METADATA, *self.files])
        self._held: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def with_read_only(self, read_only: bool = False) -> "GuardedStore":
        """Return the same store, which is read only."""
        assert read_only, "a guarded store is read only"
        return self

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return a file's bytes, or some of them; None if the run wrote no such file.

        Raises
        ------
        StoreError
            If the file is torn.
        """
        content = await asyncio.to_thread(self._read, key)
        if content is None:
            return None
        buffer = (prototype or default_buffer_prototype()).buffer
        return buffer.from_bytes(_part(content, byte_range))

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        """Return parts of files, as `get` does."""
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield what the run wrote in a folder."""
        for name in self._known.get(prefix.strip("/"), ()):
            yield name

    def _read(self, key: str) -> bytes | None:
        """Read a file whole, or return what was read of it last."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        sum_, block = self._print(key)
        if sum_ is None:
            return None
        try:
            content = (self.folder / key).read_bytes()
        except OSError as error:
            raise self.told([Torn(key, block, f"gone ({error.strerror})")]) from error
        if sum_ and print_of_bytes(content) != sum_:
            raise self.told([Torn(key, block, "not as it was written")])
        with self._lock:
            self._held[key] = content
            while len(self._held) > 1 and sum(map(len, self._held.values())) > HELD:
                self._held.popitem(last=False)
        return content

    def _print(self, key: str) -> tuple[str | None, int | None]:
        """Return a file's fingerprint and block; None where there is to be no file.

        The root's metadata bear a seal of their own, which is seen to before.
        """
        if key == METADATA:
            return "", None
        if key in self.files:
            return self.files[key], None
        path, _, name = key.rpartition("/")
        block = _block_of(name)
        if path not in self.arrays or name != shard_name(block, self.arrays[path]):
            return None, None
        sums = fingerprints(self.entries.get(block), self.arrays)
        if not sums:
            raise self.told([Torn(key, block, "not in the ledger")])
        return sums[path], block


def _block_of(name: str) -> int:
    """Return the block that a shard's name begins with; -1 if it is none."""
    _, _, rest = name.partition(".")
    number = rest.partition(".")[0]
    return int(number) if number.isdecimal() else -1


def _folders(files: Iterable[str]) -> dict[str, list[str]]:
    """Return what stands in each folder, by the files that there are."""
    found: dict[str, dict[str, None]] = {}
    for file in files:
        parts = file.split("/")
        for depth, name in enumerate(parts):
            found.setdefault("/".join(parts[:depth]), {})[name] = None
    return {folder: list(names) for folder, names in found.items()}


def _part(content: bytes, asked: ByteRequest | None) -> bytes:
    """Return the bytes that are asked for."""
    if isinstance(asked, RangeByteRequest):
        return content[asked.start : asked.end]
    if isinstance(asked, OffsetByteRequest):
        return content[asked.offset :]
    if isinstance(asked, SuffixByteRequest):
        return content[max(0, len(content) - asked.suffix) :]
    return content

"""What is torn of a record: files that are not as the run wrote them.

The coordinator's files are held against the fingerprints that the root's metadata
keeps, the blocks' against those of the ledger. All that is missing is found by one look
into the folder of each array; the bytes of a large record are read of some blocks, of
which its digest decides, or of all. Whatever a report reads is checked as it is read
(see `guard`), so that no number rests on the sample.
"""

import os
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from vtrial.store.layout import PARTIAL, shard_name
from vtrial.store.ledger import LEDGER, Entry
from vtrial.store.place import print_of

WIDTH = 8  # digits of a fingerprint
SAMPLED = 64_000_000  # bytes that are read of a record that is not checked whole


class Torn(NamedTuple):
    """A file that is not as it was written: where, of which block, and what it is."""

    path: str
    block: int | None
    what: str

    def __str__(self) -> str:
        """Return the finding in words."""
        of = "" if self.block is None else f" (block {self.block})"
        return f"{self.path}{of} is {self.what}"


def torn_layout(folder: Path, laid: Mapping[str, Any]) -> list[Torn]:
    """List what is torn of metadata and coordinates."""
    return [
        Torn(name, None, what)
        for name, sum_ in laid["files"].items()
        if (what := _wrong(folder / name, sum_))
    ]


def torn_blocks(
    folder: Path,
    laid: Mapping[str, Any],
    entries: Mapping[int, Entry],
    *,
    seed: str | None = None,
) -> Iterator[Torn]:
    """Yield what is torn of the blocks; with a seed the bytes of some of them only."""
    arrays, blocks = dict(laid["arrays"]), int(laid["blocks"])
    noted = {block: fingerprints(entries.get(block), arrays) for block in range(blocks)}
    yield from (
        Torn(LEDGER, b, "without a line") for b, sums in noted.items() if not sums
    )
    names = {path: _names(folder / path) for path in arrays}
    left = SAMPLED
    for block in _order(blocks, seed):
        for path, sum_ in noted[block].items():
            name = shard_name(block, arrays[path])
            if name not in names[path]:
                yield Torn(f"{path}/{name}", block, "missing")
            elif left > 0:
                place = folder / path / name
                if what := _wrong(place, sum_):
                    yield Torn(f"{path}/{name}", block, what)
                left -= 0 if seed is None else _size(place)


def fingerprints(entry: Entry | None, arrays: Mapping[str, int]) -> dict[str, str]:
    """Return the fingerprint of each shard of a block; nothing if it is not done."""
    if entry is None or len(entry.shards) != WIDTH * len(arrays):
        return {}
    parts = range(0, len(entry.shards), WIDTH)
    sums = [entry.shards[start : start + WIDTH] for start in parts]
    return dict(zip(sorted(arrays), sums, strict=True))


def leftovers(folder: Path) -> list[Path]:
    """List what zarr had not finished writing when a run was killed."""
    return [path for path in folder.rglob(f"*{PARTIAL}") if not path.is_dir()]


def _order(blocks: int, seed: str | None) -> list[int]:
    """Return the blocks in the order in which they are looked at."""
    order = list(range(blocks))
    if seed is not None:
        random.Random(seed).shuffle(order)
    return order


def _names(folder: Path) -> set[str]:
    """Return what stands in an array's folder; nothing where there is none."""
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _wrong(path: Path, sum_: str) -> str:
    """Return what is wrong with a file; empty if it is as it was written."""
    try:
        found = print_of(path)
    except IsADirectoryError:
        return "a folder"
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except OSError as error:
        return f"not to be read ({error.strerror})"
    if found == sum_:
        return ""
    return "empty" if not path.stat().st_size else "not as it was written"

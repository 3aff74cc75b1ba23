"""The record: one Zarr v3 tree, each block a shard of every array.

One task writes exactly the shards of its block; the coordinator alone writes metadata,
coordinates and the mark of completion. Several writers in a shard lose data silently,
and a flipped byte reads back as a wrong number unless the codec carries a checksum:
hence the rule, and the codec.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import ZstdCodec

from vtrial.errors import StoreError

NAME = "record.zarr"
COMPLETE, AGAIN = "complete", "again"


class Variable(NamedTuple):
    """An array that blocks fill: its path, axes, the shape of one row, and attributes.

    The first axis is the one that blocks divide: each block owns `rows` of it, which
    is the number of subjects in a block, or 1 where a block leaves one row.
    """

    path: str
    dims: tuple[str, ...]
    tail: tuple[int, ...] = ()
    dtype: str = "float64"
    fill: float | int = float("nan")
    per_block: bool = False
    attributes: Mapping[str, Any] = {}


class Coordinate(NamedTuple):
    """Names or positions along an axis of a group, written once by the coordinator.

    Without `axis` its own name is the axis.
    """

    path: str
    values: Sequence[object] | np.ndarray
    attributes: Mapping[str, Any] = {}
    axis: str = ""


@dataclass(frozen=True)
class Record:
    """An open record. Workers `write` blocks; the coordinator does all else."""

    path: Path

    @property
    def group(self) -> zarr.Group:
        """The root group, as it stands on disk now."""
        return zarr.open_group(self.path, mode="r+")

    @property
    def attributes(self) -> dict[str, Any]:
        """What the record says about itself."""
        return dict(self.group.attrs)

    @property
    def complete(self) -> bool:
        """Whether a run has finished it."""
        return bool(self.attributes.get(COMPLETE))

    def note(self, **attributes: Any) -> None:
        """Add attributes to the record."""
        self.group.attrs.update(attributes)

    def write(self, block: int, arrays: Mapping[str, np.ndarray]) -> str:
        """Write one block's rows of every array; return their checksum.

        Raises
        ------
        StoreError
            If the rows do not fit the block's place in an array.
        """
        group = self.group
        digest = hashlib.sha256()
        for path in sorted(arrays):
            target, rows = _array(group, path), np.asarray(arrays[path])
            height = _shard(target)
            start = block * height
            stop = min(start + height, target.shape[0])
            if rows.shape != (stop - start, *target.shape[1:]):
                raise StoreError(
                    at=f"{path} of block {block}",
                    found=f"of shape {rows.shape}",
                    allowed=f"of shape {(stop - start, *target.shape[1:])}",
                    write="",
                )
            with np.errstate(over="ignore"):  # what 32 bits cannot hold is infinite
                rows = rows.astype(target.dtype, copy=False)
            self._forget(path, target, block)
            target[start:stop] = rows
            _count(digest, path, rows)
        return digest.hexdigest()

    def checksum(self, block: int) -> str:
        """Read one block back and return the checksum of what is there.

        Raises
        ------
        StoreError
            If a shard is damaged.
        """
        digest = hashlib.sha256()
        for path, target in sorted(self._blocked()):
            height = _shard(target)
            stop = min((block + 1) * height, target.shape[0])
            try:
                rows = np.asarray(target[block * height : stop])
            except (RuntimeError, ValueError, OSError) as error:
                raise StoreError(
                    at=f"{self.path}/{path}",
                    found=f"damaged in block {block} ({error})",
                    allowed="as it was written",
                    write="vtrial run PROTOCOL --restart",
                ) from error
            _count(digest, path, rows)
        return digest.hexdigest()

    def holds(self, block: int, checksum: str) -> bool:
        """Return whether a block reads back as it was written."""
        try:
            return self.checksum(block) == checksum
        except StoreError:
            return False

    def extend(self, subjects: int, blocks: int) -> None:
        """Make room for more subjects; what is there stays."""
        for _, array in self._blocked():
            rows = blocks if array.attrs.get("per_block") else subjects
            if array.shape[0] < rows:
                array.resize((rows, *array.shape[1:]))

    def put(self, path: str, values: np.ndarray, **attributes: Any) -> None:
        """Write a whole array, with `dims` among its attributes (coordinator only)."""
        dims = attributes.pop("dims", ())
        _put(self.group, path, np.asarray(values), tuple(dims), attributes)

    def tree(self) -> xr.DataTree:
        """Open the record in xarray, lazily."""
        return xr.open_datatree(self.path, engine="zarr", consolidated=False)

    def _forget(self, path: str, array: zarr.Array, block: int) -> None:
        """Remove a block's shard: one that is torn cannot be written over."""
        place = (block, *(0 for _ in array.shape[1:]))
        key = array.metadata.encode_chunk_key(place)
        (self.path / path / key).unlink(missing_ok=True)

    def _blocked(self) -> Iterator[tuple[str, zarr.Array]]:
        """Walk over the arrays that blocks fill."""
        for path, member in self.group.members(max_depth=None):
            if isinstance(member, zarr.Array) and "per_block" in member.attrs:
                yield path, member


def create_record(
    folder: str | Path,
    variables: Sequence[Variable],
    coordinates: Sequence[Coordinate],
    *,
    attributes: Mapping[str, Any],
    subjects: int,
    block: int,
) -> Record:
    """Lay out a record in a folder; it appears whole or not at all.

    Raises
    ------
    StoreError
        If a record stands there already.
    """
    path = Path(folder) / NAME
    if path.exists():
        raise StoreError(
            at=str(path),
            found="there already",
            allowed="absent",
            write="--restart to throw it away, or --out for another folder",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{NAME}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    group = zarr.create_group(draft, attributes=dict(attributes))
    blocks = -(-subjects // block)
    for variable in variables:
        _lay(group, variable, subjects=subjects, blocks=blocks, block=block)
    for name, values, attrs, axis in coordinates:
        dims = (axis or name.rsplit("/", 1)[-1],)
        _put(group, name, np.asarray(values), dims, attrs)
    draft.rename(path)
    return Record(path)


def open_record(folder: str | Path) -> Record:
    """Open the record of a run's folder, or the record itself.

    Raises
    ------
    StoreError
        If there is no record.
    """
    path = Path(folder)
    path = path if path.name == NAME else path / NAME
    if not (path / "zarr.json").is_file():
        raise StoreError(
            at=str(folder),
            found="without a record",
            allowed=f"a run's folder (with {NAME} in it)",
            write="vtrial run PROTOCOL --out FOLDER",
        )
    return Record(path)


def _lay(
    group: zarr.Group, variable: Variable, *, subjects: int, blocks: int, block: int
) -> None:
    """Create one array, a shard for each block."""
    rows, height = (blocks, 1) if variable.per_block else (subjects, block)
    shape = (height, *variable.tail)
    group.create_array(
        variable.path,
        shape=(rows, *variable.tail),
        chunks=shape,
        shards=shape,
        dtype=variable.dtype,
        fill_value=variable.fill,
        compressors=ZstdCodec(level=3, checksum=True),
        dimension_names=variable.dims,
        attributes=dict(variable.attributes) | {"per_block": variable.per_block},
    )


def _put(
    group: zarr.Group,
    path: str,
    values: np.ndarray,
    dims: tuple[str, ...],
    attributes: Mapping[str, Any],
) -> None:
    """Write a whole array, in place of an older one."""
    text = values.dtype.kind in "OUT"
    array = group.create_array(
        path,
        shape=values.shape,
        chunks=tuple(max(1, size) for size in values.shape),
        dtype=str if text else values.dtype,
        compressors=ZstdCodec(level=3, checksum=True),
        dimension_names=dims,
        attributes=dict(attributes),
        overwrite=True,
    )
    array[...] = values.astype(object) if text else values


def _array(group: zarr.Group, path: str) -> zarr.Array:
    """Find an array of the record."""
    member = group.get(path)
    if not isinstance(member, zarr.Array):
        raise StoreError(
            at=path,
            found="not an array of the record",
            allowed="one that was laid out when the record was created",
            write="",
        )
    return member


def _shard(array: zarr.Array) -> int:
    """Return how many rows one block owns."""
    return array.shards[0] if array.shards else array.chunks[0]


def _count(digest: "hashlib._Hash", path: str, rows: np.ndarray) -> None:
    """Add an array's name, shape and bytes to a checksum."""
    digest.update(f"{path}{rows.shape}{rows.dtype}".encode())
    digest.update(np.ascontiguousarray(rows).tobytes())

"""How a record is laid out: its arrays, their shards, and the coordinates.

What the coordinator lays out depends on the trial alone, so that what is torn of it is
laid out again.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from vtrial.store.place import print_of
from vtrial.store.variable import Coordinate, Variable

NAME = "record.zarr"
METADATA = "zarr.json"
LAID = "laid"
PARTIAL = ".partial"  # how files end that zarr has not finished writing
_ENCODED: Any = {  # how chunks are written
    "compressors": ZstdCodec(level=3, checksum=True),
    "chunk_key_encoding": {"name": "default", "separator": "."},
}


class Layout(NamedTuple):
    """All that is laid out before a block is written: arrays, and for how many."""

    variables: Sequence[Variable]
    coordinates: Sequence[Coordinate]
    subjects: int
    block: int

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return -(-self.subjects // self.block)

    def lay(self, folder: Path, once_more: Mapping[str, Any]) -> dict[str, Any]:
        """Lay it out in a new folder; return what the record is to know of it.

        It is to know the fingerprint of each file but the root's own metadata, how many
        axes each array has that blocks fill, and the number of blocks; an array that
        holds nothing has no files that it could miss. The groups below
        the root say `once_more` whose record it is.
        """
        group = zarr.create_group(folder)
        for variable in self.variables:
            self._array(group, variable)
        for name, values, attrs, axis in self.coordinates:
            dims = (axis or name.rsplit("/", 1)[-1],)
            kind = None if len(values) else str  # an empty list is one of names
            put_array(group, name, np.asarray(values, kind), dims, attrs)
        for _, member in group.groups():
            member.update_attributes(dict(once_more))
        arrays = {one.path: len(one.dims) for one in self.variables if all(one.tail)}
        return {"files": prints(folder), "arrays": arrays, "blocks": self.blocks}

    def _array(self, group: zarr.Group, variable: Variable) -> None:
        """Create one array, a shard for each block."""
        rows, height = (
            (self.blocks, 1) if variable.per_block else (self.subjects, self.block)
        )
        # An axis may have no length, as that of endpoints where there are none.
        shape = (height, *(max(1, size) for size in variable.tail))
        group.create_array(
            variable.path,
            shape=(rows, *variable.tail),
            chunks=shape,
            shards=shape,
            dtype=variable.dtype,
            fill_value=variable.fill,
            **_ENCODED,
            dimension_names=variable.dims,
            attributes=dict(variable.attributes) | {"per_block": variable.per_block},
        )


def put_array(
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
        **_ENCODED,
        dimension_names=dims,
        attributes=dict(attributes),
        overwrite=True,
    )
    array[...] = values.astype(object) if text else values


def prints(folder: Path, under: str = "") -> dict[str, str]:
    """Return the fingerprints of all files of a layout but the root's metadata."""
    files = sorted(path for path in (folder / under).rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    return {
        name: print_of(folder / name)
        for name in names
        if name != METADATA and not name.endswith(PARTIAL)
    }


def shard_name(block: int, axes: int) -> str:
    """Return the name of a block's file in the folder of an array with some axes.

    Examples
    --------
    >>> shard_name(7, 3)
    'c.7.0.0'
    """
    return ".".join(["c", str(block), *["0"] * (axes - 1)])

"""The record: one Zarr v3 tree, each block a shard of every array.

One task writes exactly the shards of its block; the coordinator alone writes metadata,
coordinates and the mark of completion. Several writers in a shard lose data silently,
and a flipped byte reads back as a wrong number unless the codec carries a checksum:
hence the rule, and the codec. What was written is known by its fingerprint, that of
blocks to the ledger beside the record, and nothing is read that is not as it was.
"""

import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import zarr

from vtrial.errors import StoreError
from vtrial.store.check import Torn, torn_blocks, torn_layout
from vtrial.store.guard import GuardedStore
from vtrial.store.layout import (
    LAID,
    METADATA,
    NAME,
    Layout,
    prints,
    put_array,
    shard_name,
)
from vtrial.store.ledger import LEDGER, Ledger
from vtrial.store.place import clear, print_of, stands
from vtrial.store.target import Rows, target_of, write_together

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

COMPLETE, AGAIN, SEAL = "complete", "again", "seal"
DIGEST = "digest"
FORMAT = 3  # of Zarr
_SAID = 3  # torn files that an error names


class Written(NamedTuple):
    """What was written of a block: a checksum of the numbers, and one of each file."""

    checksum: str
    shards: str


@dataclass(frozen=True)
class Record:
    """An open record. Workers `write` blocks; the coordinator does all else."""

    path: Path

    @property
    def group(self) -> zarr.Group:
        """The root group, as it stands on disk now."""
        return zarr.open_group(self.path, mode="r+")

    @property
    def ledger(self) -> Ledger:
        """The ledger of finished blocks, beside the record."""
        return Ledger(self.path.parent / LEDGER)

    @property
    def attributes(self) -> dict[str, Any]:
        """What the record says about itself.

        Raises
        ------
        StoreError
            If its own metadata are torn.
        """
        found = self.sealed
        if found is None:
            raise self.torn([Torn(METADATA, None, "not as it was written")])
        return found

    @property
    def sealed(self) -> dict[str, Any] | None:
        """What the record says about itself; None if that is torn."""
        found = _attributes(self.path / METADATA)
        seal = found.pop(SEAL, "")
        return found if seal and seal == _seal(found) else None

    @property
    def laid(self) -> dict[str, Any]:
        """What the record knows of its layout (see `Layout.lay`)."""
        return self.attributes[LAID]

    @property
    def complete(self) -> bool:
        """Whether a run has finished it."""
        return bool(self.attributes.get(COMPLETE))

    @property
    def again(self) -> str:
        """The command that made it, which goes on with it or mends it."""
        said, folder = self._said(AGAIN), str(self.path.parent)
        if not isinstance(said, list) or not said:
            return f"vtrial run PROTOCOL --out {shlex.quote(folder)}"
        return shlex.join([*map(str, said), "--out", folder])

    @property
    def digest(self) -> str:
        """Of which trial it is; empty if all that says so is torn."""
        return str(self._said(DIGEST) or "")

    def _said(self, name: str) -> Any:
        """Return what the root says, or the groups below it should that be torn."""
        groups = sorted(self.path.glob(f"*/{METADATA}"))
        told = [self.sealed or {}, *map(_attributes, groups)]
        return next((one[name] for one in told if one.get(name)), None)

    def note(self, **attributes: Any) -> None:
        """Add attributes to the record."""
        held = self.attributes | json.loads(json.dumps(attributes))
        self.group.update_attributes(held | {SEAL: _seal(held)})

    def write(self, block: int, arrays: Mapping[str, np.ndarray]) -> Written:
        """Write one block's rows of every array.

        Raises
        ------
        StoreError
            If the rows do not fit the block's place in an array.
        """
        digest, files, parts = hashlib.sha256(), [], []
        for path in sorted(arrays):
            target, rows = target_of(self.path, path), np.asarray(arrays[path])
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
            if not rows.size:
                continue
            with np.errstate(over="ignore"):  # what 32 bits cannot hold is infinite
                rows = rows.astype(target.dtype, copy=False)
            files.append(self.path / path / shard_name(block, target.ndim))
            clear(files[-1])  # what is torn cannot be written over
            parts.append(Rows(target, start, rows))
            _count(digest, path, rows)
        write_together(parts)
        return Written(digest.hexdigest(), "".join(map(print_of, files)))

    def checksum(self, block: int) -> str:
        """Read one block back and return the checksum of the numbers that are there.

        Raises
        ------
        StoreError
            If a shard is torn.
        """
        digest, group = hashlib.sha256(), zarr.open_group(self._guarded(), mode="r")
        for path in sorted(self.laid["arrays"]):
            target = group[path]
            assert isinstance(target, zarr.Array)  # or its metadata would be torn
            height = _shard(target)
            stop = min((block + 1) * height, target.shape[0])
            _count(digest, path, np.asarray(target[block * height : stop]))
        return digest.hexdigest()

    def check(self, *, whole: bool = False) -> list[Torn]:
        """List what is torn: of a large record among some of its bytes, unless `whole`.

        Raises
        ------
        StoreError
            If the root's metadata are torn, or the ledger cannot be read.
        """
        attributes = self.attributes
        laid, seed = attributes[LAID], None if whole else str(attributes.get("digest"))
        entries = self.ledger.read()
        found = torn_layout(self.path, laid)
        return found + list(torn_blocks(self.path, laid, entries, seed=seed))

    def torn(self, found: Iterable[Torn]) -> StoreError:
        """Make an error of what is torn."""
        said = list(map(str, found))
        more = len(said) - _SAID
        return StoreError(
            at=str(self.path.parent),
            found="torn: "
            + "; ".join(said[:_SAID])
            + (f"; and {more} more" if more > 0 else ""),
            allowed="as it was written; what is torn is done again by the command that "
            "made it",
            write=self.again,
        )

    def put(self, path: str, values: np.ndarray, **attributes: Any) -> None:
        """Write a whole array, with `dims` among its attributes (coordinator only)."""
        dims = attributes.pop("dims", ())
        put_array(self.group, path, np.asarray(values), tuple(dims), attributes)
        laid = self.laid
        top = path.split("/")[0]
        self.note(**{LAID: laid | {"files": laid["files"] | prints(self.path, top)}})

    def tree(self) -> "xr.DataTree":
        """Open the record in xarray, lazily; what is read is checked when it is read.

        Raises
        ------
        StoreError
            If it is not finished, or if something of it is torn.
        """
        import xarray as xr

        attributes = self.attributes
        if found := self.check():
            raise self.torn(found)
        if not attributes.get(COMPLETE):
            raise StoreError(
                at=str(self.path.parent),
                found="not finished",
                allowed="a run that has ended",
                write=self.again,
            )
        store: Any = self._guarded()  # xarray takes zarr's stores, and does not say so
        return xr.open_datatree(store, engine="zarr", consolidated=False)

    def subjects(self, under: str = "") -> "pd.DataFrame":
        """Return a row a subject: arm by name, covariates, status, outcomes.

        Outcomes are under the arm that each was allocated to, or for all who were
        simulated `under` one arm. `attrs["units"]` has the columns' units.

        Raises
        ------
        StoreError
            If the record is not finished, or if something of it is torn.
        """
        from vtrial.store.frames import subjects_of

        return subjects_of(self.tree(), under)

    def trajectories(self) -> "pd.DataFrame":
        """Return true outputs over time [h]: a row a subject (or quantile) and time.

        `attrs["units"]` has the outputs' units.

        Raises
        ------
        StoreError
            If the record keeps none, is not finished, or if something of it is torn.
        """
        from vtrial.store.frames import trajectories_of

        return trajectories_of(self.tree())

    def doses(self) -> "pd.DataFrame":
        """Return a row a dose of the arms with rules or adherence, as it was given.

        Columns: arm by name, replicate, subject, time [h], amount, rate, state, and the
        reason in words. `attrs["units"]` has the units.

        Raises
        ------
        StoreError
            If no arm keeps a ledger, or the record is not finished or torn.
        """
        from vtrial.store.frames import doses_of

        return doses_of(self.tree())

    def decisions(self) -> "pd.DataFrame":
        """Return a row for each moment at which a subject's rules were decided.

        Columns: arm, replicate, subject, visit, when it was planned and held [h], which
        rules acted, and the values known then. `attrs["units"]` has the units.

        Raises
        ------
        StoreError
            If no arm has rules, or the record is not finished or torn.
        """
        from vtrial.store.frames import decisions_of

        return decisions_of(self.tree())

    def _guarded(self) -> GuardedStore:
        """Return the record's files, none of which is handed out if it is torn."""
        laid = self.laid
        return GuardedStore(self.path, laid, self.ledger.read(), self.torn)


def create_record(
    folder: str | Path, layout: Layout, *, attributes: Mapping[str, Any]
) -> Record:
    """Lay out a record in a folder; it appears whole or not at all.

    Raises
    ------
    StoreError
        If a record stands there already.
    """
    path = Path(folder) / NAME
    if stands(path):
        raise StoreError(
            at=str(path),
            found="there already",
            allowed="absent",
            write="--restart to throw it away, or --out for another folder",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    draft_record(path, layout, attributes).rename(path)
    return Record(path)


def draft_record(path: Path, layout: Layout, attributes: Mapping[str, Any]) -> Path:
    """Lay out a record beside the place where it is to stand; return where.

    Drafts that killed runs left there are removed.
    """
    for left in path.parent.glob(f".{NAME}.*"):
        clear(left)
    draft = path.with_name(f".{NAME}.{os.getpid()}")
    same = {name: attributes[name] for name in (DIGEST, AGAIN) if name in attributes}
    laid = layout.lay(draft, same)
    held = json.loads(json.dumps({**attributes, LAID: laid}))
    zarr.open_group(draft, mode="r+").update_attributes(held | {SEAL: _seal(held)})
    return draft


def open_record(folder: str | Path) -> Record:
    """Open the record of a run's folder, or the record itself.

    Raises
    ------
    StoreError
        If there is no record.
    """
    path = Path(folder)
    path = path if path.name == NAME else path / NAME
    if path.is_dir():
        return Record(path)
    if not stands(path):
        raise StoreError(
            at=str(folder),
            found="without a record",
            allowed=f"a run's folder (with {NAME} in it)",
            write="vtrial run PROTOCOL --out FOLDER",
        )
    link = (
        f"a link to {os.readlink(path)}, which is no folder"
        if path.is_symlink()
        else ""
    )
    raise StoreError(
        at=str(path),
        found=link or "a file",
        allowed="the folder that a run made; put that back, or throw away what stands "
        "there",
        write=f"vtrial run PROTOCOL --out {shlex.quote(str(path.parent))} --restart",
    )


def _attributes(path: Path) -> dict[str, Any]:
    """Read the attributes of a group's metadata; none if these are torn."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    whole = isinstance(found, dict) and found.get("zarr_format") == FORMAT
    held = found.get("attributes") if whole else None
    group = whole and found.get("node_type") == "group"
    return held if group and isinstance(held, dict) else {}


def _seal(attributes: Mapping[str, Any]) -> str:
    """Return the digest of attributes."""
    text = json.dumps(attributes, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _shard(array: zarr.Array) -> int:
    """Return how many rows one block owns."""
    return array.shards[0] if array.shards else array.chunks[0]


def _count(digest: "hashlib._Hash", path: str, rows: np.ndarray) -> None:
    """Add an array's name, shape and bytes to a checksum."""
    digest.update(f"{path}{rows.shape}{rows.dtype}".encode())
    digest.update(np.ascontiguousarray(rows).tobytes())

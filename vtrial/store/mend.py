"""Mend what the coordinator laid out, and make room in it for more subjects."""

import os
from collections.abc import Mapping
from typing import Any

from vtrial.store.check import Torn, leftovers, torn_layout
from vtrial.store.layout import LAID, METADATA, Layout
from vtrial.store.place import clear, make_way, print_of
from vtrial.store.record import Record, draft_record


def mend_record(
    record: Record, layout: Layout, *, attributes: Mapping[str, Any]
) -> list[Torn]:
    """Bring metadata and coordinates to what is laid out; return what was torn.

    What blocks wrote stays. `attributes` stand for the record's own should these be
    torn. A whole array that was put there and is torn goes, with its group; whoever
    put it there puts it again. Files that zarr had not finished writing go, too.
    """
    held = record.sealed
    torn = torn_layout(record.path, held[LAID]) if held else []
    torn += [] if held else [Torn(METADATA, None, "not as it was written")]
    draft = draft_record(record.path, layout, held or attributes)
    laid = Record(draft).attributes[LAID]
    for name, sum_ in laid["files"].items():
        place = record.path / name
        make_way(place, record.path)
        if place.is_symlink() or not place.is_file() or print_of(place) != sum_:
            clear(place)
            os.replace(draft / name, place)
    if held is None:
        clear(record.path / METADATA)
        os.replace(draft / METADATA, record.path / METADATA)
    elif (laid := _with_put(record, held[LAID], laid, torn)) != held[LAID]:
        record.note(**{LAID: laid})
    clear(draft)
    for left in leftovers(record.path):
        clear(left)
    return torn


def _with_put(
    record: Record, held: Mapping[str, Any], laid: Mapping[str, Any], torn: list[Torn]
) -> dict[str, Any]:
    """Add to a layout what was put into the record since, but for what is torn."""
    put = {name: s for name, s in held["files"].items() if name not in laid["files"]}
    lost = {one.path.split("/")[0] for one in torn if one.path in put}
    for group in lost:
        clear(record.path / group)
    kept = {name: s for name, s in put.items() if name.split("/")[0] not in lost}
    return {**laid, "files": {**laid["files"], **kept}}

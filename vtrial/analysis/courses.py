"""Courses of single subjects over time, as many as are drawn."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr

from vtrial.analysis.estimates import COURSES
from vtrial.analysis.reading import arms_of, dataset
from vtrial.dims import (
    ARM,
    ARMS,
    NUMBER,
    OUTPUT,
    REPLICATE,
    SUBJECT,
    SUBJECTS,
    TIME,
    TRAJECTORIES,
    VALUE,
)
from vtrial.protocol.protocol import Protocol

MOST = 50  # of an arm
AT_ONCE = 2048  # subjects looked through together


def courses_of(tree: xr.DataTree, protocol: Protocol) -> pd.DataFrame:
    """Return the true courses of the first subjects of each arm, where they are kept.

    No more than fifty of an arm, and only those allocated to it; times at which a
    subject has no value are left out.
    """
    units = {output.name: output.unit for output in protocol.model.outputs}
    frames = [pd.DataFrame(columns=COURSES)]
    paths = {group.strip("/") for group in tree.groups}
    for place, arm in enumerate(arms_of(tree, protocol)):
        path = f"{ARMS}/{arm}/{TRAJECTORIES}"
        if path not in paths or VALUE not in dataset(tree, path):
            continue
        kept = dataset(tree, path)
        time = kept[TIME].values.astype(float)
        rows = _first_rows(tree, protocol, place, kept)
        who = dataset(tree, SUBJECTS).isel({SUBJECT: rows})
        values = kept[VALUE].variable.isel({SUBJECT: rows}).values.astype(float)
        for column, output in enumerate(kept[OUTPUT].values):
            frame = pd.DataFrame(
                {
                    "arm": arm,
                    "output": str(output),
                    "unit": units.get(str(output), "1"),
                    "replicate": np.repeat(who[REPLICATE].values, len(time)),
                    "subject": np.repeat(who[NUMBER].values, len(time)),
                    "time": np.tile(time, len(rows)),
                    "value": values[:, column].ravel(),
                },
                columns=COURSES,
            )
            frames.append(frame[np.isfinite(frame["value"])])
    return pd.concat(frames[1:] or frames, ignore_index=True)


def _first_rows(
    tree: xr.DataTree, protocol: Protocol, place: int, kept: xr.Dataset
) -> np.ndarray:
    """Return the rows of an arm's first subjects that have a course."""
    found: list[int] = []
    for start, stop in _parts(protocol, kept.sizes[SUBJECT]):
        rows = slice(start, stop)
        arm = dataset(tree, SUBJECTS)[ARM].variable.isel({SUBJECT: rows}).values
        mine = np.flatnonzero(arm == place)
        if mine.size:
            first = mine[: MOST - len(found)] + start
            values = kept[VALUE].variable.isel({SUBJECT: first}).values
            seen = np.isfinite(values).any(axis=(1, 2))
            found += first[seen].tolist()
        if len(found) >= MOST:
            break
    return np.asarray(found, int)


def _parts(protocol: Protocol, rows: int) -> Iterator[tuple[int, int]]:
    """Walk over the rows that may hold courses, some at a time."""
    kept = protocol.keep.trajectories
    last = min(rows, kept) if isinstance(kept, int) else rows
    for start in range(0, last, AT_ONCE):
        yield start, min(start + AT_ONCE, last)

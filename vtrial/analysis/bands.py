"""Quantiles of the true outputs over time, from sketches or kept trajectories."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from vtrial.analysis.estimates import BANDS
from vtrial.analysis.reading import arms_of, dataset
from vtrial.dims import (
    ARMS,
    BLOCK,
    COUNT,
    OUTPUT,
    SKETCH,
    SUBJECT,
    TIME,
    TRAJECTORIES,
    VALUE,
)
from vtrial.protocol.protocol import Protocol
from vtrial.sketch import merge, sketch

QUANTILES = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
BLOCKS_AT_ONCE = 256
SUBJECTS_AT_ONCE = 8192
Part = tuple[np.ndarray, np.ndarray]


def bands_of(tree: xr.DataTree, protocol: Protocol) -> pd.DataFrame:
    """Return the 5, 25, 50, 75 and 95 % quantiles of every output in every arm.

    Times at which nobody has a value are left out.
    """
    paths = {group.strip("/") for group in tree.groups}
    units = {output.name: output.unit for output in protocol.model.outputs}
    frames = []
    for arm in arms_of(tree, protocol):
        path = f"{ARMS}/{arm}/{TRAJECTORIES}"
        if path not in paths:
            continue
        kept = dataset(tree, path)
        time = kept[TIME].values.astype(float)
        for place, output in enumerate(kept[OUTPUT].values):
            read = _from_sketches if SKETCH in kept else _from_values
            parts = read(kept, place)
            values = _merged(parts, QUANTILES)
            frame = pd.DataFrame(
                {
                    "arm": arm,
                    "output": str(output),
                    "unit": units.get(str(output), "1"),
                    "time": np.repeat(time, len(QUANTILES)),
                    "quantile": np.tile(QUANTILES, len(time)),
                    "value": values.ravel(),
                }
            )
            frames.append(frame[np.isfinite(values.ravel())])
    if not frames:
        return pd.DataFrame(columns=BANDS)
    return pd.concat(frames, ignore_index=True)


def _from_sketches(kept: xr.Dataset, output: int) -> Iterator[Part]:
    """Read an output's sketches (block, time, bin) and counts, some at a time."""
    sketches, counts = kept[SKETCH].variable, kept[COUNT].variable
    for start in range(0, kept.sizes[BLOCK], BLOCKS_AT_ONCE):
        some = {BLOCK: slice(start, start + BLOCKS_AT_ONCE), OUTPUT: output}
        yield sketches.isel(some).values.astype(float), counts.isel(some).values


def _from_values(kept: xr.Dataset, output: int) -> Iterator[Part]:
    """Sketch an output's kept trajectories, some subjects at a time."""
    trajectories = kept[VALUE].variable
    for start in range(0, kept.sizes[SUBJECT], SUBJECTS_AT_ONCE):
        some = {SUBJECT: slice(start, start + SUBJECTS_AT_ONCE), OUTPUT: output}
        values = trajectories.isel(some).values.astype(float)
        made = np.asarray(sketch(jnp.asarray(values))).astype(float)
        yield made[None], np.isfinite(values).sum(axis=0)[None]


def _merged(parts: Iterator[Part], probabilities: np.ndarray) -> np.ndarray:
    """Merge each part to one sketch, then all of them."""
    held = [
        (merge(sketches, counts)[None], counts.sum(axis=0)[None])
        for sketches, counts in parts
    ]
    sketches, counts = (np.concatenate(group) for group in zip(*held, strict=True))
    return merge(sketches, counts, probabilities)

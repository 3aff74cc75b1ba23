"""Quantiles of the true outputs over time, from sketches or kept trajectories."""

from collections.abc import Iterator
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from vtrial.analysis.estimates import BANDS, PROPORTIONS
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
SURE = 0.9  # of a sketch's values that are 0 or 1, if its output is
BLOCKS_AT_ONCE = 256
SUBJECTS_AT_ONCE = 8192
Part = tuple[np.ndarray, np.ndarray]


class OverTime(NamedTuple):
    """True outputs over time: quantiles of all, and the proportion of those on or off.

    They are the frames `bands` and `proportions` of `Estimates`.
    """

    bands: pd.DataFrame
    proportions: pd.DataFrame


def over_time(tree: xr.DataTree, protocol: Protocol) -> OverTime:
    """Return the 5, 25, 50, 75 and 95 % quantiles of every output in every arm.

    Times at which nobody has a value are left out. Of outputs that are 0 or 1 there is
    the proportion of 1, too: the mean of the sketch, half a bin's share off at most.
    """
    paths = {group.strip("/") for group in tree.groups}
    units = {output.name: output.unit for output in protocol.model.outputs}
    frames, shares = [], []
    for arm in arms_of(tree, protocol):
        path = f"{ARMS}/{arm}/{TRAJECTORIES}"
        if path not in paths:
            continue
        kept = dataset(tree, path)
        time = kept[TIME].values.astype(float)
        for place, output in enumerate(kept[OUTPUT].values):
            read = _from_sketches if SKETCH in kept else _from_values
            parts = read(kept, place)
            whole, counts = _merged(parts)
            values = merge(whole, counts, QUANTILES)
            shares.append(_proportion(arm, str(output), time, merge(whole, counts)))
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
    bands = pd.DataFrame(columns=BANDS)
    if frames:
        bands = pd.concat(frames, ignore_index=True)
    return OverTime(bands, _on_or_off(shares))


def _proportion(
    arm: str, output: str, time: np.ndarray, sketched: np.ndarray
) -> pd.DataFrame:
    """Lay out the mean of a sketch over time, and how many of its values are 0 or 1."""
    known = np.isfinite(sketched).all(axis=1)
    values = sketched[known]
    columns = {
        "arm": arm,
        "output": output,
        "time": time[known],
        "proportion": values.mean(axis=1),
        "sure": np.isin(values, (0.0, 1.0)).mean(axis=1),
        "inside": ((values >= 0) & (values <= 1)).all(axis=1),
    }
    return pd.DataFrame(columns)


def _on_or_off(shares: list[pd.DataFrame]) -> pd.DataFrame:
    """Keep outputs that are 0 or 1 everywhere, and not the same for everybody always.

    Between the last 0 of a block and its first 1, sketches have values in between.
    """
    kept = [pd.DataFrame(columns=PROPORTIONS)]
    every = pd.concat(shares, ignore_index=True) if shares else kept[0]
    for _, rows in every.groupby("output", sort=False):
        on_or_off = rows["inside"].all() and rows["sure"].mean() >= SURE
        if on_or_off and rows["proportion"].nunique() > 1:
            kept.append(rows[PROPORTIONS])
    return pd.concat(kept[1:] or kept, ignore_index=True)


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


def _merged(parts: Iterator[Part]) -> Part:
    """Merge each part to one sketch, then put these side by side."""
    held = [
        (merge(sketches, counts)[None], counts.sum(axis=0)[None])
        for sketches, counts in parts
    ]
    sketches, counts = (np.concatenate(group) for group in zip(*held, strict=True))
    return sketches, counts

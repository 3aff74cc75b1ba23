import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from vtrial.analysis import bands
from vtrial.analysis.bands import QUANTILES, over_time
from vtrial.sketch import sketch


def make_values(subjects=4000, seed=1):
    """Draw (subject, output, time) values with some failed subjects."""
    values = np.random.default_rng(seed).lognormal(0, 1, (subjects, 1, 3))
    values[:50, :, 1:] = np.nan
    values[:, :, 2] = np.nan
    return values


def tree_of(variables):
    coordinates = {"output": ["conc"], "time": [0.0, 12.0, 24.0]}
    kept = xr.Dataset(variables, coords=coordinates)
    tree = xr.DataTree.from_dict({"/arms/low/trajectories": kept})
    tree.attrs["arms"] = ["low", "high"]
    return tree


def sketched(values, size=250):
    blocks = values.reshape(-1, size, 1, 3)
    made = [np.asarray(sketch(jnp.asarray(block[:, 0]))) for block in blocks]
    counts = np.isfinite(blocks).sum(axis=1).astype("int32")
    empty = np.full((1, 1, 3, 99), np.nan, "float32")
    stacked = np.concatenate([np.stack(made)[:, None].astype("float32"), empty])
    counts = np.concatenate([counts, np.zeros((1, 1, 3), "int32")])
    return tree_of(
        {
            "sketch": (("block", "output", "time", "bin"), stacked),
            "count": (("block", "output", "time"), counts),
        }
    )


@pytest.mark.parametrize("at_once", [4, 1000])
def test_sketches_and_trajectories_give_the_same_bands(protocol, monkeypatch, at_once):
    monkeypatch.setattr(bands, "BLOCKS_AT_ONCE", at_once)
    monkeypatch.setattr(bands, "SUBJECTS_AT_ONCE", 250 * at_once)
    values = make_values()
    kept = tree_of({"value": (("subject", "output", "time"), values)})
    for tree in (sketched(values), kept):
        made = over_time(tree, protocol).bands
        assert set(made["arm"]) == {"low"}
        assert made["time"].unique().tolist() == [0, 12]
        for time, place in ((0.0, 0), (12.0, 1)):
            expected = np.nanquantile(values[:, 0, place], QUANTILES)
            got = made[made["time"] == time]["value"]
            np.testing.assert_allclose(got, expected, rtol=0.03)


def test_no_trajectories_no_bands(protocol):
    tree = xr.DataTree.from_dict({"/arms/low": xr.Dataset()})
    assert list(over_time(tree, protocol).bands.columns) == [
        "arm",
        "output",
        "unit",
        "time",
        "quantile",
        "value",
    ]


def test_what_is_on_or_off_has_proportions(protocol):
    """The share of ones, by sketches of blocks of 250 and by values: half a bin off."""
    drawn = np.random.default_rng(2).random((4000, 1, 3))
    values = np.where(drawn < np.array([0.0, 0.25, 0.803]), 1.0, 0.0)
    kept = tree_of({"value": (("subject", "output", "time"), values)})
    for tree in (sketched(values), kept):
        made = over_time(tree, protocol).proportions
        assert made["time"].tolist() == [0, 12, 24]
        shares = values[:, 0].mean(axis=0)
        np.testing.assert_allclose(made["proportion"], shares, atol=0.5 / 99)


@pytest.mark.parametrize("values", [make_values(), np.ones((500, 1, 3))])
def test_what_is_not_on_or_off_has_none(protocol, values):
    kept = tree_of({"value": (("subject", "output", "time"), values)})
    assert not len(over_time(kept, protocol).proportions)

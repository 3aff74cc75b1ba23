"""A record's subjects and trajectories as tidy tables."""

import numpy as np
import pytest

import vtrial as vt
from tests.jobs.test_points import SHEET


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    text = SHEET + "potential: all\nkeep: {trajectories: all}\n"
    return vt.run(vt.load_protocol(text), out=tmp_path_factory.mktemp("r"), workers=0)


def test_subjects_have_their_arm_covariates_and_outcomes(record):
    table, tree = record.subjects(), record.tree()
    assert table.columns.tolist()[:3] == ["replicate", "subject", "arm"]
    assert set(table["arm"]) == {"low", "high"}
    assert table.attrs["units"]["WT"] == "kg"
    assert table.attrs["units"]["trough"] == "mg/L"
    assert set(table["status"]) == {"solved"}
    assert "trough event" not in table
    for place, arm in enumerate(("low", "high")):
        held = tree[f"arms/{arm}/outcomes/outcome"].values[:, 0]
        mine = tree["subjects/arm"].values == place
        assert table["trough"][mine].tolist() == held[mine].tolist()
        assert record.subjects(under=arm)["trough"].tolist() == held.tolist()
    with pytest.raises(vt.VtrialError, match="high"):
        record.subjects(under="hig")


def test_trajectories_have_units_and_a_column_an_output(record, tmp_path):
    table = record.trajectories()
    assert table.columns.tolist() == ["arm", "replicate", "subject", "time", "conc"]
    assert table.attrs["units"] == {"time": "h", "conc": "mg/L"}
    kept = record.tree()["arms/low/trajectories"]
    assert len(table) == 2 * 80 * kept.sizes["time"]
    trial = vt.load_protocol(SHEET)
    quantiles = vt.run(trial, out=tmp_path, workers=0).trajectories()
    assert quantiles.columns.tolist() == ["arm", "quantile", "time", "conc"]
    wide = quantiles[quantiles["arm"] == "low"].pivot_table(
        index="time", columns="quantile", values="conc"
    )
    assert (np.diff(wide.to_numpy(), axis=1) >= 0).all()


def test_what_is_not_kept_is_told(tmp_path):
    text = SHEET + "keep: {trajectories: nothing}\n"
    record = vt.run(vt.load_protocol(text), out=tmp_path, workers=0)
    with pytest.raises(vt.VtrialError, match="trajectories: quantiles"):
        record.trajectories()

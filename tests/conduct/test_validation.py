"""Published numbers stand beside simulated ones; tables are predicted row by row."""

import math

import pandas as pd
import pytest

import vtrial as vt
from vtrial.errors import ProtocolError

PUBLISHED = """
published:
  - {arm: high, endpoint: peak, value: 2 mg/L, within: 1 mg/L, source: {note: made up}}
  - {arm: low, endpoint: peak, value: 9 mg/L, within: 1 mg/L, source: {note: made up}}
"""


def test_published_numbers_are_held_against_simulated_ones(sheets, tmp_path):
    sheets.texts["small"] += PUBLISHED
    sheets.write()
    table = vt.conduct.validate([sheets.folder / "small.yaml"], out=tmp_path, workers=0)
    assert list(table["protocol"]) == ["small", "small"]
    assert [bool(one) for one in table["within"]] == [True, False]
    assert (tmp_path / "small" / "record.zarr").exists()


def test_other_sheets_of_a_folder_are_left_aside(sheets, tmp_path):
    sheets.texts["small"] += PUBLISHED
    sheets.write()
    table = vt.conduct.validate([sheets.folder], out=tmp_path, workers=0)
    assert set(table["protocol"]) == {"small"}


def test_nothing_published_is_told(sheets):
    sheets.write()
    with pytest.raises(ProtocolError, match="published is missing"):
        vt.conduct.validate([sheets.folder / "small.yaml"], workers=0)


def test_an_event_table_is_predicted(tmp_path):
    events = pd.DataFrame(
        {
            "ID": [1, 1, 1, 2, 2],
            "TIME": [0.0, 0.0, 4.0, 0.0, 8.0],
            "AMT": [100.0, 0.0, 0.0, 50.0, 0.0],
            "EVID": [1, 0, 0, 1, 0],
            "CMT": 1,
            "WT": 70.0,
        }
    )
    events.to_csv(tmp_path / "events.csv", index=False)
    model = vt.load_model("one-compartment-iv")
    typical = model.individual(model.typical())
    table = vt.conduct.simulate_table("one-compartment-iv", tmp_path / "events.csv")
    assert list(table["ID"]) == [1, 1, 2]
    assert list(table["TIME"]) == [0, 4, 8]
    rate = float(typical["CL"] / typical["V"])
    known = [100.0, 100 * math.exp(-4 * rate), 50 * math.exp(-8 * rate)]
    expected = [amount / float(typical["V"]) for amount in known]
    assert table["conc"].to_list() == pytest.approx(expected, rel=1e-7)

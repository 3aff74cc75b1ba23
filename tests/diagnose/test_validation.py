"""Published numbers stand beside simulated ones; tables are predicted row by row."""

import math
import re
from pathlib import Path

import numpy as np
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
    table = vt.diagnose.validate(
        [sheets.folder / "small.yaml"], out=tmp_path, workers=0
    )
    assert list(table["protocol"]) == ["small", "small"]
    assert [bool(one) for one in table["within"]] == [True, False]
    assert (tmp_path / "small" / "record.zarr").exists()


@pytest.mark.slow
def test_subjects_who_could_not_be_solved_are_counted(sheets, tmp_path):
    sheets.texts["small"] += PUBLISHED
    sheets.change("body", "CL = tvCL", "CL = if(WT > 100, 0/0, 1) * tvCL")
    sheets.write()
    table = vt.diagnose.validate(
        [sheets.folder / "small.yaml"], out=tmp_path, workers=0
    )
    record = vt.open_record(tmp_path / "small").tree()
    failed = sum(
        (np.asarray(record[f"arms/{arm}/status"]) > 0).sum() for arm in ("low", "high")
    )
    assert failed > 0
    assert set(table["failed"]) == {failed}


def test_other_sheets_of_a_folder_are_left_aside(sheets, tmp_path):
    sheets.texts["small"] += PUBLISHED
    sheets.write()
    table = vt.diagnose.validate([sheets.folder], out=tmp_path, workers=0)
    assert set(table["protocol"]) == {"small"}


def test_nothing_published_is_told(sheets):
    sheets.write()
    with pytest.raises(ProtocolError, match="published is missing"):
        vt.diagnose.validate([sheets.folder / "small.yaml"], workers=0)


TRIALS = ("surmount-1", "surmount-1-composition", "monet-1", "highrif")
ROOT = Path(__file__).parents[2] / "protocols"


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "name", [*TRIALS[::2], *(pytest.param(name, marks=SLOW) for name in TRIALS[1::2])]
)
@pytest.mark.slow
def test_published_trials_are_answered_in_full(name, tmp_path):
    """A few subjects are enough for every published number to get a simulated one."""
    text = (ROOT / f"{name}.yaml").read_text()
    text = re.sub(r"^subjects: \d+", "subjects: 160", text, flags=re.MULTILINE)
    text = re.sub(r"^replicates: \d+", "replicates: 1", text, flags=re.MULTILINE)
    (tmp_path / f"{name}.yaml").write_text(text)
    table = vt.diagnose.validate([tmp_path / f"{name}.yaml"], out=tmp_path, workers=0)
    assert len(table) == len(vt.load_protocol(ROOT / f"{name}.yaml").evidence.published)
    whole = table[table["where"] == ""]  # of a few Asians, half may outlive the trial
    assert np.isfinite(whole["simulated"].astype(float)).all()


HITS = {
    "surmount-1": {"change, t5 with placebo", "change (mean), t5"},
    "surmount-1-composition": {
        "total (mean), placebo drawn",
        "total (mean), t10 typical",
    },
    "monet-1": {"death (median), chemotherapy", "death, motesanib with chemotherapy"},
    "highrif": {f"area (geometric mean), r{dose}" for dose in (20, 30, 35)},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRIALS)
def test_published_trials_are_held_up(name, tmp_path):
    """What chance leaves is small beside what is asked, and the hits stay hits.

    What is missed stays in the sheets, and each says why.
    """
    table = vt.diagnose.validate([ROOT / f"{name}.yaml"], out=tmp_path)
    assert (table["mc_error"] < (table["high"] - table["low"]) / 3).all()
    hits = table[table["what"].isin(HITS[name])]
    assert set(hits["what"]) == HITS[name]
    assert hits["within"].astype(bool).all()


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
    table = vt.jobs.simulate_table("one-compartment-iv", tmp_path / "events.csv")
    assert list(table["ID"]) == [1, 1, 2]
    assert list(table["TIME"]) == [0, 4, 8]
    rate = float(typical["CL"] / typical["V"])
    known = [100.0, 100 * math.exp(-4 * rate), 50 * math.exp(-8 * rate)]
    expected = [amount / float(typical["V"]) for amount in known]
    assert table["conc"].to_list() == pytest.approx(expected, rel=1e-7)

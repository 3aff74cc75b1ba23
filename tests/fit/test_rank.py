"""Posteriors are what they say: ranks of what was drawn are uniform."""

import numpy as np
import pytest

from tests.fit.conftest import written
from vtrial.fit.rank import Ranks, ranks_of
from vtrial.fit.study import read_study
from vtrial.model.sheet import load_model

ALARM = 1e-3  # of a model, shared by its estimates
TRUE = {"value": 10.0, "rse": 0.3}
SHEETS = {
    "decay": {
        "equations": "conc = tv * exp(eta.A) * exp(-0.1 * t)",
        "parameters": {"tv": TRUE},
        "random": [{"of": "A", "variance": 0.09, "df": 20}],
    },
    "two": {
        "equations": "conc = tv * exp(eta.A) * exp(-k * exp(eta.B) * t)",
        "parameters": {"tv": TRUE, "k": {"value": 0.1, "rse": 0.2}},
        "random": [{"of": ["A", "B"], "covariance": [[0.09], [0.02, 0.06]], "df": 20}],
    },
    "bolus": {
        "equations": "CL = tvCL * exp(eta.CL)\nV = tvV\n"
        "d/dt(central) = -CL/V*central\nconc = central/V",
        "parameters": {
            "tvCL": {"value": 3.0, "rse": 0.2},
            "tvV": {"value": 30.0, "rse": 0.2},
        },
        "random": [{"of": "CL", "variance": 0.09, "df": 20}],
    },
}


def test_uneven_ranks_are_told():
    even = np.arange(64)[:, None] % 32
    found = Ranks(("even", "low"), np.hstack([even, even // 2]), 31, 0).p_values()
    assert found["even"] == pytest.approx(1.0)
    assert found["low"] < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("name", SHEETS)
def test_ranks_are_uniform(name, tmp_path, note):
    """A false alarm comes once in a thousand models."""
    output = {"conc": {"error": {"log": 0.2}}}
    model = load_model({"model": name, "outputs": output} | SHEETS[name])
    dosed = [f"{i},0,300,1,." for i in range(1, 7)] if model.states else []
    seen = [f"{i},{t},.,0,1" for i in range(1, 7) for t in (1, 3, 8, 16)]
    rows = sorted(dosed + seen, key=lambda row: [float(x) for x in row.split(",")[:2]])
    study = read_study(model, written(tmp_path, rows, "ID,TIME,AMT,EVID,DV"))
    found = ranks_of(model, study, replicates=64)
    least = min(found.p_values().values()) * len(found.names)
    note("ranks: least probability of any estimate, corrected", least)
    assert least > ALARM

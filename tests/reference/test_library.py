"""Drugs of the library against NONMEM's own output, with random effects at zero.

The suites are from the supplement of Le Louedec et al. (2021), doi
10.1002/psp4.12689. A few records of each stand in `tests/reference/nonmem`, so that
every clone tests them; the whole suites are read where `VTRIAL_REFERENCE` has them.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import vtrial as vt
from vtrial.dosing.table import read_events
from vtrial.solver.prediction import predict
from vtrial.testing import reference_folder
from vtrial.types import Numerics

HERE = Path(__file__).parent / "nonmem"
FOLDER = reference_folder("nonmem")
RENAMED = {"AOLA": "DOSE", "SEX": "FEMALE"}
DRUGS = {  # the model, its suite, the output that each CMT reads, whether in logarithms
    "carboplatin-plasma": ("mapbayr_901", {1: "conc"}, False),
    "pazopanib-plasma": ("mapbayr_921", {2: "conc"}, False),
    "cabozantinib-plasma": ("mapbayr_931", {2: "conc"}, True),
    "sunitinib-plasma": ("mapbayr_941", {2: "conc", 3: "concm"}, False),
    "voriconazole-plasma": ("mapbayr_962", {2: "conc"}, True),
}
EFFECTS = {  # NONMEM's numbering; effects of occasions are not among its columns
    "carboplatin-plasma": ("CL", "V1", "V2"),
    "cabozantinib-plasma": ("KA", "CL", "V2", "F1"),
    "sunitinib-plasma": ("VS", "VM", "CLM", "CLS"),
    "voriconazole-plasma": ("KM", "CL", "V2", "V3", "Q", "F1", "KA"),
}
TIGHT = Numerics(rtol=1e-10, atol=1e-10)


def as_if_read_later(data, model):
    """Return doses of pazopanib that arrive as they do in the control stream.

    There both routes have a lag, if only of 1e-6 h, so that NONMEM reads what the
    bioavailability depends on (the strength AOLA and the time TOLA) from the next later
    record. The sheet has no lag of the fast route, and uses the time of the dose.
    """
    values = model.typical()

    def share(time, strength):
        above = strength - 200
        left = 1 - values["DCRP"] * (1 - np.exp(-values["LAMBDA"] * time))
        return left * (1 - values["EMAX"] * above / (values["ED50"] + above))

    data = data.astype({"AMT": float})
    for _, rows in data.groupby("ID"):
        for index in rows.index[rows.EVID == 1]:
            later = rows[rows.TIME[index] < rows.TIME].iloc[0]
            slow = rows.CMT[index] == 3  # its lag reads the strength later here, too
            strength = later.AOLA if slow else rows.AOLA[index]
            ours = share(rows.TIME[index], strength)
            data.loc[index, "AMT"] *= share(later.TOLA, later.AOLA) / ours
    return data


def worst(name, data, nonmem, column, place, *, parameters=None):
    """Return the greatest relative difference at records of measurements."""
    _, outputs, logarithms = DRUGS[name]
    model = vt.load_model(name)
    if "TOLA" in data:
        data = as_if_read_later(data, model)
    path = place / f"{name}.csv"
    data.rename(columns=RENAMED).to_csv(path, index=False)
    covariates = [c.name for c in model.covariates]
    events = read_events(path, states=model.states, covariates=covariates)
    table = predict(model, events, parameters=parameters, numerics=TIGHT)
    assert "STATUS" not in table
    plain = ((data.EVID == 0) & (data.MDV == 0)).to_numpy()
    shown = plain[data.EVID.isin([0, 2]).to_numpy()]
    read = data.CMT[plain].map(outputs)
    found = np.array([table[o].to_numpy()[shown][i] for i, o in enumerate(read)])
    wanted = nonmem[column].to_numpy()[plain]
    wanted = np.exp(wanted) if logarithms else wanted
    assert len(found) == len(wanted) > 0
    return float(np.abs(found / wanted - 1).max())


@pytest.mark.parametrize("name", DRUGS)
def test_excerpt(name, tmp_path, note):
    """Nine digits of NONMEM 7.4.4 at the records of one subject or two."""
    table = pd.read_csv(HERE / f"{name}.csv", comment="#")
    error = worst(name, table, table, "NM_PRED", tmp_path)
    note(f"{name}, excerpt", error)
    assert error < 1e-6


@pytest.mark.skipif(
    FOLDER is None, reason="no reference cases: set VTRIAL_REFERENCE to their folder"
)
@pytest.mark.parametrize("name", DRUGS)
def test_all_records(name, tmp_path, note):
    """24 subjects, typical and as NONMEM estimated them."""
    suite = DRUGS[name][0]
    data = pd.read_csv(FOLDER / suite / "data.csv")
    nonmem = pd.read_csv(FOLDER / suite / "nonmem.csv")
    error = worst(name, data, nonmem, "NM_PRED", tmp_path)
    note(f"{name}, PRED", error)
    assert error < 1e-6
    if name in EFFECTS:
        modes = pd.read_csv(FOLDER / suite / "nonmem_ebe.csv")
        modes = modes.set_index("ID").loc[data.ID.unique()]
        given = {
            f"eta.{effect}": modes[f"ETA{number}"].to_numpy()
            for number, effect in enumerate(EFFECTS[name], start=1)
        }
        error = worst(name, data, nonmem, "NM_IPRED", tmp_path, parameters=given)
        note(f"{name}, IPRED", error)
        assert error < 1e-6

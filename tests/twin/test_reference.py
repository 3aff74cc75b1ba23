"""Modes of persons that other programs have found.

Numbers of the tests of posologyr (Leven C et al., github.com/levenc/posologyr, AGPL-3;
numbers only), who state Monolix's and NONMEM's estimates with their rounding.
"""

import math

import numpy as np
import pytest

from tests.twin.conftest import written
from vtrial.fit.mode import modes
from vtrial.fit.study import read_study
from vtrial.model.sheet import load_model

TWO = "d/dt(central) = -(ke + k12)*central + k21*other\nd/dt(other) = k12*central - "
TOBRAMYCIN = {
    "model": "tobramycin",
    "covariates": {"CRCL": {}, "WT": {}},
    "parameters": {"k12": {"value": 0.041}, "k21": {"value": 0.12}},
    "random": [{"of": "ke", "variance": 0.08075}, {"of": "V", "variance": 0.01203}],
    "equations": f"""
ke = 0.21*(CRCL/67.8)^0.89*(WT/66.4)^(-1.09)*exp(eta.ke)
V = 19.8*(WT/66.4)^0.80*exp(eta.V)
{TWO}k21*other
conc = central/V
""",
    "outputs": {"conc": {"error": {"proportional": 0.198}}},
}
VANCOMYCIN = {
    "model": "vancomycin",
    "covariates": {"CRCL": {}, "WT": {}, "DIAL": {"values": [0, 1]}},
    "parameters": {"Q": {"value": 6.5}, "A": {"value": 3.4}, "B": {"value": 0.227}},
    "random": [
        {"of": "CL", "variance": 0.147},
        {"of": "Vc", "variance": 0.51},
        {"of": "Vp", "variance": 0.282},
    ],
    "equations": """
CL = 4.5*(CRCL/120)^0.8*0.7^DIAL*exp(eta.CL)
Vc = 58.4*(WT/70)*0.5^DIAL*exp(eta.Vc)
Vp = 38.4*exp(eta.Vp)
d/dt(central) = -(CL + Q)/Vc*central + Q/Vp*other
d/dt(other) = Q/Vc*central - Q/Vp*other
conc = central/Vc
""",
    "outputs": {"conc": {"error": {"sd": "A + B*conc"}}},
}
RUN302 = {
    "model": "run302",
    "covariates": {"BW": {}, "SEX": {"values": [0, 1]}},
    "parameters": {"tvKa": {"value": 1.0}},
    "random": [{"of": name, "variance": 0.2} for name in ("CL", "Vc", "Ka")],
    "equations": """
CL = 4.0*(BW/75)^1.5*0.75^SEX*exp(eta.CL)
Vc = 70*exp(eta.Vc)
Ka = tvKa*exp(eta.Ka)
d/dt(depot) = -Ka*depot
d/dt(central) = Ka*depot - CL/Vc*central
conc = central/Vc
""",
    "outputs": {"conc": {"error": {"proportional": math.sqrt(0.05)}}},
}
WEIGHTS = [77, 113, 92, 132, 126, 128, 41, 56, 68, 45, 93, 126]
SEXES = [0, 0, 1, 0, 1, 1, 1, 1, 0, 0, 1, 1]
CLOCK = [0, 1.5, 4.4, 7.1, 24.6, *range(72, 217, 24)]
SEEN = {1.5: 107.267, 4.4: 100.995, 7.1: 54.0546, 24.6: 5.97081}


def found(folder, sheet, rows, names):
    """Return the mode of the effects."""
    model = load_model(sheet)
    head = f"ID,TIME,AMT,DUR,EVID,CMT,DV,{names}"
    study = read_study(model, written(folder, rows, head))
    return modes(model, study).eta[0]


@pytest.mark.slow
def test_tobramycin_by_monolix(tmp_path):
    rows = ["1,0,500,0.5,1,1,.,80,65", "1,1,.,.,0,1,25,80,65", "1,14,.,.,0,1,5.5,80,65"]
    eta = found(tmp_path, TOBRAMYCIN, rows, "CRCL,WT")
    typical = [
        0.21 * (80 / 67.8) ** 0.89 * (65 / 66.4) ** -1.09,
        19.8 * (65 / 66.4) ** 0.8,
    ]
    ke, volume = np.array(typical) * np.exp(eta)
    assert ke == pytest.approx(0.1258, abs=0.001)
    assert volume == pytest.approx(18.21, rel=0.01)


@pytest.mark.slow
def test_vancomycin_by_monolix(tmp_path):
    given = [(0, 1900, 1, 1, "."), (12, ".", ".", 0, 14.8)]
    given += [(22.2, 1750, 1, 1, "."), (37.5, ".", ".", 0, 22.5)]
    rows = [f"1,{t},{a},{d},{e},1,{y},34,62,0" for t, a, d, e, y in given]
    eta = found(tmp_path, VANCOMYCIN, rows, "CRCL,WT,DIAL")
    typical = np.array([4.5 * (34 / 120) ** 0.8, 58.4 * 62 / 70, 38.4])
    np.testing.assert_allclose(typical * np.exp(eta), [1.72, 59.8, 41.6], rtol=0.01)


@pytest.mark.slow
def test_covariates_that_change_by_nonmem(tmp_path):
    each = zip(CLOCK, WEIGHTS, SEXES, strict=True)
    rows = [
        f"1,{t},.,.,0,2,{SEEN[t]},{w},{s}"
        if t in SEEN
        else f"1,{t},10000,1,1,2,.,{w},{s}"
        for t, w, s in each
    ]
    eta = found(tmp_path, RUN302, rows, "BW,SEX")
    assert eta[0] == pytest.approx(0.398845969, abs=0.001)
    assert eta[1] == pytest.approx(0.0762201167, abs=0.01)
    assert eta[2] == pytest.approx(0.0, abs=0.001)

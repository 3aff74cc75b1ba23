"""Five workloads on which other software was run, against accurate solutions."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vtrial.dosing.doses import Doses, times
from vtrial.model.grammar import parse_model
from vtrial.model.model import Model, Output, Parameter
from vtrial.solver.choice import choose
from vtrial.solver.simulation import simulate
from vtrial.testing import reference_folder
from vtrial.types import Numerics

HERE = Path(__file__).parent / "peers"
FOLDERS = [
    HERE,
    pytest.param(
        reference_folder("peers"),
        marks=[
            pytest.mark.slow,
            pytest.mark.skipif(
                reference_folder("peers") is None,
                reason="no reference solutions: set VTRIAL_REFERENCE to their folder",
            ),
        ],
    ),
]
NUMERICS = Numerics(rtol=1e-8, atol=1e-10)

W1 = """
d/dt(gut) = -KA*gut
d/dt(cent) = KA*gut - CL/V*cent
CP = cent/V
"""
W2 = """
KTR = 4/MTT
CP = cent/V1
d/dt(cent) = -(CL + Q)/V1*cent + Q/V2*per
d/dt(per) = Q/V1*cent - Q/V2*per
d/dt(prol) = KTR*prol*((1 - SLOPE*CP)*(CIRC0/circ)^GAMMA - 1)
d/dt(a) = KTR*(prol - a)
d/dt(b) = KTR*(a - b)
d/dt(c) = KTR*(b - c)
d/dt(circ) = KTR*(c - circ)
init(prol) = CIRC0
init(a) = CIRC0
init(b) = CIRC0
init(c) = CIRC0
init(circ) = CIRC0
CIRC = circ
"""
W3 = """
L = cent/V1
bind = KON*L*rec - KOFF*cplx
d/dt(cent) = -CL*L - Q*L + Q/V2*per - V1*bind
d/dt(per) = Q*L - Q/V2*per
d/dt(rec) = R0*KDEG - KDEG*rec - bind
d/dt(cplx) = bind - KINT*cplx
init(rec) = R0
CP = L
REC = rec
CPLX = cplx
"""
W5 = """
d/dt(gut) = -KA*gut
d/dt(cent) = KA*gut - CL/V*cent
CP = cent/V
d/dt(ts) = KL*ts - KD*exp(-LAMBDA*t)*CP*ts
init(ts) = TS0
TS = ts
"""
VOLUMES = {  # [L]
    **{"AD": 14.5, "BO": 10.5, "BR": 1.45, "GO": 0.035, "GU": 1.2, "HE": 0.33},
    **{"KI": 0.31, "LI": 1.8, "LU": 0.5, "MU": 29.0, "PA": 0.14, "SK": 3.3},
    **{"SP": 0.15, "ST": 0.15, "RE": 1.235},
}
FLOWS = {  # fractions of cardiac output
    **{"AD": 0.05, "BO": 0.05, "BR": 0.12, "GO": 0.0005, "GU": 0.15, "HE": 0.04},
    **{"KI": 0.19, "HA": 0.065, "MU": 0.17, "PA": 0.01, "SK": 0.05, "SP": 0.03},
    **{"ST": 0.01, "RE": 0.0645},
}
PORTAL = ("GU", "PA", "SP", "ST")


def organs():
    """Write the whole-body model."""
    lines = ["BP = 0.9", "FA = 0.9", "GFR = 7.2"]
    lines += [f"Q{k} = {v}*QC" for k, v in FLOWS.items()]
    lines += [f"O{k} = A{k}/{v}*BP/KP{k}" for k, v in VOLUMES.items()]
    lines += ["CA = art/1.8", "CV = ven/3.6", "d/dt(lumen) = -KA*lumen"]
    extra = {"GU": " + KA*FA*lumen", "KI": " - GFR*FUP*OKI/BP"}
    for k in VOLUMES:
        if k not in ("LI", "LU"):
            lines.append(f"d/dt(A{k}) = Q{k}*(CA - O{k}){extra.get(k, '')}")
    portal = " + ".join(f"Q{k}*O{k}" for k in PORTAL)
    total = " + ".join(f"Q{k}" for k in ("HA", *PORTAL))
    lines.append(f"d/dt(ALI) = QHA*CA + {portal} - ({total})*OLI - CLINT*FUP*OLI/BP")
    lines += ["d/dt(ALU) = QC*(CV - OLU)", "d/dt(art) = QC*(OLU - CA)"]
    back = [k for k in VOLUMES if k not in ("LI", "LU", *PORTAL)]
    venous = " + ".join([*(f"Q{k}*O{k}" for k in back), f"({total})*OLI"])
    lines.append(f"d/dt(ven) = {venous} - QC*CV")
    lines += ["CP = CV/BP", f"CLI = ALI/{VOLUMES['LI']}", f"CBR = ABR/{VOLUMES['BR']}"]
    return "\n".join(lines)


EXPONENTIAL = "matrix exponential"
CASES = {  # text, outputs, dose times, amount, infusion rate, method, tolerance
    "W1": (W1, ["CP"], np.arange(10) * 24.0, 100.0, 0.0, "closed form", 1e-12),
    "W2": (W2, ["CP", "CIRC"], [0.0, 504.0, 1008.0], 222.8, 222.8, "stiff", 1e-5),
    "W3": (W3, ["CP", "REC", "CPLX"], [0.0, 14, 28, 42], 500.0, 0.0, "stiff", 1e-5),
    "W4": (
        organs(),
        ["CP", "CLI", "CBR"],
        [0.0],
        100.0,
        0.0,
        "matrix exponential",
        1e-9,
    ),
    "W5": (W5, ["CP", "TS"], np.arange(364.0), 50.0, 0.0, "stiff", 1e-5),
}


@pytest.mark.parametrize("folder", FOLDERS, ids=["excerpt", "all"])
@pytest.mark.parametrize("name", list(CASES))
def test_workload(folder, name, note):
    """Errors are relative, with a floor of a thousandth of the subject's peak."""
    text, outputs, when, amount, rate, method, close = CASES[name]
    values = pd.read_csv(folder / f"{name}_params.csv")
    wanted = pd.read_csv(folder / f"{name}_ref.csv")
    parameters = [column for column in values if column != "ID"]
    model = Model(
        name,
        parse_model(text),
        parameters=tuple(Parameter(p, float(values[p].mean())) for p in parameters),
        outputs=tuple(Output(o, o) for o in outputs),
    )
    assert model.states[0] in ("gut", "cent", "lumen")
    time = np.asarray(when, float)[None]
    flat, whole = np.ones(time.shape), np.zeros(time.shape, int)
    doses = Doses(
        time, amount * flat, whole, rate * flat, 0 * flat, whole, whole + 1, whole + 1
    )
    grid = wanted.time[values.ID[0] == wanted.ID].to_numpy()
    inputs = {p: values[p].to_numpy() for p in parameters}
    solved = simulate(model, inputs, doses, times(grid), numerics=NUMERICS)
    assert (solved.status == 0).all()
    assert choose(model, NUMERICS).method == method
    for output in outputs:
        exact = wanted[output].to_numpy().reshape(len(values), len(grid))
        floor = 1e-3 * np.abs(exact).max(axis=1, keepdims=True)
        error = np.abs(solved.outputs[output] - exact) / (np.abs(exact) + floor)
        note(f"{name}, {output}", error.max())
        assert error.max() < close


def test_concentration_after_a_dose_is_on_its_other_side():
    """W3 reports both sides of each dose."""
    wanted = pd.read_csv(HERE / "W3_ref.csv")
    first = wanted[(wanted.time == 0)]
    values = pd.read_csv(HERE / "W3_params.csv")
    np.testing.assert_allclose(first.CP_POST, 500.0 / values.V1, rtol=1e-12)

"""Doses that follow what is measured, beside mrgsolve 1.7.2 in a loop.

The tables are those that ferx-core freezes for its own adaptive dosing: platelets by
Friberg's model with a ladder of doses, and troughs of vancomycin in steps of a quarter.
Their solver stops at tolerances of 1e-8, and they print six digits behind the point.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import vtrial as vt
from vtrial.conduct.task import rows_of
from vtrial.observe.block_program import Trial

HERE = Path(__file__).parent / "feedback"
CLOSE = 1e-6
PLATELETS = """
model: platelets
parameters:
  CL: {value: 0.22, unit: L/h}
  V: {value: 15, unit: L}
  CIRC0: {value: 250, unit: 10^9/L}
  MTT: {value: 120, unit: h}
  GAMMA: {value: 0.20, unit: 1}
  SLOPE: {value: 0.06, unit: L/mg}
random: []
equations: |
  KTR = 4 / MTT
  d/dt(central) = -CL/V * central
  d/dt(prol) = KTR*prol*(1 - SLOPE*central/V)*(CIRC0/circ)^GAMMA - KTR*prol
  d/dt(transit1) = KTR*(prol - transit1)
  d/dt(transit2) = KTR*(transit1 - transit2)
  d/dt(transit3) = KTR*(transit2 - transit3)
  d/dt(circ) = KTR*(transit3 - circ)
  init(prol) = CIRC0
  init(transit1) = CIRC0
  init(transit2) = CIRC0
  init(transit3) = CIRC0
  init(circ) = CIRC0
  plt = circ
outputs:
  plt: {unit: 10^9/L}
"""
LADDER = """
protocol: ladder
model: platelets
cohort: adults
subjects: 2
seed: 1
numerics: {rtol: 1.0e-10, atol: 1.0e-10}
arms:
  a: {dose: "100 mg every 168 h x 10"}
visits:
  weekly: {at: "0 h", repeat: "every 168 h x 10", measure: [plt]}
rules:
  severe: {when: plt < 30, do: stop}
  low: {when: plt < 120, do: reduce one step, ladder: "25, 50, 75, 100 mg"}
endpoints:
  last: {of: plt, take: value, at: "1512 h"}
keep: {trajectories: all, measurements: true}
"""
VANCOMYCIN = """
model: vancomycin
parameters:
  CL: {value: 4, unit: L/h}
  V: {value: 80, unit: L}
random: []
equations: |
  d/dt(central) = -CL/V * central
  d/dt(exposure) = central/V
  conc = central / V
  auc = exposure
outputs:
  conc: {unit: mg/L}
  auc: {unit: mg*h/L}
"""
TROUGHS = """
protocol: troughs
model: vancomycin
cohort: adults
subjects: 2
seed: 1
arms:
  a: {dose: "500 mg over 1 h every 24 h x 14"}
visits:
  daily: {at: "0 h", repeat: "every 24 h x 14", measure: [conc, auc]}
rules:
  up: {when: conc < 10, do: increase by 25 %, ceiling: 4000 mg}
  down: {when: conc > 15, do: reduce by 25 %, floor: 250 mg}
endpoints:
  last: {of: conc, take: value, at: "312 h"}
keep: {trajectories: all, measurements: true}
"""


def followed(folder, model, protocol):
    """Run a protocol of one arm; return the first subject's values and doses."""
    name = model.split()[1]
    (folder / f"{name}.yaml").write_text(model)
    (folder / "sheet.yaml").write_text(protocol)
    planned = vt.plan(vt.load_protocol(folder / "sheet.yaml"))
    found = rows_of(Trial(planned.protocol, planned.cohort), 0)
    time = found["arms/a/doses/time"][0]
    taken = np.isfinite(time)
    dosed = pd.DataFrame(
        {"time": time[taken], "dose": found["arms/a/doses/amount"][0][taken]}
    )
    return found["arms/a/measurements/measured"][0], dosed


@pytest.mark.slow
def test_a_ladder_of_doses_follows_platelets(tmp_path):
    wanted = pd.read_csv(HERE / "platelets.csv")
    measured, dosed = followed(tmp_path, PLATELETS, LADDER)
    assert dosed["time"].tolist() == wanted["time"].tolist()
    assert dosed["dose"].tolist() == wanted["dose"].tolist()
    np.testing.assert_allclose(measured[:, 0], wanted["platelets"], rtol=CLOSE)


def test_troughs_of_vancomycin_are_brought_into_a_window(tmp_path):
    wanted = pd.read_csv(HERE / "vancomycin.csv")
    measured, dosed = followed(tmp_path, VANCOMYCIN, TROUGHS)
    assert dosed["time"].tolist() == wanted["time"].tolist()
    np.testing.assert_allclose(dosed["dose"], wanted["dose"], rtol=1e-7)
    np.testing.assert_allclose(measured[:, 0], wanted["trough"], rtol=CLOSE)
    area = np.diff(measured[:, 1])
    np.testing.assert_allclose(area, wanted["area"][:-1], rtol=CLOSE)
    hit = (area >= 400) & (area <= 600)
    assert hit.mean() == pytest.approx(8 / 13)

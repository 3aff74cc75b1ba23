"""A drug that halves in a day and is seen exactly: rules in plain arithmetic."""

import numpy as np

import vtrial as vt
from vtrial.conduct.task import rows_of
from vtrial.observe.block_program import Trial

MODEL = """
model: halving
parameters:
  K: {value: 0.028881132523331052, unit: 1/h}
random: []
covariates:
  WT: {unit: kg, typical: 70}
equations: |
  d/dt(central) = -K * central
  level = central
  mark  = 1 + 0*WT
outputs:
  level: {unit: mg}
  mark: {unit: 1}
"""
COHORT = """
cohort: folk
covariates:
  WT: {unit: kg, uniform: [50, 100]}
"""
HEAD = """
protocol: ruled
cohort: folk
subjects: {subjects}
seed: 5
keep: {{trajectories: all, measurements: true}}
"""


def trial_of(folder, body, subjects=4, model="model: halving\n"):
    """Write the sheets, and return the trial of a protocol."""
    (folder / "halving.yaml").write_text(MODEL)
    (folder / "folk.yaml").write_text(COHORT)
    path = folder / "ruled.yaml"
    path.write_text(HEAD.format(subjects=subjects) + model + body)
    planned = vt.plan(vt.load_protocol(str(path)))
    return Trial(planned.protocol, planned.cohort)


def rows(folder, body, **how):
    """Simulate the whole trial as one block, and return its rows."""
    return rows_of(trial_of(folder, body, **how), 0)


def doses(found, arm="a"):
    """Return the times [d] and amounts of the first subject's doses."""
    time = found[f"arms/{arm}/doses/time"][0] / 24
    amount = found[f"arms/{arm}/doses/amount"][0]
    there = np.isfinite(time)
    return time[there].tolist(), amount[there].tolist()


def acted(found, place, arm="a"):
    """Return the days on which the rule at a place acted on the first subject."""
    times = found[f"arms/{arm}/decisions/time"][0] / 24
    return times[(found[f"arms/{arm}/decisions/acted"][0] >> place & 1) > 0].tolist()

"""A small trial: a drug by mouth, two arms, a few samples."""

import pytest

import vtrial as vt
from vtrial.errors import ProtocolError

MODEL = """
model: body
covariates:
  WT: {unit: kg, typical: 70}
parameters:
  tvKA: {value: 1.0, unit: 1/h}
  tvCL: {value: 5.0, unit: L/h, rse: 8 %}
  tvV: {value: 50.0, unit: L}
random:
  - {of: [CL, V], covariance: [[0.09], [0.03, 0.0625]]}
equations: |
  KA = tvKA
  CL = tvCL * (WT/70)^0.75 * exp(eta.CL)
  V  = tvV * (WT/70) * exp(eta.V)
  d/dt(depot)   = -KA * depot
  d/dt(central) = KA * depot - CL/V * central
  conc = central / V
  effect = conc / (conc + 1)
outputs:
  conc: {unit: mg/L, error: {proportional: 0.15}}
  effect: {unit: 1, error: {additive: 0.05}}
"""
COHORT = """
cohort: folk
covariates:
  FEMALE: {categorical: {0: 0.5, 1: 0.5}}
  WT: {unit: kg, lognormal: {median: 75, cv: 0.2}, within: [40, 150]}
eligibility: "WT > 50"
"""
PROTOCOL = """
protocol: small
model: body
cohort: folk
subjects: 30
replicates: 4
seed: 11
block: 25
arms:
  low: {dose: "50 mg every 24 h x 2"}
  high: {dose: "2 mg/kg every 24 h x 2"}
visits:
  profile: {at: "25 h, 28 h, 36 h, 48 h", measure: [conc]}
endpoints:
  peak: {of: conc, take: maximum, within: "24 h to 48 h"}
  exposed: {of: conc, take: maximum, within: "24 h to 48 h", above: 0.5}
analysis:
  - {compare: high with low, on: peak, by: ratio of geometric means}
keep: {trajectories: quantiles, measurements: true}
"""


class Sheets:
    """The three sheets in a folder, and how to change a line of one."""

    def __init__(self, folder):
        self.folder = folder
        self.texts = {"body": MODEL, "folk": COHORT, "small": PROTOCOL}

    def change(self, name, old, new):
        assert old in self.texts[name], old
        self.texts[name] = self.texts[name].replace(old, new)
        return self

    def write(self):
        self.folder.mkdir(exist_ok=True)
        for name, text in self.texts.items():
            (self.folder / f"{name}.yaml").write_text(text)
        return self.folder / "small.yaml"

    def load(self, **changes):
        return vt.load_protocol(self.write(), changes=changes)

    def refused(self):
        """Load what cannot be, and return its faults by where they stand."""
        with pytest.raises(ProtocolError) as caught:
            self.load()
        return {fault.at: fault for fault in caught.value.faults}

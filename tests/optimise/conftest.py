"""One compartment into which a dose goes at once: AUC is dose over clearance."""

import pytest

import vtrial as vt

MODEL = """
model: cleared
parameters:
  tvCL: {value: 4.0, unit: L/h}
  V: {value: 20.0, unit: L}
random:
  - {of: CL, variance: 0.09}
equations: |
  CL = tvCL * exp(eta.CL)
  d/dt(central) = -CL/V * central
  d/dt(total) = central/V
  conc = central/V
outputs:
  conc: {unit: mg/L}
  total: {unit: mg.h/L}
"""
COHORT = """
cohort: nobody
covariates:
  WT: {unit: kg, constant: 70}
"""
PROTOCOL = """
protocol: window
model: cleared
cohort: nobody
subjects: 40
seed: 5
arms:
  dose: {dose: "{amount} every 24 h x 1"}
grid:
  - {every: 300 h, until: 600 h}
endpoints:
  exposure: {of: total, take: maximum, values: true, within: day 0 to day 25}
  inside:
    {of: total, take: maximum, values: true, within: day 0 to day 25,
    above: 80, below: 180}
  high: {of: total, take: maximum, values: true, within: day 0 to day 25, above: 200}
optimise:
  vary:
    amount: {from: 100 mg, to: 1500 mg, step: 25 mg, start: 200 mg}
  maximise: inside
  search: {subjects: 400}
  verify: {subjects: 1000}
"""


class Folder:
    """Three sheets, and how to change a line of one."""

    def __init__(self, path):
        self.path = path
        self.texts = {"cleared": MODEL, "nobody": COHORT, "window": PROTOCOL}

    def change(self, old, new, name="window"):
        assert old in self.texts[name], old
        self.texts[name] = self.texts[name].replace(old, new)
        return self

    def load(self):
        for name, text in self.texts.items():
            (self.path / f"{name}.yaml").write_text(text)
        return vt.load_protocol(self.path / "window.yaml")


@pytest.fixture
def sheets(tmp_path):
    return Folder(tmp_path)


@pytest.fixture
def quiet():
    """Say nothing about the steps."""
    return lambda words: None

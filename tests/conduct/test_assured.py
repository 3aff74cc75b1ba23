"""Assurance of simulated designs, held against its closed form."""

import dataclasses

import numpy as np
import pytest
from scipy.special import ndtr

import vtrial as vt
from vtrial.conduct.assured import assured
from vtrial.errors import ProtocolError

MODEL = """
model: responders
parameters:
  EFFECT: {value: 0.5, se: 0.4, scale: identity}
  GIVEN: {value: 0}
random:
  - {of: LEVEL, variance: 1.0}
equations: |
  level = EFFECT * GIVEN + eta.LEVEL
outputs:
  level: {unit: "1", error: {additive: 0.0001}}
"""
COHORT = """
cohort: folk
covariates:
  AGE: {normal: {mean: 50, sd: 5}}
"""
SHEET = """
protocol: assured
model: responders
cohort: folk
subjects: 100
replicates: 120
seed: 4
arms:
  usual: {}
  new: {set: {GIVEN: 1}}
visits: {end: {at: day 1, measure: [level]}}
endpoints:
  level: {of: level, take: value, at: day 1}
analysis:
  - {name: main, compare: new with usual, on: level, by: difference of means}
design:
  randomisation: {permuted block: 2}
  accrual: 20 / month
keep: {trajectories: nothing}
"""


@pytest.fixture
def protocol(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (("responders", MODEL), ("folk", COHORT), ("assured", SHEET)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return vt.load_protocol(tmp_path / "assured.yaml")


@pytest.mark.slow  # two runs and 480 trials
def test_assurance_and_its_parts_are_those_of_the_closed_form(protocol):
    """Four Monte Carlo errors: a false alarm in one of 16,000 for each number."""
    table = assured(protocol, trials=240, workers=0).set_index("measure")
    error = np.sqrt(2 / 50)
    mean, spread, z = 0.5 / error, 0.4 / error, 1.984  # Student's, 98 degrees
    rng = np.random.default_rng(1)
    drift = mean + spread * rng.standard_normal(1_000_000)
    power = ndtr(drift - z) + ndtr(-drift - z)
    works = drift > 0
    for measure, expected in (
        ("assurance", power.mean()),
        ("power at the model's values", ndtr(mean - z)),
        ("share of draws where it works", works.mean()),
        ("power where it works", power[works].mean()),
        ("power where it does not", power[~works].mean()),
    ):
        row = table.loc[measure]
        assert abs(row["value"] - expected) < 4 * row["mc_error"], measure
    # Trials of one draw share its truth: 120 draws say less than 240 trials would.
    row = table.loc["assurance"]
    assert row["mc_error"] > 1.05 * np.sqrt(row["value"] * (1 - row["value"]) / 240)
    quarters = table[table.index.str.startswith("power, true effect")]
    assert len(quarters) == 4
    assert (np.diff(quarters["value"]) >= 0).all()
    assert quarters["value"].mean() == pytest.approx(row["value"], abs=1e-9)
    assert (table["trials"] > 0).all()


def test_what_is_known_has_no_assurance(protocol):
    known = dataclasses.replace(
        protocol, text=protocol.text + "uncertainty: false\n", uncertainty=False
    )
    with pytest.raises(ProtocolError, match=r"parameters that are known"):
        assured(known)

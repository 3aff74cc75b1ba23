"""Sensitivity by simulation, where the shares are known."""

import numpy as np
import pytest

import vtrial as vt
from vtrial.diagnose.sobol import CHANCE, sensitivity
from vtrial.errors import ProtocolError

MODEL = """
model: sums
covariates:
  A: {unit: 1, typical: 0}
  B: {unit: 1, typical: 0}
parameters:
  SLOPE: {value: 2.0, unit: 1}
random:
  - {of: [X, Y], covariance: [[1.0], [0.5, 1.0]]}
  - {of: Z, variance: 1.0}
equations: |
  total = SLOPE*A + B + eta.X + eta.Y + eta.Z*B
outputs:
  total: {unit: 1, error: {additive: 1.0}}
"""
COHORT = """
cohort: folk
covariates:
  A: {normal: {mean: 0, sd: 1}}
  B: {normal: {mean: 0, sd: 1}}
"""
PROTOCOL = """
protocol: sums
model: body
cohort: folk
subjects: 30
arms:
  all: {}
visits: {once: {at: 1 h, measure: [total]}}
endpoints:
  sum: {of: total, take: value, at: 1 h}
  high: {of: total, take: value, at: 1 h, above: 2}
"""


@pytest.fixture
def sums(sheets):
    sheets.texts = {"body": MODEL, "folk": COHORT, "small": PROTOCOL}
    return sheets


@pytest.mark.slow
def test_shares_are_those_of_the_sum(sums):
    """Variances 4, 1, 3 (two effects together), 1 (product with B) and 1 of error."""
    table = sensitivity(sums.load(), "sum", subjects=4000).set_index("factor")
    wanted = {
        "A": (4, 4),
        "B": (1, 2),
        "eta.X, eta.Y": (3, 3),
        "eta.Z": (0, 1),
        CHANCE: (1, 1),
    }
    assert set(table.index) == set(wanted)
    for name, (alone, whole) in wanted.items():
        row = table.loc[name]
        assert abs(row["first"] - alone / 10) < 4 * row["first_error"] + 0.02, name
        assert abs(row["total"] - whole / 10) < 4 * row["total_error"] + 0.02, name
    assert list(table.index)[:2] == ["A", "eta.X, eta.Y"]


@pytest.mark.slow
def test_a_tornado_changes_one_factor_of_the_typical(sums):
    table = sensitivity(sums.load(), "high", subjects=500).set_index("factor")
    row = table.loc["A"]
    assert row["at_typical"] == pytest.approx(0.0, abs=0.2)  # medians of the sample
    assert row["at_high"] - row["at_typical"] == pytest.approx(2 * row["high"], abs=0.3)
    assert row["low"] == pytest.approx(-1.645, abs=0.2)
    assert np.isnan(table.loc["eta.X, eta.Y", "at_low"])
    assert np.isnan(table.loc[CHANCE, "at_low"])


@pytest.mark.slow
def test_factors_that_depend_on_each_other_are_one(sums):
    sums.texts["folk"] += "eligibility: A + B > -1\n"
    table = sensitivity(sums.load(), "sum", subjects=200)
    assert "A, B" in set(table["factor"])


def test_what_is_derived_follows_its_sources_and_ties_nobody(sums):
    """The sum of 2 A, B and D = 3 A - B is 5 A: 25 of a variance of 30, B none."""
    sums.texts["folk"] += "  C: {normal: {mean: 0, sd: 1}}\nderive: |\n  D = 3*A - B\n"
    sums.change(
        "body",
        "  B: {unit: 1, typical: 0}",
        "  B: {unit: 1, typical: 0}\n  D: {unit: 1}",
    )
    sums.change("body", "eta.Z*B", "eta.Z + D")
    table = sensitivity(sums.load(), "sum", subjects=3000).set_index("factor")
    assert {"A", "B", "C", "eta.X, eta.Y", "eta.Z", CHANCE} == set(table.index)
    for name, share in {"A": 25 / 30, "B": 0.0, "C": 0.0, "eta.X, eta.Y": 0.1}.items():
        row = table.loc[name]
        assert abs(row["total"] - share) < 4 * row["total_error"] + 0.02, name
    assert table.loc["A", "at_high"] - table.loc["A", "at_low"] == pytest.approx(
        5 * (table.loc["A", "high"] - table.loc["A", "low"]), rel=1e-6
    )


def test_a_condition_ties_only_what_it_names(sums):
    sums.texts["folk"] += "  C: {normal: {mean: 0, sd: 1}}\neligibility: A + B > -1\n"
    table = sensitivity(sums.load(), "sum", subjects=200)
    assert {"A, B", "C"} < set(table["factor"])


@pytest.mark.slow
def test_uncertain_parameters_are_factors(sums):
    sums.change("body", "value: 2.0, unit: 1", "value: 2.0, unit: 1, rse: 30 %")
    table = sensitivity(sums.load(), "sum", subjects=2000).set_index("factor")
    assert 0.0 < table.loc["SLOPE", "total"] < 0.1


@pytest.mark.slow
def test_it_takes_doses_and_arms(sheets):
    table = sensitivity(sheets.load(), "peak", arm="high", subjects=200)
    assert table["total"].between(-0.01, 1.2).all()
    assert {"FEMALE", "WT", "eta.CL, eta.V", "tvCL", CHANCE} == set(table["factor"])


@pytest.mark.parametrize(("endpoint", "arm"), [("pike", ""), ("peak", "hihg")])
def test_unknown_names_are_refused(sheets, endpoint, arm):
    with pytest.raises(ProtocolError, match="peak|high"):
        vt.diagnose.sensitivity(sheets.load(), endpoint, arm=arm)

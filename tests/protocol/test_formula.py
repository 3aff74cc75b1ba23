"""Endpoints of an equation of outputs and covariates, and of each other."""

import numpy as np
import pytest

import vtrial as vt
from vtrial.conduct.task import rows_of
from vtrial.observe.block_program import Trial

MODEL = """
model: body
parameters: {tvA: {value: 2, unit: mg/L}}
random:
  - {of: A, variance: 0.09}
equations: |
  free = tvA * exp(eta.A) * exp(-t / 24)
  total = 3 * free + 1
outputs:
  free: {unit: mg/L, error: {proportional: 0.3}}
  total: {unit: mg/L, error: {proportional: 0.1}}
"""
COHORT = """
cohort: folk
covariates:
  MIC: {unit: mg/L, categorical: {0.25: 0.5, 0.5: 0.5}}
"""
PROTOCOL = """
protocol: small
model: body
cohort: folk
subjects: 40
seed: 3
arms: {all: {}}
visits:
  both: {at: "0 h, 6 h, 12 h, 24 h", measure: [free, total]}
  free: {at: "3 h", measure: [free]}
endpoints:
  ratio: {of: 100 * free / total, unit: "%", take: maximum}
  high: {of: 100 * free / total, unit: "%", take: percentile, share: 75 %}
  over: {of: free/MIC, take: time above, low: 1, values: true, within: day 0 to day 2}
  early: {of: free, take: value, at: 12 h, above: 1.2}
  late: {of: free, take: value, at: 24 h, above: 0.7}
  predicted: {equals: late / early, above: 0.5}
  ruled out: {equals: (1 - late) / (1 - early), above: 0.5}
keep: {trajectories: all, measurements: true}
"""


@pytest.fixture
def trial(sheets):
    sheets.texts |= {"body": MODEL, "folk": COHORT, "small": PROTOCOL}
    return sheets


def test_values_of_an_equation_are_those_of_its_outputs(trial):
    planned = vt.plan(trial.load())
    found = rows_of(Trial(planned.protocol, planned.cohort), 0)
    measured = found["arms/all/measurements/measured"]
    visits = np.array(["both"] * 4 + ["free"])
    both = measured[:, visits == "both"]
    ratio = 100 * both[:, :, 0] / both[:, :, 1]
    outcome = dict(
        zip(
            [point.name for point in planned.protocol.endpoints],
            found["arms/all/outcomes/outcome"].T,
            strict=True,
        )
    )
    np.testing.assert_allclose(outcome["ratio"], ratio.max(axis=1), rtol=1e-12)
    high = np.quantile(ratio, 0.75, axis=1)
    np.testing.assert_allclose(outcome["high"], high, rtol=1e-12)
    # free falls from its start by exp(-t/24), so it is above MIC for 24 log(start/MIC).
    start = found["arms/all/trajectories/value"][:, 0, 0]
    times = np.clip(24 * np.log(start / found["subjects/MIC"]), 0, 48)
    np.testing.assert_allclose(outcome["over"], times, atol=0.01)
    early, late = outcome["early"] == 1, outcome["late"] == 1
    for name, among, then in (
        ("predicted", early, late),
        ("ruled out", ~early, ~late),
    ):
        assert 0 < among.sum() < 40
        np.testing.assert_array_equal(np.isnan(outcome[name]), ~among)
        np.testing.assert_array_equal(outcome[name][among], then[among])


@pytest.mark.parametrize(
    ("old", "new", "at", "told"),
    [
        ("of: free/MIC", "of: fre/MIC", "endpoints.over.of", "output or covariate"),
        ("of: free/MIC", "of: 2/MIC", "endpoints.over.of", "an equation of outputs"),
        ("of: free/MIC", "of: fre", "endpoints.over.of", "an output: free or total"),
        ("of: free/MIC", "of: free/", "endpoints.over.of", ""),
        (
            'unit: "%", take: max',
            "unit: pct, take: max",
            "endpoints.ratio.unit",
            "unit",
        ),
        (", share: 75 %", "", "endpoints.high.share", "such as `share: 90 %`"),
        ("share: 75 %", "share: 75", "endpoints.high.share", "from 0 to 100 %"),
        (
            "low: 1,",
            "low: 1, share: 5 %,",
            "endpoints.over.share",
            "given for percentile",
        ),
        ("[free, total]", "[free]", "endpoints.ratio.within", "at least one visit"),
        ("take: percentile, s", "take: percentile 90 %, s", "endpoints.high.take", ""),
    ],
)
def test_what_makes_no_sense_is_refused(trial, old, new, at, told):
    trial.change("small", old, new)
    faults = trial.refused()
    assert told in faults[at].allowed
    assert faults[at].line

"""Every kind of model and protocol walks the same way."""

import numpy as np
import pytest

import vtrial as vt
from vtrial.conduct.task import rows_of
from vtrial.observe.block_program import Trial

WEAR = """
model: wear
time: d
parameters:
  RATE: {value: 2.0, unit: 1/d}
random:
  - {of: RATE, variance: 0.04}
equations: |
  d/dt(worn) = RATE * exp(eta.RATE)
outputs:
  worn: {unit: 1}
"""
CURVE = """
model: curve
parameters:
  EMAX: {value: 10, unit: 1}
covariates:
  DOSE: {unit: mg}
equations: |
  effect = EMAX * DOSE / (DOSE + 5) * (1 - exp(-t/24))
outputs:
  effect: {unit: 1, error: {additive: 0.1}}
"""
OCCASIONS = """
model: days
parameters:
  KEL: {value: 0.1, unit: 1/h}
random:
  - {of: KEL, variance: 0.04}
  - {of: DAY, variance: 0.25, level: occasion}
equations: |
  d/dt(body) = -KEL * exp(eta.KEL + eta.DAY) * body
  amount = body
outputs:
  amount: {unit: mg}
"""


def rows(sheets):
    planned = vt.plan(sheets.load())
    trial = Trial(planned.protocol, planned.cohort)
    blocks = [rows_of(trial, block) for block in range(trial.protocol.blocks)]
    return {path: np.concatenate([b[path] for b in blocks]) for path in blocks[0]}


def test_a_wearing_machine_has_no_doses(sheets):
    sheets.texts["body"] = WEAR
    sheets.texts["small"] = """
protocol: small
model: body
cohort: folk
subjects: 30
arms: {used: {}, idle: {set: {RATE: 0}}}
endpoints:
  wear: {of: worn, take: value, at: day 2, values: true}
keep: {trajectories: nothing, individual: [eta.RATE]}
"""
    found = rows(sheets)
    used = found["subjects/arm"] == 0
    expected = 4 * np.exp(found["subjects/eta.RATE"][used])
    outcome = found["arms/used/outcomes/outcome"][used, 0]
    np.testing.assert_allclose(outcome, expected, rtol=1e-9)
    assert (found["arms/idle/outcomes/outcome"][~used] == 0).all()
    assert not [path for path in found if "trajectories" in path]


def test_a_curve_has_no_states(sheets):
    sheets.texts["body"] = CURVE
    sheets.texts["small"] = """
protocol: small
model: body
cohort: folk
subjects: 40
uncertainty: false
arms: {low: {set: {DOSE: 5}}, high: {set: {DOSE: 45}}}
visits:
  week: {at: "day 0, day 7", measure: [effect]}
endpoints:
  change: {of: effect, take: change, at: day 7}
keep: {trajectories: first 3}
"""
    assert "algebra" in vt.plan(sheets.load()).words()
    found = rows(sheets)
    low = found["subjects/arm"] == 0
    outcome = found["arms/low/outcomes/outcome"][low, 0]
    # 40/2 differences of two measurements: standard error 0.14/sqrt(20)
    assert abs(outcome.mean() - 5) < 0.15
    kept = np.isfinite(found["arms/high/trajectories/value"]).any(axis=(1, 2))
    np.testing.assert_array_equal(kept, ~low & (np.arange(40) < 3))


def test_a_day_differs_from_the_next(sheets):
    sheets.texts["body"] = OCCASIONS
    sheets.texts["small"] = """
protocol: small
model: body
cohort: folk
subjects: 20
occasions: "day 0, day 1"
arms: {only: {dose: 100 mg}}
visits:
  end: {at: "24 h, 48 h", measure: [amount]}
endpoints:
  left: {of: amount, take: value, at: 48 h}
keep: {trajectories: all, individual: [eta.KEL]}
"""
    protocol = sheets.load()
    found = rows(sheets)
    values = found["arms/only/trajectories/value"][:, 0]
    first, second = (protocol.grid.index(t) for t in (24.0, 48.0))
    rates = np.log(
        np.stack([100 / values[:, first], values[:, first] / values[:, second]])
    )
    own = np.log(rates / 24 / 0.1) - found["subjects/eta.KEL"]
    assert np.abs(own[0] - own[1]).min() > 0
    # 40 draws of standard deviation 0.5: standard error 0.056
    assert abs(own.std() - 0.5) < 0.22


@pytest.mark.slow
def test_single_precision_is_near_and_draws_the_same(sheets):
    double = rows(sheets)
    sheets.change("small", "seed: 11", "seed: 11\nnumerics: {precision: 32}")
    single = rows(sheets)
    np.testing.assert_array_equal(single["subjects/WT"], double["subjects/WT"])
    for path in ("arms/low/outcomes/outcome", "arms/low/measurements/measured"):
        assert not np.array_equal(single[path], double[path], equal_nan=True)
        np.testing.assert_allclose(single[path], double[path], rtol=2e-5)


@pytest.mark.parametrize("block", [1, 3])
def test_blocks_may_be_tiny(sheets, block):
    planned = vt.plan(sheets.load(subjects=4, replicates=1, block=block))
    trial = Trial(planned.protocol, planned.cohort)
    found = [rows_of(trial, b) for b in range(trial.protocol.blocks)]
    assert sum(rows["subjects/arm"].size for rows in found) == 4

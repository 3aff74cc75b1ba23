"""A run-in: everybody goes through the same, and who qualifies is randomised."""

import numpy as np
import pytest

import vtrial as vt
from vtrial.conduct.task import rows_of
from vtrial.errors import ProtocolError
from vtrial.observe.block_program import Trial

MODEL = """
model: body
covariates: {WT: {unit: kg, typical: 70}}
parameters: {tvBASE: {value: 2}}
random:
  - {of: BASE, variance: 0.09}
equations: |
  level = tvBASE * exp(eta.BASE) * (1 + 0.01*t*WT/70)
outputs:
  level: {unit: 1, error: {additive: 0.3}}
"""
PROTOCOL = """
protocol: small
model: body
cohort: folk
subjects: 30
replicates: 4
seed: 11
potential: all
arms:
  low: {}
  high: {}
visits:
  first: {at: "day 0, 6 h, day 2", measure: [level]}
endpoints:
  low first: {of: level, take: value, at: 6 h, below: 2.1}
  level: {of: level, take: value, at: day 2}
keep: {trajectories: nothing, measurements: true}
"""
RUN_IN = "run in: {until: 24 h, qualify: low first}\narms:"


@pytest.fixture
def begun(sheets):
    """A trial in which nothing is given, with a response on the first day."""
    sheets.texts |= {"body": MODEL, "small": PROTOCOL}
    return sheets


@pytest.fixture
def dosed(sheets):
    """A trial whose arms give the same on the first day, with a response on it."""
    sheets.change("small", '"2 mg/kg every 24 h x 2"', '"50 mg then 90 mg after 24 h"')
    sheets.change("small", '"25 h,', '"12 h, 25 h,')
    sheets.change("small", "trajectories: quantiles", "trajectories: nothing")
    point = "  low first: {of: conc, take: value, at: 12 h, below: 0.45}\n"
    sheets.change("small", "analysis:", f"{point}analysis:")
    return sheets.change("small", "seed: 11", "seed: 11\npotential: all")


def run_in(sheets):
    return sheets.change("small", "arms:", RUN_IN)


def rows(sheets, **changes):
    planned = vt.plan(sheets.load(**changes))
    trial = Trial(planned.protocol, planned.cohort)
    blocks = [rows_of(trial, block) for block in range(trial.protocol.blocks)]
    return {p: np.concatenate([b[p] for b in blocks]) for p in blocks[0]}


def check_randomised(sheets, share):
    """Randomise who qualifies, and hold them against who is there without a run-in."""
    before = rows(sheets)
    place = [point.name for point in sheets.load().endpoints].index("low first")
    fit = before["arms/low/outcomes/outcome"][:, place] == 1
    assert share[0] < fit.mean() < share[1]
    after = rows(run_in(sheets))
    for arm in ("low", "high"):
        assert (after[f"arms/{arm}/outcomes/outcome"][:, place] == 1).all()
    # Who qualifies at once is the same person, and another stands in for who does not.
    for path, values in before.items():
        if len(values) == fit.size:
            np.testing.assert_array_equal(values[fit], after[path][fit], err_msg=path)
    assert (before["subjects/WT"][~fit] != after["subjects/WT"][~fit]).all()
    more = after["subjects/screened"] - before["subjects/screened"]
    assert (more[fit] == 0).all()
    assert (after["subjects/screened"][~fit] >= 2).all()
    return after


def test_who_qualifies_is_randomised_and_counts(begun):
    check_randomised(begun, (0.3, 0.7))


@pytest.mark.slow
def test_doses_lead_to_it_and_blocks_do_not(dosed):
    after = check_randomised(dosed, (0.3, 0.8))
    for name, values in rows(dosed, block=120).items():
        if name.startswith("subjects/"):
            np.testing.assert_array_equal(values, after[name])


@pytest.mark.slow
def test_who_is_let_in_goes_through_it(begun):
    begun.change("small", "arms:", 'eligible: "level >= 1.8"\narms:')
    found = rows(run_in(begun))
    first = [point.name for point in begun.load().endpoints].index("low first")
    levels = found["arms/low/measurements/measured"][:, 0, 0]
    assert levels.min() >= 1.8
    assert (found["arms/low/outcomes/outcome"][:, first] == 1).all()
    assert found["subjects/screened"].max() > 2


def test_nobody_who_qualifies_ends_the_run(begun):
    begun.change("small", "below: 2.1", "below: -5")
    planned = vt.plan(run_in(begun).load())
    with pytest.raises(ProtocolError, match=r"run in.*`low first`, met by 0 of"):
        rows_of(Trial(planned.protocol, planned.cohort), 0)

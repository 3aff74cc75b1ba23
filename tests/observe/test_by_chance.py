"""A trial of a model with chance: people keep their fate whatever is looked at."""

import numpy as np
import pytest

from vtrial.jobs.population import simulate_population
from vtrial.model.sheet import load_model

SHEET = """
model: relapses
time: d
parameters:
  RATE: {value: 0.05, unit: 1/d}
random:
  - {of: RATE, variance: 0.5}
  - {class: g, probabilities: [0.3, 0.7]}
equations: |
  n = count(relapse)
  y = z + [0, 100][g]
every 1 d: |
  z <- 0.9*z + normal(z)
events:
  relapse: {hazard: RATE*exp(eta.RATE), recurrent: true, then: ["z <- z + 5"]}
outputs:
  n: {}
  y: {error: {additive: 1}}
"""


@pytest.mark.slow
def test_visits_move_nothing_and_seeds_do():
    model = load_model(SHEET)
    few = simulate_population(model, times="day 10, day 30", subjects=30, seed=3)
    many = simulate_population(
        model, times="0 d to 30 d every 2 d", subjects=30, seed=3
    )
    again = many[many["TIME"].isin([10, 30])].reset_index(drop=True)
    for name in ("ID", "TIME", "n", "y"):
        np.testing.assert_array_equal(few[name], again[name])
    other = simulate_population(model, times="day 10, day 30", subjects=30, seed=4)
    assert not np.array_equal(few["y"], other["y"])
    high = (few["y"] > 50).groupby(few["ID"]).nunique()
    assert (high == 1).all(), "a class is a subject's own at all times"
    assert (few["y"] > 50).mean() == pytest.approx(0.7, abs=3 * np.sqrt(0.21 / 30))


def test_the_typical_subject_is_of_the_likely_class():
    found = simulate_population(load_model(SHEET), times="day 1", typical=True)
    assert found["y"][0] > 50

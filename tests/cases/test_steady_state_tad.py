"""Steady state where clearance grows with the time after dose.

An interval keeps exp(-k (t + 0.015 t^2)) of an amount, with k = 0.05 1/h and t = 12 h.
"""

import numpy as np
import pytest


def kept(hours):
    return np.exp(-0.05 * (hours + 0.015 * hours**2))


PEAK = 100 / (1 - kept(12.0))
HOURS = np.array([6.0, 12.0])
DENSE = np.linspace(0.1, 12.0, 150)


def test_steady_state_tad(case, method, bolus):
    assert [PEAK, *PEAK * kept(HOURS)] == pytest.approx(
        [197.0942, 142.1214, 97.0942], abs=5e-5
    )
    doses = bolus(100.0, interval=12.0, steady=1)
    for hours in ([1e-9, 6.0, 12.0, 24.0], DENSE):
        found = case.alone(
            "model-tad.yaml", "central", hours, method=method, doses=doses
        )
        np.testing.assert_allclose(found, PEAK * kept(np.array(hours)), rtol=1e-5)


@pytest.mark.slow
def test_steady_state_tad_on_trial(case, trial_method):
    found, course = case.tried(
        *("model-tad.yaml", "central", HOURS),
        method=trial_method,
        dose="100 mg every 12 h x 3 at steady state",
    )
    np.testing.assert_allclose(found, PEAK * kept(HOURS), rtol=1e-5)
    inside = course[np.asarray(course.time) % 12 > 0]
    right = PEAK * kept(np.asarray(inside.time) % 12)
    np.testing.assert_allclose(inside, right, rtol=1e-5)

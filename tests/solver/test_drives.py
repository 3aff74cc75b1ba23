"""An input by the clock that comes and goes within minutes is not stepped over."""

import numpy as np
import pytest

from vtrial.dosing.doses import no_doses, times
from vtrial.solver.simulation import simulate
from vtrial.types import Numerics

WIDTH, LOSS = 0.05, 0.1
TEXT = """
pulse = exp(-0.5*((CLOCK)/WIDTH)^2)/(WIDTH*sqrt(2*3.141592653589793))
d/dt(body) = 5*pulse - LOSS*body
conc = body
"""
SEEN = np.array([90.0, 101.0, 120.0, 190.0, 290.0])
NEAR = {"rtol": 2e-5, "atol": 1e-9}


def left(hours, pulses):
    """Return what is left of pulses of 5 that were long ago, beside their width."""
    since = np.asarray(hours)[:, None] - np.asarray(pulses)[None, :]
    each = 5 * np.exp(0.5 * (LOSS * WIDTH) ** 2 - LOSS * since)
    return np.where(since > 0, each, 0.0).sum(axis=1)


@pytest.mark.parametrize("method", ["auto", "explicit", "stiff"])
def test_a_pulse_by_the_clock_is_seen(made, method):
    model = made.model(TEXT.replace("CLOCK", "t - 100"), WIDTH=WIDTH, LOSS=LOSS)
    found = simulate(
        model,
        model.typical(),
        no_doses(),
        times(SEEN),
        numerics=Numerics(method=method),
    )
    np.testing.assert_allclose(found.outputs["conc"][0], left(SEEN, [100]), **NEAR)


@pytest.mark.parametrize("method", ["auto", "explicit", "stiff"])
def test_a_pulse_after_each_dose_is_seen(made, method):
    model = made.model(TEXT.replace("CLOCK", "tad - 7"), WIDTH=WIDTH, LOSS=LOSS)
    doses = made.doses([48.0, 96.0, 144.0], [0.0, 0.0, 0.0])
    found = simulate(
        model, model.typical(), doses, times(SEEN), numerics=Numerics(method=method)
    )
    wanted = left(SEEN, [55, 103, 151])
    np.testing.assert_allclose(found.outputs["conc"][0], wanted, **NEAR)

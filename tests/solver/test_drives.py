"""An input by the clock that comes and goes within minutes is not stepped over."""

import numpy as np
import pytest

from vtrial.dosing.doses import no_doses, times
from vtrial.solver.host import simulate
from vtrial.types import Numerics

WIDTH, LOSS = 0.05, 0.1
TEXT = """
pulse = exp(-0.5*((CLOCK)/WIDTH)^2)/(WIDTH*sqrt(2*3.141592653589793))
d/dt(body) = 5*pulse - LOSS*body
conc = body
"""
SEEN = np.array([90.0, 101.0, 120.0, 190.0, 290.0])
CHAIN = """
passed = KTR*max(tad, 1e-9)
d/dt(body) = 5*KTR*exp(30*log(passed) - passed - 74.65823634883016) - LOSS*body
conc = body
"""
FAR = np.array([20.0, 190.0])  # from a pulse at 100 h
HAT = "1/(1 + exp(-(t - 100)/WIDTH)) - 1/(1 + exp(-(t - 100.5)/WIDTH))"
NEAR = {"rtol": 2e-5, "atol": 1e-9}


def left(hours, pulses):
    """Return what is left of pulses of 5 that were long ago, beside their width."""
    since = np.asarray(hours)[:, None] - np.asarray(pulses)[None, :]
    each = 5 * np.exp(0.5 * (LOSS * WIDTH) ** 2 - LOSS * since)
    return np.where(since > 0, each, 0.0).sum(axis=1)


def conc(model, seen, doses=None, **how):
    doses = no_doses() if doses is None else doses
    numerics = Numerics(**how)
    found = simulate(model, model.typical(), doses, times(seen), numerics=numerics)
    return found.outputs["conc"][0]


@pytest.mark.parametrize("seen", [SEEN, FAR], ids=["near", "far"])
@pytest.mark.parametrize("method", ["auto", "explicit", "stiff", "diffrax"])
def test_a_pulse_by_the_clock_is_seen(made, method, seen):
    model = made.model(TEXT.replace("CLOCK", "t - 100"), WIDTH=WIDTH, LOSS=LOSS)
    found = conc(model, seen, method=method)
    np.testing.assert_allclose(found, left(seen, [100]), **NEAR)


def test_a_pulse_far_from_all_times_that_are_asked_for_is_seen(made):
    model = made.model(TEXT.replace("CLOCK", "t - 100"), WIDTH=WIDTH, LOSS=LOSS)
    np.testing.assert_allclose(conc(model, FAR), left(FAR, [100]), **NEAR)


@pytest.mark.parametrize("method", ["auto", "stiff"])
@pytest.mark.slow
def test_a_pulse_of_every_day_is_seen(made, method):
    model = made.model(
        TEXT.replace("CLOCK", "mod(t, 24) - 9.3"), WIDTH=WIDTH, LOSS=LOSS
    )
    found = conc(model, FAR, method=method)
    np.testing.assert_allclose(found, left(FAR, 9.3 + 24.0 * np.arange(8)), **NEAR)


def test_what_is_switched_on_smoothly_and_off_again_is_seen(made):
    text = f"d/dt(body) = {HAT} - LOSS*body\nconc = body"
    model = made.model(text, WIDTH=0.01, LOSS=LOSS)
    quotient = np.pi * 0.01 * LOSS / np.sin(np.pi * 0.01 * LOSS)  # of smooth by sharp
    sharp = (np.exp(-LOSS * 89.5) - np.exp(-LOSS * 90.0)) / LOSS
    np.testing.assert_allclose(conc(model, FAR)[1], quotient * sharp, **NEAR)


def test_a_rise_and_fall_without_a_crest_is_seen(made):
    model = made.model(CHAIN, KTR=100.0, LOSS=LOSS)
    given = 24.0 * np.arange(5)
    doses = made.doses(given, np.zeros(5))
    found = conc(model, [120.0], doses, method="stiff")
    chain = (1 - LOSS / 100.0) ** -31  # of what is left by that of a bolus
    wanted = 5 * chain * np.exp(-LOSS * (120.0 - given)).sum()
    np.testing.assert_allclose(found, [wanted], **NEAR)


@pytest.mark.parametrize(
    ("text", "crests"),
    [
        ("exp(-((t - 100)/W)^2)", 1),
        ("exp(-(t - 100)*(t - 100)/W) + exp(-(t - 100)^2)", 1),
        ("exp(-W*t)", 0),
        ("(W*tad)^3*exp(-W*tad)", 0),
        ("cos(6.28*(t - 8)/24)", 0),
        ("W*(t - 100)", 0),
        ("t^2/(W^2 + t^2)", 0),
    ],
)
def test_steps_end_at_crests_only(made, text, crests):
    model = made.model(f"d/dt(body) = {text} - body\nconc = body", W=0.1)
    assert len(model.structure.switches) == crests


@pytest.mark.parametrize("method", ["auto", "explicit", "stiff"])
def test_a_pulse_after_each_dose_is_seen(made, method):
    model = made.model(TEXT.replace("CLOCK", "tad - 7"), WIDTH=WIDTH, LOSS=LOSS)
    doses = made.doses([48.0, 96.0, 144.0], [0.0, 0.0, 0.0])
    found = conc(model, SEEN, doses, method=method)
    np.testing.assert_allclose(found, left(SEEN, [55, 103, 151]), **NEAR)

"""Inputs that jump by the clock, whatever times are asked for and whoever steps.

A pump gives 10 mg/h from 7 to 8 o'clock every day, without and with a loss of the first
order; a window gives 10 mg/h for half an hour at 100 h, with a loss that saturates.
"""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import lambertw

RATE, LOSS, KM = 10.0, 0.1, 5.0
SPARSE = (0.0, 24.0, 48.0, 101.0, 240.0)
DENSE = np.linspace(0.0, 240.0, 241)


def pumped(hours):
    """Return what the pump has given."""
    days, clock = np.divmod(np.asarray(hours), 24)
    return RATE * (days + np.clip(clock - 7, 0, 1))


def pumped_and_lost(hours):
    """Add up what is left of each day's infusion."""
    begun = 7 + 24 * np.arange(20.0)
    since = np.asarray(hours)[:, None] - begun
    span = np.clip(since, 0, 1)
    left = (1 - np.exp(-LOSS * span)) / LOSS * np.exp(-LOSS * np.maximum(since - 1, 0))
    return RATE * np.where(since > 0, left, 0).sum(axis=1)


def window(hours):
    """Integrate dt = (5 + a)/(50 + 9 a) da, and dt = -(5 + a)/a da afterwards."""

    def taken(amount):
        return amount / 9 + (KM - 50 / 9) / 9 * np.log(1 + 9 * amount / 50)

    def rising(span):
        return brentq(lambda a: taken(a) - span, 0, 10, xtol=1e-14) if span > 0 else 0.0

    hours = np.asarray(hours)
    rise = np.array([rising(span) for span in np.clip(hours - 100, 0, 0.5)])
    late = np.maximum(hours - 100.5, 0)
    fallen = KM * lambertw(rise / KM * np.exp((rise - late) / KM)).real
    return np.where(late > 0, fallen, rise)


MODELS = {
    "model.yaml": ("bag", pumped),
    "model-first-order.yaml": ("bag", pumped_and_lost),
    "model-window.yaml": ("a", window),
}
GRIDS = {
    "as it is": "",
    "24 h": "grid: [{every: 24 h, until: 240 h}]",
    "1 h": "grid: [{every: 1 h, until: 240 h}]",
}


def test_closed_forms_are_those_of_the_case():
    assert pumped([24, 240]).tolist() == [10, 100]
    assert pumped_and_lost([24, 240]) == pytest.approx([1.9213, 2.11298], abs=6e-6)
    assert window([101])[0] == pytest.approx(4.6056, abs=5e-5)


@pytest.mark.parametrize("sheet", MODELS)
def test_pump_by_clock(case, method, sheet):
    """Alone: few times and many, 128 and more between which steps are read inside."""
    output, right = MODELS[sheet]
    few, many = (
        case.alone(sheet, output, hours, method=method) for hours in (SPARSE, DENSE)
    )
    np.testing.assert_allclose(few, right(SPARSE), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(many, right(DENSE), rtol=1e-5, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("sheet", MODELS)
def test_pump_by_clock_on_trial(case, sheet, grid):
    output, right = MODELS[sheet]
    found, course = case.tried(sheet, output, SPARSE[1:], more=GRIDS[grid])
    np.testing.assert_allclose(found, right(SPARSE[1:]), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(course, right(course.time), rtol=1e-5, atol=1e-8)


AREA = 2e-5  # relative
PEAKS = {  # value, and when [h]
    "model-first-order.yaml": (10.4656836, 224.0),
    "model-window.yaml": (4.8485568, 100.5),
}


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("sheet", PEAKS)
def test_peaks_of_pump_by_clock(case, sheet, grid):
    """Whatever the grid, the highest value is where the pump is switched off."""
    output, right = MODELS[sheet]
    points = {"peak": "take: maximum", "when": "take: time of maximum"}
    points["area"] = "take: area, within: day 4 to day 5"
    how = {"more": GRIDS[grid]}
    (peak, when, area), course = case.measured(sheet, output, points, SPARSE, **how)
    fine = np.linspace(96.0, 120.0, 48_001)
    assert right([PEAKS[sheet][1]])[0] == pytest.approx(PEAKS[sheet][0], rel=1e-7)
    assert peak == pytest.approx(PEAKS[sheet][0], rel=1e-5)
    assert when == pytest.approx(PEAKS[sheet][1], abs=1e-6)
    assert area == pytest.approx(np.trapezoid(right(fine), fine), rel=AREA)
    if grid == "24 h":  # which has no part of the times that the numbers needed
        whole = np.union1d(np.arange(0.0, 241.0, 24.0), SPARSE)
        np.testing.assert_allclose(course.time, whole)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["explicit", "stiff", "diffrax"])
@pytest.mark.parametrize("sheet", MODELS)
def test_pump_by_clock_on_trial_by_method(case, method, sheet):
    output, right = MODELS[sheet]
    how = {"method": method, "more": GRIDS["24 h"]}
    found, course = case.tried(sheet, output, SPARSE[1:], **how)
    np.testing.assert_allclose(found, right(SPARSE[1:]), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(course, right(course.time), rtol=1e-5, atol=1e-8)

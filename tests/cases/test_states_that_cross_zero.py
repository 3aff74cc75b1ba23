"""States that are not linear in themselves, and are negative by right."""

import numpy as np
import pytest

HOURS = np.array([1.0, 2.0, 5.0, 20.0, 60.0])
DENSE = np.linspace(0.0, 60.0, 200)


def crossing(hours):
    """dx/dt = x^2/100 - 1 from 1 ends at -10."""
    return -10 * np.tanh(0.1 * np.asarray(hours) - np.arctanh(0.1))


def logarithm(hours):
    """The logarithm of a population from e^3 that decays to one half."""
    return np.log(0.5 + (np.exp(3) - 0.5) * np.exp(-0.1 * np.asarray(hours)))


SHEETS = {
    "crosses-zero.yaml": ("x", crossing),
    "log-decay.yaml": ("lx", logarithm),
    "no-parameters.yaml": ("lx", logarithm),
}


def test_closed_form_is_that_of_the_case():
    found = crossing([1.0, 2.0, 5.0])
    assert found == pytest.approx([0.00335348, -0.99335967, -3.79661989], abs=1e-8)


@pytest.mark.parametrize("sheet", SHEETS)
def test_states_that_cross_zero(case, method, sheet):
    output, right = SHEETS[sheet]
    for hours in (HOURS, DENSE):
        found = case.alone(sheet, output, hours, method=method)
        np.testing.assert_allclose(found, right(hours), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("sheet", SHEETS)
def test_states_that_cross_zero_on_trial(case, sheet):
    output, right = SHEETS[sheet]
    found, course = case.tried(sheet, output, HOURS)
    np.testing.assert_allclose(found, right(HOURS), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(course, right(course.time), rtol=1e-5, atol=1e-6)

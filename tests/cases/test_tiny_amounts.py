"""A cell of a picolitre that holds femtomoles, far below any absolute tolerance.

C0 + KM ln C0 - VM t = C + KM ln C, so C = KM W(C0/KM exp((C0 - VM t)/KM)) with
Lambert's function.
"""

import numpy as np
import pytest
from scipy.special import lambertw

KM = VM = 1e-3
FIRST = 2e-3  # mol/L: 2 fmol in a picolitre
HOURS = (0.5, 1.0, 2.0, 4.0, 8.0, 24.0)
DENSE = np.linspace(0.1, 24.0, 240)


def right(hours):
    return (
        KM * lambertw(FIRST / KM * np.exp((FIRST - VM * np.asarray(hours)) / KM)).real
    )


def test_tiny_amounts(case, method, bolus):
    assert abs(right(8.0) / 4.933e-6 - 1) < 1e-3
    assert abs(right(24.0) / 5.6e-13 - 1) < 1e-2
    for hours in (HOURS, DENSE):
        found = case.alone("model.yaml", "c", hours, method=method, doses=bolus(2e-15))
        assert (found >= 0).all()
        np.testing.assert_allclose(found, right(hours), rtol=1e-4, atol=1e-11)


@pytest.mark.slow
def test_tiny_amounts_on_trial(case, trial_method):
    found, course = case.tried(
        "model.yaml", "c", HOURS, method=trial_method, dose="2e-15 mol"
    )
    np.testing.assert_allclose(found, right(HOURS), rtol=1e-4, atol=1e-11)
    late = course[np.asarray(course.time) > 0]
    np.testing.assert_allclose(late, right(late.time), rtol=1e-4, atol=1e-11)

"""Numbers that East 6.5 and papers print, by way of gsDesign's tests at 2a568884."""

import numpy as np
import pytest
from scipy.stats import binom

from vtrial.design.sequential import (
    GroupSequential,
    Rates,
    boundaries,
    characteristics,
    conditional_power,
    exact_crossing,
    exact_test,
    mean_information,
)
from vtrial.errors import ProtocolError

OF = "O'Brien-Fleming spending"
PLAN = GroupSequential((0.5, 1.0), 0.025, 0.1, 1, OF)


def test_bounds_as_effects_of_east():
    bounds = boundaries(PLAN)
    drift = characteristics(PLAN, bounds).drift
    found = bounds.upper / np.sqrt(bounds.information) * 0.3 / drift
    assert found == pytest.approx([0.38709581, 0.18188158], abs=1e-6)


def test_conditional_power_of_east():
    bounds = boundaries(PLAN)
    # at the bound of the first look, if its trend goes on; that 1e-4 is the tolerance
    # of gsDesign's test, and East's own bound would be 2.9607 instead of 2.9626
    trend = bounds.upper[0] / np.sqrt(0.5)
    found = conditional_power(bounds.upper[0], 0, bounds, trend)
    assert found == pytest.approx(0.999147769623912, abs=1e-4)


def test_mean_sizes_of_east():
    bounds = boundaries(PLAN)
    found = characteristics(PLAN, bounds)
    total = 466.9965809 * found.inflation
    drifts = np.array([0.06, 0.24, 0.3]) * found.drift / 0.3
    means = total * mean_information(bounds, drifts)
    assert means == pytest.approx([467.1517045, 438.103876, 409.427932], abs=1e-4)


@pytest.mark.parametrize(
    ("rates", "beta", "sizes", "unit"),
    [
        (Rates(0.4, 0.05, 0.2), 0.2, [159.6876 / 2] * 2, 1e-4),
        (Rates(0.1, 0.1, -0.2, ratio=1.5), 0.1, [62.88, 41.92], 0.01),
        (
            Rates(0.25, 0.05, 2.0, ratio=2 / 3, scale="ratio"),
            0.1,
            [133.9289, 200.8933],
            1e-4,
        ),
    ],
)
def test_sizes_of_farrington_and_manning(rates, beta, sizes, unit):
    total = rates.fixed_size(0.05, 1 - beta)
    share = rates.allocation / (1 + rates.allocation)
    assert [total * share, total * (1 - share)] == pytest.approx(sizes, abs=unit / 2)


@pytest.mark.parametrize(
    ("alpha", "size", "alternative", "power"),
    [
        (0.025, 25, 0.2, 0.57932569),
        (0.025, 28, 0.2, 0.6851126),
        (0.025, 33, 0.2, 0.81787426),
        (0.025, 35, 0.2, 0.72790831),
        (0.05, 33, 0.2, 0.81787426),
        (0.025, 33, 0.25, 0.94139159),
    ],
)
def test_exact_power_of_east(alpha, size, alternative, power):
    found = exact_test(size, 0.05, alternative, alpha=alpha)
    assert found.power == pytest.approx(power, abs=1e-7)
    assert found.level <= alpha < binom.sf(found.critical - 2, size, 0.05)


def test_exact_looks_of_east():
    found = exact_crossing([50, 100], [-1, -1], [13, 17], [0.1, 0.2])
    upper = [[0.00100462, 0.01979986], [0.186057, 0.6221024]]
    assert found.upper == pytest.approx(np.array(upper), abs=1e-6)
    assert found.mean_size == pytest.approx([99.94977, 90.69715], abs=1e-5)
    found = exact_crossing([36, 71, 107], [2, 9, 17], [13, 15, 18], [0.1, 0.2])
    lower = [[0.28786288, 0.54717197, 0.14615089], [0.0160231, 0.06625957, 0.10815084]]
    upper = [[2.493e-05, 0.00397141, 0.01481792], [0.01821676, 0.43444804, 0.35690169]]
    assert found.lower == pytest.approx(np.array(lower), abs=1e-6)
    assert found.upper == pytest.approx(np.array(upper), abs=1e-6)
    assert found.mean_size == pytest.approx([66.71880358, 86.54349597], abs=1e-6)


def test_exact_of_a_smaller_proportion_is_its_mirror():
    down, up = exact_test(40, 0.7, 0.5), exact_test(40, 0.3, 0.5)
    assert down.critical == 40 - up.critical
    assert down.power == pytest.approx(up.power, abs=1e-14)


def test_tests_that_cannot_reject_have_no_power():
    assert exact_test(1, 0.5, 0.9) == (2, 0.0, 0.0)
    assert exact_test(1, 0.5, 0.1) == (-1, 0.0, 0.0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: exact_test(10, 0.0, 0.2), "between 0 and 1"),
        (lambda: exact_crossing([10, 10], [-1, 2], [5, 6], 0.1), "rise"),
        (lambda: exact_crossing([10, 20], [5, 2], [5, 6], 0.1), "below"),
    ],
)
def test_what_cannot_be_is_refused(make, words):
    with pytest.raises(ProtocolError, match=words):
        make()

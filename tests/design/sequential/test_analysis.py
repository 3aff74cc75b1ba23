"""What looks and ends of trials say, against the analyses in rpact's tests.

rpact 4.1.0.9265 (git 02bcd3a5^, LGPL-3), tests of getAnalysisResults: means by
Student's test, proportions by the normal test, log-rank statistics. Data and results
are its numbers. It finds repeated p-values by halving (1e-6, 0.5) nineteen times, as
its largest, 0.49999905, and least, 1.95e-6, show: they may be 1e-6 off. Its limits and
estimates come of searches, too. Ours are held to what defines them.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from vtrial.design.sequential import (
    GroupSequential,
    boundaries,
    boundaries_at,
    conditional_power,
    conditional_rejection,
    final_estimate,
    inverse_normal,
    repeated_interval,
    repeated_p,
    stage_weights,
    stagewise_p,
)

WT = "Wang-Tsiatis"
HALVED = 1e-6


class Look(NamedTuple):
    """A statistic at a look, its effect and standard error, and degrees of freedom."""

    z: float
    effect: float
    error: float
    freedom: float


def one_mean(n, means, sds, null):
    """Return looks at all data so far of one arm."""
    n, means, sds = (np.asarray(x, float) for x in (n, means, sds))
    made = []
    for look in range(1, len(n) + 1):
        total = n[:look].sum()
        mean = (n * means)[:look].sum() / total
        square = ((n - 1) * sds**2 + n * means**2)[:look].sum() - total * mean**2
        error = np.sqrt(square / (total - 1) / total)
        p = stdtr(total - 1, -(mean - null) / error)
        made.append(Look(-ndtri(p), mean, error, total - 1))
    return made


def two_means(n, means, sds):
    """Return looks at all data so far of two arms, by the pooled variance."""
    arms = [one_mean(*arm, 0.0) for arm in zip(n, means, sds, strict=True)]
    made = []
    for one, two in zip(*arms, strict=True):
        square = 0.0
        for arm in (one, two):
            square += arm.error**2 * (arm.freedom + 1) * arm.freedom
        freedom = one.freedom + two.freedom
        parts = 1 / (one.freedom + 1) + 1 / (two.freedom + 1)
        error = np.sqrt(square / freedom * parts)
        effect = one.effect - two.effect
        made.append(
            Look(-ndtri(stdtr(freedom, -effect / error)), effect, error, freedom)
        )
    return made


def limits(look, level):
    """Return the interval of Student's test at a one-sided level."""
    wide = stdtrit(look.freedom, 1 - level) * look.error
    return look.effect - wide, look.effect + wide


MEANS = {
    "one look of two": (
        one_mean([120], [0.45], [1.3], 0.25),
        GroupSequential((0.5, 1), 0.025, 0.2, 1, WT, 0.4, "z", (0.0,)),
        [0.094509305],
        [0.085336561],
        [(0.17801039, 0.7219894)],
    ),
    "two looks of three": (
        one_mean([120, 130], [45, 41], [130, 140], 25),
        GroupSequential((1 / 3, 2 / 3, 1), 0.025, 0.2, 1, WT, 0.4, "z", (0.5244,) * 2),
        [0.10127313, 0.20204948],
        [0.11501103, 0.039167372],
        [(15.620913, 74.379087), (23.359338, 62.480662)],
    ),
    "three looks of four, binding": (
        one_mean([120, 130, 130], [45, 41, 45], [130, 140, 120], 25),
        GroupSequential(
            (0.25, 0.5, 0.75, 1), 0.025, 0.2, 1, WT, 0.4, "z", (0.5244,) * 3, True
        ),
        [0.11438278, 0.24787613, 0.68016764],
        [0.10271056, 0.041641198, 0.0060463294],
        [(14.924587, 75.075413), (22.902668, 62.937332), (28.667333, 58.595825)],
    ),
    "two arms": (
        two_means(
            [[23, 23, 22, 23], [22, 22, 22, 21]],
            [[170, 150, 180, 250], [100, 110, 130, 100]],
            [[130, 240, 220, 130], [120, 220, 210, 130]],
        ),
        GroupSequential((0.25, 0.5, 0.75, 1), 0.025, 0.2, 1, WT, 0.4),
        [0.12319684, 0.052938347, 0.042196066],
        [0.10782416, 0.1777417, 0.11951427, 0.0045471564],
        [
            (-30.185323, 170.18532),
            (-39.416167, 149.41617),
            (-24.461261, 130.73577),
            (16.408896, 138.52605),
        ],
    ),
}


@pytest.mark.parametrize("name", MEANS)
def test_looks_at_means(name):
    looks, plan, rejection, p, intervals = MEANS[name]
    bounds = boundaries(plan)
    for number, look in enumerate(looks):
        if number < len(rejection):
            found = conditional_rejection(look.z, number, bounds)
            assert found == pytest.approx(rejection[number], abs=2e-8)
        assert repeated_p(look.z, number, plan) == pytest.approx(p[number], abs=HALVED)
        found = limits(look, bounds.stage_levels[number])
        near = 5e-7 * max(np.abs(intervals[number]))  # rpact searches for the limits
        assert found == pytest.approx(intervals[number], abs=near)


@pytest.mark.parametrize("name", MEANS)
def test_repeated_p_is_the_alpha_whose_bound_the_look_is_on(name):
    looks, plan, *_ = MEANS[name]
    for number, look in enumerate(looks):
        alpha = float(repeated_p(look.z, number, plan))
        bound = boundaries(replace(plan, alpha=alpha)).upper[number]
        assert bound == pytest.approx(look.z, abs=1e-9)


def test_conditional_power_of_the_last_stage():
    looks, plan, *_ = MEANS["one look of two"]
    mean = (0.22 - 0.25) * np.sqrt(130)
    found = conditional_power(looks[0].z, 0, boundaries(plan), mean / np.sqrt(0.5))
    assert found == pytest.approx(0.048907456, abs=2e-8)
    looks, plan, *_ = MEANS["three looks of four, binding"]
    mean = (0.22 - 0.25) * np.sqrt(130)
    found = conditional_power(looks[2].z, 2, boundaries(plan), mean / np.sqrt(0.25))
    assert found == pytest.approx(0.55017955, abs=2e-8)


def test_conditional_power_of_two_stages():
    looks, plan, *_ = MEANS["two arms"]
    # 15 subjects a stage in the ratio 2, an effect of 1.3 standard deviations
    mean = 1.3 * np.sqrt(15 * 2) / 3
    drift = mean / np.sqrt(0.25)
    bounds = boundaries(plan)
    found = conditional_power(looks[1].z, 1, bounds, drift)
    assert found == pytest.approx(0.95040435, abs=2e-8)
    found = conditional_power(looks[2].z, 2, bounds, drift)
    assert found == pytest.approx(0.74141468, abs=2e-8)


RATES = GroupSequential(
    (0.2, 0.4, 0.8, 1), 0.025, 0.2, 1, "Kim-DeMets", 2.8, "z", (-0.5, 0.0, 0.5)
)


@pytest.mark.parametrize(
    ("null", "side", "rejection", "p"),
    [
        (
            0.75,
            -1,
            [0.21465031, 0.55995383],
            [0.47958473, 0.014066714, 1.9536724e-06],
        ),
        (
            0.25,
            1,
            [0.049321562, 0.20984263, 0.048813267],
            [0.49999905, 0.27035282, 0.14086509],
        ),
    ],
)
def test_looks_at_a_proportion(null, side, rejection, p):
    n, events = np.cumsum([10, 10, 20]), np.cumsum([4, 5, 5])
    z = side * (events / n - null) / np.sqrt(null * (1 - null) / n)
    bounds = boundaries(RATES)
    for look, expected in enumerate(rejection):
        found = conditional_rejection(z[look], look, bounds)
        assert found == pytest.approx(expected, abs=2e-8)
    for look, expected in enumerate(p):
        found = max(float(repeated_p(z[look], look, RATES)), 1e-6)
        assert found == pytest.approx(expected, abs=HALVED)


def test_end_of_a_trial_of_survival():
    plan = GroupSequential((0.4, 1), 0.025, 0.2, 1, WT, 0.25, "z", (0.0,), True)
    bounds = boundaries(plan)
    z, events = np.array([1.92, 2.1]), np.array([8, 20])
    assert conditional_rejection(z[0], 0, bounds) == pytest.approx(0.15200046, abs=2e-8)
    for look, p in enumerate((0.074184316, 0.019962317)):
        assert repeated_p(z[look], look, plan) == pytest.approx(p, abs=HALVED)
    for look, expected in enumerate([(0.65051922, 23.22605), (1.04083, 6.2857086)]):
        scale = np.sqrt(bounds.information[look]) * 2 / np.sqrt(events[look])
        low, high = repeated_interval(z[look], look, bounds)
        found = np.exp(scale * low), np.exp(scale * high)
        assert found == pytest.approx(expected, rel=3e-7)
    assert stagewise_p(z[1], 1, bounds) == pytest.approx(0.021122043, abs=2e-8)
    found = np.exp(np.array(final_estimate(z[1], 1, bounds)) * 2 / np.sqrt(20))
    assert found == pytest.approx([2.5476534, 1.0341796, 6.2409205], rel=1e-6)
    drifts = final_estimate(z[1], 1, bounds)
    for drift, p in zip(drifts, (0.5, 0.025, 0.975), strict=True):
        assert stagewise_p(z[1], 1, bounds, drift) == pytest.approx(p, abs=1e-12)


def test_stages_of_survival_combined_by_the_inverse_normal():
    plan = GroupSequential((0.4, 0.6, 1), 0.025, 0.2, 1, WT, 0.25, "z", (0.2, 0.2))
    bounds = boundaries(plan)
    events, seen = np.array([8, 15, 29]), np.array([1.52, 1.38, 2.9])

    def combined(log_null):
        """Return the combined statistics under a hazard ratio."""
        shifted = seen - log_null * np.sqrt(events) / 2
        scores = np.diff(shifted * np.sqrt(events), prepend=0)
        stages = scores / np.sqrt(np.diff(events, prepend=0))
        return inverse_normal(stages, stage_weights(plan.information))

    z = combined(0.0)
    for look, expected in enumerate((0.088442162, 0.068047477)):
        found = conditional_rejection(z[look], look, bounds)
        assert found == pytest.approx(expected, abs=2e-8)
    for look, expected in enumerate((0.16451426, 0.14162994, 0.0024185596)):
        assert repeated_p(z[look], look, plan) == pytest.approx(expected, abs=HALVED)
    slope = combined(0.0) - combined(1.0)
    low = np.exp((z - bounds.upper) / slope)
    high = np.exp((z + bounds.upper) / slope)
    assert low == pytest.approx([0.46058716, 0.62720212, 1.3462647], rel=3e-7)
    assert high == pytest.approx([18.631576, 7.3754243, 6.4004419], rel=3e-7)
    assert stagewise_p(z[2], 2, bounds) == pytest.approx(0.012073682, abs=2e-8)
    # 20 and 40 events after the first look, at a hazard ratio of 2 and arms of 2 to 1
    mean = np.log(2) * np.sqrt(2) / 3 * np.sqrt(20)
    drift = mean / np.sqrt(0.2)
    ahead = conditional_power(z[0], 0, bounds, drift, respect_futility=True)
    assert ahead == pytest.approx(0.86797577, abs=2e-8)


def test_looks_that_come_at_other_information():
    plan = GroupSequential((1 / 3, 2 / 3, 1), efficacy="O'Brien-Fleming spending")
    bounds = boundaries_at(plan, np.array([205, 285, 387]) / 387)
    for look, (z, rejection) in enumerate([(1.87, 0.19266595), (2.19, 0.39869438)]):
        found = conditional_rejection(z, look, bounds)
        assert found == pytest.approx(rejection, abs=2e-8)
        events = (205, 285)[look]
        low, high = repeated_interval(z, look, bounds)
        scale = np.sqrt(bounds.information[look]) * 2 / np.sqrt(events)
        expected = [(0.87000803, 1.9380428), (0.97623896, 1.7210688)][look]
        assert np.exp(scale * low) == pytest.approx(expected[0], rel=3e-7)
        assert np.exp(scale * high) == pytest.approx(expected[1], rel=3e-7)


def test_final_interval_of_a_mean():
    looks, plan, *_ = MEANS["three looks of four, binding"]
    bounds = boundaries(plan)
    p = stagewise_p(looks[2].z, 2, bounds)
    assert p == pytest.approx(0.014723218, abs=2e-8)
    assert looks[2].z > bounds.upper[2]
    assert ndtr(-looks[2].z) < p

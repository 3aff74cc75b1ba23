"""Estimates after stopping early: against the truth, and by symmetry."""

import dataclasses

import numpy as np
import pytest

from tests.design.sights import Given
from tests.design.test_actual import calendar
from tests.design.test_enact import DAILY, EVEN, look
from vtrial.design.enact import enact
from vtrial.design.sequential.boundary import boundaries
from vtrial.design.sequential.inference import final_estimate
from vtrial.design.sequential.plan import GroupSequential
from vtrial.design.stopped import stopped
from vtrial.protocol.enactment import Adaptation, Enactment

EFFECT = 0.45
PLAN = GroupSequential((0.5, 1.0), efficacy="Pocock spending")


def design(**changed):
    stop = Adaptation(
        *("stop", "group sequential", ("main",), (0, 1)),
        options=(("efficacy", "Pocock spending"),),
    )
    stop = dataclasses.replace(stop, **changed)
    looks = (look("half", "known", 50, 0.5), look("end", "known", 100, 1.0))
    return Enactment(DAILY, "x", looks=looks, adaptations=(stop,), planned=100)


def enacted(made, trials, effect, seed=1):
    value = np.random.default_rng(seed).normal(size=(trials, 100, 1))
    sight = Given(value + np.array([0.0, effect]), {"main": (1, 0)})
    shape = {"seed": 11, "trials": np.arange(trials), "subjects": 100}
    return enact(made, EVEN, sight, comparisons=["main"], **shape)


def within(share, expected, trials):
    """Hold a share against 99.7 % binomial limits."""
    return abs(share - expected) < 3 * np.sqrt(expected * (1 - expected) / trials)


@pytest.mark.parametrize(
    ("kind", "trials"),
    [("planned", 1000), pytest.param("calendar", 1000, marks=pytest.mark.slow)],
)
def test_the_truth_is_in_the_middle_and_in_the_interval(kind, trials):
    made = design() if kind == "planned" else calendar(efficacy="Pocock spending")
    found = enacted(made, trials, EFFECT)
    after = stopped(made, found, "main", 0, level=0.9)
    assert np.isfinite(after.estimate).all()
    assert within((after.estimate > EFFECT).mean(), 0.5, trials)
    inside = (after.low <= EFFECT) & (after.high >= EFFECT)
    assert within(inside.mean(), 0.9, trials)
    repeated = (after.repeated_low <= EFFECT) & (after.repeated_high >= EFFECT)
    assert repeated.mean() > 0.95 - 3 * np.sqrt(0.95 * 0.05 / trials)
    # Stopping early overstates the effect; the median unbiased estimate does less so.
    bias = [np.mean(one) - EFFECT for one in (found.final[:, 0], after.estimate)]
    assert 0 < bias[1] < bias[0]


def test_without_an_effect_stagewise_p_values_are_even():
    found = enacted(design(), 2000, 0.0)
    p = stopped(design(), found, "main", 0, level=0.95).p
    for share in (0.025, 0.2, 0.5, 0.9):
        assert within((p < share).mean(), share, 2000)
    np.testing.assert_array_equal(p < 0.025, found.success[:, 0])


def test_an_estimate_is_that_of_the_function_alone():
    found = enacted(design(), 40, EFFECT)
    after = stopped(design(), found, "main", 0, level=0.95)
    z = found.z[np.arange(40), found.ended, 0]
    drift, *_ = final_estimate(z, found.ended, boundaries(PLAN))
    error = found.final_error[:, 0]
    wanted = drift * error * np.sqrt(np.array(PLAN.information)[found.ended])
    np.testing.assert_allclose(after.estimate, wanted, rtol=1e-9)


def test_where_lower_is_better_all_is_upside_down():
    lower = design(better="lower")
    up = stopped(design(), enacted(design(), 40, EFFECT), "main", 0, level=0.95)
    flipped = enacted(design(), 40, EFFECT)
    names = ("z", "estimate", "final")
    changed = {name: -getattr(flipped, name) for name in names}
    down = stopped(
        lower, dataclasses.replace(flipped, **changed), "main", 0, level=0.95
    )
    np.testing.assert_allclose(down.estimate, -up.estimate)
    np.testing.assert_allclose(down.low, -up.high)
    np.testing.assert_allclose(down.repeated_high, -up.repeated_low)
    np.testing.assert_allclose(down.p, up.p)


def test_two_rules_leave_no_such_estimate():
    made = design()
    other = Adaptation("other", "predictive power", ("main",), (0, 1))
    both = dataclasses.replace(made, adaptations=(*made.adaptations, other))
    assert stopped(both, enacted(made, 4, 0.0), "main", 0, level=0.95) is None

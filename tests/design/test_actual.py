"""Looks by the calendar: errors are spent at the information that they really have."""

import numpy as np
import pytest

from tests.design.sights import Given
from tests.design.test_enact import EVEN
from vtrial.design.enact import enact
from vtrial.design.registry import faults_of_adaptations
from vtrial.design.sequential.actual import LEAST, bounds_seen
from vtrial.design.sequential.boundary import boundaries, boundaries_at
from vtrial.design.sequential.plan import GroupSequential
from vtrial.protocol.enactment import (
    Accrual,
    Adaptation,
    Enactment,
    Look,
    Milestone,
    Stretch,
)

PLAN = GroupSequential((0.3, 0.6, 1.0), efficacy="O'Brien-Fleming spending")


def calendar(**options):
    """Look after 30 and 60 days, and once all 100 are known; about one comes a day."""
    hours = [((Milestone("hours", at),),) for at in (30.0, 60.0)]
    looks = (
        Look("first", hours[0]),
        Look("second", hours[1]),
        Look("end", ((Milestone("known", 100.0),),)),
    )
    given = {"information": "100 known", **options}
    stop = Adaptation(
        "stop", "group sequential", ("main",), (0, 1, 2), options=(*given.items(),)
    )
    accrual = Accrual((Stretch(0.0, 1.0, 1.0),), "poisson")
    return Enactment(accrual, "x", looks=looks, adaptations=(stop,), planned=100)


def enacted(design, trials, *, effect=0.0, seed=1):
    draws = np.random.default_rng(seed).normal(size=(trials, 100, 1))
    value = draws + np.array([0.0, effect])
    return enact(
        design,
        EVEN,
        Given(value, {"main": (1, 0)}),
        comparisons=["main"],
        seed=11,
        trials=np.arange(trials),
        subjects=100,
    )


def test_bounds_are_those_of_each_trials_own_information():
    shares = np.array([[0.2, 0.5, 1.0], [0.35, 0.36, 1.0], [0.3, np.nan, 1.0]])
    found = {}
    for group in bounds_seen(PLAN, shares, np.ones(3, bool)):
        for place, trial in enumerate(group.trials):
            found[int(trial)] = (group.looks.tolist(), group.bounds.upper[place])
    assert [found[trial][0] for trial in range(3)] == [[0, 1, 2], [0, 2], [0, 2]]
    for trial, (looks, upper) in found.items():
        alone = boundaries_at(PLAN, shares[trial, looks], plan=boundaries(PLAN))
        np.testing.assert_allclose(upper, alone.upper, rtol=1e-9)


def test_what_is_to_come_does_not_change_a_look():
    now = np.array([[0.25, 0.55]])
    (part,) = bounds_seen(PLAN, now, np.zeros(1, bool))
    (whole,) = bounds_seen(PLAN, np.array([[0.25, 0.55, 1.0]]), np.ones(1, bool))
    np.testing.assert_allclose(
        part.bounds.upper[0, :2], whole.bounds.upper[0, :2], rtol=1e-9
    )


def test_an_end_with_nothing_new_is_tested_nevertheless():
    (made,) = bounds_seen(PLAN, np.array([[0.4, 1.0, 1.0]]), np.ones(1, bool))
    assert made.looks.tolist() == [0, 1, 2]
    assert made.bounds.information[0, 2] == pytest.approx(1.0 + LEAST)


@pytest.mark.parametrize(
    ("trials", "options"),
    [
        (600, {}),
        pytest.param(10_000, {}, marks=pytest.mark.slow),
        pytest.param(10_000, {"sides": 2.0, "alpha": 0.05}, marks=pytest.mark.slow),
        pytest.param(10_000, {"efficacy": "Pocock spending"}, marks=pytest.mark.slow),
    ],
)
def test_looks_by_the_calendar_keep_the_type_one_error(trials, options):
    """A false alarm in 0.3 % of seeds: 99.7 % binomial limits."""
    made = enacted(calendar(**options), trials)
    alpha = options.get("alpha", 0.025)
    error = np.sqrt(alpha * (1 - alpha) / trials)
    assert abs(made.success[:, 0].mean() - alpha) < 3 * error
    assert np.nanstd(made.known[:, 0]) > 3  # the looks did vary


def test_an_effect_stops_at_its_own_bound():
    made = enacted(calendar(futility=(0.0, 0.0)), 60, effect=0.6)
    early = made.ended == 1
    shares = np.where(early[:, None], made.known / 100, np.nan)[early]
    shares[:, 2] = np.nan
    for group in bounds_seen(PLAN, shares, np.zeros(len(shares), bool)):
        z = made.z[early][group.trials, 1, 0]
        shown = made.success[early][group.trials, 0]
        assert (shown == (z >= group.bounds.upper[:, 1])).all()
        assert (z[~shown] <= 0).all()


def test_what_depends_on_the_plan_needs_its_information():
    fault = next(faults_of_adaptations(calendar(efficacy="Pocock")))[1]
    assert "without the share of the information" in str(fault)
    fault = next(faults_of_adaptations(calendar(binding=True)))[1]
    assert "do not bind" in str(fault)
    assert not list(faults_of_adaptations(calendar()))

"""Allocation by who came before: balance beside chance, and nothing else counts."""

from dataclasses import replace

import numpy as np
import pytest

from vtrial.analysis.balance import imbalance
from vtrial.design import allocate
from vtrial.model.tree import Name
from vtrial.protocol.design import Allocation

TRIALS, SUBJECTS = 200, 60
MINIMISED = Allocation(
    (1, 1),
    "minimisation",
    factors=(Name("SEX"), Name("STAGE")),
    options=(("probability", 0.8), ("spread", "range")),
)
METHODS = [
    MINIMISED,
    Allocation((1, 1), "biased coin", options=(("probability", 2 / 3),)),
    Allocation((1, 1), "urn", options=(("add", 1.0), ("begin", 0.0))),
    Allocation((1, 1), "big stick", options=(("most", 3.0),)),
]


@pytest.fixture(scope="module")
def levels():
    draw = np.random.default_rng(3)
    return draw.integers(0, [2, 4], size=(TRIALS, SUBJECTS, 2))


def given(allocation, levels, *, trials=range(TRIALS), subjects=SUBJECTS, strata=None):
    trials = np.array(trials)
    shown = levels[trials, :subjects]
    arm = allocate(
        allocation,
        seed=11,
        replicate=np.repeat(trials, subjects),
        subject=np.tile(np.arange(subjects), len(trials)),
        levels=shown.reshape(-1, 2) if allocation.factors else None,
        strata=strata,
    )
    return arm.reshape(len(trials), subjects)


@pytest.mark.parametrize("method", METHODS, ids=lambda one: one.by)
def test_an_arm_depends_on_the_trial_and_who_came_before(method, levels):
    whole = given(method, levels)
    part = given(method, levels, trials=[7, 3], subjects=21)
    np.testing.assert_array_equal(part, whole[[7, 3], :21])
    assert abs(whole.mean() - 0.5) < 0.02


def test_minimisation_balances_what_chance_does_not(levels):
    """Pocock and Simon 1975: a few subjects apart where chance leaves many."""
    ways = (given(one, levels) for one in (MINIMISED, Allocation((1, 1))))
    (sex, stage), (chance_sex, chance_stage) = (
        [imbalance(arm, levels[:, :, i], (1, 1)) for i in (0, 1)] for arm in ways
    )
    assert sex.mean() < 0.3 * chance_sex.mean()
    assert stage.mean() < 0.4 * chance_stage.mean()
    assert max(sex.max(), stage.max()) < chance_sex.mean() + 2


def test_minimisation_keeps_an_unequal_ratio(levels):
    uneven = replace(MINIMISED, weights=(2, 1))
    arm = given(uneven, levels)
    # Its first arms are tied by weight, which leaves the larger arm short of less than
    # one subject: 0.8 +- 0.04 of 60, 0.9 of 240 in a thousand trials.
    short = 40 - (arm == 0).sum(axis=1).mean()
    assert 0 < short < 1
    plain = given(Allocation((2, 1)), levels)
    ways = [imbalance(one, levels[:, :, 0], (2, 1)).mean() for one in (arm, plain)]
    assert ways[0] < 0.4 * ways[1]


def test_strata_have_a_stick_each(levels):
    stick = Allocation((1, 1), "big stick", strata=("SEX",), options=(("most", 1.0),))
    arm = given(stick, levels, strata=levels[:, :, 0].reshape(-1))
    assert imbalance(arm, levels[:, :, 0], (1, 1)).max() == 1


def test_minimisation_without_levels_is_refused():
    with pytest.raises(ValueError, match="levels"):
        allocate(MINIMISED, seed=1, replicate=np.zeros(3, int), subject=np.arange(3))

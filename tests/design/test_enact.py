"""Enacted trials against arithmetic, exact probabilities, and each other."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from tests.design.sights import Given
from vtrial.design.calendar import Calendar, held_at
from vtrial.design.enact import enact
from vtrial.design.posterior import Belief, best
from vtrial.design.present import assigned
from vtrial.design.trials import Decision, Trials, together
from vtrial.protocol.arrivals import enrolments
from vtrial.protocol.design import Allocation
from vtrial.protocol.enactment import (
    Accrual,
    Adaptation,
    Enactment,
    Look,
    Milestone,
    Stretch,
)

EVEN = Allocation((1, 1), "simple")
DAILY = Accrual((Stretch(0.0, 1.0, 1.0),))


def look(name, counter, number, information=None):
    return Look(name, ((Milestone(counter, float(number)),),), information)


def enacted(design, value, *, trials=None, allocation=EVEN, pairs=None, **given):
    count = len(value) if trials is None else len(trials)
    sight = Given(value, pairs or {"main": (1, 0)}, **given)
    return enact(
        design,
        allocation,
        sight,
        comparisons=list(sight.pairs),
        seed=11,
        trials=np.arange(count) if trials is None else trials,
        subjects=value.shape[1],
    )


def normal(trials, subjects, effects, seed=1):
    draws = np.random.default_rng(seed).normal(size=(trials, subjects, 1))
    return draws + np.asarray(effects, float)


def test_rates_sum_up_to_who_has_come():
    rising = Accrual((Stretch(0.0, 0.0, 2.0), Stretch(100.0, 2.0, 2.0)))
    times = enrolments(rising, seed=1, trials=np.arange(2), subjects=150)
    assert times[0] == pytest.approx(times[1])
    n = np.arange(150) + 0.5
    early = n <= 100
    assert times[0][early] == pytest.approx(np.sqrt(100 * n[early]), rel=1e-12)
    assert times[0][~early] == pytest.approx(100 + (n[~early] - 100) / 2, rel=1e-12)


def test_chance_arrivals_are_a_poisson_process():
    accrual = Accrual((Stretch(5.0, 0.5, 0.5),), "poisson")
    times = enrolments(accrual, seed=3, trials=np.arange(400), subjects=20)
    gaps = np.diff(np.column_stack([np.full(400, 5.0), times]), axis=1)
    assert stats.kstest(gaps.ravel(), "expon", args=(0, 2.0)).pvalue > 0.01
    longer = enrolments(accrual, seed=3, trials=np.array([7]), subjects=30)
    assert (longer[0, :20] == times[7]).all()


def test_the_last_milestone_of_a_set_counts_and_the_first_set():
    enrolled = np.array([[1.0, 2.0, 3.0, 4.0]])
    calendar = Calendar(enrolled, enrolled + 10, np.array([[5.0, np.inf, 20.0, 30.0]]))
    both = Look("a", ((Milestone("known", 2.0), Milestone("events", 2.0)),))
    either = Look("b", ((Milestone("events", 3.0),), (Milestone("hours", 7.0),)))
    never = Look("c", ((Milestone("events", 4.0),),))
    found = [
        float(held_at(one, calendar, np.array([4]))[0]) for one in (both, either, never)
    ]
    assert found == [20.0, 7.0, np.inf]


def test_what_is_not_known_yet_decides_nothing():
    design = Enactment(
        DAILY,
        "y",
        looks=(look("half", "known", 20), look("end", "known", 40)),
        adaptations=(
            Adaptation(
                "stop",
                "posterior probability",
                ("main",),
                (0, 1),
                "higher",
                (("success", 0.9),),
            ),
        ),
        planned=40,
    )
    value = normal(50, 40, [0.0, 1.0])
    before = enacted(design, value, after=5.0)
    changed = value.copy()
    changed[:, 20:] += 100.0  # enrolled after those 20 whom the look knows
    after = enacted(design, changed, after=5.0)
    assert (before.at[:, 0] == 19.5 + 5.0).all()
    assert (before.enrolled[:, 0] == 25).all()
    assert (before.known[:, 0] == 20).all()
    assert (before.z[:, 0] == after.z[:, 0]).all()
    assert (before.decision[:, 0] == after.decision[:, 0]).all()
    early = before.ended == 0
    assert early.any()
    assert (before.size[early] == 25).all()
    assert (before.z[~early, 1] != after.z[~early, 1]).all()


def test_a_trial_is_its_own_whoever_is_enacted_beside_it():
    design = Enactment(
        Accrual((Stretch(0.0, 1.0, 1.0),), "poisson"),
        "y",
        looks=(look("a", "known", 20), look("b", "known", 40), look("c", "known", 60)),
        adaptations=(
            Adaptation(
                "lean", "response adaptive", ("y",), (0, 1), "higher", (("floor", 0.1),)
            ),
        ),
        planned=60,
    )
    value = normal(30, 60, [0.0, 0.4])
    whole = enacted(design, value)
    parts = [
        enacted(design, value[i : i + 10], trials=np.arange(i, i + 10))
        for i in (0, 10, 20)
    ]
    joined = together(parts)
    for part in dataclasses.fields(Trials):
        one, other = getattr(whole, part.name), getattr(joined, part.name)
        assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f"), part.name


def test_the_best_arm_is_as_probable_as_integrals_say():
    mean, sd = np.array([[0.0, 0.3, 0.5]]), np.array([[0.2, 0.3, 0.1]])
    among = np.ones((1, 3), bool)
    found = best(Belief("normal", mean, sd), higher=True, among=among)[0]
    draws = np.random.default_rng(2).normal(mean, sd, (400_000, 3))
    exact = np.bincount(draws.argmax(axis=1), minlength=3) / len(draws)
    assert found == pytest.approx(exact, abs=3 * 0.5 / np.sqrt(len(draws)))
    a, b = np.array([[5.0, 9.0]]), np.array([[10.0, 8.0]])
    found = best(Belief("beta", a, b), higher=True, among=among[:, :2])[0]
    grid = np.linspace(0, 1, 200_001)
    exact = np.trapezoid(stats.beta.pdf(grid, 9, 8) * stats.beta.cdf(grid, 5, 10), grid)
    assert found[1] == pytest.approx(exact, abs=2e-5)
    lower = best(Belief("beta", a, b), higher=False, among=among[:, :2])[0]
    assert lower[0] == pytest.approx(exact, abs=2e-5)


def test_later_subjects_get_arms_with_the_new_probabilities():
    ticket = np.array([[0.05, 0.2, 0.7, 0.95]])
    assert assigned(ticket, np.array([[0.1, 0.8, 0.1]])).tolist() == [[0, 1, 1, 2]]
    design = Enactment(
        DAILY,
        "y",
        looks=(look("a", "known", 100), look("end", "known", 300)),
        adaptations=(
            Adaptation(
                "lean", "response adaptive", ("y",), (0,), "higher", (("floor", 0.05),)
            ),
        ),
        planned=300,
    )
    value = normal(200, 300, [0.0, 1.0, 0.0])
    pairs = {"main": (1, 0)}
    made = enacted(
        design, value, allocation=Allocation((1, 1, 1), "simple"), pairs=pairs
    )
    weights = made.weights[:, 0]
    assert weights.sum(axis=1) == pytest.approx(1.0)
    assert (weights >= 0.05 - 1e-12).all()
    assert (weights[:, 1] > 0.85).mean() > 0.95
    share = (made.allocated[:, 1] - 100 / 3) / 200
    assert share.mean() == pytest.approx(weights[:, 1].mean(), abs=0.01)


def test_arms_are_dropped_but_for_those_to_keep():
    options = (("below", 0.3), ("keep", (0.0,)))
    design = Enactment(
        DAILY,
        "y",
        looks=(look("a", "known", 90), look("end", "known", 180)),
        adaptations=(Adaptation("drop", "drop arms", ("y",), (0,), "higher", options),),
        planned=180,
    )
    value = normal(100, 180, [0.0, 1.0, 0.0])
    pairs = {"one": (1, 0), "two": (2, 0)}
    made = enacted(
        design, value, allocation=Allocation((1, 1, 1), "simple"), pairs=pairs
    )
    weights = made.weights[:, 0]
    assert (weights[:, 0] > 0).all()
    assert (weights[:, 2] == 0).mean() > 0.9
    assert ((weights[:, 2] == 0) == (made.allocated[:, 2] < 45)).mean() > 0.95


@pytest.mark.parametrize("share", [0.5, 0.25])
def test_bayesian_looks_stop_as_often_as_the_normal_law_says(share):
    """With one look and a threshold the chance to stop under no effect is exact."""
    design = Enactment(
        DAILY,
        "y",
        looks=(look("a", "known", 120 * share, share), look("end", "known", 120, 1.0)),
        adaptations=(
            Adaptation(
                "stop",
                "posterior probability",
                ("main",),
                (0,),
                "higher",
                (("success", 0.95),),
            ),
        ),
        planned=120,
    )
    made = enacted(design, normal(2000, 120, [0.0, 0.0]))
    stopped = (made.decision[:, 0, 0] == Decision.SUCCESS).mean()
    assert stopped == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / 2000))


def test_predictive_power_is_the_chance_of_a_significant_end():
    """Against the end drawn from what is believed at the look."""
    design = Enactment(
        DAILY,
        "y",
        looks=(look("a", "known", 100, 0.5), look("end", "known", 200, 1.0)),
        adaptations=(
            Adaptation(
                "stop",
                "predictive power",
                ("main",),
                (0, 1),
                "higher",
                (("futility", 0.2),),
            ),
        ),
        planned=200,
    )
    made = enacted(design, normal(600, 200, [0.0, 0.1]))
    z = made.z[:, 0, 0]
    rng = np.random.default_rng(4)
    ahead = z[:, None] / np.sqrt(0.5) + rng.normal(size=(600, 4000)) * np.sqrt(1.0)
    power = (ahead > 1.959964).mean(axis=1)
    gave_up = made.decision[:, 0, 0] == Decision.FUTILE
    sure = np.abs(power - 0.2) > 0.03
    assert (gave_up == (power < 0.2))[sure].all()

"""Type I errors of every design under no effect, and power where it is exact."""

import numpy as np
import pytest
from scipy import stats

from tests.design.sights import Given
from vtrial.design.enact import enact
from vtrial.design.trials import Decision
from vtrial.protocol.design import Allocation
from vtrial.protocol.enactment import (
    Accrual,
    Adaptation,
    Enactment,
    Look,
    Milestone,
    Stretch,
)

FEW, MANY = 2000, 10_000
SUBJECTS = 120
NULL = (0.0, 0.0)


def look(name, share):
    return Look(name, ((Milestone("known", share, "subjects"),),), share)


LOOKS = (look("a", 1 / 3), look("b", 2 / 3), look("c", 1.0))


def made(adaptation, *, trials, effects=NULL, looks=LOOKS, subjects=SUBJECTS, seed=5):
    design = Enactment(
        Accrual((Stretch(0.0, 1.0, 1.0),)),
        "y",
        looks=looks,
        adaptations=(adaptation,),
        planned=SUBJECTS,
    )
    draws = np.random.default_rng(seed).normal(size=(trials, subjects, 1))
    sight = Given(draws + np.asarray(effects), {"main": (1, 0)})
    return enact(
        design,
        Allocation((1, 1), "permuted block", 2),
        sight,
        comparisons=["main"],
        seed=3,
        trials=np.arange(trials),
        subjects=subjects,
    )


def rule(by, looks=(0, 1, 2), **options):
    given = tuple(sorted((key.replace("_", " "), one) for key, one in options.items()))
    return Adaptation("rule", by, ("main",), looks, "higher", given)


DESIGNS = {
    "O'Brien-Fleming": rule("group sequential", efficacy="O'Brien-Fleming"),
    "Pocock": rule("group sequential", efficacy="Pocock"),
    "Wang-Tsiatis": rule("group sequential", efficacy="Wang-Tsiatis", parameter=0.25),
    "spending": rule("group sequential"),
    "Hwang-Shih-DeCani": rule(
        "group sequential", efficacy="Hwang-Shih-DeCani", parameter=-2.0
    ),
    "two sides": rule("group sequential", sides=2.0, alpha=0.05),
    "binding": rule(
        "group sequential",
        efficacy="O'Brien-Fleming spending",
        futility="Pocock spending",
        binding=True,
    ),
    "sample size": rule("sample size", looks=(1, 2)),
}


@pytest.mark.parametrize("name", DESIGNS)
def test_no_effect_is_shown_as_often_as_alpha_says(name):
    _hold(name, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
def test_no_effect_is_shown_as_often_as_alpha_says_in_many(name):
    _hold(name, MANY)


def _hold(name, trials):
    one = DESIGNS[name]
    found = made(one, trials=trials, subjects=2 * SUBJECTS)
    alpha = one.number("alpha", 0.025)
    bounds = stats.binom.interval(0.9973, trials, alpha)
    assert bounds[0] <= found.success.sum() <= bounds[1]


def test_boundaries_are_crossed_as_often_as_integrals_say():
    """Power by look against the recursion's own integrals, at the trial's drift."""
    from vtrial.design.sequential.boundary import boundaries
    from vtrial.design.sequential.plan import GroupSequential

    effect = 0.5
    found = made(DESIGNS["spending"], trials=FEW, effects=(0.0, effect))
    drift = effect * np.sqrt(SUBJECTS / 4)
    plan = GroupSequential((1 / 3, 2 / 3, 1.0), efficacy="O'Brien-Fleming spending")
    exact = boundaries(plan).rejection(drift)
    seen = (found.decision[:, :, 0] == Decision.SUCCESS).mean(axis=0)
    error = np.sqrt(exact * (1 - exact) / FEW)
    assert (np.abs(seen - exact) <= 3.5 * error + 1e-4).all()
    stopped = np.array([40, 80, 120]) @ np.append(exact[:2], 1 - exact[:2].sum())
    assert found.size.mean() == pytest.approx(stopped, abs=3.5 * 30 / np.sqrt(FEW))


def test_promising_trials_are_enlarged_and_no_others():
    from vtrial.design.sequential.reestimate import promising_zone

    effects = (0.0, 0.35)
    found = made(
        DESIGNS["sample size"], trials=FEW, effects=effects, subjects=2 * SUBJECTS
    )
    zone = promising_zone(found.z[:, 1, 0], 80.0, 120.0, 240.0).zone
    np.testing.assert_array_equal(found.size > SUBJECTS, zone == 1)
    assert found.size.max() <= 2 * SUBJECTS
    plain = made(rule("predictive power", futility=0.0), trials=FEW, effects=effects)
    assert found.success.mean() > plain.success.mean()


def test_selection_keeps_the_error_of_the_family():
    from tests.design.test_enact import enacted, normal

    one = Adaptation(
        "pick", "select arms", ("one", "two"), (0, 1), "higher", (("best", 1.0),)
    )
    design = Enactment(
        Accrual((Stretch(0.0, 1.0, 1.0),)),
        "y",
        looks=(look("a", 0.5), look("b", 1.0)),
        adaptations=(one,),
        planned=180,
    )
    three = Allocation((1, 1, 1), "permuted block", 3)
    pairs = {"one": (1, 0), "two": (2, 0)}
    null = enacted(design, normal(FEW, 180, [0, 0, 0]), allocation=three, pairs=pairs)
    any_ = null.success.any(axis=1).sum()
    low, high = stats.binom.interval(0.9973, FEW, 0.025)
    assert low <= any_ <= high
    assert (null.success.sum(axis=1) <= 1).all()
    better = normal(300, 180, [0.0, 0.9, 0.0])
    found = enacted(design, better, allocation=three, pairs=pairs)
    assert found.success[:, 0].mean() > 0.9
    assert (found.allocated[:, 2] < 35).mean() > 0.9

"""Enacted trials that hear the past or each other, and whose arms come and go."""

import numpy as np
import pytest
from scipy import stats

from tests.design.sights import Given
from vtrial.design.borrowing import (
    beta_mixture,
    exchange,
    probability_beyond,
    with_responses,
)
from vtrial.design.enact import enact
from vtrial.design.informed import prior_of
from vtrial.protocol.borrowing import Borrowing
from vtrial.protocol.design import Allocation
from vtrial.protocol.enactment import (
    Accrual,
    Adaptation,
    Enactment,
    Look,
    Milestone,
    Stretch,
)
from vtrial.protocol.presence import Change, Presence

DAILY = Accrual((Stretch(0.0, 1.0, 1.0),))
END = Look("end", ((Milestone("known", 1.0, "subjects"),),), 1.0)
HALF = Look("half", ((Milestone("known", 0.5, "subjects"),),), 0.5)
AGREES = ((100.0, 30.0), (80.0, 26.0), (60.0, 17.0))


def stops(on=("main",), **options):
    given = tuple(sorted({"success": 0.975, **options}.items()))
    return Adaptation("stop", "posterior probability", on, (0,), "higher", given)


def enacted(design, value, *, allocation=(1, 1), pairs=None, **given):
    sight = Given(value, pairs or {"main": (1, 0)}, **given)
    return enact(
        design,
        Allocation(allocation, "simple"),
        sight,
        comparisons=list(sight.pairs),
        seed=7,
        trials=np.arange(len(value)),
        subjects=value.shape[1],
    )


def responses(trials, subjects, rates, seed=2):
    draws = np.random.default_rng(seed).random((trials, subjects, len(rates)))
    return (draws < np.array(rates)).astype(float)


def past(robust=0.0, events=AGREES, **other):
    compared = (("main", "difference"),)
    given = {"robust": robust, "compared": compared, **other}
    return Borrowing("arm 0", "", "MAP", True, events, **given)


def with_past(*borrowed, planned=60):
    return Enactment(
        planned=planned, looks=(END,), adaptations=(stops(),), borrowed=borrowed
    )


def exact(prior, rates, count=60, share=0.5):
    """Return how often 97.5 % is reached, over all sizes and responses."""
    n = np.arange(count + 1)
    total = 0.0
    flat = beta_mixture((1, 1, 1))
    for m in n:
        r, s = np.meshgrid(np.arange(count - m + 1), np.arange(m + 1), indexing="ij")
        chance = probability_beyond(
            with_responses(flat, r.ravel(), np.full(r.size, count - m)),
            with_responses(prior, s.ravel(), np.full(s.size, m)),
            0.0,
        )
        mass = stats.binom.pmf(r, count - m, rates[1]) * stats.binom.pmf(s, m, rates[0])
        won = chance.reshape(r.shape) >= 0.975
        total += stats.binom.pmf(m, count, share) * (mass * won).sum()
    return total


@pytest.mark.parametrize("rate", [0.3, 0.5])
def test_the_error_is_that_of_all_that_can_happen(rate):
    robust = past(0.2)
    value = responses(400, 30, (rate, rate))
    made = enacted(with_past(robust, planned=30), value, binary=True)
    truth = exact(prior_of(robust).mixture, (rate, rate), 30)
    error = np.sqrt(truth * (1 - truth) / 400)
    # Four errors: a false alarm in 16,000.
    assert made.success.mean() == pytest.approx(truth, abs=4 * error)
    assert (truth < 0.05) == (rate == 0.3)  # a past that misleads costs error


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.2, 0.3, 0.4, 0.5])
def test_the_error_is_that_of_all_that_can_happen_in_10_000_trials(rate):
    robust = past(0.2)
    made = enacted(with_past(robust), responses(10_000, 60, (rate, rate)), binary=True)
    truth = exact(prior_of(robust).mixture, (rate, rate))
    error = np.sqrt(truth * (1 - truth) / 10_000)
    assert made.success.mean() == pytest.approx(truth, abs=4 * error)


def test_a_past_narrows_the_estimate_and_nothing_else_changes():
    value = responses(200, 60, (0.3, 0.5))
    alone = enacted(with_past(past(1.0)), value, binary=True)
    told = enacted(with_past(past()), value, binary=True)
    plain = enacted(with_past(), value, binary=True)
    assert (told.allocated == plain.allocated).all()
    assert told.final_error.mean() < 0.9 * alone.final_error.mean()
    assert alone.final.mean() == pytest.approx(plain.final.mean(), abs=0.02)
    assert told.success.mean() > plain.success.mean()


def test_means_hear_a_past_by_its_errors():
    value = np.random.default_rng(3).normal(size=(300, 40, 2))
    borrowed = Borrowing(
        *("arm 0", "", "power prior", False, ((50.0, 0.0, 1.0),)),
        weight=1.0,
        compared=(("main", "difference"),),
    )
    design = Enactment(
        planned=40, looks=(END,), adaptations=(stops(),), borrowed=(borrowed,)
    )
    made, plain = (
        enacted(design, value),
        enacted(Enactment(planned=40, looks=(END,)), value),
    )
    # 20 of each arm, and 50 (and one of the vague prior) before.
    ratio = np.sqrt((1 / 20 + 1 / 71) / (1 / 10))
    assert made.final_error.mean() / plain.final_error.mean() == pytest.approx(
        ratio, rel=0.05
    )
    assert 0.005 < made.success.mean() < 0.06


def test_subgroups_that_are_alike_are_shown_together():
    value = np.random.default_rng(4).normal(size=(300, 90, 2)) + np.array([0.0, 0.55])
    part = np.arange(90) % 3
    names = [f"part {one}" for one in range(3)]
    given = {
        "pairs": dict.fromkeys(names, (1, 0)),
        "subgroups": {
            name: np.broadcast_to(part == one, (300, 90))
            for one, name in enumerate(names)
        },
    }
    share = {"heterogeneity": 0.2, "spread": 2.0}
    rules = {
        alike: Enactment(
            planned=90,
            looks=(END,),
            adaptations=(stops(tuple(names), alike=alike, **share),),
        )
        for alike in (0.0, 0.8)
    }
    apart, together = (enacted(rule, value, **given) for rule in rules.values())
    assert together.success.mean() > apart.success.mean() + 0.15
    assert together.final_error.mean() < 0.8 * apart.final_error.mean()
    plain = enacted(Enactment(planned=90, looks=(END,)), value, **given)
    made = exchange(plain.final, plain.final_error, alike=0.8, **share)
    assert together.final == pytest.approx(made.mean, rel=1e-12)
    assert (together.success == (made.beyond >= 0.975)).all()


def platform(controls, *, joins, leaves=(), looks=(END,), adaptations=()):
    presence = Presence(joins, leaves, controls)
    return Enactment(
        accrual=DAILY,
        planned=300,
        looks=looks,
        adaptations=adaptations,
        presence=presence,
    )


PAIRS = {"first": (1, 0), "second": (2, 0)}


def test_arms_join_and_leave_by_the_calendar():
    value = np.zeros((50, 300, 3))
    design = platform("all", joins=(Change(2, 100.0),), leaves=(Change(1, 200.0),))
    made = enacted(design, value, allocation=(1, 1, 1), pairs=PAIRS)
    # 100 subjects in two arms, 100 in three, and 100 in two again.
    expected = np.array([50 + 100 / 3 + 50, 50 + 100 / 3, 100 / 3 + 50])
    assert made.allocated.mean(axis=0) == pytest.approx(expected, abs=4)
    assert (made.allocated.sum(axis=1) == 300).all()


def test_an_arm_that_joins_at_a_look_gets_its_share_from_then_on():
    value = np.zeros((50, 300, 3))
    design = platform("all", joins=(Change(2, np.inf, 0),), looks=(HALF, END))
    made = enacted(design, value, allocation=(1, 1, 1), pairs=PAIRS)
    assert made.allocated.mean(axis=0) == pytest.approx([125, 125, 50], abs=4)
    before = enacted(
        platform("all", joins=(Change(2, np.inf, 0),), looks=(HALF, END)),
        value[:3],
        allocation=(1, 1, 1),
        pairs=PAIRS,
    )
    assert (before.allocated == made.allocated[:3]).all()


def test_rules_see_no_arm_that_is_not_there_yet():
    value = np.random.default_rng(6).normal(size=(100, 300, 3)) + np.array([0, -3, 0.0])
    drops = Adaptation("drop", "drop arms", ("",), (0,), "higher", (("below", 0.05),))
    lean = Adaptation(
        "lean", "response adaptive", ("",), (0,), "higher", (("rule", "Thompson"),)
    )
    design = platform(
        "all",
        joins=(Change(2, 150.0),),
        looks=(Look("early", ((Milestone("hours", 60.0),),)), END),
        adaptations=(drops, lean),
    )
    made = enacted(design, value, allocation=(1, 1, 1), pairs=PAIRS)
    assert (made.allocated[:, 1] < 50).all()  # dropped at the look
    assert (made.allocated[:, 2] > 30).all()  # though nothing was known of it then


def test_concurrent_controls_keep_a_drift_out():
    drift = np.linspace(0.0, 3.0, 300)[None, :, None]
    value = np.random.default_rng(8).normal(size=(200, 300, 3)) + drift
    joins = (Change(2, 150.0),)
    found = {
        controls: enacted(
            platform(controls, joins=joins), value, allocation=(1, 1, 1), pairs=PAIRS
        ).final.mean(axis=0)
        for controls in ("concurrent", "all")
    }
    assert found["concurrent"] == pytest.approx([0, 0], abs=0.08)
    assert found["all"][1] > 0.6
    assert found["all"][0] == pytest.approx(0, abs=0.08)

"""Decisions at looks: combination, closed tests, conditional power, estimates."""

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import t as student

from vtrial.design.sequential import (
    GroupSequential,
    boundaries,
    boundaries_at,
    closed_dunnett,
    closed_test,
    conditional_power,
    conditional_rejection,
    crossing,
    dunnett_critical,
    dunnett_p,
    final_estimate,
    fisher_design,
    intersection_p,
    inverse_normal,
    many_arm_bounds,
    predictive_power,
    promising_from,
    promising_zone,
    repeated_interval,
    repeated_p,
    stage_statistics,
    stage_weights,
    stagewise_p,
    trend,
)
from vtrial.errors import ProtocolError

PLAN = GroupSequential((1 / 3, 2 / 3, 1.0))


def _paths(drift, count, seed=11):
    """Return statistics at the looks of simulated trials."""
    steps = np.random.default_rng(seed).normal(drift / 3, np.sqrt(1 / 3), (count, 3))
    return np.cumsum(steps, axis=1) / np.sqrt(np.asarray(PLAN.information))


def test_one_look_is_a_normal_test():
    found = crossing([1.0], [1.96], drift=[0.0, 2.0])
    np.testing.assert_allclose(found.upper[:, 0], ndtr([-1.96, 0.04]), atol=1e-15)


def test_conditional_rejection_and_repeated_p_against_rpact():
    """rpact 4.1.0.9265: one mean, 120 subjects, tests of getAnalysisResults."""
    plan = GroupSequential(
        (0.5, 1.0),
        efficacy="Wang-Tsiatis",
        efficacy_parameter=0.4,
        futility="z",
        futility_parameter=(0.0,),
    )
    z = -ndtri(student.sf(0.2 / 1.3 * np.sqrt(120), 119))
    bounds = boundaries(plan)
    assert conditional_rejection(z, 0, bounds) == pytest.approx(0.094509305, abs=1e-8)
    assert repeated_p(z, 0, plan) == pytest.approx(0.085336561, abs=1e-6)


def test_conditional_power_is_what_simulated_trials_reach():
    bounds, count = boundaries(PLAN), 200_000
    z = _paths(0.0, count)[:, 1:]
    z = (z * np.sqrt([2 / 3, 1]) - (z[:, :1] * np.sqrt(2 / 3))) + 1.0
    late = z[:, 1] >= bounds.upper[2]  # score 1 at the second look, no drift
    made = conditional_power(1 / np.sqrt(2 / 3), 1, bounds, 0.0)
    assert abs(late.mean() - made) < 4 * np.sqrt(made / count)


def test_predictive_power_averages_conditional_power():
    bounds = boundaries(PLAN)
    z = np.array([0.5, 1.5])
    sharp = predictive_power(z, 0, bounds, prior_mean=2.0, prior_sd=1e-4)
    np.testing.assert_allclose(sharp, conditional_power(z, 0, bounds, 2.0), atol=1e-6)
    many = np.linspace(-2, 4, 301)
    np.testing.assert_allclose(
        predictive_power(many, 0, bounds)[::100],
        predictive_power(many[::100], 0, bounds),
        atol=1e-10,
    )


def test_stagewise_p_is_uniform_and_estimate_median_unbiased():
    bounds, count, drift = boundaries(PLAN), 20_000, 1.5
    z = _paths(drift, count)
    over = z >= bounds.upper
    look = np.where(over.any(axis=1), over.argmax(axis=1), 2)
    last = np.take_along_axis(z, look[:, None], axis=1)[:, 0]
    error = 4 * 0.5 / np.sqrt(count)
    p = stagewise_p(last, look, bounds, drift)
    assert abs((p < 0.5).mean() - 0.5) < error
    middle, low, high = final_estimate(last, look, bounds, level=0.5)
    assert abs((middle < drift).mean() - 0.5) < error
    assert abs(((low < drift) & (drift < high)).mean() - 0.5) < error


def test_repeated_interval_excludes_where_the_look_rejects():
    bounds = boundaries(PLAN)
    low, _ = repeated_interval(bounds.upper[1], 1, bounds)
    assert low == pytest.approx(0.0, abs=1e-12)
    many = np.linspace(0.5, 3.5, 12)
    few = [float(repeated_p(z, 1, PLAN)) for z in many[::6]]
    np.testing.assert_allclose(repeated_p(many, 1, PLAN)[::6], few, atol=1e-6)


def test_bounds_at_planned_information_are_those_planned():
    for word, parameter in (("O'Brien-Fleming spending", None), ("Pocock", None)):
        plan = GroupSequential(
            (0.3, 0.7, 1.0), efficacy=word, efficacy_parameter=parameter
        )
        seen = np.tile(plan.information, (4, 1))
        found = boundaries_at(plan, seen)
        for upper in found.upper:
            np.testing.assert_allclose(upper, boundaries(plan).upper, atol=1e-8)


def test_looks_at_other_information_keep_alpha():
    plan = GroupSequential((0.3, 0.7, 1.0), efficacy="Pocock spending")
    seen = np.array([[0.4, 0.65, 1.1], [0.2, 0.8, 0.9]])
    found = boundaries_at(plan, seen)
    np.testing.assert_allclose(found.alpha_spent[:, -1], 0.025, atol=1e-9)


def test_fisher_design_of_rpact():
    """rpact 4.1.0.9265, getDesignFisher()."""
    found = fisher_design(3)
    np.testing.assert_allclose(
        found.critical, [0.012308547, 0.0016635923, 0.00029106687], atol=5e-10
    )
    np.testing.assert_allclose(
        found.alpha_spent, [0.012308547, 0.01962413, 0.025], atol=5e-9
    )


def test_fisher_of_bauer_and_koehne():
    """Bauer and Köhne 1994: alpha 0.025, stop at 0.5, first bound 0.0102."""
    found = fisher_design(2, futility=(0.5,), full=True)
    np.testing.assert_allclose(found.critical.round(4), [0.0102, 0.0038])


def test_stages_combine_to_the_looks():
    z = _paths(1.0, 50)
    weights = stage_weights(PLAN.information)
    again = inverse_normal(stage_statistics(z, PLAN.information), weights)
    np.testing.assert_allclose(again, z, atol=1e-12)


@pytest.mark.parametrize(
    ("arms", "sides", "critical"),
    [(2, 1, 1.92), (3, 1, 2.06), (2, 2, 2.21), (5, 2, 2.51)],
)
def test_dunnett_critical_values(arms, sides, critical):
    """Dunnett 1955 and 1964, 5 %, infinite degrees of freedom."""
    assert round(dunnett_critical(0.05, arms, sides=sides), 2) == critical


@pytest.mark.parametrize("test", ["Dunnett", "Bonferroni", "Simes", "Sidak"])
def test_intersections_of_one_arm_are_the_arm(test):
    z = np.array([[1.2, np.nan, 0.3], [np.nan, np.nan, 2.0]])
    p = intersection_p(z, [True, True, False], test=test)
    np.testing.assert_allclose(p, [ndtr(-1.2), 1.0], atol=1e-12)


def test_dunnett_of_one_arm_is_a_normal_test():
    np.testing.assert_allclose(dunnett_p([0.0, 1.96], 1), ndtr([0, -1.96]), atol=1e-13)


@pytest.mark.parametrize(
    "test", ["Dunnett", "Bonferroni", "Simes", "Sidak", "hierarchical"]
)
def test_closed_tests_keep_the_family_wise_error(test):
    """Choose the best of three arms without effect; false alarm rate 3e-5."""
    rng, count = np.random.default_rng(7), 20_000
    control = rng.normal(size=(count, 2, 1))
    z = (rng.normal(size=(count, 2, 3)) - control) / np.sqrt(2)
    best = z[:, 0].argmax(axis=1)
    z[:, 1] = np.where(np.arange(3) == best[:, None], z[:, 1], np.nan)
    if test == "Dunnett":
        rejected = closed_dunnett(z[:, 0], z[:, 1])
    else:
        rejected = closed_test(z, [np.inf, 1.959964], test=test)[:, -1]
    assert rejected.any(axis=1).mean() < 0.025 + 4 * np.sqrt(0.025 / count)
    assert not rejected[np.isnan(z[:, 1])].any()


def test_bounds_of_many_arms_are_those_of_one():
    plan = GroupSequential((0.5, 1.0), efficacy="Pocock")
    found = many_arm_bounds([0.5, 1.0], 1, delta=0.5)
    np.testing.assert_allclose(found, boundaries(plan).upper, atol=1e-6)


def test_promising_zone_of_mehta_and_pocock():
    """Mehta and Pocock 2011, table 1: least promising conditional powers."""
    assert round(promising_from(0.5, 1.0, 1.5, power=0.8), 2) == 0.41
    assert round(promising_from(0.5, 1.0, 2.0, power=0.9), 2) == 0.36
    found = promising_zone(np.linspace(-1, 3, 9), 208, 442, 884, power=0.8)
    grown = found.size > 442
    assert grown.any()
    assert (found.zone[grown] == 1).all()


def test_trend_is_the_drift_of_the_data():
    assert trend(1.0, 1, boundaries(PLAN)) == pytest.approx(np.sqrt(1.5))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"information": (0.5, 0.4)}, "rising"),
        ({"information": (0.5, 1.2)}, "at most 1"),
        ({"information": (0.5, 1.0), "efficacy": "Pockock"}, "Pocock"),
        ({"information": (0.5, 1.0), "alpha": 1.5}, "between 0 and 1"),
        ({"information": (0.5, 1.0), "efficacy": "Wang-Tsiatis"}, "delta"),
        ({"information": (0.5, 1.0), "futility": "triangular"}, "both bounds"),
    ],
)
def test_plans_that_cannot_be_are_refused(given, words):
    with pytest.raises(ProtocolError, match=words):
        GroupSequential(**given)

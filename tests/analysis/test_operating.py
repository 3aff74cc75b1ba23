"""What a design is worth, where it is known."""

from dataclasses import replace

import numpy as np
import pytest

from tests.altered import altered
from vtrial.analysis.evaluate import evaluate
from vtrial.analysis.multiplicity import adjust
from vtrial.analysis.operating import power_of, told_of
from vtrial.model.model import Parameter
from vtrial.protocol.analysis import Comparison, Multiplicity

MEANS = Comparison("means", "high", "low", "peak", "difference of means")


def measure(estimates, comparison, name):
    table = estimates.operating.set_index(["comparison", "measure"])
    row = table.loc[(comparison, name)]
    return float(row["value"]), float(row["mc_error"])


@pytest.fixture(scope="module")
def many(made_up):
    make_protocol, make_tree = made_up
    protocol = make_protocol(
        replicates=600,
        uncertainty=False,
        comparisons=(
            Comparison("means", "high", "low", "peak", "difference of means"),
            Comparison("risk", "high", "low", "cured", "risk difference"),
            Comparison("hazard", "high", "low", "relief", "hazard ratio"),
        ),
        published=(),
        multiplicity=Multiplicity("Holm", ("means", "risk"), 0.05),
    )
    return protocol, evaluate(make_tree(protocol, trajectories=False), protocol)


def test_an_honest_design_has_no_bias_and_covers(many):
    _, estimates = many
    for name in ("means", "risk"):
        bias, error = measure(estimates, name, "bias")
        assert abs(bias) < 3.5 * error
        coverage, error = measure(estimates, name, "coverage")
        assert abs(coverage - 0.95) < 3.5 * max(error, 0.009)


def test_power_size_and_spread_are_those_of_the_trials(many):
    protocol, estimates = many
    contrasts = estimates.contrasts.set_index("comparison")
    for name in ("means", "risk", "hazard"):
        power, error = measure(estimates, name, "power")
        assert power == contrasts.loc[name, "power"]
        assert error == pytest.approx(np.sqrt(power * (1 - power) / 600))
        size, _ = measure(estimates, name, "expected size")
        assert 59 < size <= protocol.subjects
        whole, _ = measure(estimates, name, "standard deviation of one trial")
        parted = estimates.operating["measure"].str.contains("by parameters")
        assert not parted.any(), "parameters were not drawn anew"
    mc = contrasts.loc["means", "mc_error"]
    whole, _ = measure(estimates, "means", "standard deviation of one trial")
    assert mc == pytest.approx(whole / np.sqrt(600))


def test_common_numbers_buy_precision(many):
    """Of a peak, half of whose variance is the person's; cured is by luck alone."""
    gain, error = measure(many[1], "means", "precision by common numbers")
    assert gain > 1 + 3 * error


def uncertain(protocol):
    """Give a protocol's model a parameter that is not known for certain."""
    drawn = replace(protocol.model, parameters=(Parameter("CL", 1.0, error=0.1),))
    return replace(protocol, model=drawn)


def test_parameters_that_are_known_are_drawn_anew_by_nobody(made_up):
    """A model without uncertainty: `uncertainty: true` parts no variance."""
    make_protocol, make_tree = made_up
    protocol = make_protocol(replicates=40, uncertainty=True, published=())
    assert not protocol.uncertain
    assert uncertain(protocol).uncertain
    assert not replace(uncertain(protocol), uncertainty=False).uncertain
    estimates = evaluate(make_tree(protocol, trajectories=False), protocol)
    assert not estimates.operating["measure"].str.contains("by parameters").any()


def test_three_of_three_trials_are_no_certainty():
    """Wilson's interval of 3 of 3: from 3 / (3 + 1.96²) to 1."""
    made = power_of(
        Comparison("c", "a", "b", "x", "risk difference"), np.array([0.01] * 3)
    )
    assert made.value == 1.0
    assert made.low == pytest.approx(3 / (3 + 1.959964**2), rel=1e-6)
    assert made.high == 1.0
    assert made.mc_error == pytest.approx((1 - made.low) / (2 * 1.959964), rel=1e-6)
    none = power_of(Comparison("c", "a", "b", "x", "risk difference"), np.zeros(0))
    assert np.isnan(none.value)
    assert none.trials == 0


def test_coverage_is_of_trials_that_have_an_interval(made_up):
    """Two subjects an arm and trial: Student's limits need three and more."""
    make_protocol, make_tree = made_up
    protocol = make_protocol(
        subjects=2,
        replicates=60,
        comparisons=(
            Comparison("means", "high", "low", "peak", "difference of means"),
        ),
        published=(),
    )
    tree = make_tree(protocol, failed=(), missing=(), trajectories=False)
    table = evaluate(tree, protocol).operating.set_index("measure")
    assert np.isnan(table.loc["coverage", "value"])
    assert table.loc["coverage", "trials"] == 0
    assert table.loc["bias", "trials"] == 60
    assert np.isnan(table.loc["power", "value"])


def test_the_spread_of_parameters_is_told_from_chance(made_up):
    make_protocol, make_tree = made_up
    protocol = make_protocol(
        replicates=300,
        uncertainty=True,
        comparisons=(
            Comparison("means", "high", "low", "peak", "difference of means"),
        ),
        published=(),
    )
    protocol = uncertain(protocol)
    tree = make_tree(protocol, trajectories=False)
    shift = np.random.default_rng(3).normal(0, 0.5, 300).repeat(60)
    tree["arms/high/outcomes/outcome"].values[:, 0] += shift
    estimates = evaluate(tree, protocol)
    spread, error = measure(estimates, "means", "standard deviation by parameters")
    assert abs(spread - 0.5) < 4 * error
    whole, _ = measure(estimates, "means", "standard deviation of one trial")
    chance, _ = measure(estimates, "means", "standard deviation by chance")
    assert np.hypot(spread, chance) == pytest.approx(whole)
    coverage, error = measure(estimates, "means", "coverage")
    assert coverage > 0.93


def test_a_family_is_adjusted_in_every_trial(many):
    _, estimates = many
    names = set(estimates.operating["measure"])
    assert "power, Holm" in names
    alone = [measure(estimates, name, "power")[0] for name in ("means", "risk")]
    family = [measure(estimates, name, "power, Holm")[0] for name in ("means", "risk")]
    assert all(a >= b for a, b in zip(alone, family, strict=True))
    any_, _ = measure(estimates, "any of the family", "power, Holm")
    all_, _ = measure(estimates, "all of the family", "power, Holm")
    assert all_ <= min(family) <= max(family) <= any_
    assert adjust("Holm", np.array([[0.01, 0.04]])).tolist() == [[0.02, 0.04]]


def test_one_sided_tests_count_twice_in_a_family(many, made_up):
    make_protocol, make_tree = made_up
    protocol, _ = many
    above = Comparison("more", "high", "low", "peak", "difference of means", above=0.0)
    asked = altered(
        protocol,
        replicates=100,
        comparisons=(*protocol.analysis.comparisons[:1], above),
        multiplicity=Multiplicity("Bonferroni", ("means", "more"), 0.05),
    )
    estimates = evaluate(make_tree(asked, trajectories=False), asked)
    both = [measure(estimates, n, "power, Bonferroni")[0] for n in ("means", "more")]
    assert both[0] == both[1]


def test_the_estimate_converges_to_itself(many):
    _, estimates = many
    contrasts = estimates.contrasts.set_index("comparison")
    for name in ("means", "hazard"):
        way = estimates.convergence.query("comparison == @name")
        assert way["replicates"].is_monotonic_increasing
        last = way.iloc[-1]
        assert last["replicates"] == 600
        assert last["estimate"] == pytest.approx(contrasts.loc[name, "estimate"])
        assert last["mc_error"] == pytest.approx(contrasts.loc[name, "mc_error"])


def test_one_trial_has_no_operating_characteristics(made_up):
    make_protocol, make_tree = made_up
    protocol = make_protocol(replicates=1, published=())
    estimates = evaluate(make_tree(protocol, failed=(), missing=()), protocol)
    assert estimates.operating.empty
    assert estimates.convergence.empty
    assert not estimates.curves.empty


def test_what_a_comparison_says_beside_its_effect(many):
    """A shape that not every trial shows, and a dose that not every trial finds."""
    protocol, _ = many
    found = {
        (0, "chosen: emax"): np.array([1.0, 0.0, 1.0, 0.0]),
        (0, "target dose"): np.array([10.0, np.nan, 30.0, np.nan]),
    }
    made = told_of(protocol, found).set_index("measure")
    assert list(made["value"]) == [0.5, 0.5, 20.0]
    assert list(made.index) == ["chosen: emax", "target dose found", "target dose"]
    assert made.loc["target dose", "low"] == pytest.approx(11.0)
    assert made.loc["target dose", "trials"] == 2

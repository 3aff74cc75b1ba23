"""What a design is worth, where it is known."""

from dataclasses import replace

import numpy as np
import pytest

from vtrial.analysis.evaluate import evaluate
from vtrial.analysis.multiplicity import adjust
from vtrial.protocol.protocol import Comparison, Multiplicity


def measure(estimates, comparison, name):
    table = estimates.operating.set_index(["comparison", "measure"])
    return tuple(float(x) for x in table.loc[(comparison, name)])


@pytest.fixture(scope="module")
def many(made_up):
    make_protocol, make_tree = made_up
    protocol = make_protocol(
        replicates=600,
        uncertainty=False,
        analysis=(
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
        if name != "hazard":
            parts = [
                measure(estimates, name, f"standard deviation by {part}")[0]
                for part in ("parameters", "chance")
            ]
            assert parts[0] == 0, "parameters were not drawn anew"
            assert np.hypot(*parts) == pytest.approx(whole)
    mc = contrasts.loc["means", "mc_error"]
    whole, _ = measure(estimates, "means", "standard deviation of one trial")
    assert mc == pytest.approx(whole / np.sqrt(600))


def test_common_numbers_buy_precision(many):
    """Of a peak, half of whose variance is the person's; cured is by luck alone."""
    gain, error = measure(many[1], "means", "precision by common numbers")
    assert gain > 1 + 3 * error


def test_the_spread_of_parameters_is_told_from_chance(made_up):
    make_protocol, make_tree = made_up
    protocol = make_protocol(
        replicates=300,
        uncertainty=True,
        analysis=(Comparison("means", "high", "low", "peak", "difference of means"),),
        published=(),
    )
    tree = make_tree(protocol, trajectories=False)
    shift = np.random.default_rng(3).normal(0, 0.5, 300).repeat(60)
    tree["arms/high/outcomes/outcome"].values[:, 0] += shift
    estimates = evaluate(tree, protocol)
    spread, error = measure(estimates, "means", "standard deviation by parameters")
    assert abs(spread - 0.5) < 4 * error
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
    asked = replace(
        protocol,
        replicates=100,
        analysis=(*protocol.analysis[:1], above),
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

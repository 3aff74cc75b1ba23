"""Who is left out of an estimate, why, and what it would be whatever they had been."""

from dataclasses import replace

import numpy as np
import pytest

from tests.altered import altered
from vtrial.analysis.evaluate import evaluate
from vtrial.analysis.lost import share_bounds
from vtrial.model.grammar import parse_expression
from vtrial.protocol.analysis import Comparison


def row(frame, **where):
    for name, value in where.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def test_a_share_if_none_and_if_all_of_the_failed_had_responded():
    value = np.array([[1.0, 1.0, 0.0, np.nan, np.nan, np.nan]])
    failed = np.array([[False, False, False, True, True, False]])
    least, most = share_bounds(value, failed)
    assert (least[0], most[0]) == (2 / 5, 4 / 5)


@pytest.fixture(scope="module")
def one(made_up):
    """One trial of 60, of whom 9 in `high` and one in `low` failed."""
    make_protocol, make_tree = made_up
    protocol = make_protocol(replicates=1, potential="allocated")
    arm = make_tree(protocol, failed=())["subjects"]["arm"].values
    failed = [*np.flatnonzero(arm == 1)[:9], np.flatnonzero(arm == 0)[3]]
    missing = (int(np.flatnonzero(arm == 1)[20]),)
    tree = make_tree(protocol, failed=failed, missing=missing)
    return tree, protocol


def test_every_estimate_says_whom_it_leaves_out_and_what_they_could_change(one):
    tree, protocol = one
    table = evaluate(tree, protocol).endpoints
    for arm, failed in (("low", 1), ("high", 9)):
        cured = row(table, arm=arm, endpoint="cured")
        assert (cured["n"], cured["failed"]) == (30 - failed, failed)
        events = round(cured["estimate"] * cured["n"])
        assert cured["least"] == pytest.approx(events / 30)
        assert cured["most"] == pytest.approx((events + failed) / 30)
    peak = row(table, arm="high", endpoint="peak", statistic="mean")
    assert (peak["n"], peak["missing"], peak["failed"]) == (20, 1, 9)
    assert np.isnan(peak["least"])


def test_effects_have_bounds_and_count_both_arms(one):
    tree, protocol = one
    estimates = evaluate(tree, protocol)
    risk = row(estimates.contrasts, comparison="risk")
    assert (risk["failed"], risk["reference_failed"]) == (9, 1)
    assert (risk["n"], risk["reference_n"]) == (21, 29)
    shares = {
        arm: row(estimates.endpoints, arm=arm, endpoint="cured")
        for arm in ("low", "high")
    }
    least = shares["high"]["least"] - shares["low"]["most"]
    most = shares["high"]["most"] - shares["low"]["least"]
    assert risk["least"] == pytest.approx(least)
    assert risk["most"] == pytest.approx(most)
    assert risk["least"] < risk["estimate"] < risk["most"]
    means = row(estimates.contrasts, comparison="means")
    assert (means["n"], means["missing"], means["failed"]) == (20, 1, 9)
    assert np.isnan(means["least"])


def test_bounds_are_none_where_nobody_failed(made_up):
    make_protocol, make_tree = made_up
    protocol = make_protocol(potential="allocated")
    estimates = evaluate(make_tree(protocol, failed=(), missing=()), protocol)
    assert estimates.endpoints["least"].isna().all()
    assert estimates.contrasts["most"].isna().all()
    assert not len(estimates.missing)


def test_a_missing_number_is_told_with_its_reason_and_never_as_a_failure(one):
    tree, protocol = one
    estimates = evaluate(tree, protocol)
    (found,) = estimates.missing.to_dict("records")
    assert found == {
        "arm": "high",
        "endpoint": "peak",
        "reason": "no terminal slope",
        "count": 1,
    }
    assert estimates.failures["count"].sum() == 10


def test_a_record_without_reasons_is_read_and_says_so(one):
    """Versions before there were reasons left records without them."""
    tree, protocol = one
    old = tree.copy()
    for arm in ("low", "high"):
        outcomes = old[f"arms/{arm}/outcomes"]
        outcomes.dataset = outcomes.to_dataset().drop_vars("reason")
    (found,) = evaluate(old, protocol).missing.to_dict("records")
    assert (found["reason"], found["count"]) == ("no reason kept", 1)


def test_all_subjects_under_an_arm_are_told_beside_those_allocated_to_it(made_up):
    """With `potential: all` the arm's own subjects are half of those simulated."""
    make_protocol, make_tree = made_up
    protocol = make_protocol()
    tree = make_tree(protocol, failed=(), missing=())
    estimates = evaluate(tree, protocol)
    everybody = tree["arms/high/outcomes"]["outcome"].values[:, 1]
    cured = row(estimates.endpoints, arm="high", endpoint="cured")
    assert cured["n"] == 1200
    assert cured["truth"] == pytest.approx(everybody.mean())
    assert cured["truth_error"] < cured["mc_error"]
    flow = row(estimates.flow, arm="high")
    assert (flow["simulated"], flow["others"]) == (1200, 1200)
    own = replace(protocol, potential="allocated")
    table = evaluate(make_tree(own, failed=()), own).endpoints
    assert table["truth"].isna().all()


def test_a_condition_chooses_whom_a_comparison_leaves_out(one):
    tree, protocol = one
    asked = Comparison(
        *("heavy", "high", "low", "cured", "risk difference"),
        where=parse_expression("WT > 70"),
    )
    found = evaluate(tree, altered(protocol, comparisons=(asked,))).contrasts.iloc[0]
    subjects = tree["subjects"].to_dataset()
    heavy = subjects["WT"].values > 70
    for key, place in (("failed", 1), ("reference_failed", 0)):
        arm = subjects["arm"].values == place
        status = tree[f"arms/{('low', 'high')[place]}/status"].values
        assert found[key] == (heavy & arm & (status > 0)).sum()

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.altered import altered
from vtrial.analysis import reading
from vtrial.analysis.evaluate import evaluate
from vtrial.endpoint.endpoint import Endpoint
from vtrial.errors import ProtocolError, StoreError
from vtrial.measure.contrast import compare
from vtrial.model.grammar import parse_expression
from vtrial.protocol.analysis import Comparison
from vtrial.protocol.evidence import Observed, Published
from vtrial.protocol.protocol import Arm, Visit

EFFECT, RISKS = 1.5, {"low": 0.2, "high": 0.4}  # as the record was drawn


@pytest.fixture(scope="module")
def estimates(tree, protocol):
    return evaluate(tree, protocol)


def row(frame, **where):
    for name, value in where.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def near(value, expected, error):
    """Hold a number within 4.5 Monte Carlo errors: a false alarm in 150,000."""
    assert abs(value - expected) < 4.5 * error


def test_endpoints_are_near_the_truth_they_were_drawn_from(estimates):
    for arm, factor in (("low", 1.0), ("high", EFFECT)):
        peak = row(
            estimates.endpoints, arm=arm, endpoint="peak", statistic="geometric mean"
        )
        near(peak["estimate"], 3 * factor, peak["mc_error"])
        assert peak["unit"] == "mg/L"
        cured = row(estimates.endpoints, arm=arm, endpoint="cured")
        near(cured["estimate"], RISKS[arm], cured["mc_error"])
        assert cured["unit"] == "1"
        assert cured["low"] < cured["estimate"] < cured["high"]
        assert cured["interval"] == "between trials"
        relief = row(
            estimates.endpoints, arm=arm, endpoint="relief", statistic="median"
        )
        near(relief["estimate"], 10 / factor * np.log(2), relief["mc_error"] + 0.1)


def test_estimate_is_the_mean_of_the_trials_and_error_their_spread(
    tree, protocol, estimates
):
    peak = tree["arms/low/outcomes"]["outcome"].values[:, 0]
    own = np.where(tree["subjects"]["arm"].values == 0, peak, np.nan)
    trials = np.nanmean(own.reshape(40, 60), axis=1)
    got = row(estimates.endpoints, arm="low", endpoint="peak", statistic="mean")
    assert got["estimate"] == pytest.approx(trials.mean())
    assert got["mc_error"] == pytest.approx(trials.std(ddof=1) / np.sqrt(40))
    assert got["replicates"] == 40


def test_nobody_is_dropped_in_silence(tree, protocol, estimates):
    arm = tree["subjects"]["arm"].values
    for place, name in enumerate(("low", "high")):
        flow = row(estimates.flow, arm=name)
        failed = int((arm[[5, 77]] == place).sum())
        assert flow["allocated"] == (arm == place).sum()
        assert flow["screened"] == 2 * flow["allocated"]
        assert flow["failed"] == failed
        assert flow["simulated"] + flow["failed"] == flow["allocated"]
        peak = row(estimates.endpoints, arm=name, endpoint="peak", statistic="mean")
        assert peak["n"] + peak["missing"] + peak["failed"] == flow["allocated"]
        assert peak["missing"] == (arm[9] == place)
    assert estimates.failures["count"].tolist() == [2, 2]
    assert set(estimates.failures["status"]) == {"solution not finite"}


def test_contrasts_agree_with_the_same_trials_one_by_one(tree, protocol, estimates):
    arm = tree["subjects"]["arm"].values.reshape(40, 60)
    both = [
        tree[f"arms/{name}/outcomes"]["outcome"].values[:, 0].reshape(40, 60)
        for name in ("low", "high")
    ]
    own = np.where(arm == 1, both[1], both[0])
    base = tree["arms/low/outcomes"]["baseline"].values[:, 0].reshape(40, 60)
    weight = tree["subjects"]["WT"].values.reshape(40, 60)
    made = compare(
        "difference of means",
        own,
        arm == 1,
        covariates=np.stack([base, weight], axis=2),
    )
    means = row(estimates.contrasts, comparison="means")
    assert means["estimate"] == pytest.approx(made.estimate.mean())
    assert means["ci_low"] == pytest.approx(made.low.mean())
    assert means["power"] == pytest.approx((made.p < 0.05).mean())
    assert means["adjust"] == "baseline, WT"
    ratio = row(estimates.contrasts, comparison="ratio")
    near(ratio["estimate"], EFFECT, ratio["mc_error"])


def test_truth_is_paired_and_sharper(estimates):
    ratio = row(estimates.contrasts, comparison="ratio")
    near(ratio["truth"], EFFECT, ratio["truth_error"])
    assert ratio["truth_error"] < ratio["mc_error"]
    risk = row(estimates.contrasts, comparison="risk")
    near(risk["truth"], 0.2, risk["truth_error"])


def test_published_within_and_missed(estimates):
    table = estimates.published
    assert table["within"].tolist() == [True, False, True, True]
    assert table["verified"].tolist() == [True, False, True, True]
    assert table["kind"].tolist() == ["share", "share", "points", "plain"]
    assert table["source"].tolist()[2:] == ["Us 2001", "Them; doi:10.1/x; Table 2"]
    words = estimates.published_words()
    assert words["within"].tolist() == ["yes", "MISS", "yes", "yes"]
    assert words["published"].tolist() == ["40.0 %", "90.0 %", "20.0 pp", "3 mg/L"]
    assert words["counts as within"].iloc[0] == "35.0 % to 45.0 %"
    assert words["source"].iloc[1] == "(unverified)"
    assert words["mc error"].str.fullmatch(r"[\d.]{1,5} (%|pp|mg/L)").iloc[:3].all()


def test_a_miss_is_beyond_the_limits_by_more_than_chance(tree, protocol):
    cured = altered(protocol, published=())
    found = row(evaluate(tree, cured).endpoints, arm="high", endpoint="cured")
    value, error = found["estimate"], found["mc_error"]
    half = 2.022691 * error  # Student's t of 40 trials
    asked = [
        Published(0.1, 0.0, top, "cured", "high")
        for top in (value + 1e-9, value - 0.9 * half, value - 1.1 * half)
    ]
    estimates = evaluate(tree, altered(protocol, published=tuple(asked)))
    table = estimates.published
    assert table["verdict"].tolist() == ["within", "undecided", "MISS"]
    assert table["within"].tolist() == [True, False, False]
    assert table["mc_low"].to_numpy() == pytest.approx(value - half, rel=1e-6)
    assert table["mc_high"].to_numpy() == pytest.approx(value + half, rel=1e-6)
    words = estimates.published_words()
    assert words["within"].tolist() == ["yes", "undecided", "MISS"]


@pytest.mark.parametrize("one", [1.0, -1.0])
def test_intervals_of_what_is_never_negative_end_at_0(made_up, one):
    """Trials of peaks that differ 1,000-fold, and one value that may be below 0."""
    make_protocol, make_tree = made_up
    protocol = make_protocol(replicates=4, published=(), comparisons=())
    tree = make_tree(protocol, failed=(), missing=())
    outcome = tree["arms/high/outcomes"]["outcome"].values
    outcome[:, 0] = np.repeat([1.0, 10.0, 100.0, 1000.0], 60)
    outcome[np.flatnonzero(tree["subjects"]["arm"].values == 1)[0], 0] *= one
    table = evaluate(tree, protocol).endpoints
    mean = row(table, arm="high", endpoint="peak", statistic="mean")
    assert (mean["low"] == 0) == (one > 0)
    assert mean["low"] <= 0


def test_differences_of_percentages_are_in_points(tree, protocol):
    points = (replace(protocol.endpoints[0], unit="%"), *protocol.endpoints[1:])
    asked = altered(
        protocol,
        endpoints=points,
        published=(Published(1.5, 1.0, 2.0, comparison="means"),),
    )
    estimates = evaluate(tree, asked)
    assert row(estimates.contrasts, comparison="means")["unit"] == "pp"
    assert row(estimates.contrasts, comparison="ratio")["unit"] == "1"
    assert set(estimates.endpoints.query("endpoint == 'peak'")["unit"]) == {"%"}
    assert estimates.published_words()["simulated"].str.endswith(" pp").all()


def test_published_numbers_may_be_of_a_part_of_an_arm(tree, protocol):
    """They are those that the arm's own subjects have whom the condition chooses."""
    heavy = parse_expression("WT > 75")
    asked = (
        Published(0.4, 0.3, 0.5, "cured", "high", where=heavy),
        Published(8.0, 5.0, 9.0, "relief", "low", statistic="median", where=heavy),
        Published(3.0, 2.9, 3.1, "peak", "low", statistic="median", where=heavy),
        Published(3.0, 2.9, 3.1, "peak", "low", statistic="median"),
    )
    estimates = evaluate(tree, altered(protocol, published=asked))
    share, relief, peak, whole = estimates.published.to_dict("records")
    subjects = tree["subjects"].to_dataset()
    chosen = (subjects["WT"].values > 75).reshape(40, 60)
    arm = subjects["arm"].values.reshape(40, 60)
    for found, name, column, place in ((share, "high", 1, 1), (peak, "low", 0, 0)):
        outcome = tree[f"arms/{name}/outcomes/outcome"].values[:, column]
        outcome = np.where(chosen & (arm == place), outcome.reshape(40, 60), np.nan)
        take = np.nanmean if column else np.nanmedian
        by_trial = [take(one) for one in outcome]
        assert found["simulated"] == pytest.approx(np.mean(by_trial))
        wanted = np.std(by_trial, ddof=1) / np.sqrt(40)
        assert found["mc_error"] == pytest.approx(wanted)
        assert found["where"] == "WT > 75"
    assert share["kind"] == "share"
    assert abs(relief["simulated"] - 10 * np.log(2)) < 4 * relief["mc_error"]
    assert peak["what"] == "peak (median), low, where WT > 75"
    assert (whole["where"], whole["what"]) == ("", "peak (median), low")
    assert whole["mc_error"] < peak["mc_error"]


def test_bands_and_distributions(tree, protocol, estimates):
    values = tree["arms/high/trajectories"]["value"].values[:, 0, 1]
    got = estimates.bands.query("arm == 'high' and time == 1.0")
    np.testing.assert_allclose(
        got["value"], np.quantile(values, got["quantile"]), rtol=0.01
    )
    assert set(estimates.bands["unit"]) == {"mg/L"}
    peaks = estimates.distributions.query("endpoint == 'peak'")
    n = estimates.endpoints.query("endpoint == 'peak' and statistic == 'mean'")["n"]
    assert peaks.groupby("arm", sort=False)["count"].sum().tolist() == n.tolist()
    low, high = (peaks[peaks["arm"] == arm] for arm in ("low", "high"))
    assert low["low"].tolist() == high["low"].tolist()
    assert low["share"].sum() == pytest.approx(1)
    cured = estimates.distributions.query("endpoint == 'cured' and arm == 'low'")
    assert cured["low"].tolist() == [0, 1]
    share = row(estimates.endpoints, arm="low", endpoint="cured")["estimate"]
    assert cured["share"].iloc[1] == pytest.approx(share, abs=0.01)


def test_chunks_change_nothing(tree, protocol, estimates, monkeypatch):
    monkeypatch.setattr(reading, "AT_ONCE", 7 * 60)
    monkeypatch.setattr(reading, "MOST_VALUES", 0)
    again = evaluate(tree, protocol)
    for name in ("flow", "endpoints", "contrasts", "failures", "published"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(estimates, name))


def test_one_trial_shows_its_confidence_interval(made_up):
    make_protocol, make_tree = made_up
    protocol = make_protocol(replicates=1, subjects=400, potential="allocated")
    tree = make_tree(protocol, failed=(), missing=(), trajectories=False)
    estimates = evaluate(tree, protocol)
    assert set(estimates.endpoints["interval"]) == {"confidence"}
    risk = row(estimates.contrasts, comparison="risk")
    assert risk["interval"] == "confidence"
    assert (risk["low"], risk["high"]) == (risk["ci_low"], risk["ci_high"])
    assert np.isnan(risk["power"])
    assert np.isnan(risk["truth"])
    assert 0 <= risk["p"] <= 1
    assert not len(estimates.bands)
    assert not len(estimates.failures)
    assert (estimates.endpoints["mc_error"] > 0).all()


def test_trials_not_simulated_yet_are_undefined_not_zero(protocol, made_up):
    tree = made_up[1](protocol, failed=(), missing=())
    for name in ("low", "high"):
        node = tree[f"arms/{name}"]
        status = node["status"].values.copy()
        status[1200:] = -1
        node.dataset = node.to_dataset().assign(status=("subject", status))
    estimates = evaluate(tree, protocol)
    assert set(estimates.endpoints["undefined"]) == {20}
    assert set(estimates.endpoints["replicates"]) == {20}
    assert estimates.flow["simulated"].sum() == 1200


def test_an_arm_without_survivors_is_nan_and_counted(protocol, made_up):
    tree = made_up[1](protocol, failed=range(2400), missing=())
    estimates = evaluate(tree, protocol)
    assert estimates.endpoints["estimate"].isna().all()
    assert estimates.flow["failed"].sum() == 2400
    assert not estimates.published["within"].any()
    assert (estimates.published_words()["simulated"] == "none").all()


def test_what_the_record_lacks_is_refused_all_at_once(tree, protocol):
    asked = altered(
        protocol,
        endpoints=(
            *protocol.endpoints,
            Endpoint("peek", of="conc", take="maximum", start=0.0, end=1.0),
        ),
        comparisons=(
            Comparison("a", "high", "low", "peak", "difference of means", ("AGE",)),
            Comparison("b", "high", "low", "cured", "odds ratio", strata=("SEX",)),
        ),
        published=(
            Published(1.0, 0.0, 2.0, "peak", "low", where=parse_expression("HT > 170")),
        ),
    )
    with pytest.raises(ProtocolError) as refused:
        evaluate(tree, asked)
    words = [str(fault) for fault in refused.value.faults]
    assert len(words) == 4
    assert any("`peek`" in word and "peak" in word for word in words)
    assert any("`AGE`" in word for word in words)
    assert any("`SEX`" in word for word in words)
    assert {fault.at for fault in refused.value.faults} == {
        "endpoints.peek",
        "analysis.a.adjust",
        "analysis.b.strata",
        "published.0.where",
    }
    with pytest.raises(ProtocolError, match="`middle`"):
        evaluate(tree, replace(protocol, arms=(Arm("low"), Arm("middle"))))
    with pytest.raises(StoreError, match="2400 subjects"):
        evaluate(tree, replace(protocol, subjects=71))


def test_a_mixed_model_needs_measurements(tree, protocol):
    asked = altered(
        protocol,
        comparisons=(Comparison("m", "high", "low", "peak", "MMRM"),),
        published=(),
    )
    with pytest.raises(ProtocolError, match="measurements: true"):
        evaluate(tree, asked)


def test_observed_points_need_no_measurements(tree, protocol):
    """A record without them has no predictive check, and everything else."""
    seen = Observed("conc", (1.0,), (2.0,), "low")
    visits = (Visit("blood", (1.0,), 0.0, ("conc",)),)
    found = evaluate(tree, altered(protocol, observed=(seen,), visits=visits))
    assert found.predictive.empty
    assert len(found.endpoints) == len(evaluate(tree, protocol).endpoints)

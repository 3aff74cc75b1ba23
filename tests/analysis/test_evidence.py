"""Curves, factors, persons and predictive checks, where they are known."""

import numpy as np
import pytest
import xarray as xr

from vtrial.analysis.evaluate import evaluate
from vtrial.endpoint.endpoint import Endpoint
from vtrial.protocol.evidence import Observed
from vtrial.protocol.protocol import Visit


@pytest.fixture(scope="module")
def estimates(tree, protocol):
    return evaluate(tree, protocol)


def test_curves_are_those_of_the_waiting_times(estimates, protocol):
    for arm, mean in (("low", 10.0), ("high", 10.0 / 1.5)):
        table = estimates.curves
        curve = table[(table["arm"] == arm) & (table["endpoint"] == "relief")]
        time = curve["time"].to_numpy()
        wanted = np.exp(-time / mean)
        error = np.sqrt(wanted * (1 - wanted) / 1200)
        assert (np.abs(curve["survival"] - wanted) <= 4 * error + 1e-12).all()
        assert (curve["low"] <= curve["survival"]).all()
        assert (curve["survival"] <= curve["high"]).all()
        assert curve["at_risk"].iloc[0] == pytest.approx(30, abs=0.2)
        assert curve["at_risk"].is_monotonic_decreasing
        # who is neither at risk nor had the event was censored, at 12 h
        before = curve[curve["time"] < 11.9]
        early = before["events"] + before["at_risk"]
        assert (np.abs(early - 30) < 1.2).all()


def test_shares_of_variance_are_those_of_the_model(made_up):
    """Twice as steep in one factor as in another; a third does nothing."""
    make_protocol, make_tree = made_up
    protocol = make_protocol(subjects=1000, replicates=4, comparisons=(), published=())
    tree = make_tree(protocol, trajectories=False, failed=(), missing=())
    rng = np.random.default_rng(8)
    factors = rng.normal(size=(3, 4000))
    subjects = tree["subjects"].to_dataset()
    for name, values in zip("CAB", factors[[2, 0, 1]], strict=True):  # as files may lie
        subjects[name] = ("subject", values)
    subjects["SEX"] = ("subject", (factors[0] > 0) * 1.0)
    tree["subjects"] = xr.DataTree(subjects)
    y = 2 * factors[0] - factors[1] + rng.normal(size=4000)
    for arm in ("low", "high"):
        tree[f"arms/{arm}/outcomes/outcome"].values[:, 0] = y
    found = evaluate(tree, protocol)
    table = found.explained.query("endpoint == 'peak' and arm == 'low'")
    assert table["covariate"].is_monotonic_increasing
    table = table.set_index("covariate")
    for name, share, sign in (("A", 4 / 6, 1), ("B", 1 / 6, -1), ("C", 0.0, 0)):
        row = table.loc[name]
        assert abs(row["share"] - share) < 4 * row["error"] + 0.02
        if sign:
            assert np.sign(row["correlation"]) == sign
        else:
            assert abs(row["correlation"]) < 0.1
    assert 0 < table.loc["SEX", "share"] < table.loc["A", "share"]

    thirds = found.subgroups.query(
        "endpoint == 'peak' and arm == 'low' and covariate == 'A'"
    )
    assert len(thirds) == 3
    assert thirds["n"].sum() == pytest.approx(2000, abs=100)
    assert thirds["estimate"].is_monotonic_increasing
    middle = thirds["estimate"].iloc[2] - thirds["estimate"].iloc[0]
    assert middle == pytest.approx(2 * 2 * 1.0909, rel=0.1)  # 2 x E[x | upper third]
    sexes = found.subgroups.query("endpoint == 'peak' and covariate == 'SEX'")
    assert set(sexes["low"]) == {0.0, 1.0}


def test_responses_are_shares_within_groups(estimates):
    table = estimates.subgroups.query("endpoint == 'cured' and covariate == 'WT'")
    assert set(table["statistic"]) == {"share"}
    assert set(table["unit"]) == {"1"}
    assert table["estimate"].between(0, 1).all()


def test_persons_are_the_first_trials(estimates, tree, protocol):
    table = estimates.persons
    assert set(table["endpoint"]) == {"relief"}, "the others are not in per cent"
    arm = np.asarray(tree["subjects/arm"])[:60]
    for place, name in enumerate(("low", "high")):
        mine = table[table["arm"] == name]
        values = np.asarray(tree[f"arms/{name}/outcomes/outcome"])[:60, 2]
        allocated = (arm == place) & np.isfinite(values)
        np.testing.assert_array_equal(mine["subject"], np.flatnonzero(allocated))
        np.testing.assert_array_equal(mine["value"], values[allocated])


def test_a_predictive_check_holds_where_the_model_is_true(made_up):
    make_protocol, make_tree = made_up
    times = np.array([1.0, 4.0, 9.0])
    rng = np.random.default_rng(6)

    def draw(subjects):
        level = rng.normal(size=(subjects, 1)) + 5
        return level * np.exp(-0.2 * times) + 0.2 * rng.normal(size=(subjects, 3))

    seen = draw(60)
    around = times + rng.uniform(-0.4, 0.4, size=seen.shape)
    protocol = make_protocol(
        visits=(Visit("blood", tuple(times), 0.0, ("conc",)),),
        observed=(Observed("conc", tuple(around.ravel()), tuple(seen.ravel()), "low"),),
        comparisons=(),
        published=(),
    )
    tree = make_tree(protocol)
    for arm in ("low", "high"):
        tree[f"arms/{arm}/measurements"] = xr.DataTree(
            xr.Dataset(
                {
                    "measured": (
                        ("subject", "visit", "output"),
                        draw(2400)[..., None] * (1 if arm == "low" else 99),
                    )
                },
                coords={
                    "visit": ["blood"] * 3,
                    "planned": ("visit", times),
                    "output": ["conc"],
                },
            )
        )
    table = evaluate(tree, protocol).predictive
    assert set(table["arm"]) == {"low"}
    assert len(table) == 9
    assert table["observed"].between(table["low"], table["high"]).mean() > 0.7
    assert set(table["corrected"]) == {"nothing"}
    middle = table.query("quantile == 0.5")
    np.testing.assert_allclose(middle["median"], 5 * np.exp(-0.2 * times), rtol=0.05)


def test_events_without_subjects_have_no_curve(made_up):
    make_protocol, make_tree = made_up
    protocol = make_protocol(published=(), comparisons=())
    tree = make_tree(protocol, failed=range(2400), missing=())
    assert evaluate(tree, protocol).curves.empty


def test_endpoints_in_per_cent_are_persons(made_up):
    make_protocol, make_tree = made_up
    endpoint = Endpoint(
        "peak", of="conc", take="percent change", start=0.0, end=24.0, unit="%"
    )
    base = make_protocol(published=(), comparisons=())
    protocol = make_protocol(
        published=(), comparisons=(), endpoints=(endpoint, *base.endpoints[1:])
    )
    found = evaluate(make_tree(protocol), protocol)
    assert set(found.persons["endpoint"]) == {"peak", "relief"}

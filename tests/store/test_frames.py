"""A record's subjects, trajectories, doses and decisions as tidy tables."""

import numpy as np
import pytest

import vtrial as vt
from tests.jobs.test_points import SHEET
from tests.observe.ruled import COHORT, HEAD, MODEL


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    text = SHEET + "potential: all\nkeep: {trajectories: all}\n"
    return vt.run(vt.load_protocol(text), out=tmp_path_factory.mktemp("r"), workers=0)


def test_subjects_have_their_arm_covariates_and_outcomes(record):
    table, tree = record.subjects(), record.tree()
    assert table.columns.tolist()[:3] == ["replicate", "subject", "arm"]
    assert set(table["arm"]) == {"low", "high"}
    assert table.attrs["units"]["WT"] == "kg"
    assert table.attrs["units"]["trough"] == "mg/L"
    assert set(table["status"]) == {"solved"}
    assert "trough event" not in table
    for place, arm in enumerate(("low", "high")):
        held = tree[f"arms/{arm}/outcomes/outcome"].values[:, 0]
        mine = tree["subjects/arm"].values == place
        assert table["trough"][mine].tolist() == held[mine].tolist()
        assert record.subjects(under=arm)["trough"].tolist() == held.tolist()
    with pytest.raises(vt.VtrialError, match="high"):
        record.subjects(under="hig")


def test_trajectories_have_units_and_a_column_an_output(record, tmp_path):
    table = record.trajectories()
    assert table.columns.tolist() == ["arm", "replicate", "subject", "time", "conc"]
    assert table.attrs["units"] == {"time": "h", "conc": "mg/L"}
    kept = record.tree()["arms/low/trajectories"]
    assert len(table) == 2 * 80 * kept.sizes["time"]
    trial = vt.load_protocol(SHEET)
    quantiles = vt.run(trial, out=tmp_path, workers=0).trajectories()
    assert quantiles.columns.tolist() == ["arm", "quantile", "time", "conc"]
    wide = quantiles[quantiles["arm"] == "low"].pivot_table(
        index="time", columns="quantile", values="conc"
    )
    assert (np.diff(wide.to_numpy(), axis=1) >= 0).all()


def test_what_is_not_kept_is_told(tmp_path):
    text = SHEET + "keep: {trajectories: nothing}\n"
    record = vt.run(vt.load_protocol(text), out=tmp_path, workers=0)
    with pytest.raises(vt.VtrialError, match="trajectories: quantiles"):
        record.trajectories()


RULED = """
arms:
  a: {dose: 100 mg every 24 h x 3}
  b: {dose: 100 mg every 24 h x 3, rules: [more]}
visits: {v: {at: "day 1, day 2", measure: [level, mark]}}
rules:
  less: {when: level > 40, do: reduce to 50 %, also: true}
  more: {when: day > 1, do: give 7 mg}
endpoints: {top: {of: level, take: maximum}}
"""


@pytest.fixture(scope="module")
def ruled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ruled")
    (folder / "halving.yaml").write_text(MODEL)
    (folder / "folk.yaml").write_text(COHORT)
    (folder / "ruled.yaml").write_text(
        HEAD.format(subjects=4) + "model: halving\n" + RULED
    )
    return vt.run(vt.load_protocol(str(folder / "ruled.yaml")), workers=0, out=folder)


def test_doses_say_what_was_given_and_why(ruled):
    table = ruled.doses()
    assert table.attrs["units"] == {"time": "h", "amount": "mg", "rate": "mg/h"}
    assert set(table["arm"]) == {"a", "b"}
    table = table[table["arm"] == "a"]
    for _, one in table.groupby("subject"):
        # 50 on day 1: 50 mg; 50 on day 2, too: 25 mg, and 7 mg beside.
        order = one.sort_values(["time", "reason"])
        assert order["time"].tolist() == [0.0, 24.0, 48.0, 48.0]
        assert order["amount"].tolist() == [100.0, 50.0, 7.0, 25.0]
        changed, added = "changed by a rule", "added by a rule"
        assert order["reason"].tolist() == ["as planned", changed, added, changed]
        assert set(order["state"]) == {"central"}


def test_decisions_name_rules_and_what_was_known(ruled):
    table = ruled.decisions()
    assert table.attrs["units"] == {"time": "h", "planned": "h", "level": "mg"}
    columns = ["arm", "replicate", "subject", "visit", "planned", "time", "acted"]
    assert table.columns.tolist() == [*columns, "level"]
    assert set(table["visit"]) == {"v"}
    ruled_by_both = table[table["arm"] == "a"]
    other, table = table[table["arm"] == "b"], ruled_by_both
    assert np.isnan(other["level"]).all()  # a rule that looks at nothing
    assert set(other["acted"]) == {"", "more"}
    first, second = (table[table["time"] == time] for time in (24.0, 48.0))
    assert set(first["acted"]) == {"less"}
    assert set(second["acted"]) == {"less, more"}
    np.testing.assert_allclose(table["level"], 50.0, rtol=1e-6)


def test_a_record_without_a_ledger_says_so(record):
    with pytest.raises(vt.VtrialError, match="rules or adherence"):
        record.doses()
    with pytest.raises(vt.VtrialError, match="trial with rules"):
        record.decisions()

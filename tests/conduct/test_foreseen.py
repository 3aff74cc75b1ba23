"""Checks of events and categories: one simulated trial, taken for a real study."""

import numpy as np
import pytest

import vtrial as vt

MODEL = """
model: ill
parameters: {H: {value: 0.04, unit: 1/h}, DRIFT: {value: 0.05, unit: 1/h}}
random:
  - {of: [H, Z], covariance: [[0.1], [0, 1]]}
equations: |
  hazard = H * exp(eta.H) * t
  level = eta.Z + DRIFT * t
  stage = if(level > 1, 2, if(level > 0, 1, 0))
outputs:
  hazard: {unit: 1}
  level: {unit: 1, error: {additive: 0.2}}
  stage: {unit: 1}
"""
COHORT = "cohort: folk\ncovariates: {AGE: {unit: year, uniform: [20, 60]}}\n"
PROTOCOL = """
protocol: foreseen
model: ill
cohort: folk
subjects: 60
replicates: 40
seed: 3
arms: {usual: {}, better: {set: {H: 0.5 * H}}}
visits:
  look: {at: "0 h, 12 h, 24 h", measure: [level, stage]}
design: {dropout: {share: 20 %, by: 24 h}}
endpoints:
  death: {of: hazard, take: event by hazard, within: "0 h to 24 h"}
  worse: {of: level, take: value, at: 24 h, above: 0.5}
  grade: {of: level, take: maximum, grades: [0, 1, 2]}
keep: {trajectories: first 30}
"""
OBSERVED = """observed:
  death: {file: death.csv, time: T, event: D, arm: usual}
  worse: {file: worse.csv, value: X, arm: usual}
  grade: {file: grade.csv, value: X, arm: usual}
  level: {file: level.csv, grades: [0, 1, 2], arm: usual}
  stage: {file: stage.csv, categories: true, arm: usual}
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Run the trial, write down what its first one saw, and hold it against all."""
    folder = tmp_path_factory.mktemp("foreseen")
    for name, text in (("ill", MODEL), ("folk", COHORT), ("foreseen", PROTOCOL)):
        (folder / f"{name}.yaml").write_text(text)
    protocol = vt.load_protocol(folder / "foreseen.yaml")
    tree = vt.run(protocol, out=folder / "first", workers=0).tree()
    arm = np.asarray(tree["subjects/arm"])
    mine = np.flatnonzero((arm == 0) & (np.arange(arm.size) < 60))
    held = tree["arms/usual/outcomes"]
    outcome, event = (np.asarray(held[k])[mine] for k in ("outcome", "event"))
    told = {}
    pairs = zip(outcome[:, 0], event[:, 0], strict=True)
    _write(folder / "death.csv", "T,D", [f"{float(t)!r},{d:g}" for t, d in pairs])
    told["death"] = np.stack([outcome[:, 0], event[:, 0]])
    for place, name in ((1, "worse"), (2, "grade")):
        told[name] = outcome[np.isfinite(outcome[:, place]), place]
        _write(folder / f"{name}.csv", "X", [f"{x:g}" for x in told[name]])
    text = PROTOCOL.replace("keep: {", "keep: {measurements: true, ")
    (folder / "foreseen.yaml").write_text(text)
    protocol = vt.load_protocol(folder / "foreseen.yaml")
    tree = vt.run(protocol, out=folder / "second", workers=0).tree()
    values = np.asarray(tree["arms/usual/measurements/measured"])[mine]
    for place, name in ((1, "level"), (2, "stage")):
        told[name] = values[:, :, place]
        rows = [
            f"{time},{float(x)!r}"
            for row in values[:, :, place]
            for time, x in zip((0, 12, 24), row, strict=True)
            if np.isfinite(x)
        ]
        _write(folder / f"{name}.csv", "TIME,DV", rows)
    (folder / "foreseen.yaml").write_text(text + OBSERVED)
    protocol = vt.load_protocol(folder / "foreseen.yaml")
    record = vt.run(protocol, out=folder / "second", workers=0)
    return protocol, record, vt.evaluate(record.tree(), protocol), told


def _write(path, head, rows):
    path.write_text("\n".join([head, *map(str, rows)]) + "\n")


@pytest.mark.slow
def test_the_observed_curve_is_kaplan_and_meiers(seen):
    _, _, estimates, told = seen
    table = estimates.predictive_events
    assert set(table["arm"]) == {"usual"}
    time, event = told["death"]
    for row in table.itertuples():
        alive = 1.0
        for happened in sorted({t for t, e in zip(time, event, strict=True) if e}):
            if happened <= row.time:
                dead = sum((time == happened) & (event == 1))
                alive *= 1 - dead / sum(time >= happened)
        assert row.observed == pytest.approx(alive)
        assert row.at_risk == sum(time >= row.time)
        assert row.events == sum((time <= row.time) & (event == 1))
    assert table["expected_at_risk"].iloc[0] == pytest.approx(30, abs=2)


def test_the_band_is_where_the_trials_curves_lie(seen):
    protocol, record, estimates, _ = seen
    tree = record.tree()
    arm = np.asarray(tree["subjects/arm"]).reshape(40, 60)
    held = tree["arms/usual/outcomes"]
    time, event = (
        np.asarray(held[k])[:, 0].reshape(40, 60) for k in ("outcome", "event")
    )
    table = estimates.predictive_events
    late = table[table["time"] < 20].iloc[-1]
    shares = []
    for t, e, a in zip(time, event, arm, strict=True):
        t, e = t[a == 0], e[a == 0]
        deaths = np.sort(t[(e == 1) & (t <= late["time"])])
        shares.append(np.prod([1 - 1 / sum(t >= x) for x in deaths]))
    wanted = np.quantile(shares, [0.05, 0.5, 0.95])
    np.testing.assert_allclose(late[["low", "median", "high"]].astype(float), wanted)
    inside = table["observed"].between(table["low"], table["high"])
    assert inside.mean() > 0.5


def test_observed_shares_are_counted(seen):
    _, _, estimates, told = seen
    table = estimates.predictive_shares
    worse = table[table["of"] == "worse"]
    assert list(worse["category"]) == [1.0]
    assert worse["observed"].iloc[0] == pytest.approx(told["worse"].mean())
    assert worse["n"].iloc[0] == told["worse"].size
    grade = table[table["of"] == "grade"]
    assert list(grade["category"]) == [0.0, 1.0, 2.0, 3.0]
    for row in grade.itertuples():
        assert row.observed == pytest.approx(np.mean(told["grade"] == row.category))
    for name, of in (("stage", lambda x: x), ("level", lambda x: np.ceil(x.clip(0)))):
        rows = table[table["of"] == name]
        assert list(rows["time"].unique()) == [0.0, 12.0, 24.0]
        for row in rows.itertuples():
            values = told[name][:, [0.0, 12.0, 24.0].index(row.time)]
            values = of(values[np.isfinite(values)]).clip(0, 3)
            assert row.observed == pytest.approx(np.mean(values == row.category))
            assert row.n == values.size
    assert (table["low"] <= table["median"]).all()
    assert (table["median"] <= table["high"]).all()
    sums = table[table["of"] == "stage"].groupby("time")["observed"].sum()
    np.testing.assert_allclose(sums, 1.0)


def test_a_trial_of_the_model_lies_in_its_own_bands(seen):
    """Nine in ten shares, about; they go together, so more than two in three."""
    table = seen[2].predictive_shares
    inside = table["observed"].between(table["low"] - 1e-9, table["high"] + 1e-9)
    assert inside.mean() > 0.67


def test_records_remember_what_was_observed(seen):
    protocol, record, estimates, _ = seen
    again = vt.conduct.protocol_of(record)
    assert again.name == protocol.name
    told = vt.evaluate(record.tree(), protocol)
    assert told.predictive_events.equals(estimates.predictive_events)


def test_the_report_shows_every_check(seen, tmp_path):
    protocol, record, estimates, _ = seen
    page = vt.render(estimates, protocol, tmp_path, attributes=record.tree().attrs)
    text = page.read_text()
    assert "Observed and simulated" in text
    for name in ("events-death", "shares-worse", "shares-grade", "shares-stage-usual"):
        for ending in ("svg", "csv"):
            assert (tmp_path / "figures" / f"predictive-{name}.{ending}").exists()
    assert "grade 3" in text
    assert "responders" in text
    assert (tmp_path / "tables" / "predictive_shares.csv").exists()

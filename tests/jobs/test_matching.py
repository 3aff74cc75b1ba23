"""People matched to targets, of a cohort and of a run, and what takes them up."""

import numpy as np
import pandas as pd
import pytest

import vtrial as vt
from tests.cli.test_app import use
from tests.small_trial import Sheets
from vtrial.errors import CohortError

TARGETS = """\
match: registry
targets:
  - {of: AGE, mean: 58, sd: 13}
  - {of: WT, quantiles: {50 %: 85, 90 %: 110}}
  - {of: FEMALE, shares: {1: 40 %}}
  - {of: "AGE >= 65", share: 30 %, within: 2 %}
"""


@pytest.fixture(scope="module")
def found():
    return vt.jobs.match_people("adults", TARGETS, subjects=200, pool=3000, seed=4)


def test_what_is_wanted_holds_of_the_chosen(found):
    table = found.table.set_index("target")
    off = (table["weighted"] - table["wanted"]).abs()
    assert (off <= table["within"] + 0.02 * table["wanted"]).all()
    assert off[["AGE mean", "FEMALE 1"]].max() < 1e-6
    assert abs(table.loc["AGE mean", "chosen"] - 58) < 0.3
    assert table.loc["FEMALE 1", "chosen"] == pytest.approx(0.4, abs=0.011)
    assert 200 < found.effective < 3000
    assert found.most == 1
    assert found.repeated == 0


def test_the_chosen_are_people_of_the_cohort_and_the_same_again(found):
    drawn = vt.jobs.draw_people("adults", subjects=3000, seed=4).set_index("ID")
    mine = drawn.loc[found.people["PERSON"], ["AGE", "WT"]].to_numpy()
    np.testing.assert_array_equal(found.people[["AGE", "WT"]].to_numpy(), mine)
    again = vt.jobs.match_people("adults", TARGETS, subjects=200, pool=3000, seed=4)
    pd.testing.assert_frame_equal(again.people, found.people)


def test_targets_that_exclude_each_other_say_what_can_be():
    lines = ["{of: AGE, mean: 60}", '{of: "AGE >= 65", share: 95 %}']
    text = "match: no\ntargets:\n" + "".join(f"  - {line}\n" for line in lines)
    with pytest.raises(CohortError, match=r"together with AGE >= 65") as caught:
        vt.jobs.match_people("adults", text, subjects=200, pool=3000, seed=4)
    assert [fault.line for fault in caught.value.faults] == [3, 4]
    far = {"match": "far", "targets": [{"of": "AGE", "mean": 95}]}
    with pytest.raises(CohortError, match=r"from 20\.03 to 79\.98"):
        vt.jobs.match_people("adults", far, subjects=200, pool=3000, seed=4)
    with pytest.raises(CohortError, match="from 2 to 1,000,000"):
        vt.jobs.match_people("adults", TARGETS, subjects=1)


@pytest.mark.slow
def test_who_was_chosen_for_an_outcome_shows_it_again(tmp_path):
    """Random effects come along, so that people are who they were."""
    sheets = Sheets(tmp_path).change("small", "replicates: 4", "replicates: 1")
    sheets.change("small", "block: 25", "block: 200")
    sheets.change("small", "maximum, within", "maximum, values: true, within")
    sheets.change("small", "visits:", "grid:\n  - {every: 1 h, until: 48 h}\nvisits:")
    record = vt.run(sheets.load(subjects=400), out=tmp_path / "run", workers=0)
    seen = record.subjects("high")["peak"]
    aim = {"of": "peak", "mean": 1.1 * seen.mean(), "sd": seen.std()}
    targets = {"match": "seen", "targets": [aim]}
    folder = record.path.parent
    with pytest.raises(CohortError, match="one of low or high"):
        vt.jobs.match_people(folder, targets, subjects=60)
    found = vt.jobs.match_people(folder, targets, subjects=60, under="high")
    assert found.people["peak"].mean() == pytest.approx(1.1 * seen.mean(), rel=0.01)
    vt.jobs.write_people(found.people, tmp_path / "people.csv")
    sheets.change("small", "cohort: folk", "cohort: people")
    again = vt.run(sheets.load(subjects=60), out=tmp_path / "again", workers=0)
    mine = again.subjects("high")
    expected = found.people["peak"].to_numpy()[mine["subject"]]
    np.testing.assert_allclose(mine["peak"], expected, rtol=1e-6)


def test_effects_that_a_model_lacks_are_refused(tmp_path):
    people = vt.jobs.match_people(
        "adults", TARGETS, subjects=20, pool=3000, model="one-compartment-oral"
    ).people
    sheet = vt.jobs.write_people(people, tmp_path / "people.csv")
    assert "effects: [eta.KA, eta.CL, eta.V]" in sheet.read_text()
    told = vt.cohort.describe(vt.load_cohort(sheet))
    assert "random effects: eta.KA, eta.CL, eta.V" in told
    with pytest.raises(CohortError, match=r"table.effects.*`eta.KA`"):
        vt.jobs.draw_people(sheet, subjects=2, model="docetaxel-neutropenia")
    sheet.write_text(sheet.read_text().replace("in order", "with replacement"))
    with pytest.raises(CohortError, match="given, though rows are drawn"):
        vt.load_cohort(sheet)


def test_the_command_writes_people_weights_and_a_figure(tmp_path):
    (tmp_path / "registry.yaml").write_text(TARGETS)
    files = [tmp_path / name for name in ("people.csv", "weights.csv", "seen.svg")]
    words = ["--pool", 3000, "--subjects", 200, "--seed", 4, "--out", files[0]]
    words += ["--weights", files[1], "--figure", files[2]]
    said = use("match", "adults", "--to", tmp_path / "registry.yaml", *words)
    assert "Effective sample size (Kish)" in said
    assert "FEMALE 1" in said
    assert len(vt.load_cohort(tmp_path / "people.yaml").table.rows) == 200
    assert pd.read_csv(files[1])["weight"].sum() == pytest.approx(1)
    assert "body weight" in files[2].read_text()


DYING = """\
model: dying
covariates: {AGE: {unit: a, typical: 60}}
parameters: {RATE: {value: 0.0001, unit: 1/h}}
random: [{of: RATE, variance: 0.3}]
equations: risk = RATE * (AGE/60)^2 * exp(eta.RATE) * t
outputs: {risk: {unit: 1}}
"""
ALIVE = """\
protocol: alive
model: dying
cohort: adults
subjects: 400
seed: 3
arms: {all: {}}
grid: [{every: 90 d, until: 720 d}]
endpoints:
  death: {of: risk, take: event by hazard, within: "day 0 to day 720"}
"""


@pytest.mark.slow
def test_people_of_a_run_are_matched_to_a_survival_curve(tmp_path):
    (tmp_path / "dying.yaml").write_text(DYING)
    (tmp_path / "alive.yaml").write_text(ALIVE)
    trial = vt.load_protocol(tmp_path / "alive.yaml")
    folder = vt.run(trial, out=tmp_path / "run", workers=0).path.parent
    shares = {"180 d": 0.8, "360 d": 0.6, "720 d": 0.4}
    targets = {"match": "km", "targets": [{"of": "death", "survival": shares}]}
    found = vt.jobs.match_people(folder, targets, subjects=100)
    np.testing.assert_allclose(found.table["weighted"], [0.8, 0.6, 0.4], atol=1e-9)
    people = found.people
    alive = (people["death"] > 360 * 24) | (people["death event"] == 0)
    assert alive.mean() == pytest.approx(0.6, abs=0.011)
    end = found.sights.iloc[-1]
    assert end["unit"] == "h"
    assert end["low"] == 720 * 24
    assert end["after"] == pytest.approx(0.4, abs=0.011), (
        "who is censored is free of it"
    )
    figure = vt.report.draw("match", tmp_path / "km.svg", found.sights, found.table)
    assert "free of it" in figure.read_text()

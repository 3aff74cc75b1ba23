"""Sampling designs: the sheet, what is found, and the command."""

import json

import numpy as np
import pandas as pd
import pytest

import vtrial as vt
from tests.cli.test_app import use
from tests.optimise.test_fisher import DETERMINANT, MODEL, RSE
from tests.optimise.test_gain import LINE
from vtrial.errors import ModelError, VtrialError
from vtrial.optimise.sampling import plan_sampling

WARFARIN = """\
sampling: warfarin-once
groups:
  all:
    dose: 70 mg
    subjects: 32
    times: "0.5 h, 1 h, 2 h, 6 h, 24 h, 36 h, 72 h, 120 h"
"""
LINES = """\
sampling: line
groups:
  few: {subjects: 4, times: "1 h, 2 h"}
  many: {subjects: 9, times: "1 h, 3 h, 4 h"}
among: 0 h to 10 h every 1 h
"""


@pytest.mark.slow
def test_popeds_numbers_come_out_of_the_door(tmp_path):
    (tmp_path / "warfarin.yaml").write_text(MODEL)
    (tmp_path / "once.yaml").write_text(WARFARIN)
    table, figure = tmp_path / "rse.csv", tmp_path / "once.svg"
    words = ["sampling", tmp_path / "warfarin.yaml", "--design", tmp_path / "once.yaml"]
    words += ["--table", table, "--figure", figure]
    said = json.loads(use(*words, "--json"))
    rse = [row["rse given"] for row in said["parameters"]]
    np.testing.assert_allclose(rse, RSE, rtol=5e-7)
    assert np.exp(said["score"]["given"]) == pytest.approx(DETERMINANT, rel=5e-6)
    np.testing.assert_allclose(pd.read_csv(table)["rse given"], RSE, rtol=5e-7)
    assert "Relative standard error" in figure.read_text()
    assert "4.738" in use(*words)


def test_times_of_all_groups_are_the_best_there_are():
    """A line is known best by its ends; what is found is as good as any pairs."""
    model = vt.load_model(LINE)
    found = plan_sampling(model, LINES)
    groups = found.groups[found.groups["design"] == "found"].set_index("group")
    assert groups.loc["few", "times"] == (0.0, 10.0)
    assert {0.0, 10.0} < set(groups.loc["many", "times"])
    assert found.score["found"] > found.score["given"]
    rate = np.exp((found.score["given"] - found.score["found"]) / len(found.table))
    assert found.efficiency == pytest.approx(rate)
    by_gain = plan_sampling(model, LINES, criterion="gain", draws=2)
    groups = by_gain.groups[by_gain.groups["design"] == "found"].set_index("group")
    assert groups.loc["few", "times"] == (0.0, 10.0)
    assert (by_gain.table["left found"] <= by_gain.table["left given"]).all()


@pytest.mark.slow
def test_the_dose_is_chosen_that_tells_most():
    text = MODEL.replace("proportional: 0.1", "additive: 0.5")
    times = "0.5 h, 2 h, 6 h, 24 h, 48 h, 120 h"
    group = {"dose": "70 mg", "subjects": 8, "times": times}
    sheet = {"sampling": "doses", "groups": {"all": group}, "known": ["tvKA"]}
    doses = ["35 mg", "70 mg", "140 mg"]
    alone = [
        plan_sampling(text, sheet | {"groups": {"all": group | {"dose": dose}}})
        for dose in doses
    ]
    scores = [one.score["given"] for one in alone]
    found = plan_sampling(text, sheet | {"doses": doses})
    best = doses[int(np.argmax(scores))]
    assert best != "70 mg"
    assert found.groups["dose"].tolist() == ["70 mg", best]
    assert found.score["found"] == pytest.approx(max(scores), rel=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"1 h, 3 h, 4 h"', "{con: 1 h}", "`con`, unknown"),
        ('"1 h, 2 h"', "{z: 1 h}", "an output of line"),
        ("0 h to 10 h every 1 h", "0 h to 10 h", "without a step"),
        ("subjects: 4", "subjects: 0", "at least 1"),
        ("subjects: 9", "covariates: {WT: 3}, subjects: 9", "left out"),
        ("sampling: line", "sampling: line\nknown: [a]", "an unknown parameter"),
        ("sampling: line", "sampling: line\nform: whole", "reduced or full"),
        ("among", "amongst", "among"),
        ("sampling: line", "sampling: line\nwindow: 3 kg", "window"),
    ],
)
def test_what_fits_no_model_is_refused(old, new, told):
    with pytest.raises(VtrialError, match=told):
        plan_sampling(LINE, LINES.replace(old, new))


def test_windows_cost_what_they_do_on_paper():
    """Of a line whose ends are 0 and 10, each off by up to 3, not before the start.

    The mean of the information over where people are measured is that of moments of
    the times: E t and E t² of a uniform time, and of one that is cut at 0.
    """
    text = LINE.replace("random:\n  - {of: A, variance: 0.3}\n", "")
    model = text.replace(" + eta.A", "")
    sheet = {
        "sampling": "ends",
        "groups": {"all": {"subjects": 1, "times": "0 h, 10 h"}},
        "window": "3 h",
    }
    found = plan_sampling(model, sheet)
    first, second = 0.5 * 1.5 + 10, 0.5 * 3 + 100 + 3
    expected = np.sqrt(2 * second - first**2) / np.sqrt(200 - 100)
    # The residual variance is estimated, too, and does not care: three parameters.
    assert found.windowed == pytest.approx(expected ** (2 / 3), rel=1e-3)


def test_what_does_not_go_together_is_refused():
    with pytest.raises(ModelError, match="--criterion gain"):
        plan_sampling(LINE, LINES, about="person")
    with pytest.raises(ModelError, match=r"outputs\.y\.error is zero"):
        plan_sampling(LINE.replace(", error: {additive: 0.5}", ""), LINES)
    with pytest.raises(ModelError, match="one group of one subject"):
        plan_sampling(LINE, LINES, criterion="gain", about="person")
    with pytest.raises(VtrialError, match="without --times"):
        use("sampling", "one-compartment-oral")
    with pytest.raises(VtrialError, match="beside --design"):
        use("sampling", "one-compartment-oral", "--design", "x", "--times", "1 h")


def test_the_command_needs_no_sheet(tmp_path):
    (tmp_path / "line.yaml").write_text(LINE)
    words = ["sampling", tmp_path / "line.yaml", "--times", "1 h, 2 h"]
    said = use(*words, "--subjects", 4, "--among", "0 h, 10 h")
    assert "0, 10" in said
    assert "Efficiency of the design given" in said
    more = ["--criterion", "gain", "--about", "person", "--nested", 50]
    assert "By nested Monte Carlo" in use(*words, *more)

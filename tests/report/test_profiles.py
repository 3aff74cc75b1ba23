"""Profiles over time: what is drawn, and what is refused."""

import re

import numpy as np
import pandas as pd
import pytest

import vtrial as vt
from vtrial.report.profiles import outputs_of


def table(subjects=8, **more):
    time = np.tile(np.arange(5.0), subjects)
    who = np.repeat(np.arange(1, subjects + 1), 5)
    rows = {"ID": who, "TIME": time, "conc": who * np.exp(-time), "WT": 60.0 + who}
    return pd.DataFrame(rows | {"conc_measured": who * 1.1 * np.exp(-time)} | more)


def test_outputs_change_in_time_and_covariates_do_not():
    assert outputs_of(table()) == ["conc"]


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("ending", ["svg", "png"])
def test_a_figure_is_whole_and_the_same_twice(tmp_path, ending, log):
    path = tmp_path / "deep" / f"figure.{ending}"
    seen = pd.DataFrame({"TIME": [1.0, 2.0], "DV": [".", "3"], "EVID": [0, 0]})
    vt.report.plot_profiles(table(), path, observed=seen, log=log)
    first = path.read_bytes()
    vt.report.plot_profiles(table(), path, observed=seen, log=log)
    assert path.read_bytes() == first
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_groups_have_colours_and_subjects_lines(tmp_path):
    path = tmp_path / "f.svg"
    arms = np.repeat(["low", "high"], 20)
    vt.report.plot_profiles(table(ARM=arms), path, by="ARM", lines=True)
    text = path.read_text()
    assert "ARM high" in text
    assert len(re.findall(r'id="LineCollection', text)) == 2


def test_subjects_with_times_of_their_own_are_drawn_one_by_one(tmp_path):
    path = tmp_path / "f.svg"
    one = table()
    one["TIME"] += one["ID"] * 0.01
    vt.report.plot_profiles(one, path)
    assert 'id="LineCollection' in path.read_text()


@pytest.mark.parametrize(
    ("name", "how", "said"),
    [
        ("f.pdf", {}, "f.svg"),
        ("f.svg", {"of": ["cons"]}, "conc"),
        ("f.svg", {"by": "ARM"}, "without `ARM`"),
        ("f.svg", {"by": "TIME2"}, "TIME"),
        ("f.svg", {"observed": pd.DataFrame({"TIME": [1]})}, "DV"),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_nothing_written(tmp_path, name, how, said):
    with pytest.raises(vt.VtrialError, match=said):
        vt.report.plot_profiles(table(), tmp_path / name, **how)
    assert not list(tmp_path.iterdir())

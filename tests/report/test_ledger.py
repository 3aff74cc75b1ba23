"""Rules and adherence in words, what they did as tables, and doses over time."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import vtrial as vt
from tests.observe.ruled import COHORT, HEAD, MODEL
from vtrial.analysis.estimates import DOSES, GIVEN, RULES
from vtrial.report.drawing import house_style
from vtrial.report.ledger import doses_table, draw_given, rules_table
from vtrial.report.page import render
from vtrial.report.rules import rules_lines
from vtrial.types import Given

BODY = """
arms:
  high: {dose: "100 mg every 24 h x 8", title: High}
  low:
    dose: 50 mg every 24 h x 8
    rules: [less]
    adherence:
      states: [take, holiday]
      transitions: [[0.96, 0.04], [0.65, 0.35]]
      between: {take to holiday: 1.2}
      taken: 85 %
      stop: 0.0019 / d
      jitter: 2 h
      visits: 90 %
visits: {v: {at: day 0, repeat: every 1 d x 8, measure: [level]}}
rules:
  less:
    when: level > 40 and WT > 60
    do: reduce one step
    ladder: 25, 50, 75 mg
    title: lower dose
    at most: 2
    lockout: 2 d
    confirmed: 2
    success: 40 %
    also: true
  wait: {do: [delay 1 d, reduce to 80 %], after: 12 h, floor: 60, into: central}
"""


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ruled")
    (folder / "halving.yaml").write_text(MODEL)
    (folder / "folk.yaml").write_text(COHORT)
    (folder / "ruled.yaml").write_text(
        HEAD.format(subjects=4) + "model: halving\n" + BODY
    )
    return vt.load_protocol(str(folder / "ruled.yaml"))


@pytest.fixture(scope="module")
def tables():
    less, wait = ("less", 200, 0.7543, 0.03, 1.2, 0.05), ("wait", 200, 0.5, 0.04, 1, 0)
    rules = [("high", *less), ("high", *wait), ("low", *less)]
    doses = [
        ("high", Given.PLANNED.words, 1600, 1200, 0.75, 0.011),
        ("high", Given.CHANGED.words, 1600, 400, 0.25, 0.011),
        ("low", Given.PLANNED.words, 1500, 1400, 0.9333, 0.006),
        ("low", Given.MISSED.words, 1500, 100, 0.0667, 0.006),
    ]
    given = [
        (arm, "central", "mg", 24.0 * day, 200, 0.95, 40.0, 90.0 - day, 100.0)
        for arm in ("high", "low")
        for day in range(8)
    ]
    return (
        pd.DataFrame(rules, columns=RULES),
        pd.DataFrame(doses, columns=DOSES),
        pd.DataFrame(given, columns=GIVEN),
    )


def test_each_rule_is_a_sentence(trial):
    less, wait, taken = rules_lines(trial)
    assert less.name == "Lower dose"
    assert less.words == (
        "Reduce one step when level > 40 and WT > 60, decided at v; if it holds at 2 "
        "decisions in a row; at most twice; not again within 2 d; acted on in 40\u202f"
        "% of the cases; by steps of 25, 50, 75 mg; the rules behind it may act, too."
    )
    assert wait.words == (
        "Delay 1 d, reduce to 80 %, decided at v; done 12 h after the decision; for "
        "doses into central; no dose set below 60 mg. Only in High."
    )
    assert taken.name == "Adherence, low"
    assert taken.words == (
        "From dose to dose subjects are in one of the states take and holiday, and "
        "take doses in the first, where 96\u202f% stay; which differs between subjects "
        "(take to holiday); 85\u202f% of doses there are taken; treatment is given up "
        "at a hazard of 0.0019/d; doses are up to 2 h early or late; 90\u202f% of "
        "visits are held."
    )
    assert rules_lines(replace(trial, arms=(replace(trial.arms[0], rules=()),))) == []


def test_tables_say_how_often_and_what_became_of_doses(trial, tables):
    table = rules_table(trial, tables[0])
    cells = [[cell.text for cell in row] for row in table.rows]
    assert cells[0] == ["High", "Lower dose", "200", "75\u202f%", "1.20"]
    assert [cell.small for cell in table.rows[0]][3:] == ["± 3\u202fpp", "± 0.05"]
    assert table.rows[1][4].small == ""
    table = doses_table(trial, tables[1])
    assert table.heads == ("Arm", "Doses", "as planned", "changed", "missed")
    cells = [[cell.text for cell in row] for row in table.rows]
    assert cells[0] == ["High", "1,600", "75\u202f%", "25\u202f%", "0"]
    assert cells[1] == ["low", "1,500", "93.3\u202f%", "0", "6.7\u202f%"]


def test_doses_are_drawn_where_they_change_and_else_their_share(trial, tables):
    _, doses, given = tables
    with house_style():
        (dose,) = draw_given(trial, given, doses)
        (share,) = draw_given(trial, given, doses[doses["arm"] == "low"])
        none = list(draw_given(trial, given[given["time"] == 0], doses))
    assert dose.units == ("days", "mg")
    assert dose.name == "given"
    lines = dose.figure.axes[0].get_lines()
    assert lines[-1].get_ydata().tolist() == [90.0 - day for day in range(8)]
    assert share.units == ("days", "%")
    assert share.figure.axes[0].get_lines()[-1].get_ydata().tolist() == [95.0] * 8
    assert none == []


def test_every_state_that_is_dosed_has_a_figure_of_its_own(trial, tables):
    _, doses, given = tables
    both = pd.concat([given, given.assign(into="depot")])
    with house_style():
        names = [one.name for one in draw_given(trial, both, doses)]
    assert names == ["given-into-central", "given-into-depot"]


@pytest.mark.slow
def test_the_page_has_them_only_where_there_is_a_ledger(
    trial, tables, protocol, make_estimates, tmp_path
):
    rules, doses, given = tables
    whole = make_estimates(protocol)
    arms = {"high": "d60", "low": "d75"}
    frames = {"rules": rules, "doses": doses, "given": given}
    frames = {k: f.assign(arm=f["arm"].map(arms)) for k, f in frames.items()}
    render(replace(whole, **frames), protocol, tmp_path / "a", attributes={})
    text = (tmp_path / "a" / "report.html").read_text(encoding="utf-8")
    assert re.search(r'<h2 id="h-ledger">What rules did', text)
    assert 'href="#ledger"' in text
    assert len(pd.read_csv(tmp_path / "a" / "tables" / "given.csv")) == len(given)
    figure = pd.read_csv(tmp_path / "a" / "figures" / "given.csv")
    np.testing.assert_allclose(figure["median"], given["median"])
    render(
        replace(whole, doses=frames["doses"]), protocol, tmp_path / "b", attributes={}
    )
    text = (tmp_path / "b" / "report.html").read_text(encoding="utf-8")
    assert re.search(r'<h2 id="h-ledger">Doses given', text)
    render(whole, protocol, tmp_path / "c", attributes={})
    text = (tmp_path / "c" / "report.html").read_text(encoding="utf-8")
    assert 'id="ledger"' not in text

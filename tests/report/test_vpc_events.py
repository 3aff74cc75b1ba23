"""Checks of events and shares, and single subjects: what is drawn, and what is said."""

import re

import numpy as np
import pytest

from vtrial.report.courses import draw_courses
from vtrial.report.drawing import house_style
from vtrial.report.page import render
from vtrial.report.vpc_events import draw_predictive_events, draw_predictive_shares


@pytest.fixture(autouse=True)
def _style():
    with house_style():
        yield


def test_events_are_drawn_with_the_numbers_at_risk(dosed, full):
    rows = full.predictive_events
    drawing = draw_predictive_events(dosed, "recovery", rows)
    upper, lower = drawing.figure.axes
    assert len(upper.collections) == 3, "a band for each arm"
    written = {text.get_text() for text in lower.texts}
    assert {"At risk", "60 mg/m²", "120"} <= written
    inside = (rows["observed"] - rows["low"] >= 0) & (rows["observed"] <= rows["high"])
    assert f"{inside.sum()} of {len(rows)} points" in drawing.caption
    assert "120 subjects, 118 in a simulated trial" in drawing.caption
    assert drawing.data is rows


def test_shares_of_an_endpoint_stand_by_category(dosed, full):
    rows = full.predictive_shares
    (drawing,) = draw_predictive_shares(dosed, "grade 4", rows[rows["of"] == "grade 4"])
    assert len(drawing.figure.axes) == 3
    assert "3 of 3 observed shares lie in their bands." in drawing.caption
    assert "60 mg/m²: 120" in drawing.caption


def test_shares_over_time_have_a_figure_for_each_arm(dosed, full):
    rows = full.predictive_shares
    drawings = list(draw_predictive_shares(dosed, "anc", rows[rows["of"] == "anc"]))
    assert [d.name for d in drawings] == [
        f"predictive-shares-anc-{arm}" for arm in ("d60", "d75", "d100")
    ]
    assert len(drawings[0].figure.axes) == 2, "a panel for each category"


def test_courses_lie_under_their_median(dosed, full):
    rows = full.courses
    bands = full.bands[full.bands["output"] == "anc"]
    linear, log = draw_courses(dosed, "anc", rows, bands)
    assert (linear.scale, log.scale) == ("linear", "log")
    panel = linear.figure.axes[0]
    assert len(panel.lines) == 4 + 1
    thin, thick = panel.lines[0], panel.lines[-1]
    assert thin.get_linewidth() < thick.get_linewidth()
    assert "the first 4 subjects of each arm" in linear.caption
    one = rows[(rows["arm"] == "d60") & (rows["subject"] == 0)]
    np.testing.assert_allclose(thin.get_ydata(), one["value"])
    flat = rows.assign(value=5.0)
    assert [d.scale for d in draw_courses(dosed, "anc", flat, bands)] == [""]


@pytest.mark.slow
def test_courses_are_folded_until_they_are_wanted(dosed, full, estimates, tmp_path):
    page = render(full, dosed, tmp_path / "one", attributes={})
    text = page.read_text(encoding="utf-8")
    folded = re.search(r'<details class="ondemand">.*?</details>', text, re.S)[0]
    assert "Courses of single subjects" in folded
    assert folded.count("<figure") == 2
    assert (tmp_path / "one" / "figures" / "courses-anc-log.csv").exists()
    plain = render(estimates, dosed, tmp_path / "two", attributes={})
    assert "ondemand" not in re.sub(
        r"<(style|script)>.*?</\1>", "", plain.read_text(encoding="utf-8"), flags=re.S
    )


def test_gaps_are_left_out(dosed, full):
    holed = full.predictive_events.assign(low=np.nan, high=np.nan, median=np.nan)
    drawing = draw_predictive_events(dosed, "recovery", holed)
    assert "0 of 0 points" in drawing.caption

"""Each kind of figure: what is drawn of which numbers, what is left out and said."""

import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.altered import altered
from vtrial.dosing.words import parse_regimen
from vtrial.model.grammar import parse_model
from vtrial.model.model import Covariate, Model
from vtrial.model.tree import Number
from vtrial.protocol.analysis import Comparison
from vtrial.protocol.protocol import Arm
from vtrial.report.convergence import draw_convergence, settles
from vtrial.report.dose import doses_of
from vtrial.report.drawing import house_style
from vtrial.report.page import render
from vtrial.report.predictive import draw_predictive
from vtrial.report.subgroups import draw_attainment, effect_between, effects_of
from vtrial.report.subject_plots import draw_lanes, draw_waterfall, first_of, lanes_of
from vtrial.report.survival import at_risk, draw_survival, half_time
from vtrial.report.tornado import draw_tornado
from vtrial.report.worth import operating_table

BY_ARM = (
    *("curves", "subgroups", "explained", "persons", "predictive"),
    *("predictive_events", "predictive_shares", "courses"),
)


@pytest.fixture(autouse=True)
def _style():
    with house_style():
        yield


@pytest.fixture(scope="module")
def folder(dosed, full, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    render(full, dosed, folder, attributes={})
    return folder


def labels(figure):
    return {text.get_text() for axes in figure.axes for text in axes.texts}


def test_every_table_has_its_section_and_figures(folder):
    text = (folder / "report.html").read_text(encoding="utf-8")
    ids = re.findall(r'<section id="([a-z]+)"', text)
    assert ids == [
        *("answer", "design", "flow", "contrasts", "bands", "published", "endpoints"),
        *("dose", "survival", "subgroups", "operating", "predictive"),
        *("distributions", "persons", "explained", "failures", "computed", "sources"),
    ]
    names = {path.stem for path in (folder / "figures").glob("*.csv")}
    assert {
        *("dose-response-grade-4", "survival-recovery", "subgroups-c1"),
        *("attainment-grade-4", "convergence-c1", "predictive-anc-linear"),
        *("predictive-anc-log", "waterfall-change", "lanes", "explained-nadir"),
        *("predictive-events-recovery", "predictive-shares-grade-4"),
        *("predictive-shares-anc-d60", "courses-anc-linear", "courses-anc-log"),
    } <= names


def test_no_section_stands_for_an_empty_table(protocol, estimates, tmp_path):
    render(estimates, protocol, tmp_path, attributes={})
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    for name in ("dose", "survival", "subgroups", "operating", "persons", "explained"):
        assert f'id="{name}"' not in text
        assert f'href="#{name}"' not in text
    assert len(pd.read_csv(tmp_path / "tables" / "curves.csv")) == 0


def test_figures_in_the_page_have_no_colour_of_their_own(folder):
    text = (folder / "report.html").read_text(encoding="utf-8")
    for svg in re.findall(r"<svg.*?</svg>", text, re.S):
        assert not re.findall(r"[: \"]#[0-9a-f]{6}\b", svg)


def test_data_beside_a_figure_are_what_it_shows(folder, full):
    for name, frame in (
        ("survival-recovery", full.curves),
        ("predictive-anc-log", full.predictive),
    ):
        read = pd.read_csv(folder / "figures" / f"{name}.csv")
        pd.testing.assert_frame_equal(read, frame, check_dtype=False)


def test_survival_starts_whole_and_counts_who_is_at_risk(dosed, full):
    drawing = draw_survival(dosed, "recovery", full.curves)
    upper, lower = drawing.figure.axes
    for line in upper.lines:
        assert (line.get_xdata()[0], line.get_ydata()[0]) == (0.0, 100.0)
    first = full.curves[full.curves["arm"] == "d60"]
    weeks = [168.0 * week for week in (3, 6)]
    expected = first.set_index("time")["at_risk"][weeks].tolist()
    assert at_risk(first, weeks) == pytest.approx(expected)
    assert at_risk(first, [200.0]) == [float(first["at_risk"].iloc[1])]
    assert at_risk(first, [1e9]) == [float(first["at_risk"].iloc[-1])]
    words = {text.get_text() for text in lower.texts}
    assert {"60 mg/m²", "At risk", f"{expected[0]:.0f}"} <= words
    assert half_time(first) == 168.0 * math.ceil(math.log(2) / 0.05)
    assert half_time(first.assign(survival=0.9)) == math.inf
    assert "where 95 % of single trials lie" in drawing.caption
    one = draw_survival(replace(dosed, replicates=1), "recovery", full.curves)
    assert "the trial's own 95 % limits" in one.caption


def arm(name, *words):
    model = Model(
        "two",
        parse_model("d/dt(depot) = -depot\nd/dt(central) = depot - central"),
        covariates=(Covariate("WT", "kg"), Covariate("AGE", "a")),
    )
    return Arm(name, regimen=parse_regimen(words, model=model))


def given(protocol, *arms):
    return doses_of(replace(protocol, arms=arms))


def test_doses_are_amounts_each_time_or_each_day(dosed):
    made = doses_of(dosed)
    assert made.by_arm == {"d60": 60.0, "d75": 75.0, "d100": 100.0}
    assert (made.unit, made.how) == ("mg/m2", "amount by dose")
    none, low = Arm("none"), arm("low", "50 mg every 24 h x 10")
    made = given(dosed, none, low, arm("high", "100 mg every 24 h x 10"))
    assert made.by_arm == {"none": 0.0, "low": 50.0, "high": 100.0}
    made = given(dosed, none, low, arm("twice", "100 mg every 12 h x 20"))
    assert (made.by_arm["twice"], made.how) == (200.0, "amount by day")
    up = "escalating 2.5 mg by 2.5 mg every 4 doses to 15 mg every 24 h x 40"
    made = given(dosed, none, low, arm("up", up))
    assert (made.by_arm["up"], made.how) == (15.0, "last amount by dose")
    capped = arm("capped", "2 mg/kg up to 150 mg every 24 h x 9")
    made = given(dosed, none, capped, arm("low", "1 mg/kg every 24 h x 9"))
    assert (made.by_arm["capped"], made.unit) == (2.0, "mg/kg")


def test_what_is_no_one_number_is_not_drawn_over_dose(dosed):
    none, low = Arm("none"), arm("low", "50 mg every 24 h x 10")
    for other in (
        arm("by weight", "5 mg/kg every 24 h x 10"),
        arm("computed", "(50 * exp(AGE)) mg every 24 h x 10"),
        arm("elsewhere", "9 mg into central every 24 h x 10"),
        arm("once", "9 mg"),
        arm("twice a day", "9 mg at 0 h, 8 h every 24 h x 10"),
        Arm("other", set=(("CL", Number(1.0)),)),
        arm("the same", "50 mg every 24 h x 10"),
        arm("side by side", "5 mg every 24 h x 10", "2 mg every 8 h x 30"),
    ):
        assert given(dosed, none, low, other) is None, other.name
    assert given(dosed, none) is None
    both = arm("both", "50 mg every 24 h x 10", "50 mg every 24 h x 10")
    assert given(dosed, none, low, both).by_arm["both"] == 100.0


def test_dose_response_shows_estimates_at_their_doses(folder, full):
    read = pd.read_csv(folder / "figures" / "dose-response-grade-4.csv")
    assert read["dose"].tolist() == [60.0, 75.0, 100.0]
    shares = full.endpoints[full.endpoints["statistic"] == "share"]["estimate"]
    np.testing.assert_allclose(read["estimate"], shares)


@pytest.mark.parametrize(
    ("by", "value", "error"),
    [
        ("risk difference", 0.2, 0.05),
        ("risk ratio", 1.5, 1.5 * math.hypot(0.03 / 0.6, 0.04 / 0.4)),
        ("odds ratio", 2.25, 2.25 * math.hypot(0.03 / 0.24, 0.04 / 0.24)),
    ],
)
def test_effects_in_groups_follow_the_delta_method(by, value, error):
    made = effect_between(by, (0.6, 0.03), (0.4, 0.04))
    assert made.value == pytest.approx(value)
    near = effect_between(by, (0.6, 3e-5), (0.4, 4e-5))
    assert (near.high - near.low) / 2 / 1.96 == pytest.approx(error * 1e-3, rel=1e-4)
    assert made.low < value < made.high
    if by != "risk difference":
        assert made.low * made.high == pytest.approx(value**2)
        assert math.isnan(effect_between(by, (0.0, 0.1), (0.4, 0.1)).value)


def test_subgroups_have_a_row_each_and_only_fitting_statistics(dosed, full):
    first, _, last = dosed.analysis.comparisons
    rows = effects_of(dosed, first, full.subgroups)
    assert rows["group"].tolist()[:1] == [
        "alpha-1 acid glycoprotein 0.5 to 1.1\u202fg/L"
    ]
    assert rows["group"].tolist()[-1] == "female"
    np.testing.assert_allclose(rows["estimate"], 0.15)
    np.testing.assert_allclose(effects_of(dosed, last, full.subgroups)["estimate"], 0.5)
    hazard = Comparison("c9", "d100", "d60", "nadir", "odds ratio")
    assert effects_of(dosed, hazard, full.subgroups).empty


def test_attainment_writes_every_share(dosed, full):
    rows = full.subgroups[full.subgroups["endpoint"] == "grade 4"]
    drawing = draw_attainment(dosed, "grade 4", rows)
    written = labels(drawing.figure)
    assert {f"{100 * share:.1f}" for share in rows["estimate"]} <= written
    assert "male" in written


def test_people_are_the_first_ones_and_it_is_said(dosed, full):
    rows = full.persons[full.persons["endpoint"] == "change"]
    assert set(first_of(rows, 2)["subject"]) == {0, 3, 1, 4, 2, 5}
    drawing = draw_waterfall(dosed, "change", rows)
    assert "The first 360 of 450 subjects" in drawing.caption
    few = draw_waterfall(dosed, "change", first_of(rows, 10))
    assert "All 30 subjects" in few.caption
    heights = few.figure.axes[0].patches[0].get_data().values
    assert (np.diff(heights) <= 0).all()


def test_lanes_hold_all_events_of_a_subject(dosed, full):
    lanes = lanes_of(dosed, full.persons)
    assert set(lanes["endpoint"]) == {"recovery", "fever"}
    days = full.persons.assign(unit=full.persons["unit"].replace("h", "d"))
    assert lanes_of(dosed, days)["value"].max() == 24 * lanes["value"].max()
    drawing = draw_lanes(dosed, lanes)
    assert "The first 90 of 450 subjects" in drawing.caption
    panel = drawing.figure.axes[0]
    assert len(panel.patches) == 30
    seen = drawing.data[(drawing.data["arm"] == "d60") & (drawing.data["event"] > 0)]
    marks = sum(len(line.get_xdata()) for line in panel.lines)
    followed = drawing.data.loc[drawing.data["arm"] == "d60", "subject"]
    assert marks == len(seen) + followed.nunique() - seen["subject"].nunique()
    assert lanes_of(dosed, full.persons.iloc[:0]).empty


@pytest.mark.slow
def test_many_arms_and_hostile_words_are_drawn(dosed, full, make_protocol, tmp_path):
    arms = tuple(f"d{10 * k}" for k in range(1, 10))
    bad = "</svg><script>x</script> $\\frac{"
    points = tuple(replace(point, title=bad) for point in dosed.endpoints)
    many = altered(
        dosed,
        endpoints=points,
        comparisons=(),
        published=(),
        arms=tuple(replace(dosed.arms[0], name=arm, title=bad + arm) for arm in arms),
    )
    frames = {}
    for name in BY_ARM:
        frame = getattr(full, name)
        one = frame[frame["arm"] == "d60"]
        frames[name] = pd.concat([one.assign(arm=arm) for arm in arms])
    names = ("endpoints", "contrasts", "published", "operating", "convergence")
    frames |= {name: getattr(full, name).iloc[:0] for name in names}
    page = render(replace(full, **frames), many, tmp_path, attributes={})
    text = page.read_text(encoding="utf-8")
    assert text.count("<script>") == 1
    assert "4 of 9 arms are drawn" in text
    assert "The first 90 of 1,350 subjects" in text


@pytest.mark.slow
def test_gaps_are_left_out_and_not_fatal(dosed, full, tmp_path):
    holed = {}
    for name in BY_ARM:
        frame = getattr(full, name).copy()
        for column in frame.columns.intersection(
            ["low", "high", "error", "mc_error", "observed", "at_risk", "correlation"]
        ):
            if name != "subgroups" or column == "mc_error":
                frame[column] = np.nan
        holed[name] = frame
    holed["persons"]["value"] = np.nan
    holed["operating"] = full.operating.assign(mc_error=np.nan)
    page = render(replace(full, **holed), dosed, tmp_path, attributes={})
    text = page.read_text(encoding="utf-8")
    assert 'id="persons"' not in text
    assert 'id="survival"' in text
    assert "0 of 0 observed quantiles" in text


def test_tornado_shows_the_twelve_greatest_with_their_sign(dosed, full):
    drawing = draw_tornado(dosed, "nadir", full.explained)
    assert "The first 12 of 15 are drawn" in drawing.caption
    panel = drawing.figure.axes[0]
    assert len(panel.patches) == 3 * 12
    widths = [bar.get_width() for bar in panel.patches[:12]]
    expected = [40.0 / (k + 1) * (-1) ** k for k in range(12)]
    np.testing.assert_allclose(widths, expected)


def test_convergence_ends_at_the_estimate(dosed, full):
    rows = full.convergence[full.convergence["comparison"] == "c1"]
    drawing = draw_convergence(dosed, "c1", rows)
    assert "19.6\u202fpp ± 0.21\u202fpp after 200 trials" in drawing.caption
    assert settles(rows)
    assert not settles(rows.head(1))


def test_predictive_check_counts_what_lies_inside(dosed, full):
    off = full.predictive.copy()
    off.loc[off.index[:5], "observed"] *= 2
    linear, log = draw_predictive(dosed, "anc", off)
    assert "85 of 90 observed quantiles lie in their bands." in linear.caption
    assert (linear.scale, log.scale) == ("linear", "log")
    kinds = ("prediction", "prediction and variability")
    by, also = (
        next(draw_predictive(dosed, "anc", off.assign(corrected=kind)))
        for kind in kinds
    )
    assert "corrected to the median prediction" in by.caption
    assert "variability" not in by.caption
    assert "and to its median variability" in also.caption


def test_operating_characteristics_have_their_errors(dosed, full):
    table = operating_table(dosed, full.operating)
    rows = [[cell.text for cell in row[1:]] for row in table.rows[:4]]
    assert rows == [
        ["power", "83\u202f%", "78 to 88\u202f%"],
        ["coverage", "94\u202f%", "90 to 97\u202f%"],
        ["bias", "0.1\u202fpp", "−0.3 to 0.5\u202fpp"],
        ["of one trial", "4.1\u202fpp", "3.7 to 4.5\u202fpp"],
    ]
    assert [bool(row[0].text) for row in table.rows[:5]] == [True, *[False] * 3, True]

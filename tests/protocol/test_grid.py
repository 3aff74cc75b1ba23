"""The grid: even steps, and times at and behind doses, infusions and occasions."""

import numpy as np
import pytest

from vtrial.dosing.words import parse_regimen
from vtrial.model.sheet import load_model, read_model
from vtrial.model.tree import Number
from vtrial.protocol import build_protocol
from vtrial.protocol.knots import knots_of
from vtrial.protocol.protocol import Arm
from vtrial.sheets.sheet import parse_sheet

SHEET = """
protocol: gridded
model: one-compartment-iv
cohort: adults
subjects: 10
arms:
  one: {{dose: "{dose}"}}
  other: {{dose: "{other}"}}
visits: {{end: {{at: {end}, measure: [conc]}}}}
"""
EIGHT = "100 mg over 1 h every 8 h x 42"


def load(dose=EIGHT, other="50 mg", end="day 14", more=""):
    sheet = SHEET.format(dose=dose, other=other, end=end) + more
    return build_protocol(parse_sheet(sheet))


def twice(protocol):
    grid = np.array(protocol.grid)
    return grid[1:][np.diff(grid) == 0]


def test_doses_stand_twice_and_ends_of_infusions_once():
    protocol = load()
    starts = 8.0 * np.arange(42)
    np.testing.assert_array_equal(twice(protocol), starts)
    grid = np.array(protocol.grid)
    assert (np.diff(grid) >= 0).all()
    for end in starts + 1:
        assert np.sum(np.abs(grid - end) < 1e-9) == 1
    assert len(protocol.added) <= 400
    even = np.delete(grid, protocol.added)
    np.testing.assert_allclose(even, 3.0 * np.arange(113))
    behind = grid[(grid > 0) & (grid < 1)]
    assert behind.size >= 2


def test_all_arms_doses_are_there():
    protocol = load("100 mg every 24 h x 3", "50 mg at 5 h", "day 3")
    np.testing.assert_array_equal(twice(protocol), [0.0, 5.0, 24.0, 48.0])


def knots(model, words, **sets):
    regimen = parse_regimen(words, model=model, known=["WT"])
    arm = Arm("x", regimen=regimen, set=tuple(sets.items()))
    return knots_of([arm], (), (0.0,), model, until=48.0).time.tolist()


def test_ends_that_depend_on_the_subject_are_not_known():
    model = load_model("one-compartment-iv")
    assert knots(model, "90 mg at 30 mg/h") == [0.0, 3.0]
    assert knots(model, "2 mg/kg at 30 mg/h") == [0.0]
    assert knots(model, "2 mg/kg over 30 min") == [0.0, 0.5]


OWN = """
model: own
title: what a model makes of doses
source: [{note: made up}]
parameters: {LAG: {value: 1.5, unit: h}, CL: {value: 2, unit: 1/h}}
covariates: {WT: {unit: kg, typical: 70}}
random: [{of: CL, variance: 0.09}]
equations: |
  late = LAG*exp(eta.CL)
  lag(a) = late
  duration(a) = 4 + 0.5
  F(a) = 0.5
  d/dt(a) = -CL*a*if(WHEN)
outputs: {a: {unit: mg}}
"""


@pytest.mark.parametrize(
    ("when", "words", "sets", "wanted"),
    [
        ("t < 1000, 1, 2", "10 mg", {}, [0, 1.5]),
        ("t < 1000, 1, 2", "90 mg at 30 mg/h", {}, [0, 1.5, 3.0]),
        ("t < 1000, 1, 2", "10 mg over model duration", {}, [0, 1.5, 6]),
        ("t < 1000, 1, 2", "10 mg", {"LAG": Number(2.0)}, [0, 2]),
        ("t >= 5.25, 1, 2", "10 mg", {}, [0, 1.5, 5.25]),
        ("mod(t, 24) >= 7, 1, 2", "10 mg", {}, [0, 1.5, 7, 24, 31]),
        ("t > 3*LAG, 1, 2", "10 mg", {"LAG": Number(2.0)}, [0, 2, 6]),
        ("tad > 9, 1, 2", "10 mg every 20 h x 2", {}, [0, 1.5, 9, 20, 21.5, 29]),
        ("mod(floor(t), 16) == 15, 1, 2", "10 mg", {}, [0, 1.5, *range(1, 48)]),
    ],
)
def test_what_a_model_makes_of_doses_and_clocks_is_a_knot(when, words, sets, wanted):
    sheet = OWN.replace("WHEN", when)
    model = read_model(parse_sheet(sheet))
    assert knots(model, words, **sets) == pytest.approx(sorted(set(wanted)))


def test_an_occasion_has_a_time_just_before_it():
    protocol = load("100 mg", end="day 14", more='occasions: "day 0, day 7"\n')
    grid = np.array(protocol.grid)
    gap = 168.0 - grid[grid < 168].max()
    assert 1e-5 < gap < 1e-3


def test_where_there_are_too_many_those_near_the_ends_and_limits_are_kept():
    more = (
        "endpoints:\n"
        "  peak: {of: conc, take: maximum, within: day 50 to day 51, values: true}\n"
    )
    protocol = load("100 mg every 6 h x 400", end="day 100", more=more)
    assert 300 < len(protocol.added) <= 400
    there = twice(protocol)
    for wanted in (0.0, 6.0, 12.0, 1194.0, 1200.0, 1206.0, 1218.0, 2388.0, 2394.0):
        assert wanted in there
    assert 600.0 not in there


@pytest.mark.parametrize("dose", ["100 mg", EIGHT])
def test_a_sheets_own_grid_is_left_alone(dose):
    own = "grid: {every: 7 h, until: day 1}\n"
    protocol = load(dose, end="day 1", more=own)
    assert protocol.grid == (0.0, 7.0, 14.0, 21.0, 24.0)
    assert protocol.added == ()


def test_a_sheets_own_grid_is_filled_where_a_course_is_followed():
    own = "grid: {every: 7 h, until: day 2}\n"
    peak = "within: day 0 to day 1, values: true"
    peak = f"endpoints: {{peak: {{of: conc, take: maximum, {peak}}}}}\n"
    protocol = load(EIGHT, end="day 2", more=own + peak)
    grid = np.array(protocol.grid)
    kept = np.delete(grid, protocol.added)
    assert kept.tolist() == [0, 7, 14, 21, 24, 28, 35, 42, 48]
    assert protocol.given
    added = grid[list(protocol.added)]
    assert {8.0, 9.0, 16.0, 17.0, 24.0} <= set(added)
    assert added.max() < 32
    assert len(added) > 150

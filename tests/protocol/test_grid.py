"""The grid: even steps, and times at and behind doses, infusions and occasions."""

import numpy as np
import pytest

from vtrial.dosing.words import parse_regimen
from vtrial.model.sheet import load_model
from vtrial.protocol import build_protocol
from vtrial.protocol.knots import knots_of
from vtrial.protocol.protocol import Arm
from vtrial.sheets import parse_sheet

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


def test_ends_that_depend_on_the_subject_are_not_known():
    model = load_model("one-compartment-iv")

    def knots(words):
        arm = Arm("x", regimen=parse_regimen(words, model=model, known=["WT"]))
        return knots_of([arm], (0.0,)).time.tolist()

    assert knots("90 mg at 30 mg/h") == [0.0, 3.0]
    assert knots("2 mg/kg at 30 mg/h") == [0.0]
    assert knots("2 mg/kg over 30 min") == [0.0, 0.5]


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
    protocol = load(dose, end="day 1", more="grid: {every: 7 h, until: day 1}\n")
    assert protocol.grid == (0.0, 7.0, 14.0, 21.0, 24.0)
    assert protocol.added == ()

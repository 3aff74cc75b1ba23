"""Covariates between records: where periods begin, and what moves in them."""

import numpy as np
import pytest

from vtrial.dosing.periods import CONVENTIONS, check_convention
from vtrial.dosing.table import read_events
from vtrial.errors import DataError

LINES = "ID,TIME,EVID,AMT,II,ADDL,SS,WT,AGE\n"


@pytest.fixture
def read(tmp_path):
    def reader(text):
        (tmp_path / "events.csv").write_text(LINES + text)
        return read_events(
            tmp_path / "events.csv",
            states=("depot",),
            covariates=("WT", "AGE"),
            convention="linear",
        )

    return reader


def test_lines_join_records(read):
    events = read("1,0,1,9,0,0,0,70,5\n1,4,0,0,0,0,0,90,5\n1,8,0,0,0,0,0,80,5\n")
    assert events.periods.tolist() == [[-np.inf, 0, 4]]
    assert events.covariates["WT"].tolist() == [[70, 90, 80]]
    assert events.slopes["WT"].tolist() == [[0, 5, -2.5]]
    assert events.slopes["AGE"].tolist() == [[0, 0, 0]]
    assert events.times.period.tolist() == [[1, 2]]


def test_a_period_ends_at_each_additional_dose_between_records(read):
    events = read("1,0,1,9,3,3,0,70,5\n1,8,0,0,0,0,0,86,5\n1,8,0,0,0,0,0,50,5\n")
    assert events.periods.tolist() == [[-np.inf, 0, 3, 6, 8]]
    assert events.covariates["WT"].tolist() == [[70, 76, 82, 86, 50]]
    assert events.slopes["WT"].tolist() == [[0, 2, 2, 2, 0]]
    assert events.doses.time.tolist() == [[0, 3, 6, 9]]
    assert events.times.period.tolist() == [[3, 4]]


def test_a_steady_state_stands_still(read):
    events = read("1,0,0,0,0,0,0,70,5\n1,4,1,9,6,0,1,90,5\n1,8,0,0,0,0,0,80,5\n")
    assert events.periods.tolist() == [[-np.inf, 0, 4, 4]]
    assert events.slopes["WT"].tolist() == [[0, 5, 0, -2.5]]
    assert events.doses.period.tolist() == [[2]]


def test_nothing_leads_from_one_subject_to_the_next(read):
    events = read("1,0,1,9,5,2,0,70,5\n1,4,0,0,0,0,0,70,5\n2,1,0,0,0,0,0,50,5\n")
    assert events.slopes["WT"].tolist() == [[0], [0]]
    assert events.covariates["WT"].tolist() == [[70], [50]]


def test_a_word_that_says_nothing_is_refused():
    for word in CONVENTIONS:
        check_convention(word)
    with pytest.raises(DataError, match=r"`linaer`.*backward, forward or linear"):
        check_convention("linaer")

"""Shares of categories: rounded as tables round them, or refused with a remedy."""

import re

import numpy as np
import pytest

from vtrial.cohort.category import in_digits
from vtrial.cohort.sheet import cohort_of
from vtrial.errors import CohortError
from vtrial.sheets.sheet import parse_sheet


def shares(words):
    cohort = cohort_of(parse_sheet(f"cohort: c\ncovariates: {{R: {{{words}}}}}\n"))
    return cohort.traits[0].marginals[0].shares


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("33.3 %, 1: 33.3 %, 2: 33.3 %", [1 / 3] * 3),
        ("33%, 1: 33%, 2: 33%", [1 / 3] * 3),
        ("0.3333, 1: 0.3333, 2: 0.3333", [1 / 3] * 3),
        ("0.333, 1: 0.333, 2: 0.334", [0.333, 0.333, 0.334]),
        ("0.33, 1: 0.33, 2: 0.34", [0.33, 0.33, 0.34]),
        ("14 %, 1: 29 %, 2: 57.1 %, 3: 0", [0.14, 0.29, 0.571, 0.0]),
        ("0.167, 1: 0.167, 2: 0.167, 3: 0.5", [1 / 6, 1 / 6, 1 / 6, 0.5]),
    ],
)
def test_rounded_shares_are_of_one_whole(words, expected):
    found = shares(f"categorical: {{0: {words}}}")
    assert sum(found) == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(found, expected, atol=1.1e-3)


def test_shares_of_one_are_left_as_they_stand():
    assert shares("categorical: {0: 0.333, 1: 0.333, 2: 0.334}") == (
        *(0.333, 0.333, 0.334),
    )


@pytest.mark.parametrize(
    "words",
    [
        "0.5, 1: 0.6",
        "50 %, 1: 49 %",
        "0.3, 1: 0.3, 2: 0.3",
        "0.33333, 1: 0.33333, 2: 0.3333",
        "0, 1: 1, 2: 1, 3: 1",
        "0.2, 1: 0.2, 2: 0.2, 3: 0.2, 4: 0.2, 5: 0.2, 6: 0.2",
    ],
)
def test_another_sum_is_refused_with_shares_that_are_accepted(words):
    """Which share is wrong is not known, unless all are off by rounding."""
    with pytest.raises(CohortError, match="add up to") as caught:
        shares(f"categorical: {{0: {words}}}")
    remedy = caught.value.faults[0].write
    assert bool(remedy) == (
        words in ("50 %, 1: 49 %", "0.33333, 1: 0.33333, 2: 0.3333")
    )
    if not remedy:
        return
    found = np.array(shares(f"categorical: {remedy}"))
    given = np.array(
        [float(w.strip(" %")) for w in re.findall(r"[\d.]+(?=,| %|$)", words)]
    )
    np.testing.assert_allclose(found, given / given.sum(), atol=1e-5)


def test_shares_of_nothing_have_no_remedy():
    with pytest.raises(CohortError, match="add up to 0") as caught:
        shares("categorical: {0: 0, 1: 0}")
    assert caught.value.faults[0].write == ""


def test_words_are_told_free_numbers():
    with pytest.raises(CohortError) as caught:
        shares("categorical: {M: 0.3, 0: 0.2, F: 0.5}")
    told = [fault.allowed for fault in caught.value.faults]
    assert ["such as 1," in told[0], "such as 2," in told[1]] == [True, True]


@pytest.mark.parametrize("count", range(1, 40))
def test_even_shares_in_digits_add_up(count):
    parts = in_digits([1.0] * count)
    assert sum(map(float, parts)) == pytest.approx(1, abs=1e-9)


def test_one_value_is_no_range():
    with pytest.raises(CohortError) as caught:
        shares("uniform: [5, 5]")
    assert "`constant: 5`" in caught.value.faults[0].allowed

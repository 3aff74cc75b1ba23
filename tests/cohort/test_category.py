"""Shares of categories: rounded as tables round them, or refused with a remedy."""

import re

import numpy as np
import pytest

from vtrial.cohort.category import in_digits
from vtrial.cohort.draw import sample
from vtrial.cohort.sheet import cohort_of
from vtrial.cohort.words import describe
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


SEXES = """cohort: c
covariates:
  SEX: {categorical: {male: 52 %, female: 48 %}}
  WT:
    by: SEX
    each:
      female: {normal: {mean: 70, sd: 9}}
      male: {normal: {mean: 82, sd: 10}}
    clip: [60, 90]
  MET:
    mixture:
      - {share: 7 %, normal: {mean: 20, sd: 2}}
      - {share: 93 %, normal: {mean: 60, sd: 6}}
derive: {HEAVY: "if(SEX == female, WT > 75, WT > 85)"}
eligibility: SEX == female or WT > 61
"""


def drawn(text, count=40_000):
    cohort, who = cohort_of(parse_sheet(text)), np.arange(count)
    found = sample(cohort, None, seed=1, replicate=np.zeros_like(who), subject=who)
    return cohort, {name: np.asarray(v) for name, v in found.covariates.items()}


def test_words_stand_for_categories_wherever_they_are_written():
    cohort, found = drawn(SEXES)
    assert cohort.labels("SEX") == {0.0: "male", 1.0: "female"}
    men = found["SEX"] == 0
    # Men of 61 kg or less are sent away: 1 in 60 of a half.
    assert abs(men.mean() - 0.517) < 0.01
    assert found["WT"][men].min() > 61
    assert found["WT"][~men].min() == 60
    assert found["WT"].max() == 90
    heavy = np.where(men, found["WT"] > 85, found["WT"] > 75)
    np.testing.assert_array_equal(found["HEAVY"], heavy)
    assert "male (0): 0.52, female (1): 0.48" in describe(cohort)
    assert "SEX female: normal, mean 70" in describe(cohort)


def test_a_mixture_has_the_moments_of_its_parts():
    _, found = drawn(SEXES)
    values = found["MET"]
    mean = 0.07 * 20 + 0.93 * 60
    variance = 0.07 * (4 + (20 - mean) ** 2) + 0.93 * (36 + (60 - mean) ** 2)
    assert abs(values.mean() - mean) < 4 * np.sqrt(variance / values.size)
    share = np.mean(values < 35)
    assert abs(share - 0.07) < 4 * np.sqrt(0.07 * 0.93 / values.size)
    assert abs(values[values < 35].std() - 2) < 4 * 2 / np.sqrt(2 * 0.07 * values.size)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("female: {normal", "woman: {normal", "`woman`"),
        ("== female, WT", "== woman, WT", "about `woman`"),
        ("share: 93 %", "share: 83 %", "shares that add up to 0.9"),
        ("{male: 52 %, female", "{t: 52 %, female", "`t`"),
        ("    mixture:", "    constant: 1\n    mixture:", "beside `mixture`"),
    ],
)
def test_words_and_mixtures_that_make_no_sense_are_told(old, new, message):
    with pytest.raises(CohortError, match=re.escape(message)):
        cohort_of(parse_sheet(SEXES.replace(old, new)))

"""Targets as rows: what each asks of a person, and what is refused with its line."""

import numpy as np
import pytest

from vtrial.cohort.target import load_targets, rows_for
from vtrial.errors import CohortError

SHEET = """\
match: registry
targets:
  - {of: AGE, mean: 3, sd: 2}
  - {of: WT, mean: 70, sd: 10, within: 1}
  - {of: [AGE, WT], correlation: 0.5}
  - {of: AGE, quantiles: {25 %: 2}}
  - {of: WT, median: 70, within: 5}
  - {of: SEX, shares: {female: 40 %}}
  - {of: "AGE >= 3 and SEX == female", share: 20 %}
  - {of: death, survival: {1 d: 60 %}}
"""
PEOPLE = {
    "AGE": np.array([1.0, 2.0, 3.0, 6.0]),
    "WT": np.array([60.0, 70.0, 75.0, 90.0]),
    "SEX": np.array([0.0, 1.0, 1.0, 0.0]),
    "death": np.array([12.0, 24.0, 30.0, 40.0]),
    "death event": np.array([1.0, 1.0, 0.0, 1.0]),
}
WORDS = {"SEX": {0.0: "male", 1.0: "female"}}


def rows():
    return rows_for(load_targets(SHEET), PEOPLE, WORDS)


def test_each_number_is_a_mean_between_two_bounds():
    told = {row.target: (row.feature.tolist(), row.low, row.high) for row in rows()}
    assert told["AGE mean"] == ([1, 2, 3, 6], 3, 3)
    assert told["AGE sd"] == ([4, 1, 0, 9], 4, 4)
    assert told["WT sd"][1:] == (81, 121)
    assert told["AGE, WT correlation"] == ([1, 0, 0, 3], 0.5, 0.5)
    assert told["AGE 25 % quantile"] == ([1, 1, 0, 0], 0.25, 0.25)
    assert told["SEX female"] == ([0, 1, 1, 0], 0.4, 0.4)
    assert told["AGE >= 3 and SEX == female share"][0] == [0, 0, 1, 0]
    assert told["death free at 1 d"] == ([0, 0, 1, 1], 0.6, 0.6)
    sides = [row for row in rows() if row.target == "WT median"]
    assert [row.feature.tolist() for row in sides] == [[1, 1, 1, 0], [1, 0, 0, 0]]
    assert [(row.low, row.high) for row in sides] == [(0.5, np.inf), (-np.inf, 0.5)]


def test_what_people_have_is_shown_as_the_target_is_written():
    weights = np.array([0.1, 0.4, 0.4, 0.1])
    shown = {row.target: row.shown(weights) for row in rows()}
    mean = weights @ PEOPLE["AGE"]
    spread = np.sqrt(weights @ (PEOPLE["AGE"] - mean) ** 2)
    assert shown["AGE sd"] == pytest.approx(spread)
    pair = np.cov(PEOPLE["AGE"], PEOPLE["WT"], aweights=weights)
    expected = pair[0, 1] / np.sqrt(pair[0, 0] * pair[1, 1])
    assert shown["AGE, WT correlation"] == pytest.approx(expected)
    assert shown["AGE 25 % quantile"] == 2
    assert shown["WT median"] == 70
    assert shown["death free at 1 d"] == pytest.approx(0.5)


WRONG = [
    ("- {of: AGE}", "without a number"),
    ("- {of: AGE, sd: 3}", "without `mean`"),
    ("- {of: AGE, mean: 3, sd: 0}", "above 0"),
    ("- {of: AGE, quantiles: {110 %: 3}}", "a probability between 0 and 1"),
    ("- {of: [AGE, WT], mean: 3}", "a pair"),
    ("- {of: AGE, correlation: 0.3}", r"such as \[WT, HT\]"),
    ("- {of: [AGE, WT], correlation: 0.3}", "whose `mean` and `sd` are targets"),
    ("- {of: SEX, shares: {female: 70 %, male: 40 %}}", "more than 100 %"),
    ("- {of: SEX, shares: {woman: 70 %}}", "of male or female"),
    ("- {of: AGEE, mean: 3}", "Write `AGE`"),
    ("- {of: AGEE > 3, share: 10 %}", "about `AGEE`"),
    ("- {of: AGE >, share: 10 %}", "targets.0.of"),
    ("- {of: log(AGE - 2), mean: 1}", "not a number of 2 people"),
    ("- {of: death, survival: {1 kg: 60 %}}", "a time above 0"),
    ("- {of: death, survival: {35 h: 60 %}}", "before which 1 were lost"),
    ("- {of: AGE, mena: 3}", "an unknown key `mena`"),
]


@pytest.mark.parametrize(("line", "told"), WRONG, ids=lambda one: one[:30])
def test_what_cannot_be_asked_is_refused_with_its_line(line, told):
    text = f"match: registry\ntargets:\n  {line}\n"
    with pytest.raises(CohortError, match=told) as caught:
        rows_for(load_targets(text), PEOPLE, WORDS)
    assert {fault.line for fault in caught.value.faults} == {3}

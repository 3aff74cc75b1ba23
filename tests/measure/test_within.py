"""Crossovers: against regulators' data sets, other software, and the 2x2 formula."""

import csv
from pathlib import Path

import numpy as np
import pytest

from vtrial.measure.contrast import contrast_of
from vtrial.measure.groups import Crossed
from vtrial.measure.mean import crossover_effect, paired_effect
from vtrial.measure.random_intercept import treatment_effect
from vtrial.measure.within import analysis_of_variance, crossed_effect, random_persons

FOLDER = Path(__file__).parents[1] / "reference" / "crossover"


def crossed(value, place, sequence, *, paired=False, versus=(0, 1)):
    """Lay (trial, person, period) values down as the kernel wants them."""
    trials, _, periods = value.shape
    return Crossed(
        value.reshape(trials, -1),
        place.reshape(trials, -1),
        sequence,
        int(place.max()) + 1,
        int(sequence.max()) + 1,
        2 if paired else periods,
        paired,
        versus,
    )


def published(name):
    with (FOLDER / f"{name}.csv").open() as file:
        rows = list(csv.DictReader(file))
    people = {
        one: at for at, one in enumerate(dict.fromkeys(r["subject"] for r in rows))
    }
    orders = {
        one: at for at, one in enumerate(dict.fromkeys(r["sequence"] for r in rows))
    }
    periods = len(next(iter(orders)))
    value = np.full((1, len(people), periods), np.nan)
    place, sequence = np.zeros(value.shape, int), np.zeros((1, len(people)), int)
    for row in rows:
        who, when = people[row["subject"]], int(row["period"]) - 1
        value[0, who, when] = float(row["PK"] or "nan") if row["PK"] != "NA" else np.nan
        place[0, who] = ["TR".index(letter) for letter in row["sequence"]]
        sequence[0, who] = orders[row["sequence"]]
    return crossed(value, place, sequence)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("DS01", (107.1057, 124.8948, 115.6587)),  # EMA's data set I; values lack
        ("DS02", (97.31555, 107.4649, 102.2644)),  # EMA's data set II
        ("DS10", (96.26997, 107.5861, 101.7709)),  # Chow and Liu, table 9.3.3
    ],
)
def test_data_sets_of_regulators(name, expected):
    made = contrast_of(
        crossed_effect(published(name), ratio=True), ratio=True, level=0.9
    )
    got = [100 * one[0] for one in (made.low, made.high, made.estimate)]
    np.testing.assert_allclose(got, expected, rtol=5e-7)


def limits(effect):
    made = contrast_of(effect, ratio=True, level=0.9)
    return [100 * one[0] for one in (made.low, made.high, made.estimate)]


@pytest.mark.parametrize(
    ("name", "freedom", "expected"),
    [
        ("DS01", 217, (107.1707, 124.9725, 115.7298)),  # EMA: 107.17 to 124.97 %
        ("DS02", 45, (97.31555, 107.4649, 102.2644)),  # EMA: 97.32 to 107.46 %
        ("DS10", 33, (96.26997, 107.5861, 101.7709)),
    ],
)
def test_random_persons_are_method_b_of_regulators(name, freedom, expected):
    """With the counted degrees of freedom that SAS and nlme have unasked."""
    made = random_persons(published(name), ratio=True)
    effect = treatment_effect(made, by="satterthwaite")
    got = limits(effect._replace(freedom=np.array([float(freedom)])))
    np.testing.assert_allclose(got, expected, rtol=5e-7)
    if name != "DS01":  # nothing lacks
        assert effect.freedom[0] == pytest.approx(freedom)


def test_freedom_of_random_persons_where_periods_lack():
    """As lmerTest (Satterthwaite) and pbkrtest (Kenward-Roger, expected) print it."""
    persons = published("DS01")
    plain = treatment_effect(random_persons(persons, ratio=True), by="satterthwaite")
    known = random_persons(persons, ratio=True, expected=True)
    corrected = treatment_effect(known, by="kenward-roger")
    for made, error, freedom in (
        (plain, 0.0465130, 216.9386),
        (corrected, 0.0465140, 217.2079),
    ):
        assert made.estimate[0] == pytest.approx(0.14609, abs=5e-6)
        assert made.error[0] == pytest.approx(error, abs=5e-7)
        assert made.freedom[0] == pytest.approx(freedom, abs=5e-5)
        got = np.round(limits(made), 2)
        np.testing.assert_array_equal(got, [107.17, 124.97, 115.73])


@pytest.mark.parametrize(
    ("counts", "expected"),
    [((12, 12), (0.8213465, 1.0988055)), ((13, 11), (0.8209294, 1.0993637))],
)
def test_limits_of_power_tost(counts, expected):
    """CI.BE(pe=0.95, CV=0.3, n) of PowerTOST 1.5, as its manual prints it."""
    first = np.repeat([0, 1], counts)
    place = np.stack([first, 1 - first], axis=1)[None]
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(len(first), 2))
    noise -= noise.mean(axis=1, keepdims=True)
    for one in (0, 1):  # nothing is left to periods or treatments
        noise[first == one] -= noise[first == one].mean(axis=0)
    spare = len(first) - 2
    noise *= np.sqrt(np.log1p(0.3**2) * spare / (noise**2).sum())
    value = np.exp(3 + np.log(0.95) * (place == 0) + noise + 0.1 * np.arange(2))
    made = contrast_of(
        crossed_effect(crossed(value, place, first[None]), ratio=True),
        ratio=True,
        level=0.9,
    )
    got = [made.estimate[0], made.low[0], made.high[0]]
    np.testing.assert_allclose(got, [0.95, *expected], rtol=1e-7)


def test_two_by_two_is_the_usual_formula_and_tells_periods_and_sequences():
    rng = np.random.default_rng(2)
    first = np.tile([0, 1, 1, 0, 0, 1, 0], (3, 1))
    place = np.stack([first, 1 - first], axis=2)
    value = rng.normal(10, 1, place.shape) + 2 * (place == 0)
    value[1, 2, 1] = np.nan
    made = analysis_of_variance(crossed(value, place, first))
    treated = np.take_along_axis(value, first[..., None], axis=2)[..., 0]
    other = np.take_along_axis(value, 1 - first[..., None], axis=2)[..., 0]
    plain = crossover_effect(treated, other, first == 0)
    for ours, theirs in zip(made.effect, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)
    # The period's test is that of treatments with the labels of one sequence changed.
    swapped = crossed(value, np.tile([0, 1], (3, 7, 1)), first)
    np.testing.assert_allclose(made.period, _alone(swapped, place), rtol=1e-8)
    both = np.isfinite(value).all(axis=2)
    sums = np.where(both, value.mean(axis=2), np.nan)
    for trial in range(3):
        from scipy.stats import ttest_ind

        sides = [sums[trial][(first[trial] == k) & both[trial]] for k in (0, 1)]
        expected = ttest_ind(*sides).pvalue
        np.testing.assert_allclose(made.sequence[trial], expected, rtol=1e-8)


def _alone(swapped, place):
    """Return the p-value of the period in a fit of period and treatment."""
    found = []
    for trial in range(len(swapped.value)):
        value = swapped.value[trial].reshape(-1, 2)
        known = np.isfinite(value).all(axis=1)
        gap = value[known, 1] - value[known, 0]
        sign = np.where(place[trial][known, 0] == 0, -1.0, 1.0)
        design = np.stack([np.ones(len(gap)), sign], axis=1)
        slope, rest, *_ = np.linalg.lstsq(design, gap, rcond=None)
        freedom = len(gap) - 2
        error = np.sqrt(rest[0] / freedom * np.linalg.inv(design.T @ design)[0, 0])
        from scipy.stats import t

        found.append(2 * t.sf(abs(slope[0] / error), freedom))
    return found


def test_one_person_in_pairs_of_periods_is_the_paired_t_test():
    rng = np.random.default_rng(3)
    place = np.array([[[0, 1, 1, 0, 1, 0, 0, 1]]])
    value = rng.normal(5, 1, place.shape) + (place == 0)
    made = crossed_effect(crossed(value, place, np.zeros((1, 1), int), paired=True))
    pairs, which = value.reshape(1, 4, 2), place.reshape(1, 4, 2)
    test = np.take_along_axis(pairs, which.argmin(axis=2)[..., None], axis=2)[..., 0]
    other = np.take_along_axis(pairs, which.argmax(axis=2)[..., None], axis=2)[..., 0]
    for ours, theirs in zip(made, paired_effect(test, other), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)


def test_what_cannot_be_told_apart_has_no_number():
    """In one sequence, treatments are periods."""
    place = np.tile([0, 1], (1, 6, 1))
    value = np.random.default_rng(4).normal(size=place.shape)
    made = crossed_effect(crossed(value, place, np.zeros((1, 6), int)))
    assert np.isnan(made.estimate).all()
    assert np.isnan(made.error).all()

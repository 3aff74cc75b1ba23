import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_ind, ttost_paired

from vtrial.measure.contrast import (
    compare,
    contrast_of,
    least_squares,
    normal_effect,
)
from vtrial.measure.margin import (
    bioequivalence,
    effect_of,
    equivalence,
    margin_test,
    parallel_bioequivalence,
)
from vtrial.measure.mean import crossover_effect, welch

EXACT = {"rtol": 1e-9, "atol": 1e-12}

# Chow and Liu's crossover of 24 subjects, as reprinted in J Pharm Stat 2015:298647,
# table 1: the areas of periods 1 and 2.
REFERENCE_FIRST = [
    (74.675, 73.675),
    (96.400, 93.250),
    (101.950, 102.125),
    (79.050, 69.450),
    (79.050, 69.025),
    (85.950, 68.700),
    (69.725, 59.425),
    (86.275, 76.125),
    (112.675, 114.875),
    (99.525, 116.250),
    (89.425, 64.175),
    (55.175, 74.575),
]
TREATED_FIRST = [
    (74.825, 37.350),
    (86.875, 51.925),
    (81.675, 72.175),
    (92.700, 77.500),
    (50.450, 71.875),
    (66.125, 94.025),
    (122.450, 124.970),
    (99.075, 85.225),
    (86.350, 95.925),
    (49.925, 67.100),
    (42.700, 59.425),
    (91.725, 114.050),
]


def draw(replicates=8, subjects=50, seed=1):
    rng = np.random.default_rng(seed)
    treated = rng.uniform(size=(replicates, subjects)) < 0.5
    return rng.normal(0.1 * treated, 0.3), treated


def each(value, treated):
    for i in range(len(value)):
        yield i, value[i][treated[i]], value[i][~treated[i]]


def test_margins_of_means_agree_with_scipy():
    value, treated = draw()
    for effect, equal in (
        (least_squares(value, treated), True),
        (welch(value, treated), False),
    ):
        for above, side in ((True, "greater"), (False, "less")):
            p = margin_test(effect, -0.2, above=above)
            for i, arm, other in each(value, treated):
                test = stats.ttest_ind(
                    arm + 0.2, other, equal_var=equal, alternative=side
                )
                np.testing.assert_allclose(p[i], test.pvalue, **EXACT)


def test_equivalence_agrees_with_statsmodels():
    value, treated = draw(seed=2)
    made = equivalence(least_squares(value, treated), -0.25, 0.25)
    for i, arm, other in each(value, treated):
        p = ttost_ind(arm, other, -0.25, 0.25)[0]
        np.testing.assert_allclose(made.p[i], p, **EXACT)
    inside = (made.low > -0.25) & (made.high < 0.25)
    np.testing.assert_array_equal(inside, made.p < 0.05)
    assert 0 < inside.sum() < len(inside)


@pytest.mark.parametrize("equal", [True, False])
def test_groups_are_bioequivalent_as_statsmodels_says(equal):
    value, treated = draw(seed=3)
    made = parallel_bioequivalence(np.exp(value), treated, equal_variances=equal)
    for i, arm, other in each(value, treated):
        kind = "pooled" if equal else "unequal"
        p = ttost_ind(arm, other, np.log(0.8), np.log(1.25), usevar=kind)[0]
        np.testing.assert_allclose(made.p[i], p, **EXACT)
        gap = np.exp(arm.mean() - other.mean())
        np.testing.assert_allclose(made.estimate[i], gap, **EXACT)


def test_pairs_are_bioequivalent_as_statsmodels_says():
    value, _ = draw(seed=4)
    other, _ = draw(seed=5)
    made = bioequivalence(np.exp(value), np.exp(other))
    for i in range(len(value)):
        p = ttost_paired(value[i], other[i], np.log(0.8), np.log(1.25))[0]
        np.testing.assert_allclose(made.p[i], p, **EXACT)


def chow_and_liu():
    first, later = np.array(TREATED_FIRST), np.array(REFERENCE_FIRST)
    value = np.concatenate([first[:, 0], later[:, 1]])[None]
    reference = np.concatenate([first[:, 1], later[:, 0]])[None]
    return value, reference, np.arange(24)[None] < 12


def test_chow_and_lius_crossover():
    # Chow and Liu (2009) Design and Analysis of Bioavailability and Bioequivalence
    # Studies: means 80.272 and 82.559, classical 90 % interval -8.698 to 4.123.
    value, reference, first = chow_and_liu()
    made = contrast_of(crossover_effect(value, reference, first), level=0.9)
    got = [made.estimate[0], made.low[0], made.high[0]]
    np.testing.assert_allclose(got, [80.272 - 82.559, -8.698, 4.123], atol=1e-3)
    made = bioequivalence(value, reference, treated_first=first)
    logs = contrast_of(
        crossover_effect(np.log(value), np.log(reference), first), level=0.9
    )
    np.testing.assert_allclose(made.low, np.exp(logs.low), rtol=1e-12)
    assert made.low[0] > 0.8
    assert made.high[0] < 1.25
    assert made.p[0] < 0.05


def test_ratios_are_held_against_ratios():
    ratio = normal_effect(np.log(np.array([0.7, 1.1])), np.array([0.1, 0.1]))
    p = margin_test(ratio, 1.3, above=False, ratio=True)
    expected = stats.norm.cdf((np.log([0.7, 1.1]) - np.log(1.3)) / 0.1)
    np.testing.assert_allclose(p, expected, **EXACT)


def test_an_effect_is_got_back_from_a_contrast():
    rng = np.random.default_rng(6)
    value = (rng.uniform(size=(5, 80)) < 0.5) * 1.0
    treated = np.tile(np.arange(80) < 40, (5, 1))
    made = compare("odds ratio", value, treated)
    p = margin_test(effect_of(made, ratio=True), 1.0, above=True, ratio=True)
    np.testing.assert_allclose(2 * np.minimum(p, 1 - p), made.p, **EXACT)


def test_what_is_missing_stays_missing():
    value, treated = draw(seed=7)
    value[0, treated[0]] = np.nan
    made = equivalence(least_squares(value, treated), -1.0, 1.0)
    np.testing.assert_array_equal(np.isnan(made.p), np.arange(8) == 0)
    made = parallel_bioequivalence(value, treated)  # some values are negative
    assert np.isnan(made.p).all()

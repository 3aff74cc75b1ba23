"""MCP-Mod of the subjects of trials, against published numbers and least squares."""

import numpy as np

from vtrial.measure.dose_response import candidate, tail_of_maximum
from vtrial.measure.dose_response.trial import contrasts_of, means_by_dose, models

DOSES = np.array([0.0, 12.5, 25, 50, 100])
LUNG = np.array([1.243, 1.317, 1.333, 1.374, 1.385])
CANDIDATES = [
    candidate("emax", 2.6),
    candidate("emax", 12.5),
    candidate("sigEmax", 30.5, 3.5),
    candidate("quadratic", -0.00776),
]
PLACE = np.repeat(np.arange(5), 60)


def lung(sign=1.0):
    """Make subjects with the published means, and standard errors of 0.015."""
    drawn = np.random.default_rng(1).normal(size=(5, 60))
    drawn -= drawn.mean(axis=1, keepdims=True)
    drawn /= drawn.std(axis=1, ddof=1, keepdims=True)
    return (drawn * 0.015 * np.sqrt(60) + sign * LUNG[:, None]).reshape(1, -1)


def test_subjects_of_verkindre_2010():
    """DoseFinding, articles/analysis_normal.md: statistics as printed there."""
    means = means_by_dose(lung(), PLACE[None], 5)
    made = contrasts_of(means, CANDIDATES, DOSES)
    assert means.freedom[0] == 295
    np.testing.assert_allclose(
        made.statistic[0], [6.937000, 7.442849, 6.675739, 7.016303], atol=6e-7
    )
    curve = models(means, made, CANDIDATES, DOSES, alpha=0.05, target=0.1)
    assert curve.words == ("emax", "sigEmax", "quadratic")
    assert curve.weights.tolist() == [[1.0, 0.0, 0.0]]
    assert abs(curve.target[0] - 26.2) < 0.05


def test_a_falling_response_is_the_same_upside_down():
    up, down = (means_by_dose(lung(sign), PLACE[None], 5) for sign in (1.0, -1.0))
    made = [contrasts_of(means, CANDIDATES, DOSES) for means in (up, down)]
    np.testing.assert_allclose(made[0].statistic, -made[1].statistic, rtol=1e-9)
    np.testing.assert_allclose(made[0].p, made[1].p, rtol=1e-6)
    doses = [
        models(means, test, CANDIDATES, DOSES, alpha=0.05, target=target).target[0]
        for means, test, target in zip((up, down), made, (0.1, -0.1), strict=True)
    ]
    assert abs(doses[0] - doses[1]) < 1e-6


def test_means_are_those_of_least_squares():
    rng = np.random.default_rng(2)
    place = np.where(rng.random((4, 300)) < 0.1, -1, PLACE)
    value = LUNG[PLACE] + rng.normal(size=(4, 300))
    value[:, 7] = np.nan
    covariates = rng.normal(size=(4, 300, 2)) + PLACE[:, None] / 3
    made = means_by_dose(value, place, 5, covariates=covariates)
    for row in range(4):
        seen = (place[row] >= 0) & np.isfinite(value[row])
        others = covariates[row][seen]
        member = (place[row][seen][:, None] == np.arange(5)).astype(float)
        design = np.column_stack([member, others - others.mean(axis=0)])
        found, rest, *_ = np.linalg.lstsq(design, value[row][seen], rcond=None)
        np.testing.assert_allclose(made.estimate[row], found[:5], rtol=1e-10)
        inverse = np.linalg.inv(design.T @ design)[:5, :5]
        np.testing.assert_allclose(made.inverse[row], inverse, rtol=1e-8, atol=1e-12)
        assert made.freedom[row] == seen.sum() - 7
        np.testing.assert_allclose(made.variance[row], rest[0] / (seen.sum() - 7))


def test_a_trial_without_a_dose_is_undefined():
    value = np.concatenate([lung(), lung()])
    place = np.stack([PLACE, np.where(PLACE == 2, -1, PLACE)])
    means = means_by_dose(value, place, 5)
    made = contrasts_of(means, CANDIDATES, DOSES)
    assert np.isfinite(made.p[0]).all()
    assert np.isnan(made.p[1]).all()
    curve = models(means, made, CANDIDATES, DOSES, alpha=0.05, target=0.1)
    assert np.isnan(curve.target[1])
    assert not curve.weights[1].any()


def test_no_response_is_shown_as_often_as_the_level_says():
    """2,000 trials; 99.7 % limits of a share of 5 %."""
    rng = np.random.default_rng(3)
    value = rng.normal(size=(2000, 50))
    place = np.broadcast_to(np.arange(50) % 5, value.shape)
    made = contrasts_of(means_by_dose(value, place, 5), CANDIDATES, DOSES)
    share = (made.p.min(axis=1) < 0.05).mean()
    assert abs(share - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 2000)


def test_groups_of_directions_move_little():
    correlation = np.array([[1, 0.957, 0.648], [0.957, 1, 0.839], [0.648, 0.839, 1]])
    limit = np.array([1.0, 2.2, 3.0])
    whole, quick = (
        tail_of_maximum(limit, correlation, freedom=45, two_sided=True, groups=groups)
        for groups in (0, 1024)
    )
    np.testing.assert_allclose(quick, whole, rtol=2e-6)

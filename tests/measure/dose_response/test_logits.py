"""MCP-Mod of responses: against DoseFinding's printed numbers, and other fits."""

from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import expit, logit

from vtrial.measure.dose_response import (
    candidate,
    multiple_contrast_test,
    optimal_contrasts,
)
from vtrial.measure.dose_response.logits import logits_by_dose
from vtrial.measure.dose_response.trial import contrasts_of, models

DOSES = np.array([0.0, 0.5, 1.5, 2.5, 4.0])
CANDIDATES = [
    candidate("emax", 0.25),
    candidate("emax", 1),
    candidate("sigEmax", 1, 3),
    candidate("sigEmax", 2.5, 4),
    candidate("betaMod", 1.1, 1.1),
]
TABLE = np.loadtxt(
    Path(__file__).parents[2] / "reference/dose_response/iga.csv",
    delimiter=",",
    skiprows=1,
)
PLACE = np.searchsorted(DOSES, TABLE[:, 0])[None]
VALUE = TABLE[:, 3][None]
COVARIATES = TABLE[None, :, 1:3]


def test_the_vignette_of_dosefinding():
    """Without covariates, as printed; its p-values have an error of 1e-3 (mvtnorm)."""
    found = logits_by_dose(VALUE, PLACE, 5)
    contrasts = optimal_contrasts(CANDIDATES, DOSES, covariance=found.inverse[0])
    printed = [
        [-0.817, -0.126, 0.202, 0.338, 0.402],
        [-0.641, -0.377, 0.103, 0.365, 0.550],
        [-0.471, -0.589, 0.163, 0.418, 0.479],
        [-0.280, -0.423, -0.300, 0.228, 0.775],
        [-0.540, -0.356, 0.358, 0.662, -0.124],
    ]
    np.testing.assert_allclose(contrasts, printed, atol=5.01e-4)
    made = contrasts_of(found, CANDIDATES, DOSES)
    statistic = [3.349, 3.378, 3.047, 2.668, 2.631]
    np.testing.assert_allclose(made.statistic[0], statistic, atol=5.01e-4)
    one = multiple_contrast_test(found.estimate, contrasts, found.inverse[0])
    adjusted = [0.00103, 0.00104, 0.00305, 0.01108, 0.01169]
    np.testing.assert_allclose(one.p[0], adjusted, atol=1e-3)
    np.testing.assert_allclose(made.p[0], 2 * one.p[0], rtol=0.02)  # of either sign


def test_the_vignette_with_covariates():
    """Its covariance is that of 1000 draws: statistics within 3 per cent."""
    found = logits_by_dose(VALUE, PLACE, 5, covariates=COVARIATES)
    made = contrasts_of(found, CANDIDATES, DOSES)
    printed = [3.471, 3.491, 3.115, 2.749, 2.639]
    np.testing.assert_allclose(made.statistic[0], printed, rtol=0.03)


def test_adjusted_logits_are_those_of_a_logistic_regression():
    """statsmodels' fit, averaged over everybody; the delta method by differences."""
    found = logits_by_dose(VALUE, PLACE, 5, covariates=COVARIATES)
    columns = np.column_stack([np.eye(5)[PLACE[0]], COVARIATES[0]])
    fit = sm.GLM(VALUE[0], columns, family=sm.families.Binomial()).fit(tol=1e-12)

    def averaged(slopes):
        beside = COVARIATES[0] @ slopes[5:]
        return logit(expit(slopes[:5] + beside[:, None]).mean(axis=0))

    np.testing.assert_allclose(found.estimate[0], averaged(fit.params), rtol=1e-7)
    step = 1e-5 * np.eye(7)
    gradient = np.column_stack(
        [(averaged(fit.params + d) - averaged(fit.params - d)) / 2e-5 for d in step]
    )
    covariance = gradient @ fit.cov_params() @ gradient.T
    np.testing.assert_allclose(found.inverse[0], covariance, rtol=1e-5, atol=1e-8)


def test_a_dose_without_responses_has_halves_added_to_all():
    value = VALUE.copy()
    value[PLACE == 0] = 0.0
    found = logits_by_dose(np.stack([value[0], VALUE[0]]), np.tile(PLACE, (2, 1)), 5)
    count = np.array([0, 24, 26, 33, 33]) + 0.5
    np.testing.assert_allclose(found.estimate[0], np.log(count / (101 - count)))
    np.testing.assert_allclose(
        np.diag(found.inverse[0]), 1 / count + 1 / (101 - count), rtol=1e-12
    )
    alone = logits_by_dose(VALUE, PLACE, 5)
    np.testing.assert_array_equal(found.estimate[1], alone.estimate[0])
    beside = logits_by_dose(value, PLACE, 5, covariates=0 * COVARIATES)
    np.testing.assert_allclose(beside.estimate[0], found.estimate[0], rtol=1e-7)
    np.testing.assert_allclose(beside.inverse[0], found.inverse[0], rtol=1e-7)
    none = logits_by_dose(VALUE, np.where(PLACE == 2, -1, PLACE), 5)
    assert np.isnan(none.estimate).all()
    test = contrasts_of(none, CANDIDATES, DOSES)
    assert np.isnan(test.p).all()
    made = models(none, test, CANDIDATES, DOSES, alpha=0.05, target=1.0)
    assert np.isnan(made.target).all()


def test_the_target_dose_is_where_the_curve_has_that_odds_ratio():
    """A curve through all logits of a true Emax gives its dose back."""
    many = 100_000
    share = expit(-2.2 + 1.6 * DOSES / (0.5 + DOSES))
    value = np.concatenate([np.arange(many) < round(many * p) for p in share])
    found = logits_by_dose(value[None].astype(float), np.repeat([range(5)], many, 1), 5)
    test = contrasts_of(found, CANDIDATES[:2], DOSES)
    effect = float(np.log(2.0))
    made = models(found, test, CANDIDATES[:2], DOSES, alpha=0.05, target=effect)
    assert made.words == ("emax",)
    assert made.target[0] == pytest.approx(0.5 * effect / (1.6 - effect), rel=2e-3)

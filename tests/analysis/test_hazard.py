import numpy as np
import pytest
from scipy import special
from statsmodels.duration.hazard_regression import PHReg

from vtrial.analysis.hazard import hazard_ratio

EXACT = {"rtol": 1e-9, "atol": 1e-10}


def draw(replicates=6, subjects=90, seed=1, *, grid=2.0):
    """Draw times on a coarse grid, so that there are many ties."""
    rng = np.random.default_rng(seed)
    treated = rng.uniform(size=(replicates, subjects)) < 0.5
    covariates = rng.normal([60, 0.01], [10, 0.004], (*treated.shape, 2))
    effect = 0.4 * treated - 0.05 * (covariates[..., 0] - 60)
    time = rng.exponential(10, treated.shape) * np.exp(effect)
    stop = rng.uniform(4, 30, time.shape)
    event = (time <= stop) * 1.0
    time = np.ceil(np.minimum(time, stop) / grid) * grid
    time[rng.uniform(size=time.shape) < 0.05] = np.nan
    covariates[0, 3, 1] = np.nan
    return time, event, treated, covariates, rng.integers(0, 3, time.shape)


@pytest.mark.parametrize("ties", ["Efron", "Breslow"])
@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("adjusted", [False, True])
def test_agrees_with_statsmodels(ties, split, adjusted):
    time, event, treated, covariates, strata = draw()
    made = hazard_ratio(
        time,
        event,
        treated,
        covariates=covariates if adjusted else None,
        strata=strata if split else None,
        ties=ties,
        level=0.9,
    )
    for i in range(len(time)):
        seen = np.isfinite(time[i]) & (
            np.isfinite(covariates[i, :, 1]) | (not adjusted)
        )
        columns = treated[i][:, None].astype(float)
        if adjusted:
            scaled = covariates[i] / [10, 0.004]  # as PHReg converges to digits so
            columns = np.column_stack([columns, scaled - np.nanmean(scaled, axis=0)])
        fit = PHReg(
            time[i][seen],
            columns[seen],
            status=event[i][seen],
            ties=ties.lower(),
            strata=strata[i][seen] if split else None,
        ).fit(tol=1e-12)
        low, high = np.exp(fit.conf_int(0.1)[0])
        expected = [np.exp(fit.params[0]), low, high, fit.pvalues[0], fit.bse[0]]
        np.testing.assert_allclose([field[i] for field in made], expected, **EXACT)


@pytest.mark.parametrize("adjusted", [False, True])
def test_score_and_likelihood_ratio_compare_with_the_fit_without_treatment(adjusted):
    time, event, treated, covariates, _ = draw(seed=2)
    columns = covariates if adjusted else None
    score, ratio = (
        hazard_ratio(time, event, treated, covariates=columns, test=test)
        for test in ("score", "likelihood ratio")
    )
    for i in range(len(time)):
        seen = np.isfinite(time[i]) & (
            np.isfinite(covariates[i, :, 1]) | (not adjusted)
        )
        x = treated[i][:, None].astype(float)
        if adjusted:
            scaled = covariates[i] / [10, 0.004]
            x = np.column_stack([x, scaled - np.nanmean(scaled, axis=0)])
        model = PHReg(time[i][seen], x[seen], status=event[i][seen], ties="efron")
        whole = model.fit(tol=1e-12)
        null = np.zeros(x.shape[1])
        if adjusted:
            rest = PHReg(
                time[i][seen], x[seen, 1:], status=event[i][seen], ties="efron"
            )
            null[1:] = rest.fit(tol=1e-12).params
        square = 2 * (whole.llf - model.loglike(null))
        p = special.chdtrc(1, square)
        np.testing.assert_allclose(ratio.p[i], p, rtol=1e-8, atol=1e-10)
        inverse = np.linalg.inv(-model.hessian(null))
        square = model.score(null)[0] ** 2 * inverse[0, 0]
        np.testing.assert_allclose(score.p[i], special.chdtrc(1, square), **EXACT)
        assert score.estimate[i] == ratio.estimate[i]


def test_a_monotone_likelihood_and_what_tells_nothing_are_nan():
    time, event, treated, covariates, _ = draw(seed=3)
    event[0, treated[0]] = 0.0  # events in one arm only
    event[1] = 0.0
    time[2, treated[2]] = np.nan
    covariates[3, :, 0] = treated[3]
    for columns in (None, covariates):
        made = hazard_ratio(time, event, treated, covariates=columns)
        lost = np.arange(6) < (3 if columns is None else 4)
        np.testing.assert_array_equal(np.isnan(made.estimate), lost)
        for field in made:
            np.testing.assert_array_equal(np.isnan(field), lost)
        for test in ("score", "likelihood ratio"):
            other = hazard_ratio(time, event, treated, covariates=columns, test=test)
            np.testing.assert_array_equal(np.isnan(other.p), lost)


def test_a_covariate_that_does_not_vary_is_ignored():
    time, event, treated, covariates, _ = draw(seed=4)
    covariates = covariates[:, :, :1]
    constant = np.full_like(covariates, 3.7)
    both = np.concatenate([covariates, constant], axis=2)
    plain = hazard_ratio(time, event, treated, covariates=covariates)
    np.testing.assert_allclose(
        hazard_ratio(time, event, treated, covariates=both), plain, rtol=1e-8
    )
    np.testing.assert_allclose(
        hazard_ratio(time, event, treated, covariates=constant),
        hazard_ratio(time, event, treated),
        rtol=1e-8,
    )


def test_a_covariate_without_a_finite_coefficient_leaves_treatment_its_own():
    # Nobody with the mark has an event; its coefficient goes to minus infinity, and
    # the treatment's to that of the fit without those subjects, who tell nothing.
    time, event, treated, _, _ = draw(seed=5)
    mark = np.zeros((*time.shape, 1))
    mark[:, :8] = 1.0
    event[:, :8] = 0.0
    made = hazard_ratio(time, event, treated, covariates=mark)
    left = time.copy()
    left[:, :8] = np.nan
    np.testing.assert_allclose(
        made.estimate, hazard_ratio(left, event, treated).estimate, rtol=1e-6
    )


def test_trials_do_not_touch_each_other():
    time, event, treated, covariates, strata = draw(seed=6)
    event[0] = 0.0
    made = hazard_ratio(time, event, treated, covariates=covariates, strata=strata)
    for i in range(len(time)):
        row = slice(i, i + 1)
        one = hazard_ratio(
            time[row],
            event[row],
            treated[row],
            covariates=covariates[row],
            strata=strata[row],
        )
        for whole, part in zip(made, one, strict=True):
            np.testing.assert_allclose(whole[i], part[0], rtol=1e-10)


def test_tiny_trials_give_sound_numbers_or_none():
    for seed in range(60):
        rng = np.random.default_rng(seed)
        time, event, treated, covariates, strata = draw(subjects=10, seed=seed)
        kept = slice(0, int(rng.integers(4, 10)))
        made = hazard_ratio(
            time[:, kept],
            event[:, kept],
            treated[:, kept],
            covariates=covariates[:, kept],
            strata=strata[:, kept],
        )
        known = np.isfinite(made.estimate)
        assert np.isfinite(made.p[known]).all()
        assert (made.low <= made.high)[known].all()
        for field in made:
            np.testing.assert_array_equal(np.isfinite(field), known)

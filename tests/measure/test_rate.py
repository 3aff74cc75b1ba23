import warnings

import numpy as np
import pytest
import statsmodels.api as sm

from vtrial.measure.rate import rate_ratio

EXACT = {"rtol": 1e-8, "atol": 1e-10}


def draw(replicates=8, subjects=120, seed=1, dispersion=0.6):
    rng = np.random.default_rng(seed)
    treated = rng.uniform(size=(replicates, subjects)) < 0.5
    exposure = rng.uniform(0.3, 1.2, treated.shape)
    covariates = rng.normal(50, 8, (*treated.shape, 1))
    mean = exposure * np.exp(0.6 - 0.5 * treated + 0.03 * (covariates[..., 0] - 50))
    if dispersion:
        mean = mean * rng.gamma(1 / dispersion, dispersion, mean.shape)
    value = rng.poisson(mean) * 1.0
    value[:, :4] = np.nan
    exposure[:, 4] = 0.0
    return value, exposure, treated, covariates


@pytest.mark.parametrize("family", ["Poisson", "negative binomial"])
@pytest.mark.parametrize("adjusted", [False, True])
def test_agrees_with_statsmodels(family, adjusted):
    value, exposure, treated, covariates = draw()
    columns = covariates if adjusted else None
    made = rate_ratio(value, exposure, treated, covariates=columns, family=family)
    for i in range(len(value)):
        seen = np.isfinite(value[i]) & (exposure[i] > 0)
        design = [np.ones(seen.sum()), treated[i][seen] * 1.0]
        if adjusted:
            design.append((covariates[i][seen, 0] - 50) / 8)
        kind = sm.Poisson if family == "Poisson" else sm.NegativeBinomial
        model = kind(
            value[i][seen], np.column_stack(design), exposure=exposure[i][seen]
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rough = model.fit(disp=0, maxiter=300)
            fit = model.fit(rough.params, disp=0, method="newton", tol=1e-14)
        low, high = np.exp(fit.conf_int(0.05)[1])
        expected = [np.exp(fit.params[1]), low, high, fit.pvalues[1], fit.bse[1]]
        np.testing.assert_allclose([field[i] for field in made], expected, **EXACT)


def test_without_covariates_poissons_ratio_is_that_of_the_crude_rates():
    value, exposure, treated, _ = draw(seed=2)
    made = rate_ratio(value, exposure, treated, family="Poisson")
    seen = np.isfinite(value) & (exposure > 0)
    rates, events = [], []
    for side in (treated, ~treated):
        events.append(np.where(seen & side, value, 0).sum(axis=1))
        rates.append(events[-1] / np.where(seen & side, exposure, 0).sum(axis=1))
    np.testing.assert_allclose(made.estimate, rates[0] / rates[1], **EXACT)
    np.testing.assert_allclose(
        made.error, np.sqrt(1 / events[0] + 1 / events[1]), **EXACT
    )


def test_counts_that_vary_less_than_poissons_get_poissons_fit():
    value, exposure, treated, _ = draw(seed=3, dispersion=0)
    made = rate_ratio(value, exposure, treated)
    plain = rate_ratio(value, exposure, treated, family="Poisson")
    same = made.error == plain.error
    assert 0 < same.sum() < len(value)
    np.testing.assert_array_equal(made.estimate[same], plain.estimate[same])
    assert (made.error[~same] > plain.error[~same]).all()


@pytest.mark.parametrize("family", ["Poisson", "negative binomial"])
def test_what_has_no_ratio_is_nan(family):
    value, exposure, treated, covariates = draw(seed=4)
    value[0, treated[0]] = 0.0
    value[1] = 0.0
    value[2, treated[2]] = np.nan
    value[3, 10] = 1.5
    value[4, 10] = -1.0
    for columns in (None, covariates):
        made = rate_ratio(value, exposure, treated, covariates=columns, family=family)
        for field in made:
            np.testing.assert_array_equal(np.isnan(field), np.arange(8) < 5)


def test_one_large_count_is_borne():
    value, exposure, treated, _ = draw(seed=5)
    value[0, 20] = 5000.0
    made = rate_ratio(value, exposure, treated)
    assert np.isfinite(made.estimate).all()
    assert made.error[0] > made.error[1:].max()

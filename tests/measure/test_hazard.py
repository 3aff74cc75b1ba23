import itertools
import warnings

import numpy as np
import pytest
from scipy import optimize, special
from statsmodels.discrete.conditional_models import ConditionalLogit
from statsmodels.duration.hazard_regression import PHReg

from vtrial.measure.hazard import hazard_ratio

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


@pytest.mark.slow
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


def every_set(slopes, time, event, columns, strata):
    """Return the exact partial likelihood's logarithm by listing all sets."""
    total = 0.0
    for stratum, t in set(zip(strata[event == 1], time[event == 1], strict=True)):
        risk = np.flatnonzero((strata == stratum) & (time >= t))
        happened = np.flatnonzero((strata == stratum) & (time == t) & (event == 1))
        predictor = columns @ slopes
        sets = itertools.combinations(risk, len(happened))
        chances = [predictor[list(one)].sum() for one in sets]
        total += predictor[happened].sum() - special.logsumexp(chances)
    return total


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("adjusted", [False, True])
def test_exact_ties_agree_with_a_list_of_all_sets(split, adjusted):
    """Trials of fourteen with up to five events at a time."""
    time, event, treated, covariates, strata = draw(8, 14, seed=9, grid=8.0)
    strata = np.minimum(strata, 1)
    made = hazard_ratio(
        time,
        event,
        treated,
        covariates=covariates[..., :1] if adjusted else None,
        strata=strata if split else None,
        ties="exact",
    )
    known = np.isfinite(made.estimate)
    assert known.sum() >= 4
    for i in np.flatnonzero(known):
        seen = np.isfinite(time[i])
        columns = treated[i, seen, None].astype(float)
        if adjusted:
            columns = np.column_stack([columns, (covariates[i, seen, 0] - 60) / 10])
        given = (time[i, seen], event[i, seen], columns)
        part = strata[i, seen] if split else np.zeros(seen.sum(), int)
        lost = optimize.minimize(
            lambda slopes, *given: -every_set(slopes, *given),
            np.zeros(columns.shape[1]),
            args=(*given, part),
            method="Nelder-Mead",
            options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 4000},
        )
        np.testing.assert_allclose(np.log(made.estimate[i]), lost.x[0], atol=2e-6)


@pytest.mark.parametrize("adjusted", [False, True])
def test_exact_ties_agree_with_a_conditional_logistic_regression(adjusted):
    """Everybody at risk at a time of events is a group of it."""
    time, event, treated, covariates, _ = draw(3, 60, seed=10, grid=4.0)
    made = hazard_ratio(
        time,
        event,
        treated,
        covariates=covariates if adjusted else None,
        ties="exact",
        test="likelihood ratio",
    )
    for i in range(len(time)):
        seen = np.isfinite(time[i]) & (
            np.isfinite(covariates[i, :, 1]) | (not adjusted)
        )
        columns = treated[i][:, None].astype(float)
        if adjusted:
            scaled = covariates[i] / [10, 0.004]
            columns = np.column_stack([columns, scaled - np.nanmean(scaled, axis=0)])
        times = np.unique(time[i][seen & (event[i] == 1)])
        risks = [np.flatnonzero(seen & (time[i] >= t)) for t in times]
        happened = [
            (time[i][risk] == t) & (event[i][risk] == 1)
            for t, risk in zip(times, risks, strict=True)
        ]
        group = np.repeat(np.arange(len(times)), [len(risk) for risk in risks])
        y, rows = np.concatenate(happened) * 1.0, columns[np.concatenate(risks)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = ConditionalLogit(y, rows, groups=group)
            fit = model.fit(disp=False)  # it stops 1e-5 from the top
        slope = np.log(made.estimate[i : i + 1])
        np.testing.assert_allclose(slope, fit.params[:1], atol=1e-4)
        if not adjusted:
            np.testing.assert_allclose(model.score(slope), 0, atol=1e-8)
        np.testing.assert_allclose(made.error[i], fit.bse[0], rtol=1e-3)
        assert 0 < made.p[i] < 1


def test_exact_ties_are_efrons_and_breslows_without_ties():
    time, event, treated, covariates, strata = draw(seed=11)
    time = time + np.random.default_rng(1).uniform(0, 1, time.shape)
    how = {"covariates": covariates, "strata": strata}
    exact = hazard_ratio(time, event, treated, **how, ties="exact")
    efron = hazard_ratio(time, event, treated, **how)
    for field, other in zip(exact, efron, strict=True):
        np.testing.assert_allclose(field, other, rtol=1e-7)


def test_exact_ties_of_a_trial_do_not_depend_on_the_others():
    time, event, treated, covariates, strata = draw(seed=12, grid=10.0)
    event[0] = 0.0
    how = {"covariates": covariates, "strata": strata}
    made = hazard_ratio(time, event, treated, **how, ties="exact")
    assert np.isnan(made.estimate[0])
    rows = slice(2, 3)
    how = {name: value[rows] for name, value in how.items()}
    one = hazard_ratio(time[rows], event[rows], treated[rows], **how, ties="exact")
    for whole, part in zip(made, one, strict=True):
        np.testing.assert_allclose(whole[2], part[0], rtol=1e-9)

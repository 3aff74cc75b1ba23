"""Fits: closed forms, many at once as if each alone, failures as data."""

import jax
import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from vtrial.measure.mixed import FEW, effects, fit_mixed
from vtrial.measure.mmrm_design import lay_out


def draw(replicates=6, subjects=40, visits=3, missing=0.2, seed=1):
    """Draw values with a random level of each subject, and two columns."""
    rng = np.random.default_rng(seed)
    value = 50 + rng.normal(0, 2, (replicates, subjects, 1))
    value = value + rng.normal(0, 1, (replicates, subjects, visits))
    value[rng.uniform(size=value.shape) < missing] = np.nan
    slope = np.broadcast_to(rng.normal(size=value.shape[:2])[..., None], value.shape)
    return value, np.stack([np.ones_like(value), slope], axis=3)


@pytest.mark.slow
def test_one_visit_is_least_squares():
    value, design = draw(visits=1)
    fit = fit_mixed(lay_out(value, design), "un")
    for trial in range(len(value)):
        one = sm.OLS(value[trial, :, 0], design[trial, :, 0], missing="drop").fit()
        np.testing.assert_allclose(effects(fit)[trial], one.params, rtol=1e-10)
        np.testing.assert_allclose(fit.parameter[trial, 0, 0], one.mse_resid)
    likely = fit_mixed(lay_out(value, design), "un", restricted=False)
    np.testing.assert_allclose(likely.minus_two_log[trial], -2 * one.llf, rtol=1e-11)


@pytest.mark.slow
def test_complete_compound_symmetry_is_analysis_of_variance():
    value, design = draw(missing=0.0)
    fit = fit_mixed(lay_out(value, design[..., :1]), "cs")
    subjects, visits = value.shape[1:]
    middle = value.mean(axis=2)
    within = ((value - middle[..., None]) ** 2).sum(axis=(1, 2))
    residual = within / (subjects * (visits - 1))
    between = visits * middle.var(axis=1, ddof=1)
    np.testing.assert_allclose(fit.parameter[:, 0, 1], residual, rtol=1e-8)
    np.testing.assert_allclose(
        fit.parameter[:, 0, 0], (between - residual) / visits, rtol=1e-8
    )


def test_complete_unstructured_is_the_sample_covariance():
    value, _ = draw(missing=0.0)
    means = np.broadcast_to(np.eye(3), (*value.shape, 3))
    fit = fit_mixed(lay_out(value, means), "un")
    for trial, values in enumerate(value):
        place = np.tril_indices(3)
        expected = np.cov(values.T)[place]
        np.testing.assert_allclose(fit.parameter[trial, 0], expected, rtol=1e-8)


SLOW = pytest.mark.slow


@pytest.mark.slow
@pytest.mark.parametrize(
    "covariance",
    ["un", pytest.param("ante1", marks=SLOW), pytest.param("sp exp", marks=SLOW)],
)
def test_many_are_fitted_as_if_each_alone(covariance):
    value, design = draw()
    many = fit_mixed(lay_out(value, design), covariance)
    assert many.converged.all()
    for trial in (0, 4):
        rows = slice(trial, trial + 1)
        alone = fit_mixed(lay_out(value[rows], design[rows]), covariance)
        for name in ("minus_two_log", "parameter", "effect", "spread"):
            np.testing.assert_allclose(
                getattr(alone, name)[0], getattr(many, name)[trial], rtol=1e-6
            )


def test_order_of_subjects_and_units_change_nothing():
    value, design = draw()
    fit = fit_mixed(lay_out(value, design), "toeph")
    back = fit_mixed(lay_out(value[:, ::-1], design[:, ::-1]), "toeph")
    np.testing.assert_allclose(back.parameter, fit.parameter, rtol=1e-7)
    scaled = fit_mixed(lay_out(1e4 * value - 7, design * [1, 1e-5]), "toeph")
    np.testing.assert_allclose(
        effects(scaled)[:, 1], 1e9 * effects(fit)[:, 1], rtol=1e-7
    )
    np.testing.assert_allclose(scaled.parameter[..., 3:], fit.parameter[..., 3:], 1e-6)


@pytest.mark.slow
def test_places_count_by_distance():
    value, design = draw(visits=4)
    at = np.broadcast_to(np.array([[0.0], [1], [2], [3]]), (*value.shape, 1))
    power = fit_mixed(lay_out(value, design, coordinate=at), "sp pow")
    lagged = fit_mixed(lay_out(value, design), "ar1")
    assert (lagged.parameter[:, 0, 1] > 0).all()
    np.testing.assert_allclose(power.minus_two_log, lagged.minus_two_log, rtol=1e-12)
    np.testing.assert_allclose(power.parameter, lagged.parameter, rtol=1e-5)
    longer = fit_mixed(lay_out(value, design, coordinate=100 * at), "sp exp")
    np.testing.assert_allclose(longer.minus_two_log, power.minus_two_log, rtol=1e-12)
    moved = at + np.arange(value.shape[1])[None, :, None, None]  # places of their own
    own = fit_mixed(lay_out(value, design, coordinate=moved), "sp pow")
    np.testing.assert_allclose(own.minus_two_log, power.minus_two_log, rtol=1e-12)


@pytest.mark.slow
def test_groups_with_means_of_their_own_are_two_fits():
    value, _ = draw()
    group = np.tile(np.arange(40) % 2, (6, 1))
    member = (group[:, :, None, None] == np.arange(2)) * np.ones((*value.shape, 1))
    both = fit_mixed(lay_out(value, member, group=group), "csh", restricted=False)
    alone = 0.0
    for one in range(2):
        part = np.where((group == one)[:, :, None], value, np.nan)
        design = np.ones((*value.shape, 1))
        alone = (
            alone
            + fit_mixed(lay_out(part, design), "csh", restricted=False).minus_two_log
        )
    np.testing.assert_allclose(both.minus_two_log, alone, rtol=1e-11)
    assert both.parameter.shape == (6, 2, 4)


@pytest.mark.slow
def test_weights_are_precisions():
    # Two equal values, independent of each other, are one of twice the weight.
    rng = np.random.default_rng(4)
    value = rng.normal(size=(3, 30, 1))
    weight = rng.integers(1, 5, value.shape) * 1.0
    fit = fit_mixed(lay_out(value, np.ones((3, 30, 1, 1)), weight=weight), "un")
    mean = np.average(value, weights=weight, axis=1)
    np.testing.assert_allclose(effects(fit), mean, rtol=1e-10)
    expected = (weight * (value - mean[:, None]) ** 2).sum(axis=1) / 29
    np.testing.assert_allclose(fit.parameter[:, 0], expected, rtol=1e-9)
    density = stats.norm(mean[:, None], np.sqrt(expected[:, None] / weight))
    log = -2 * density.logpdf(value).sum(axis=(1, 2))
    information = weight.sum(axis=(1, 2)) / expected[:, 0]
    log += np.log(information) - np.log(2 * np.pi)
    np.testing.assert_allclose(fit.minus_two_log, log, rtol=1e-11)


@pytest.mark.slow
def test_a_trial_that_cannot_be_fitted_is_data():
    value, design = draw(missing=0.0)
    value[1] = np.nan  # nobody
    value[2, 2:] = np.nan  # fewer subjects than visits
    value[3, :, 2] = np.nan  # a visit that nobody has
    value[4, :, 1] = 2 * value[4, :, 0]  # a correlation of one
    fit = fit_mixed(lay_out(value, design), "un")
    assert fit.converged.tolist() == [True, False, False, False, False, True]
    good = fit_mixed(lay_out(value[[0, 5]], design[[0, 5]]), "un")
    np.testing.assert_allclose(fit.parameter[[0, 5]], good.parameter, rtol=1e-7)
    for name in ("minus_two_log", "parameter", "effect", "covariance", "spread"):
        assert np.isnan(getattr(fit, name)[1:5]).all()


@pytest.mark.slow
def test_batches_of_any_size_are_one(monkeypatch):
    value, design = draw(replicates=7)
    whole = fit_mixed(lay_out(value, design), "cs")
    monkeypatch.setattr("vtrial.measure.mixed.BYTES", 1.0)
    single = fit_mixed(lay_out(value, design), "cs")
    np.testing.assert_allclose(single.parameter, whole.parameter, rtol=1e-9)
    assert single.steps.shape == (7,)


def test_nothing_compiles_twice(compiled):
    value, design = draw(replicates=8, seed=2)
    fit_mixed(lay_out(value, design), "ar1h")
    assert compiled, "the count counts"
    compiled.clear()
    fit_mixed(lay_out(*draw(replicates=8, seed=3)), "ar1h")
    fit_mixed(lay_out(value[:5], design[:5]), "ar1h")  # filled up to eight
    assert compiled == []


@pytest.fixture
def compiled():
    """Count what is compiled, as JAX itself reports it."""
    found = []

    def note(name, seconds, **_about):
        if name == "/jax/core/compile/backend_compile_duration":
            found.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(note)
    yield found
    jax.monitoring.unregister_event_duration_listener(note)


def drifting(visits=6, *, together=0.999, trials=8, subjects=160):
    """Draw weights in percent of those at the start, as a smooth course leaves them."""
    rng = np.random.default_rng(5)
    lag = np.abs(np.subtract.outer(np.arange(visits), np.arange(visits)))
    spread = np.linspace(6, 23, visits)
    covariance = together**lag * np.outer(spread, spread)
    value = rng.multivariate_normal(
        np.full(visits, -15.0), covariance, (trials, subjects)
    )
    return value, np.broadcast_to(np.eye(visits), (*value.shape, visits))


@pytest.mark.slow
def test_visits_that_go_closely_together_are_fitted():
    """The likelihood is rounded there by more than the last steps would gain."""
    value, means = drifting()
    left = np.random.default_rng(2).integers(1, 24, value.shape[:2])
    value[np.arange(6) >= left[..., None]] = np.nan
    fit = fit_mixed(lay_out(value, means), "un")
    assert fit.converged.all()
    assert fit.steps.max() <= FEW


@pytest.mark.parametrize("leaving", [False, True])
def test_the_start_is_near_the_end_where_nobody_comes_back(leaving):
    value, means = drifting(together=0.9)
    if leaving:
        left = np.random.default_rng(2).integers(1, 24, value.shape[:2])
        value[np.arange(6) >= left[..., None]] = np.nan
    fit = fit_mixed(lay_out(value, means), "un")
    assert fit.converged.all()
    assert fit.steps.max() <= 5

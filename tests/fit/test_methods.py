"""Methods of estimation against what is known exactly, and against each other."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from tests.fit.conftest import written
from vtrial.errors import FitError
from vtrial.fit import chain
from vtrial.fit.calibration import calibrate
from vtrial.fit.likelihood import likelihood_of
from vtrial.fit.marginal import marginal_of
from vtrial.fit.mean_effect import means_of
from vtrial.fit.mode import modes
from vtrial.fit.parameters import layout_of
from vtrial.fit.problem import Problem
from vtrial.fit.registry import method_of, methods
from vtrial.fit.study import read_study
from vtrial.fit.values import values_of
from vtrial.model.sheet import load_model

TIMES = np.array([0.0, 1.0, 3.0])
CURVE = {
    "model": "curve",
    "equations": "conc = tv * exp(eta.A) * exp(-0.3 * t)",
    "parameters": {"tv": {"value": 5.0}},
    "random": [{"of": "A", "variance": 0.2}],
    "outputs": {"conc": {"error": {"additive": 1.0}}},
}
LINE = CURVE | {
    "model": "line",
    "equations": "conc = base + eta.A + (slope + eta.B) * t",
    "parameters": {
        "base": {"value": 4.0, "scale": "identity"},
        "slope": {"value": 1.0, "scale": "identity"},
    },
    "random": [{"of": ["A", "B"], "covariance": [[1.0], [0.2, 0.3]]}],
}


def study_of(folder, curve, subjects=10, seed=3):
    draw, rows = np.random.default_rng(seed), []
    for number in range(1, subjects + 1):
        conc = curve(draw) + draw.normal(size=TIMES.size)
        rows += [f"{number},{t:g},{c:.4f}" for t, c in zip(TIMES, conc, strict=True)]
    return written(folder, rows, "ID,TIME,DV")


@pytest.fixture(scope="module")
def curved(tmp_path_factory):
    def curve(draw):
        return 5.0 * np.exp(draw.normal() * np.sqrt(0.2)) * np.exp(-0.3 * TIMES)

    path = study_of(tmp_path_factory.mktemp("curve"), curve)
    return load_model(CURVE), path


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    def curve(draw):
        a, b = draw.multivariate_normal([4.0, 1.0], [[1.0, 0.2], [0.2, 0.3]])
        return a + b * TIMES

    path = study_of(tmp_path_factory.mktemp("line"), curve)
    return load_model(LINE), path


def problem_of(model, path):
    study = read_study(model, path)
    likelihood = likelihood_of(model, study)
    return Problem(model, study, likelihood, layout_of(model), values_of(model))


def exact(values, vector):
    """Integrate over the one effect of CURVE, without n log 2 pi."""
    tv, omega, sigma = np.exp(vector)
    eta = np.linspace(-4.0, 4.0, 1001)
    conc = tv * np.exp(eta)[:, None] * np.exp(-0.3 * TIMES)
    total = 0.0
    for mine in values:
        each = ((mine - conc) / sigma) ** 2 + 2 * np.log(sigma)
        own = -0.5 * each.sum(axis=1) - 0.5 * (eta / omega) ** 2 - np.log(omega)
        total += logsumexp(own) + np.log(eta[1] - eta[0]) - 0.5 * np.log(2 * np.pi)
    return -2.0 * total


@pytest.fixture(scope="module")
def fitted(curved, tmp_path_factory):
    """By SAEM, into a folder; briefly, for the model has one effect."""
    into = tmp_path_factory.mktemp("saem") / "FIT"
    how = {"iterations": 200, "warmup": 100, "draws": 200}
    return calibrate(*curved, into=into, method="saem", **how), into


def test_the_sampled_likelihood_is_the_integral(curved, note):
    """Of 4 standard errors by chance: false alarms are 1 in 16,000."""
    problem = problem_of(*curved)
    vector = problem.layout.vector(problem.base)
    found = modes(problem.model, problem.study, likelihood=problem.likelihood)
    marginal = marginal_of(problem, vector, found, draws=200)
    point = marginal.at(vector)
    values = problem.study.data.values[:, :3]
    gap = point.objective - exact(values, vector)
    note("sampled likelihood, in its standard errors", abs(gap) / point.error)
    assert 0 < point.error < 0.5
    assert abs(gap) < 4 * point.error
    for place in range(3):
        ends = []
        for step in (1e-4, -1e-4):
            moved = vector.copy()
            moved[place] += step
            ends.append(marginal.at(moved).objective)
        slope = (ends[0] - ends[1]) / 2e-4
        assert slope == pytest.approx(point.slopes[:, place].sum(), abs=1e-5)


def test_saem_finds_the_maximum(fitted, note):
    """Where it ends, the exact objective is within 0.05 of its least."""
    from scipy.optimize import minimize

    found, _ = fitted
    values = found.study.data.values[:, :3]
    best = minimize(lambda at: exact(values, at), found.vector, method="Nelder-Mead")
    gap = exact(values, found.vector) - best.fun
    note("objective of SAEM above its least", gap)
    assert gap < 0.05
    assert found.told["means_of"] == {"eta.A": "tv"}
    assert abs(found.objective - best.fun) < 4 * found.error + 0.05
    assert (found.errors > 0).all()


def test_the_folder_of_a_method_that_draws(fitted):
    found, into = fitted
    summary = json.loads((into / "estimates.json").read_text())
    assert summary["likelihood"] == "importance sampling"
    assert summary["objective_error"] == pytest.approx(found.error)
    traces = pd.read_csv(into / "traces.csv")
    assert len(traces) == 300
    assert list(traces.columns) == ["iteration", *found.layout.names]
    model = load_model(into / "model.yaml")
    assert np.array(model.population) == pytest.approx(found.covariance[:1, :1])
    people = pd.read_csv(into / "individuals.csv")
    assert people.objective.sum() == pytest.approx(found.objective)


def test_a_fit_starts_at_another(curved, fitted, straight):
    found, into = fitted
    again = calibrate(*curved, method="fo", start=into, most=0)
    np.testing.assert_allclose(again.vector, found.vector, rtol=1e-7)
    with pytest.raises(FitError, match="the model's: base; slope"):
        calibrate(*straight, method="fo", start=into)
    with pytest.raises(FitError, match=r"without model\.yaml"):
        calibrate(*curved, method="fo", start=into.parent)


@pytest.mark.parametrize(
    "word", ["fo", "focei", pytest.param("laplace", marks=pytest.mark.slow)]
)
def test_likelihoods_agree_where_the_model_is_linear(straight, word):
    """And are that of the multivariate normal law."""
    problem = problem_of(*straight)
    design = np.stack([np.ones(3), TIMES], axis=1)
    spread = design @ np.array([[1.0, 0.2], [0.2, 0.3]]) @ design.T + np.eye(3)
    law = multivariate_normal(design @ [4.0, 1.0], spread)
    values = problem.study.data.values[:, :3]
    wanted = -2 * law.logpdf(values).sum() - values.size * np.log(2 * np.pi)
    found = calibrate(*straight, method=word, most=0)
    assert found.objective == pytest.approx(wanted, abs=1e-6)


def test_means_are_told_from_other_parameters(straight):
    problem = problem_of(*straight)
    vector = problem.layout.vector(problem.base)
    assert means_of(problem, vector) == ((0, 0), (1, 1))


def test_what_a_method_does_not_take_is_told():
    assert list(methods())[0] == "focei"
    with pytest.raises(FitError, match="Write `saem`"):
        method_of("seam", {})
    with pytest.raises(FitError, match="of these, focei takes none"):
        method_of("focei", {"draws": 10})
    with pytest.raises(FitError, match="1 or more"):
        method_of("nuts", {"chains": 0})


@pytest.fixture(scope="module")
def sampled(curved, fitted):
    """By NUTS, briefly, with what is kept on the way."""
    _, into = fitted
    how = {"start": into, "draws": 100, "warmup": 100, "chains": 2}
    kept, seen = into.parent / ".POSTERIOR.unfinished", into.parent / "kept"

    def tell(step, objective, left):
        if step == 125:
            shutil.copytree(kept, seen)

    target = into.parent / "POSTERIOR"
    found = calibrate(*curved, method="nuts", into=target, tell=tell, **how)
    assert not kept.exists()
    return found, how, seen


@pytest.mark.slow
def test_the_posterior_is_the_integral_s(sampled, note):
    """Means by quadrature over three population values, within 5 of their errors."""
    found, _, _ = sampled
    values = found.study.data.values[:, :3]
    middle = found.layout.vector(values_of(found.model))
    axes = [
        np.linspace(m - w, m + w, 17)
        for m, w in zip(found.vector, (1, 3, 0.9), strict=True)
    ]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    law = ((grid - middle) / [2.0, 1.0, 1.0]) ** 2
    density = np.array([-0.5 * exact(values, one) for one in grid])
    density = density - 0.5 * law.sum(axis=1)
    weight = np.exp(density - density.max())
    mean = weight @ grid / weight.sum()
    spread = np.sqrt(weight @ (grid - mean) ** 2 / weight.sum())
    worth = np.array(list(found.told["ess"].values()))
    far = np.abs(found.vector - mean) / (spread / np.sqrt(np.maximum(worth, 10)))
    note("posterior means, in their standard errors", far.max())
    assert (far < 5).all()
    ratio = np.sqrt(np.diag(found.covariance)) / spread
    assert ((ratio > 0.7) & (ratio < 1.4)).all()


@pytest.mark.slow
def test_who_goes_on_draws_the_same(curved, fitted, sampled, monkeypatch):
    found, how, seen = sampled
    _, into = fitted
    shutil.copytree(seen, into.parent / ".AGAIN.unfinished")
    steps = []
    again = calibrate(
        *curved,
        method="nuts",
        into=into.parent / "AGAIN",
        tell=lambda step, *_: steps.append(step),
        **how,
    )
    assert steps[0] == 125 + chain.PORTION
    np.testing.assert_array_equal(again.draws, found.draws)
    shutil.copytree(seen, into.parent / ".OTHER.unfinished")
    with pytest.raises(FitError, match="of other numbers"):
        calibrate(*curved, method="nuts", into=into.parent / "OTHER", seed=2, **how)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["importance", "vi"])
def test_other_methods_come_to_the_same(curved, fitted, method):
    """Within a standard error, for a posterior mean is no maximum."""
    found, into = fitted
    other = calibrate(*curved, method=method, start=into)
    assert other.converged
    assert (
        np.abs(other.vector - found.vector) < np.sqrt(np.diag(found.covariance))
    ).all()

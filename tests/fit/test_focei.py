"""FOCEI: its slopes are those of its objective, and its minimum is found."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from tests.fit.conftest import altered, written
from vtrial.errors import FitError
from vtrial.fit.calibration import calibrate
from vtrial.fit.checks import checks_of
from vtrial.fit.comparison import compare_fits
from vtrial.fit.doubts import doubts_of
from vtrial.fit.focei import Focei, objective_of
from vtrial.fit.folder import summary_of
from vtrial.fit.likelihood import likelihood_of
from vtrial.fit.parameters import layout_of
from vtrial.fit.study import read_study
from vtrial.fit.values import values_of
from vtrial.model.sheet import load_model
from vtrial.report.fitted import render_fit


@pytest.fixture(scope="module")
def problem(model, study_file):
    study = read_study(model, study_file)
    likelihood = likelihood_of(model, study)
    return Focei(model, study, likelihood, layout_of(model), values_of(model))


@pytest.mark.slow
def test_slopes_are_those_of_the_objective(problem, note):
    at = problem.layout.vector(problem.base)
    together = ("omega(KA)", "omega(CL)", "omega(CL,V)", "omega(V)")
    assert problem.layout.names[3:7] == together
    here = problem.at(at)
    assert here.objective == pytest.approx(objective_of(here.modes).sum(), abs=1e-8)
    slope = here.slopes.sum(axis=0)
    for place in range(len(at)):
        ends = []
        for step in (1e-3, -1e-3):
            moved = at.copy()
            moved[place] += step
            ends.append(problem.at(moved, here.modes.eta).objective)
        gap = abs((ends[0] - ends[1]) / 2e-3 - slope[place])
        note("slopes of FOCEI, against differences", gap / (1 + abs(slope[place])))
        assert gap < 1e-3 * (1 + abs(slope[place]))


def test_the_minimum_is_one(problem, fit):
    found, _ = fit
    assert found.converged
    assert list(found.course) == sorted(found.course, reverse=True)
    assert found.objective < problem.at(problem.layout.vector(problem.base)).objective
    slope = problem.at(found.vector).slopes.sum(axis=0)
    assert np.abs(slope).max() < 0.05
    truth = problem.layout.natural(problem.layout.vector(problem.base), problem.base)
    within = np.abs(found.estimates - np.asarray(truth)) / found.errors
    # Fixed data: nothing is left to chance. So few people do not tell covariances.
    assert (within[[0, 1, 2, 3, -2, -1]] < 4).all()


def test_the_folder_is_whole_and_its_model_goes_on(fit):
    found, into = fit
    table = pd.read_csv(into / "estimates.csv", index_col="parameter")
    summary = json.loads((into / "estimates.json").read_text())
    assert summary["objective"] == pytest.approx(found.objective)
    model = load_model(into / "model.yaml")
    values = {p.name: p.value for p in model.parameters}
    assert values["tvCL"] == pytest.approx(table.estimate["tvCL"])
    wanted = found.covariance[:3, :3]
    np.testing.assert_allclose(np.array(model.population), wanted, rtol=1e-6)
    assert all(block.freedom > 3 for block in model.random)
    rows = pd.read_csv(into / "predictions.csv")
    assert len(rows) == found.study.observations
    assert abs(rows.CWRES.mean()) < 0.3
    assert 0.7 < rows.CWRES.std() < 1.3
    people = pd.read_csv(into / "individuals.csv")
    assert people.objective.sum() == pytest.approx(found.objective)
    with pytest.raises(FitError, match="there already"):
        calibrate(found.model, found.study.source, into=into)


def test_what_is_fixed_is_not_estimated(model):
    layout = layout_of(model, fixed=["tvKA", "eta.CL", "eta.V", "conc.additive"])
    assert layout.names == ("tvCL", "tvV", "omega(KA)", "conc.proportional")
    with pytest.raises(FitError, match="all of those that covary") as told:
        layout_of(model, fixed=["eta.CL", "tvKa"])
    assert "Write `tvKA`" in str(told.value)


def test_a_value_that_cannot_be_is_told_by_its_line(tmp_path):
    """Nothing is there before the dose, which a proportional error has no law for."""
    sheet = altered(outputs={"conc": {"error": {"proportional": 0.1}}})
    rows = ["1,0,.,0,0.1", "1,1,100,1,.", "1,2,.,0,2"]
    path = written(tmp_path, rows)
    with pytest.raises(FitError, match="predicted as 0") as told:
        calibrate(load_model(sheet), path, into=tmp_path / "FIT")
    assert told.value.faults[0].line == 2
    assert not (tmp_path / "FIT").exists()


def test_a_fit_is_looked_at_and_compared(fit, tmp_path, model):
    """NPDE are near the standard normal: the model is the one that made the data."""
    found, into = fit
    frames = checks_of(found, simulations=200, into=into)
    rows = pd.read_csv(into / "predictions.csv")
    assert rows.NPDE.notna().all()
    assert abs(rows.NPDE.mean()) < 4 / np.sqrt(len(rows))
    assert 0.7 < rows.NPDE.std() < 1.3
    np.testing.assert_allclose(rows.RES, rows.DV - rows.PRED, atol=1e-6)
    assert frames["check"].observations.sum() == len(rows)
    page = render_fit(summary_of(found), frames, into).read_text()
    assert "FOCEI estimated" in page
    assert "npde-conc" in page
    other = tmp_path / "other"
    other.mkdir()
    told = json.loads((into / "estimates.json").read_text())
    less = [name for name in told["names"] if name != "conc.additive"]
    told |= {"objective": told["objective"] + 10.0, "names": less}
    (other / "estimates.json").write_text(json.dumps(told))
    (nested,) = compare_fits([into, other])["nested"].itertuples()
    assert (nested.df, nested.more) == (1, "conc.additive")
    assert nested.p == pytest.approx(0.00157, abs=1e-5)  # R: pchisq(10, 1)
    (other / "estimates.json").write_text(json.dumps(told | {"data_digest": "other"}))
    with pytest.raises(FitError, match="of other data"):
        compare_fits([into, other])


def test_a_correlation_that_ran_to_one_is_told(fit):
    found, _ = fit
    (size,) = (b for b in found.values.covariances if b.shape == (2, 2))
    root = np.sqrt(np.diag(size))
    blocks = tuple(
        np.outer(root, root) if b.shape == (2, 2) else b
        for b in found.values.covariances
    )
    edge = dataclasses.replace(found, values=found.values._replace(covariances=blocks))
    assert any("ran to 1, which is the boundary" in text for text in doubts_of(edge))

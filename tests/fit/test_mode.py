"""Modes of persons: a minimum of the density that is written out beside it."""

import numpy as np
import pytest
import scipy.optimize

from tests.fit.conftest import TIMES, altered, written
from vtrial.fit.likelihood import likelihood_of
from vtrial.fit.mode import Outcome, modes
from vtrial.fit.study import read_study
from vtrial.model.sheet import load_model

OMEGA = np.array([[0.4, 0, 0], [0, 0.07, 0.01], [0, 0.01, 0.02]])


@pytest.fixture(scope="module")
def found(model, study_file):
    study = read_study(model, study_file)
    return study, modes(model, study)


def density(eta, values):
    """Write L of one person out, without the constants."""
    ka, cl, v = np.array([1.5, 2.7, 31.0]) * np.exp(eta)
    at, k = np.array(TIMES), cl / v
    conc = 320 / v * ka / (ka - k) * (np.exp(-k * at) - np.exp(-ka * at))
    variance = 0.2**2 + (0.1 * conc) ** 2
    own = np.sum((values - conc) ** 2 / variance + np.log(variance))
    prior = eta @ np.linalg.solve(OMEGA, eta) + np.linalg.slogdet(OMEGA)[1]
    return own + prior


def test_modes_are_minima_of_the_density(found, note):
    study, best = found
    assert (best.outcome == Outcome.CONVERGED).all()
    for subject in range(0, 12, 3):
        values = study.data.values[subject, :7]
        assert density(best.eta[subject], values) == pytest.approx(
            best.objective[subject], abs=1e-8
        )
        other = scipy.optimize.minimize(density, np.zeros(3), (values,), tol=1e-9)
        gap = np.abs(other.x - best.eta[subject]).max()
        note("modes, against SciPy's minimum", gap)
        assert gap < 1e-4
        assert other.fun >= best.objective[subject] - 1e-9


def test_company_changes_no_mode(model, found):
    study, best = found
    again = modes(model, study, start=best.eta + 0.3)
    np.testing.assert_allclose(again.eta, best.eta, atol=1e-6)
    deviations = np.sqrt(np.diagonal(best.covariance, axis1=1, axis2=2))
    assert (deviations < np.sqrt(np.diag(OMEGA))).all()


def test_a_limit_counts_by_its_probability(model, tmp_path):
    """Who is below a limit is told to have less than who is not told at all."""
    rows = ["1,0,320,1,.,.", "1,1,.,0,6,0", "1,24,.,0,0.5,1"]
    rows += ["2,0,320,1,.,.", "2,1,.,0,6,0"]
    study = read_study(model, written(tmp_path, rows, "ID,TIME,AMT,EVID,DV,CENS"))
    best = modes(model, study)
    assert (best.outcome == Outcome.CONVERGED).all()
    assert best.predicted[0, 1] < 0.8
    place = likelihood_of(model, study).effects.names.index("eta.CL")
    assert best.eta[0, place] > best.eta[1, place] + 0.1


def test_occasions_have_effects_of_their_own(tmp_path):
    sheet = altered(
        random=[
            {"of": "CL", "variance": 0.07},
            {"of": "KA", "variance": 0.4, "level": "occasion"},
        ]
    )
    sheet["equations"] = sheet["equations"].replace("eta.V", "0")
    model = load_model(sheet)
    rows = []
    for turn, first in ((1, 4.0), (2, 9.0)):
        begin = 100 * turn
        rows.append(f"1,{begin},320,4,.,{turn}")
        rows += [f"1,{begin + 0.5},.,0,{first},{turn}", f"1,{begin + 4},.,0,7,{turn}"]
    rows += ["2,0,320,1,.,1", "2,0.5,.,0,4,1", "2,4,.,0,7,1"]
    study = read_study(model, written(tmp_path, rows, "ID,TIME,AMT,EVID,DV,OCC"))
    best = modes(model, study)
    assert likelihood_of(model, study).effects.labels[1:] == ("eta.KA[1]", "eta.KA[2]")
    assert best.eta[0, 1] < -0.3
    assert best.eta[0, 2] > 0.3
    # An occasion that a subject does not have leaves its effect as it was.
    assert best.eta[1, 2] == 0
    assert best.covariance[1, 2, 2] == pytest.approx(0.4)


def test_other_numbers_compile_nothing_anew(model, found):
    study, best = found
    other = load_model(
        altered(
            parameters={
                "tvKA": {"value": 1.0},
                "tvCL": {"value": 3.0},
                "tvV": {"value": 30.0},
            }
        )
    )
    assert likelihood_of(other, study) == likelihood_of(model, study)
    assert np.abs(modes(other, study).eta - best.eta).max() > 0.1

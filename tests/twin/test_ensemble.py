"""Ensembles against Kalman's filter, which is exact for a linear normal model."""

import math

import numpy as np
import pytest

from tests.twin.conftest import written
from tests.twin.walk import DRIFT, SHEET, drifts, kalman, known_mean, walks
from vtrial.errors import FitError
from vtrial.fit.study import read_study
from vtrial.model.sheet import load_model
from vtrial.twin import importance
from vtrial.twin.particle import filtered

FEW, MANY = 60, 1500


@pytest.fixture(scope="module")
def walk():
    return load_model(SHEET)


@pytest.fixture(scope="module")
def study(walk, tmp_path_factory):
    return read_study(walk, walks(tmp_path_factory.mktemp("walk")))


def by_ensemble(model, study, members):
    return filtered(model, study, method="ensemble", particles=members)


def gaps(found, study):
    """Return how far off Kalman's means, deviations and log p(y) are, a row a person.

    Means are in his deviations, and deviations in shares of them.
    """
    real, means, spreads, logs = study.data.real, [], [], []
    for place in range(study.subjects):
        total, exact = kalman(study.data.values[place][real[place]])
        mine = found.seen.bands["level"][place][real[place]]
        deviation = np.sqrt(exact[:, 1])
        means.append((mine[:, 0] - exact[:, 0]) / deviation)
        spreads.append(mine[:, 1] / deviation - 1.0)
        logs.append(found.log_likelihood[place] - total)
    return np.array(means), np.array(spreads), np.array(logs)


def size(values):
    return math.sqrt(np.mean(np.square(values)))


def test_a_large_ensemble_is_kalmans_filter(walk, study, note):
    few, many = (by_ensemble(walk, study, count) for count in (FEW, MANY))
    means, spreads, logs = gaps(many, study)
    note("mean of a level, in Monte Carlo errors", abs(means).max() * math.sqrt(MANY))
    assert abs(means).max() < 6 / math.sqrt(MANY)
    assert abs(spreads).max() < 6 / math.sqrt(MANY)
    error = np.std(logs, ddof=1)
    assert error < 0.15
    assert abs(np.mean(logs)) < 3 * error / math.sqrt(len(logs))
    # A fifth of the error at 25 times the members: between half and twice of that.
    for at_few, at_many in zip(gaps(few, study)[:2], (means, spreads), strict=True):
        assert 2.5 < size(at_few) / size(at_many) < 10


def test_company_moves_nobody(walk, study, monkeypatch):
    together = by_ensemble(walk, study, FEW)
    monkeypatch.setattr(importance, "ROWS", 2 * FEW)
    parted = by_ensemble(walk, study, FEW)
    assert np.array_equal(parted.seen.bands["level"], together.seen.bands["level"])
    assert np.array_equal(parted.log_likelihood, together.log_likelihood)


def test_measurements_count_on_the_scale_of_their_law(study, tmp_path):
    """Logarithms of lognormal measurements are normal: Kalman's filter of these."""
    seen = {"level": {"error": {"log": 0.4}}, "place": {}}
    equations = "init(x) = eta.X0\nlevel = exp(x)\nplace = x"
    model = load_model(SHEET | {"equations": equations, "outputs": seen})
    own = read_study(model, walks(tmp_path, of=math.exp))
    found = by_ensemble(model, own, MANY)
    logs = np.log(own.data.values)
    means = []
    for place in range(own.subjects):
        total, exact = kalman(logs[place])
        gap = found.seen.bands["place"][place][:, 0] - exact[:, 0]
        means.append(gap / np.sqrt(exact[:, 1]))
        mine = found.log_likelihood[place] + logs[place].sum()
        assert mine == pytest.approx(total, abs=0.5)
    assert np.abs(means).max() < 6 / math.sqrt(MANY)


def test_what_does_not_move_is_found(tmp_path):
    model = load_model(DRIFT)
    path, paths = drifts(tmp_path)
    found = by_ensemble(model, read_study(model, path), 300)
    exact = np.array([known_mean(walk) for walk in paths])
    last = found.seen.bands["mean"][:, -1]
    assert size((last[:, 0] - exact[:, 0]) / exact[:, 1]) < 0.15
    np.testing.assert_allclose(last[:, 1], exact[:, 1], rtol=0.3)


@pytest.mark.parametrize(
    ("change", "rows", "moves", "said"),
    [
        ({}, "1,1,0.5,0,.", 2, "moves is 2.*--method particles"),
        ({}, "1,1,.,1,0.5", 0, "below a limit is 1"),
        ({"every 1 h": "x <- x + bernoulli(x, 0.5)"}, "1,1,0.5,0,.", 0, "bernoulli"),
        ({"events": {"fall": {"hazard": "0.1"}}}, "1,1,0.5,0,.", 0, "events fall"),
        ({"outputs": {"level": {"error": {"additive": 1, "student": 4}}}},
         "1,1,0.5,0,.", 0, "of the law student"),
    ],
)  # fmt: skip
def test_what_has_no_ensemble_is_refused(change, rows, moves, said, tmp_path):
    model = load_model(SHEET | change)
    study = read_study(model, written(tmp_path, [rows], "ID,TIME,DV,BLQ,LLOQ"))
    with pytest.raises(FitError, match=said):
        filtered(model, study, method="ensemble", particles=FEW, moves=moves)

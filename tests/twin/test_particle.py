"""Particles against Kalman's filter, which is exact for a linear normal model."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.twin.conftest import written
from tests.twin.walk import DRIFT, PEOPLE, SHEET, drifts, kalman, known_mean, walks
from vtrial.errors import FitError
from vtrial.fit.study import read_study
from vtrial.model.grammar import parse_expression
from vtrial.model.sheet import load_model
from vtrial.solver.by_chance import ticks_of
from vtrial.twin.alarm import monitor
from vtrial.twin.particle import Filtered, cloud_of, filtered, follow

PARTICLES = 2000
EVENT = "level < -1"


@pytest.fixture(scope="module")
def walk():
    return load_model(SHEET)


@pytest.fixture(scope="module")
def study(walk, tmp_path_factory):
    return read_study(walk, walks(tmp_path_factory.mktemp("walk")))


@pytest.fixture(scope="module")
def found(walk, study):
    return monitor(
        walk, study, event=EVENT, within=3.0, threshold=0.5, particles=PARTICLES
    )


def test_particles_are_kalmans_filter(walk, study, found, note):
    del found  # whose program it is: what is looked ahead changes no particle
    cloud = cloud_of(walk, study, PARTICLES)
    cloud = replace(
        cloud, watched=parse_expression(EVENT), ahead=ticks_of(walk, 0.0, 3.0) + 1
    )
    found = Filtered(walk, study, follow(cloud, walk, study, 0, 3.0))
    real = study.data.real
    bands = found.seen.bands["level"]
    logs = []
    for place in range(study.subjects):
        total, exact = kalman(study.data.values[place][real[place]])
        logs.append(found.log_likelihood[place] - total)
        mine = bands[place][real[place]]
        worth = found.seen.worth[place][real[place]]
        gap = np.abs(mine[:, 0] - exact[:, 0]) / np.sqrt(exact[:, 1] / worth)
        note("mean of a level, in Monte Carlo errors", gap.max())
        assert gap.max() < 6
        np.testing.assert_allclose(mine[:, 1], np.sqrt(exact[:, 1]), rtol=0.1)
    # Each estimate's error is estimated from those of eight persons.
    error = np.std(logs, ddof=1)
    note("log-likelihood, in standard errors of eight", abs(np.mean(logs)) / error)
    assert error < 0.15
    assert abs(np.mean(logs)) < 3 * error / math.sqrt(len(logs))


def test_what_does_not_move_is_found_after_many_measurements(tmp_path, note):
    model = load_model(DRIFT)
    path, paths = drifts(tmp_path)
    study = read_study(model, path)
    found = filtered(model, study, particles=300, moves=2)
    exact = np.array([known_mean(walk) for walk in paths])
    last = found.seen.bands["mean"][:, -1]
    gap = (last[:, 0] - exact[:, 0]) / exact[:, 1]
    note("mean that does not move, in deviations", np.abs(gap).max())
    # It is 0.18 without moves: few particles are left that differ.
    assert np.sqrt(np.mean(gap**2)) < 0.15
    assert abs(gap.mean()) < 3 * gap.std(ddof=1) / math.sqrt(PEOPLE)
    np.testing.assert_allclose(last[:, 1], exact[:, 1], rtol=0.3)


def test_alarms_come_before_what_they_tell(found):
    table = found.table
    assert table["after"].between(0, 1).all()
    assert (table["alarm"] == (table["after"] >= 0.5)).all()
    low = table[table["level"] < -1.0]
    high = table[table["level"] > 1.0]
    assert low["after"].mean() > 0.6 > 0.2 > high["after"].mean()
    assert found.summary["events"] >= 1
    assert 0 <= found.summary["caught"] <= found.summary["events"]
    assert found.summary["false_alarms_per_day"] >= 0


def test_models_without_chance_have_no_particles(known, tmp_path):
    rows = ["1,0,100,1,.,.", "1,1,.,0,5,2"]
    study = read_study(known, written(tmp_path, rows))
    with pytest.raises(FitError, match="without chance"):
        filtered(known, study)

"""Particles against Kalman's filter, which is exact for a linear normal model."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.twin.conftest import written
from vtrial.errors import FitError
from vtrial.fit.study import read_study
from vtrial.model.grammar import parse_expression
from vtrial.model.sheet import load_model
from vtrial.solver.by_chance import ticks_of
from vtrial.twin.alarm import monitor
from vtrial.twin.particle import Filtered, cloud_of, filtered, follow

KEEPS, STEP, ERROR = 0.9, 0.5, 0.4
SHEET = {
    "model": "walk",
    "equations": "init(x) = eta.X0\nlevel = x",
    "parameters": {"KEEPS": {"value": KEEPS}, "STEP": {"value": STEP}},
    "random": [{"of": "X0", "variance": 1.0}],
    "every 1 h": "x <- KEEPS*x + STEP*normal(x)",
    "outputs": {"level": {"error": {"additive": ERROR}}},
}
LITTLE, LONG, PEOPLE = 0.1, 20, 6
DRIFT = {
    "model": "drift",
    "equations": "init(x) = 0\nmean = eta.M\nlevel = x + mean",
    "parameters": {"KEEPS": {"value": KEEPS}, "STEP": {"value": LITTLE}},
    "random": [{"of": "M", "variance": 4.0}],
    "every 1 h": "x <- KEEPS*x + STEP*normal(x)",
    "outputs": {"level": {"error": {"additive": ERROR}}, "mean": {}},
}
TIMES = (1, 2, 3, 5, 6, 8)
PARTICLES = 2000
EVENT = "level < -1"


def kalman(values):
    """Return log p(y), and mean and variance of the level at each measurement."""
    mean, variance, total, clock, found = 0.0, 1.0, 0.0, 0, []
    for time, value in zip(TIMES, values, strict=True):
        for _ in range(time - clock):
            mean, variance = KEEPS * mean, KEEPS**2 * variance + STEP**2
        clock, size = time, variance + ERROR**2
        total -= 0.5 * (math.log(2 * math.pi * size) + (value - mean) ** 2 / size)
        gain = variance / size
        mean, variance = mean + gain * (value - mean), (1 - gain) * variance
        found.append((mean, variance))
    return total, np.array(found)


@pytest.fixture(scope="module")
def walk():
    return load_model(SHEET)


@pytest.fixture(scope="module")
def study(walk, tmp_path_factory):
    draw = np.random.default_rng(5)
    rows = []
    for person in range(1, 9):
        level = draw.normal()
        for hour in range(1, TIMES[-1] + 1):
            level = KEEPS * level + STEP * draw.normal()
            if hour in TIMES:
                seen = level + ERROR * draw.normal()
                rows.append(f"{person},{hour},{seen:.4f}")
    path = written(tmp_path_factory.mktemp("walk"), rows, "ID,TIME,DV")
    return read_study(walk, path)


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


def known_mean(values):
    """Return mean and deviation of what does not move, behind the last measurement.

    Kalman's filter of two states: the level without its mean, and that mean.
    """
    mean, spread = np.zeros(2), np.diag([0.0, 4.0])
    goes, jumps, sees = np.diag([KEEPS, 1.0]), np.diag([LITTLE**2, 0.0]), np.ones(2)
    for value in values:
        mean, spread = goes @ mean, goes @ spread @ goes.T + jumps
        gain = spread @ sees / (sees @ spread @ sees + ERROR**2)
        mean = mean + gain * (value - sees @ mean)
        spread = spread - np.outer(gain, sees @ spread)
    return mean[1], math.sqrt(spread[1, 1])


def test_what_does_not_move_is_found_after_many_measurements(tmp_path, note):
    model, draw = load_model(DRIFT), np.random.default_rng(7)
    walks = np.zeros((PEOPLE, LONG))
    level, means = np.zeros(PEOPLE), 2.0 * draw.normal(size=PEOPLE)
    for hour in range(LONG):
        level = KEEPS * level + LITTLE * draw.normal(size=PEOPLE)
        walks[:, hour] = level + means + ERROR * draw.normal(size=PEOPLE)
    rows = [
        f"{person + 1},{hour + 1},{walks[person, hour]:.6f}"
        for person in range(PEOPLE)
        for hour in range(LONG)
    ]
    study = read_study(model, written(tmp_path, rows, "ID,TIME,DV"))
    found = filtered(model, study, particles=300, moves=2)
    exact = np.array([known_mean(walk) for walk in walks])
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

"""Prognostic scores, and the size of a trial that adjusts for them."""

import json

import numpy as np
import pytest

from tests.twin.conftest import SHEET, VARIANCE, written
from vtrial.cli.app import app
from vtrial.errors import DataError
from vtrial.twin.prognostic import sample_size


def test_adjusting_takes_what_the_formula_says(note):
    """The variance of the adjusted difference, over trials drawn at once."""
    draw = np.random.default_rng(3)
    trials, size, rho = 2000, 200, 0.7
    score = draw.normal(size=(trials, size))
    noise = np.sqrt(1 - rho**2) * draw.normal(size=(trials, size))
    treated = np.tile(np.arange(size) % 2 == 0, (trials, 1))
    outcome = rho * score + noise + 0.5 * treated
    one, two = score - score.mean(1, keepdims=True), outcome.copy()
    arms = np.stack([np.ones_like(one), treated, one], axis=2)
    found = np.linalg.solve(
        np.einsum("tsi,tsj->tij", arms, arms),
        np.einsum("tsi,ts->ti", arms, two)[..., None],
    )
    variance = found[:, 1, 0].var() * size
    note("variance of an adjusted difference", abs(variance / (4 * (1 - rho**2)) - 1))
    assert variance == pytest.approx(4 * (1 - rho**2), rel=0.12)
    without, adjusted = sample_size(0.5, 1.0), sample_size(0.5, 1.0, correlation=rho)
    assert adjusted / without == pytest.approx(1 - rho**2, rel=0.02)


def test_sizes_that_cannot_be_are_told():
    with pytest.raises(DataError) as told:
        sample_size(0.0, -1.0, correlation=2.0, power=90.0)
    said = {fault.at for fault in told.value.faults}
    assert said == {"effect", "deviation", "correlation", "power"}


@pytest.fixture
def told(tmp_path, capsys):
    """Return what `vtrial score` prints of somebody of whom nothing was measured."""
    model = tmp_path / "known.yaml"
    model.write_text(json.dumps(SHEET))
    path = written(tmp_path, ["1,0,100,1,.,."])

    def run(*options):
        line = ["score", model, "--data", path, *options]
        app([str(one) for one in line], standalone_mode=False)
        return capsys.readouterr().out

    return run


def test_a_score_is_the_mean_of_what_may_come(told, tmp_path):
    """Within 5 Monte Carlo errors: false alarms are 1 in 1.7 million."""
    node, weight = np.polynomial.hermite_e.hermegauss(40)
    clearance = 4.0 * np.exp(np.sqrt(VARIANCE) * node)
    conc = 100 / 20 * np.exp(-clearance / 20 * 6)
    share = weight / weight.sum()
    mean = share @ conc
    error = np.sqrt(share @ (conc - mean) ** 2 / 1000)
    file = tmp_path / "scores.csv"
    said = told("--of", "conc", "--at", "6 h", "--correlation", "0.6", "--out", file)
    assert "needs 64 % of the subjects" in said
    head, row = file.read_text().splitlines()
    assert head == "ID,score"
    assert float(row.split(",")[1]) == pytest.approx(mean, abs=5 * error)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--of", "conk", "--at", "6 h"], "of `conk`.*Write `conc`"),
        (["--of", "conc", "--at", "6 h, 8 h"], "2 times; it must be one"),
        (["--of", "conc", "--at", "6 h", "--correlation", "1"], "correlation is 1"),
    ],
)
def test_scores_that_cannot_be_are_told(told, options, words):
    with pytest.raises(DataError, match=words):
        told(*options)

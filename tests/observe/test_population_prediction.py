"""Predictions of the population: of simulated subjects, and of observed points."""

import dataclasses

import numpy as np
import pytest

import vtrial as vt
from vtrial.conduct.layout import predictions
from vtrial.errors import ProtocolError

OBSERVED = """observed:
  conc:
    file: seen.csv
    arm: high
    correct: prediction and variability
"""
CSV = "ID,TIME,DV,WT\n"
TIMES = np.array([25.0, 28.0, 36.0, 48.0])


def by_hand(dose, weight, hours):
    """Superpose two doses in one compartment, written out anew."""
    ka, ke = 1.0, 5.0 * (weight / 70) ** 0.75 / (50.0 * weight / 70)
    volume = 50.0 * weight / 70
    total = np.zeros(np.broadcast_shapes(np.shape(weight), np.shape(hours)))
    for given in (0.0, 24.0):
        since = np.maximum(hours - given, 0.0)
        rise = np.exp(-ke * since) - np.exp(-ka * since)
        total = total + dose * ka / volume / (ka - ke) * rise
    return total


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("typical")


@pytest.fixture
def observing(sheets):
    """Sheets with observed points of two people, one of them measured off schedule."""
    sheets.texts["small"] += OBSERVED
    sheets.folder.mkdir()
    rows = [(7, t, 1.0, 80) for t in TIMES] + [(9, t + 0.5, 2.0, 60) for t in TIMES]
    text = CSV + "".join(",".join(map(str, row)) + "\n" for row in rows)
    (sheets.folder / "seen.csv").write_text(text)
    return sheets


@pytest.mark.slow
def test_predictions_are_those_of_the_typical_subject(observing, tmp_path):
    protocol = observing.load()
    assert protocol.keep.predictions == "prediction and variability"
    record = vt.run(protocol, out=tmp_path / "one", workers=0)
    tree = record.tree()
    weight, arm = (np.asarray(tree[f"subjects/{name}"]) for name in ("WT", "arm"))
    for place, name in enumerate(("low", "high")):
        mine = arm == place
        held = tree[f"arms/{name}/measurements"]
        predicted = np.asarray(held["predicted"])[:, :, 0]
        assert np.isnan(predicted[~mine]).all()
        dose = 50.0 if name == "low" else 2 * weight[mine, None]
        wanted = by_hand(dose, weight[mine, None], TIMES)
        np.testing.assert_allclose(predicted[mine], wanted, rtol=1e-6)
    spread = np.asarray(tree["arms/high/measurements/spread"])[arm == 1, :, 0]
    wanted = _deviation(weight[arm == 1][:, None], TIMES)
    assert np.abs(np.log(spread / wanted).mean()) < 0.05
    assert np.log(spread / wanted).std() < 0.25, "of 50 draws: about 0.1 to 0.15"

    seen = np.asarray(tree["observed/predicted"])
    wanted = [by_hand(160.0, 80.0, TIMES), by_hand(120.0, 60.0, TIMES + 0.5)]
    np.testing.assert_allclose(seen, np.concatenate(wanted), rtol=1e-6)
    ratio = np.asarray(tree["observed/spread"])[:4] / _deviation(80.0, TIMES)
    assert (np.abs(np.log(ratio)) < 0.5).all()

    table = vt.evaluate(tree, protocol).predictive
    assert set(table["corrected"]) == {"prediction and variability"}
    assert set(table["arm"]) == {"high"}
    again = vt.conduct.protocol_of(record)
    assert again.observed == protocol.evidence.observed
    assert vt.evaluate(tree, again).predictive.equals(table)


def _deviation(weight, hours):
    """Return the standard deviation of a value at 2 mg/kg, by brute force."""
    rng = np.random.default_rng(4)
    eta = rng.multivariate_normal([0, 0], [[0.09, 0.03], [0.03, 0.0625]], 4000)
    cl, v = np.exp(eta.T)[:, :, None, None]
    weight = np.asarray(weight, float).reshape(-1, 1)
    ke, volume = 0.1 * (weight / 70) ** -0.25 * cl / v, 50.0 * weight / 70 * v
    value = 0.0
    for given in (0.0, 24.0):
        rise = np.exp(-ke * (hours - given)) - np.exp(-(hours - given))
        value = value + 2 * weight / volume / (1 - ke) * rise
    value = value * (1 + 0.15 * rng.normal(size=value.shape))
    return value.std(axis=0).reshape(np.broadcast_shapes(np.shape(weight), TIMES.shape))


@pytest.mark.slow
def test_a_simulated_trial_predicts_itself_when_it_is_observed(observing, tmp_path):
    """Subjects of a record, given as a real study's, get the same predictions."""
    plain = observing.load()
    first = vt.run(plain, out=tmp_path / "one", workers=0).tree()
    mine = np.flatnonzero(np.asarray(first["subjects/arm"]) == 1)[:20]
    weight = np.asarray(first["subjects/WT"])[mine]
    held = first["arms/high/measurements"]
    value = np.asarray(held["measured"])[mine, :, 0]
    rows = [
        f"{who},{time},{value[i, j]},{weight[i]}"
        for i, who in enumerate(mine)
        for j, time in enumerate(TIMES)
    ]
    (observing.folder / "seen.csv").write_text(CSV + "\n".join(rows) + "\n")
    changed = observing.load()
    with pytest.raises(ProtocolError, match="predictions that the record does not"):
        vt.evaluate(first, changed)
    record = vt.run(changed, out=tmp_path / "one", workers=0)
    second = record.tree()
    wanted = np.asarray(held["predicted"])[mine, :, 0]
    seen = np.asarray(second["observed/predicted"])
    np.testing.assert_allclose(seen, wanted.ravel(), rtol=1e-9)
    table = vt.evaluate(second, changed).predictive
    again = vt.conduct.protocol_of(record)
    assert vt.evaluate(second, again).predictive.equals(table)
    assert table["observed"].between(table["low"], table["high"]).mean() > 0.6


@pytest.mark.slow
def test_predictions_do_not_depend_on_the_block(observing, tmp_path):
    trees = []
    for block in (25, 7):
        protocol = observing.load(block=block, replicates=1)
        record = vt.run(protocol, out=tmp_path / str(block), workers=0)
        trees.append(record.tree())
    for path in ("arms/high/measurements/spread", "arms/low/measurements/predicted"):
        one, other = (np.asarray(tree[path]) for tree in trees)
        np.testing.assert_allclose(one, other, rtol=1e-9)


@pytest.mark.slow
def test_effects_between_occasions_are_zero_too(observing, tmp_path):
    covariance = "covariance: [[0.09], [0.03, 0.0625]]"
    observing.change("body", covariance, f"level: occasion, {covariance}")
    observing.change("small", "replicates: 4", 'occasions: "0 h, 24 h"')
    observing.change("small", " and variability", "")
    protocol = observing.load()
    tree = vt.run(protocol, out=tmp_path / "one", workers=0).tree()
    mine = np.asarray(tree["subjects/arm"]) == 1
    weight = np.asarray(tree["subjects/WT"])[mine, None]
    predicted = np.asarray(tree["arms/high/measurements/predicted"])[mine, :, 0]
    wanted = by_hand(2 * weight, weight, TIMES)
    np.testing.assert_allclose(predicted, wanted, rtol=1e-6)
    seen = np.asarray(tree["observed/predicted"])[:4]
    np.testing.assert_allclose(seen, by_hand(160.0, 80.0, TIMES), rtol=1e-6)


def test_nothing_is_predicted_unless_it_is_asked_for(sheets):
    protocol = sheets.load()
    assert predictions(protocol) == ()
    sheets.change("small", "measurements: true", "predictions: prediction")
    asked = sheets.load()
    assert predictions(asked) == ("predicted",)
    assert vt.plan(asked).simulations == 2 * vt.plan(protocol).simulations
    assert "solved once more" in vt.plan(asked).words()
    assert asked.keep.measurements
    assert asked.digest != protocol.digest
    assert predictions(dataclasses.replace(asked, visits=())) == ()

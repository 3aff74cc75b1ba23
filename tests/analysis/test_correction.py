"""Corrected predictive checks against formulae written out by hand."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from tests.altered import altered
from vtrial.analysis.correction import (
    correct_prediction,
    correct_variability,
    corrected_spread,
)
from vtrial.analysis.evaluate import evaluate
from vtrial.analysis.predictive import bins_of, quantiles_of
from vtrial.errors import ProtocolError
from vtrial.protocol.evidence import Observed, name_points
from vtrial.protocol.protocol import Visit

DOSES = np.array([50.0, 100.0, 100.0, 300.0])


def test_prediction_correction_is_bergstrands():
    """Four subjects at one time, worked out on paper."""
    value = np.array([1.0, 3.0, 5.0, 12.0])
    predicted = np.array([1.0, 2.0, 4.0, 8.0])  # median 3
    got = correct_prediction(value, predicted, np.array(3.0))
    np.testing.assert_allclose(got, [3.0, 4.5, 3.75, 4.5])
    got = correct_prediction(value, predicted, np.array(3.0), bound=-1.0)
    np.testing.assert_allclose(got, [3.0, 13 / 3, 3.8, -1 + 13 * 4 / 9])
    got = correct_prediction(value, predicted, np.array(3.0), logarithms=True)
    np.testing.assert_allclose(got, [3.0, 4.0, 4.0, 7.0])


def test_variability_correction_is_bergstrands():
    value, spread = np.array([3.0, 4.5]), np.array([0.5, 2.0])
    got = correct_variability(value, np.array(3.0), spread, np.array(1.0))
    np.testing.assert_allclose(got, [3.0, 3.75])
    of_corrected = corrected_spread(spread, np.array([1.0, -6.0]), np.array(3.0))
    np.testing.assert_allclose(of_corrected, [1.5, 1.0])
    same = corrected_spread(spread, spread, np.array(3.0), logarithms=True)
    np.testing.assert_array_equal(same, spread)


def test_what_cannot_be_corrected_is_missing():
    """Before the dose all is at the bound: values stay as they are."""
    value, nobody = np.array([0.2, 0.3]), np.zeros(2)
    np.testing.assert_array_equal(
        correct_prediction(value, nobody, np.array(0.0)), value
    )
    mixed = correct_prediction(value, np.array([0.0, 2.0]), np.array(1.0))
    np.testing.assert_array_equal(mixed, [np.nan, 0.15])


def test_observed_points_are_corrected_within_their_bins():
    """An independent loop over points, against the bins of the check."""
    rng = np.random.default_rng(3)
    planned, count = np.array([1.0, 4.0, 4.0, 9.0]), 40
    time = rng.choice([0.8, 1.1, 3.9, 4.2, 8.0, 10.0], count)
    predicted, spread = rng.lognormal(size=count), rng.uniform(0.5, 2, count)
    value = predicted * rng.lognormal(sigma=0.3, size=count)
    seen = Observed("conc", tuple(time), tuple(value), correct="prediction")
    bins = bins_of(seen, planned, predicted)
    both = bins_of(seen, planned, predicted, spread)
    np.testing.assert_array_equal(bins.times, [1.0, 4.0, 9.0])
    for i in range(count):
        near = np.argmin(np.abs(bins.times - time[i]))
        mates = [j for j in range(count) if abs(time[j] - bins.times[near]) < 2.5]
        middle = np.median(predicted[mates])
        alone = value[i] * middle / predicted[i]
        assert bins.value[i] == pytest.approx(alone)
        deviations = [spread[j] * middle / predicted[j] for j in mates]
        own = spread[i] * middle / predicted[i]
        full = middle + (alone - middle) * np.median(deviations) / own
        assert both.value[i] == pytest.approx(full)


def test_equal_predictions_correct_nothing():
    value = np.random.default_rng(1).lognormal(size=30)
    seen = Observed("conc", (2.0,) * 30, tuple(value), correct="prediction")
    bins = bins_of(seen, np.array([2.0]), np.full(30, 7.0), np.full(30, 0.4))
    np.testing.assert_allclose(bins.value, value, rtol=1e-14)


def _trials(rng, count, doses, times):
    """Draw trials of a linear model: every value is the dose, times what varies."""
    level = rng.lognormal(sigma=0.3, size=(count, doses.size, 1))
    error = rng.lognormal(sigma=0.1, size=(count, doses.size, times.size))
    typical = doses[:, None] * np.exp(-0.2 * times)
    return typical, typical * level * error


@pytest.mark.slow
def test_corrected_quantiles_lie_in_their_bands_as_often_as_they_should():
    """Ninety per cent of them, where the model is true; even at other doses.

    Of 80 studies with 9 quantiles each, which go together within a study, the share
    that lies inside has a standard error of about 0.02; 4 of them fail 1 in 10^4 times.
    """
    rng = np.random.default_rng(11)
    times = np.array([1.0, 4.0, 9.0])
    planned = np.tile(DOSES, 12)
    typical, simulated = _trials(rng, 400, planned, times)
    typical = np.broadcast_to(typical, simulated.shape)
    high = np.tile(DOSES[::-1] * 2, 12)
    others, studies = _trials(rng, 80, high, times)
    seen_at = tuple(np.tile(times, high.size))
    inside, plain = [], []
    for study in studies:
        seen = Observed("conc", seen_at, tuple(study.ravel()), correct="prediction")
        bins = bins_of(seen, times, others.ravel())
        middle = bins.middle[None, None, :]
        fair = quantiles_of(correct_prediction(simulated, typical, middle))
        raw = quantiles_of(simulated)
        observed = quantiles_of(bins.value.reshape(1, high.size, 3))[0]
        uncorrected = quantiles_of(study[None])[0]
        for bag, trials, found in ((inside, fair, observed), (plain, raw, uncorrected)):
            low, top = np.quantile(trials, [0.05, 0.95], axis=0)
            bag.append((low <= found) & (found <= top))
    assert abs(np.mean(inside) - 0.9) < 0.08
    assert np.mean(plain) < 0.5


@pytest.fixture(scope="module")
def checked(made_up):
    """A record with predictions, and two files of points beside its arms."""
    make_protocol, make_tree = made_up
    rng = np.random.default_rng(5)
    planned = np.array([1.0, 4.0])
    kinds = {"low": "prediction", "high": "prediction and variability"}
    entries, points = [], []
    for arm, kind in kinds.items():
        count = 20 if arm == "low" else 30
        seen = tuple(rng.choice([0.9, 1.2, 3.5], count))
        value = tuple(rng.lognormal(size=count))
        subject = tuple(range(count))
        entry = Observed(
            "conc", seen, value, arm, correct=kind, bound=-1.0, subject=subject
        )
        entries.append(entry)
        points.append(rng.lognormal(size=(2, count)))
    protocol = make_protocol(
        visits=(Visit("blood", tuple(planned), 0.0, ("conc",)),),
        observed=tuple(entries),
        comparisons=(),
        published=(),
        subjects=60,
        replicates=10,
    )
    tree = make_tree(protocol, failed=(), missing=())
    for arm in kinds:
        axes = ("subject", "visit", "output")
        shape = (600, 2, 1)
        held = {
            name: (axes, rng.lognormal(sigma=0.5, size=shape))
            for name in ("measured", "predicted", "spread")
        }
        coords = {
            "visit": ["blood"] * 2,
            "planned": ("visit", planned),
            "output": ["conc"],
        }
        tree[f"arms/{arm}/measurements"] = xr.DataTree(xr.Dataset(held, coords=coords))
    laid = np.concatenate(points, axis=1)
    held = {"predicted": ("point", laid[0]), "spread": ("point", laid[1])}
    tree["observed"] = xr.DataTree(xr.Dataset(held))
    tree.attrs["observed"] = name_points(protocol.evidence.observed)
    return protocol, tree, points


def test_simulated_trials_are_corrected_to_the_observed_medians(checked):
    """Trial by trial and subject by subject, in plain loops."""
    protocol, tree, points = checked
    table = evaluate(tree, protocol).predictive
    assert set(table["corrected"]) == {"prediction", "prediction and variability"}
    arm = np.asarray(tree["subjects/arm"]).reshape(10, 60)
    for place, (entry, (predicted, spread)) in enumerate(
        zip(protocol.evidence.observed, points, strict=True)
    ):
        late = np.asarray(entry.time) > 2.5
        held = tree[f"arms/{entry.arm}/measurements"]
        y, p, s = (
            np.asarray(held[name]).reshape(10, 60, 2)
            for name in ("measured", "predicted", "spread")
        )
        for visit, mine in ((0, ~late), (1, late)):
            middle = np.median(predicted[mine])
            factor = (middle + 1) / (predicted + 1)
            usual = np.median((spread * factor)[mine])

            def bring(y, p, s, middle=middle, usual=usual, kind=entry.correct):
                near = -1 + (y + 1) * (middle + 1) / (p + 1)
                if kind == "prediction":
                    return near
                own = s * (middle + 1) / (p + 1)
                return middle + (near - middle) * usual / own

            seen = [
                bring(*one)
                for one in zip(
                    np.asarray(entry.value)[mine],
                    predicted[mine],
                    spread[mine],
                    strict=True,
                )
            ]
            trials = []
            for k in range(10):
                own = [i for i in range(60) if arm[k, i] == place]
                found = [bring(*(x[k, i, visit] for x in (y, p, s))) for i in own]
                trials.append(np.quantile(found, [0.1, 0.5, 0.9]))
            wanted = np.quantile(trials, [0.05, 0.5, 0.95], axis=0)
            rows = table[table["arm"] == entry.arm]
            rows = rows[rows["time"] == (1.0, 4.0)[visit]]
            np.testing.assert_allclose(
                rows["observed"], np.quantile(seen, [0.1, 0.5, 0.9])
            )
            np.testing.assert_allclose(
                rows[["low", "median", "high"]].to_numpy(float).T, wanted
            )


def test_predictions_of_other_points_are_refused(checked):
    """A record answers for the points that it was run with, and no others."""
    protocol, tree, _ = checked
    first, second = protocol.evidence.observed
    moved = replace(first, time=(9.0, *first.time[1:]))
    with pytest.raises(ProtocolError, match=r"observed\.conc\.correct is `prediction`"):
        evaluate(tree, altered(protocol, observed=(moved, second)))
    plain = altered(protocol, observed=(replace(first, correct="nothing"),))
    assert set(evaluate(tree, plain).predictive["corrected"]) == {"nothing"}

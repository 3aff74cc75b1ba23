"""Each measure that a sheet may ask for is what its own kernel says."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from vtrial.analysis.comparison import answered, truth
from vtrial.analysis.reading import chunks_of
from vtrial.endpoint.endpoint import Endpoint
from vtrial.measure.contrast import compare
from vtrial.measure.hazard import hazard_ratio
from vtrial.measure.proportion import score_contrast, score_margin, stratified_contrast
from vtrial.measure.rank import shift_contrast
from vtrial.measure.repeated import mmrm
from vtrial.measure.survival import log_rank, milestone, restricted_mean
from vtrial.measure.win import Tier as Pair
from vtrial.measure.win import win_contrast
from vtrial.model.grammar import parse_expression
from vtrial.protocol.analysis import Comparison, Tier


@pytest.fixture(scope="module")
def chunk(tree, protocol):
    return next(iter(chunks_of(tree, protocol)))


def ask(by, on="peak", **fields):
    return Comparison("asked", "high", "low", on, by, **fields)


def sides(chunk, endpoint, variable="outcome"):
    high, low = (chunk.own(arm, endpoint, variable) for arm in ("high", "low"))
    return np.where(chunk.in_arm("high"), high, low), chunk.in_arm("high")


def same(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_measures_of_numbers_and_responses(chunk, protocol):
    value, treated = sides(chunk, "peak")
    cured, _ = sides(chunk, "cured")
    by = "difference by ranks"
    same(answered(chunk, ask(by), protocol), shift_contrast(value, treated))
    for by in ("risk difference", "risk ratio", "odds ratio"):
        found = answered(chunk, ask(by, "cured"), protocol)
        same(found, compare(by, cured, treated))
        found = answered(chunk, ask(by, "cured", interval="score"), protocol)
        same(found, score_contrast(by, cured, treated))
        strata = np.zeros(cured.shape, int)
        found = answered(chunk, ask(by, "cured", strata=("screened",)), protocol)
        same(found, stratified_contrast(by, cured, treated, strata))


def test_measures_of_times(chunk, protocol):
    time, treated = sides(chunk, "relief")
    event, _ = sides(chunk, "relief", "event")
    weight = chunk.covariate("WT")[..., None]
    wanted = {
        "hazard ratio": hazard_ratio(time, event, treated, covariates=weight),
        "log-rank": log_rank(time, event, treated, rho=0.0, gamma=1.0),
        "difference of restricted means": restricted_mean(
            time, event, treated, until=8.0
        ),
        "ratio of restricted means": restricted_mean(
            time, event, treated, until=8.0, ratio=True
        ),
        "milestone difference": milestone(time, event, treated, at=8.0),
    }
    for by, kernel in wanted.items():
        fields = {"until": 8.0, "weights": (0.0, 1.0)}
        if by == "hazard ratio":
            fields = {"adjust": ("WT",)}
        same(answered(chunk, ask(by, "relief", **fields), protocol), kernel)
        assert np.isfinite(kernel.estimate).all()


def test_wins_over_a_hierarchy(chunk, protocol):
    time, treated = sides(chunk, "relief")
    event, _ = sides(chunk, "relief", "event")
    peak, _ = sides(chunk, "peak")
    tiers = (Tier("relief", higher=False), Tier("peak", margin=0.2))
    pairs = [Pair(time, event, higher=False), Pair(peak, None, margin=0.2)]
    for by in ("win ratio", "win odds", "net benefit"):
        found = answered(chunk, ask(by, "relief", tiers=tiers), protocol)
        same(found, win_contrast(by, pairs, treated))


def test_a_condition_chooses_subjects(chunk, protocol):
    value, treated = sides(chunk, "peak")
    heavy = parse_expression("WT >= 70")
    found = answered(chunk, ask("difference of means", where=heavy), protocol)
    chosen = np.where(chunk.covariate("WT") >= 70, value, np.nan)
    same(found, compare("difference of means", chosen, treated))
    whole, *_ = truth(chunk, ask("difference of means"))
    part, *_ = truth(chunk, ask("difference of means", where=heavy))
    assert not np.allclose(whole, part)


def test_margins_are_tested_on_one_side(chunk, protocol):
    cured, treated = sides(chunk, "cured")
    found = answered(chunk, ask("risk difference", "cured", above=-0.05), protocol)
    wanted = score_margin("risk difference", cured, treated, margin=-0.05, above=True)
    np.testing.assert_array_equal(found.p, wanted)
    by = "ratio of geometric means"
    plain = answered(chunk, ask(by), protocol)
    none = answered(chunk, ask(by, above=1.0), protocol)
    up = plain.estimate > 1
    np.testing.assert_allclose(none.p[up], plain.p[up] / 2, rtol=1e-9)
    # equivalence is shown just where the 90 % interval lies between the margins
    between = ask(by, above=1.2, below=1.9, level=0.9)
    found = answered(chunk, between, protocol)
    inside = (found.low > 1.2) & (found.high < 1.9)
    assert 0 < inside.sum() < len(inside)
    np.testing.assert_array_equal(found.p < between.alpha, inside)


def test_truth_and_what_pairs_save(chunk):
    comparison = ask("difference of means")
    effect, error, apart = truth(chunk, comparison)
    high, low = (chunk.values(arm, "peak") for arm in ("high", "low"))
    mean = np.nanmean(high - low, axis=1)
    np.testing.assert_allclose(effect, mean, rtol=1e-12)
    assert (error < apart).all(), "a person's luck is the same under both arms"
    none, *_ = truth(chunk, ask("hazard ratio", "relief"))
    assert np.isnan(none).all()


def test_repeated_values_are_read_from_the_record(made_up):
    make_protocol, make_tree = made_up
    base = make_protocol(replicates=6)
    endpoint = Endpoint(
        "change", "conc", "change", 48.0, 48.0, visits=("blood",), unit="mg/L"
    )
    protocol = replace(base, endpoints=(endpoint,))
    tree = make_tree(base)
    rng = np.random.default_rng(4)
    planned = np.array([0.0, 24.0, 48.0, 72.0])
    held = {}
    for arm in ("low", "high"):
        values = rng.normal(size=(360, 1)) + 0.3 * rng.normal(size=(360, 4))
        values += planned / 48 * (arm == "high")
        values[rng.uniform(size=values.shape) < 0.1] = np.nan
        held[arm] = values
        tree[f"arms/{arm}/measurements"] = xr.DataTree(
            xr.Dataset(
                {"measured": (("subject", "visit", "output"), values[..., None])},
                coords={
                    "visit": ["blood"] * 4,
                    "planned": ("visit", planned),
                    "output": ["conc"],
                },
            )
        )
    chunk = next(iter(chunks_of(tree, protocol)))
    asked = ask("MMRM", "change", adjust=("baseline", "WT"), covariance="Toeplitz")
    found = answered(chunk, asked, protocol)

    high = chunk.in_arm("high")
    both = [
        np.where(
            (chunk.status(arm) == 0)[..., None], held[arm].reshape(6, 60, 4), np.nan
        )
        for arm in ("high", "low")
    ]
    own = np.where(high[..., None], *both)
    wanted = mmrm(
        own[:, :, 1:3] - own[:, :, :1],
        high,
        baseline=own[:, :, 0],
        covariates=chunk.covariate("WT")[..., None],
        covariance="toep",
    )
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)
    assert abs(found.estimate.mean() - 1.0) < 0.3

"""Random intercepts: against nlme, a general mixed model, closed forms; their level."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from vtrial.measure.cluster import cluster_effect, random_sites
from vtrial.measure.contrast import least_squares
from vtrial.measure.degrees_of_freedom import contrast
from vtrial.measure.groups import Groups
from vtrial.measure.mixed import fit_mixed
from vtrial.measure.mmrm_design import lay_out
from vtrial.measure.random_intercept import fit_random_intercept, treatment_effect

RATS = Path(__file__).parents[1] / "reference" / "clusters" / "rats.csv"
BOTH = ("satterthwaite", "kenward-roger")


def rats():
    """Return weights, their design and their litters."""
    rows = []
    with RATS.open() as file:
        for row in csv.DictReader(file):
            low, high = (float(row["dose"] == one) for one in ("low", "high"))
            for sex, key in ((0.0, "male"), (1.0, "female")):
                of = [1.0, low, high, sex, float(row["size"]), low * sex, high * sex]
                found = row[key].split()
                rows += [(float(w), of, int(row["litter"]) - 1) for w in found]
    value, design, litter = zip(*rows, strict=True)
    return np.array(value)[None], np.array(design)[None], np.array(litter)[None]


def grouped(rng, sizes, *, share, trials):
    """Draw subjects of sites, every second one treated, without an effect."""
    site = np.tile(np.repeat(np.arange(len(sizes)), sizes), (trials, 1))
    level = rng.normal(0, np.sqrt(share), (trials, len(sizes)))
    noise = rng.normal(0, np.sqrt(1 - share), site.shape)
    value = 10 + np.take_along_axis(level, site, axis=1) + noise
    return Groups(value, site % 2 == 0, site=site)


def test_litters_of_rats_are_as_nlme_has_them():
    made = fit_random_intercept(*rats())
    spread = np.sqrt([made.between[0], made.within[0]])
    np.testing.assert_allclose(spread, [0.3106722, 0.404337], atol=5e-7)
    printed = (
        (8.323340, 0.27333009),
        (-0.467040, 0.15818328),
        (-0.906057, 0.19154238),
        (-0.411688, 0.07315410),
        (-0.128382, 0.01875336),
        (0.083866, 0.10568189),
        (0.107023, 0.13176318),
    )
    for column, (estimate, error) in enumerate(printed):
        found = treatment_effect(made, column=column, by="satterthwaite")
        assert found.estimate[0] == pytest.approx(estimate, abs=5.1e-7)
        assert found.error[0] == pytest.approx(error, abs=6e-8)


def test_it_is_compound_symmetry_of_a_general_mixed_model():
    """Which 57 runs of SAS's PROC MIXED hold; here of clusters from 1 to 5 subjects."""
    rng = np.random.default_rng(11)
    sizes = rng.integers(1, 6, 14)
    groups = grouped(rng, sizes, share=0.7, trials=2)
    age = rng.normal(size=groups.value.shape)
    value = groups.value.copy()
    value[1, 3:9] = np.nan
    groups = groups._replace(value=value, covariates=age[..., None])
    made = random_sites(groups)
    assert (made.between > 0).all()
    place = np.concatenate([np.arange(size) for size in sizes])
    shape = (2, len(sizes), 5)
    wide, ages, arm = (np.full(shape, np.nan) for _ in range(3))
    for told, of in ((wide, value), (ages, age), (arm, groups.treated)):
        told[:, groups.site[0], place] = of
    panel = lay_out(wide, np.stack([np.ones(shape), arm, ages], axis=3))
    whole = fit_mixed(panel, "cs")
    assert whole.converged.all()
    np.testing.assert_allclose(made.between, whole.parameter[:, 0, 0], rtol=1e-5)
    for by in BOTH:
        ours = treatment_effect(made, by=by)
        theirs = contrast(whole, np.array([[0.0, 1.0, 0.0]]), by=by)
        for one, other in zip(ours, theirs[:3], strict=True):
            np.testing.assert_allclose(one, other[:, 0], rtol=2e-6)


@pytest.mark.parametrize("by", BOTH)
def test_equal_sites_are_compared_by_their_means(by):
    groups = grouped(np.random.default_rng(12), [6] * 8, share=0.5, trials=3)
    made = random_sites(groups)
    assert (made.between > 0).all()
    for ours, plain in zip(
        treatment_effect(made, by=by), cluster_effect(groups), strict=True
    ):
        np.testing.assert_allclose(ours, plain, rtol=1e-8)


@pytest.mark.parametrize("by", BOTH)
def test_sites_that_do_not_differ_leave_least_squares(by):
    groups = grouped(np.random.default_rng(13), [3, 4, 5, 9, 2, 6], share=0, trials=40)
    made = random_sites(groups)
    bound = made.between == 0
    assert 10 < bound.sum() < 40
    plain = least_squares(groups.value, groups.treated)
    for ours, other in zip(treatment_effect(made, by=by), plain, strict=True):
        np.testing.assert_allclose(ours[bound], other[bound], rtol=1e-8)


def test_units_and_what_cannot_be_told():
    groups = grouped(np.random.default_rng(14), [3, 5, 4, 6], share=0.6, trials=2)
    one = treatment_effect(random_sites(groups), by="kenward-roger")
    large = groups._replace(value=1e6 * groups.value)
    for ours, scale, other in zip(
        one,
        (1e6, 1e6, 1),
        treatment_effect(random_sites(large), by="kenward-roger"),
        strict=True,
    ):
        np.testing.assert_allclose(scale * ours, other, rtol=1e-7)
    alone = groups._replace(site=np.tile(np.arange(18), (2, 1)))
    assert np.isnan(treatment_effect(random_sites(alone), by="kenward-roger")[1]).all()
    same = groups._replace(treated=np.ones_like(groups.treated))
    assert np.isnan(treatment_effect(random_sites(same), by="kenward-roger")[0]).all()


@pytest.mark.slow
@pytest.mark.parametrize("by", BOTH)
@pytest.mark.parametrize("share", [0.05, 0.2])
def test_ten_sites_an_arm_keep_the_level(share, by):
    """Within two Monte Carlo errors; of four such tests one in five would not be."""
    trials = 4000
    sizes = np.tile([4, 8, 12, 20, 36], 4)
    groups = grouped(np.random.default_rng(15), sizes, share=share, trials=trials)
    made = treatment_effect(random_sites(groups), by=by)
    p = 2 * stats.t.sf(np.abs(made.estimate / made.error), made.freedom)
    assert abs((p < 0.05).mean() - 0.05) < 2 * np.sqrt(0.05 * 0.95 / trials)

"""Subjects left out: against a posterior, and predictions from it, in closed form."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

from tests.fit.test_methods import LINE, TIMES, problem_of, study_of
from vtrial.errors import FitError
from vtrial.fit.calibration import calibrate
from vtrial.fit.comparison import compare_fits
from vtrial.fit.left_out import left_out, smoothed
from vtrial.fit.methods.importance import modes_at
from vtrial.fit.parameters import layout_of
from vtrial.fit.pointwise import worth_of
from vtrial.model.sheet import load_model

FIXED = ("eta.A", "eta.B", "conc.additive")
PRIOR = np.diag(1 / np.array([12.0, 3.0]) ** 2)  # of `base` and `slope`, precision
DESIGN = np.stack([np.ones(3), TIMES], axis=1)
SPREAD = DESIGN @ np.array([[1.0, 0.2], [0.2, 0.3]]) @ DESIGN.T + np.eye(3)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """Ten people on lines, of whom one is far off."""

    def curve(draw):
        a, b = draw.multivariate_normal([4.0, 1.0], [[1.0, 0.2], [0.2, 0.3]])
        return a + b * TIMES

    path = study_of(tmp_path_factory.mktemp("unseen"), curve)
    problem = problem_of(load_model(LINE), path)
    layout = layout_of(problem.model, fixed=FIXED)
    return problem._replace(layout=layout), path


def posterior_of(values):
    """Return the normal law of `base` and `slope`, effects integrated out."""
    inverse = np.linalg.inv(SPREAD)
    precision = PRIOR + len(values) * DESIGN.T @ inverse @ DESIGN
    pull = PRIOR @ [4.0, 1.0] + DESIGN.T @ inverse @ values.sum(axis=0)
    return np.linalg.solve(precision, pull), np.linalg.inv(precision)


def unseen(values):
    """Return log p(y_i | y_-i) of each subject."""
    found = []
    for place, mine in enumerate(values):
        middle, sure = posterior_of(np.delete(values, place, axis=0))
        law = multivariate_normal(DESIGN @ middle, SPREAD + DESIGN @ sure @ DESIGN.T)
        found.append(law.logpdf(mine))
    return np.array(found)


def test_left_out_subjects_are_predicted_as_in_closed_form(straight, note):
    """Within 5 of their errors by chance: false alarms are 1 in 170,000."""
    problem, _ = straight
    values = problem.study.data.values[:, :3]
    middle, sure = posterior_of(values)
    draws = np.random.default_rng(4).multivariate_normal(middle, sure, 500)
    eta = modes_at(problem, middle).eta
    worth = worth_of(problem, draws, middle=middle, eta=eta)
    law = [multivariate_normal(DESIGN @ one, SPREAD) for one in draws]
    wanted = np.stack([one.logpdf(values) for one in law], axis=1)
    error = np.sqrt(worth.variance).max()
    note("log-density of a subject at a draw, greatest error", error)
    assert error < 0.1
    assert np.abs(worth.density - wanted).max() < 6 * error
    found, exact = left_out(worth.density.T), unseen(values)
    far = np.abs(found.elpd - exact) / np.sqrt(found.variance)
    note("elpd of a subject, in its error by chance", far.max())
    note("elpd, found less exact", found.elpd.sum() - exact.sum())
    assert far.max() < 5
    assert abs(found.elpd.sum() - exact.sum()) < 0.1
    assert found.k.max() < 0.7


def test_tails_are_told():
    """Of weights 1 / u^k the shape is k; of such as have a bound it is below 0."""
    u = (np.arange(4000) + 0.5) / 4000
    shapes = np.array([0.3, 0.9])
    weight, k = smoothed(-shapes * np.log(u)[::-1, None])
    assert k == pytest.approx(shapes, abs=0.05)
    assert np.exp(weight).sum(axis=0) == pytest.approx([1.0, 1.0])
    _, k = smoothed(np.log1p(u)[:, None])
    assert k[0] < 0
    weight, k = smoothed(np.zeros((100, 1)))
    assert k[0] == -np.inf
    assert weight == pytest.approx(np.log(0.01))


def folder_of(parent, name, density, digest="same"):
    """Write what is compared of a fit that drew."""
    into = parent / name
    into.mkdir()
    told = {"data_digest": digest, "data": f"{name}.csv", "observations": 9}
    told |= dict.fromkeys(("model", "method", "condition", "converged"), 1)
    told |= {"names": ["tv"], "doubts": [], "estimates": []}
    told |= dict.fromkeys(("objective", "aic", "bic"), 100.0)
    (into / "estimates.json").write_text(json.dumps(told))
    (into / "draws.csv").write_text("draw\n1\n")
    names = [f"S{place}" for place in range(density.shape[1])]
    pd.DataFrame(density, columns=names).to_csv(into / "worth.csv", index=False)
    return into


def test_fits_are_held_to_subjects_left_out(tmp_path):
    draw = np.random.default_rng(1)
    good = -3.0 + 0.1 * draw.normal(size=(200, 4))
    worse = good - np.array([1.0, 2.0, 1.0, 2.0])
    worse[:, 3] -= 8.0 * draw.exponential(size=200)
    one, two = folder_of(tmp_path, "one", worse), folder_of(tmp_path, "two", good)
    found = compare_fits([one, two])
    first, second = found["loo"].itertuples()
    assert (first.fit, first._4, first._5) == ("two", 0.0, 0.0)
    each = found["subjects"].pivot(index="ID", columns="fit", values="elpd")
    less = each["one"] - each["two"]
    assert second._4 == pytest.approx(less.sum())
    assert second._5 == pytest.approx(2.0 * less.std(ddof=1))
    (unsure,) = found["unsure"].itertuples()
    assert (unsure.fit, unsure.ID) == ("one", "S3")
    assert second._9 == 1
    with pytest.raises(FitError, match=r"of other data \(three\.csv"):
        compare_fits([one, folder_of(tmp_path, "three", good, "other")])
    short = folder_of(tmp_path, "short", good[:5])
    with pytest.raises(FitError, match="5 draws; it must be 25 or more"):
        compare_fits([one, short])
    (short / "worth.csv").unlink()
    with pytest.raises(FitError, match=r"with draws and without worth\.csv"):
        compare_fits([one, short])


@pytest.mark.slow
def test_fits_that_drew_are_compared_as_in_closed_form(straight, tmp_path, note):
    """By 5 errors of chance, of which draws that are not independent have more."""
    problem, path = straight
    how = {"method": "nuts", "draws": 250, "warmup": 150, "chains": 2, "fixed": FIXED}
    places = [tmp_path / "LINE", tmp_path / "FLAT"]
    flat = LINE | {"equations": "conc = base + eta.A + eta.B * t + 0 * slope"}
    for sheet, into in zip((LINE, flat), places, strict=True):
        calibrate(load_model(sheet), path, into=into, **how)
    found = compare_fits(places)["loo"].set_index("fit")
    exact = unseen(problem.study.data.values[:, :3]).sum()
    gap = found.loc["LINE", "elpd"] - exact
    note("elpd by nuts, less exact", gap)
    assert abs(gap) < 5 * found.loc["LINE", "chance"]
    assert found.index[0] == "LINE"
    assert found.loc["FLAT", "elpd less"] < 0

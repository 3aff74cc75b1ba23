"""Theophylline in twelve people by Laplace, NUTS and VI, beside nlmixr2's estimates.

`PUBLISHED` is nlmixr2's fit of `theo_sd` by adaptive Gaussian quadrature, which
integrates over random effects as Laplace, NUTS and VI do: logarithms of absorption
rate, clearance and volume with their standard errors, and the residual error. The
sheet's own errors are of these data, too, and are taken off: priors are weak here.
"""

from dataclasses import replace

import numpy as np
import pytest

from tests.fit.test_federated import theophylline
from vtrial.fit.calibration import calibrate
from vtrial.model.sheet import load_model

PUBLISHED = np.array([0.457676266267578, 1.01165623582441, 3.45329495280204])
ERRORS = np.array([0.196511306841226, 0.0758084118586453, 0.0431325607020597])
RESIDUAL, RESIDUAL_ERROR = 0.695935111317047, 0.0929666540186399
OBJECTIVE, NEAR = 118.482568909799, 0.1  # as near as FOCEI's are held to NONMEM's
PEOPLE = 12


@pytest.fixture(scope="module")
def fits(tmp_path_factory):
    """By three methods, each from Laplace's estimates on."""
    folder = tmp_path_factory.mktemp("theophylline")
    sheet, data = load_model("theophylline"), theophylline(folder)
    weak = tuple(replace(one, error=0.0) for one in sheet.parameters)
    model = replace(sheet, parameters=weak)
    found = {"laplace": calibrate(model, data, method="laplace", into=folder / "FIT")}
    for method, how in {
        "nuts": {"draws": 250, "warmup": 250, "chains": 4},
        "vi": {},
    }.items():
        found[method] = calibrate(
            model, data, method=method, start=folder / "FIT", **how
        )
    return found


@pytest.mark.slow
def test_laplace_is_near_quadrature(fits, note):
    """Within a tenth of the published standard errors."""
    found = fits["laplace"]
    note("objective by Laplace, less that by quadrature", found.objective - OBJECTIVE)
    assert found.objective == pytest.approx(OBJECTIVE, abs=NEAR)
    far = np.abs(found.vector[:3] - PUBLISHED) / ERRORS
    note("Laplace's estimates, in published errors", far.max())
    assert far.max() < 0.1
    assert abs(found.estimates[-1] - RESIDUAL) < 0.1 * RESIDUAL_ERROR


@pytest.mark.slow
def test_nuts_lies_about_the_published_estimates(fits, note):
    """A mean of a posterior is off its mode by an error over the root of people.

    It is wider than a standard error: twelve people do not know how they differ.
    """
    found = fits["nuts"]
    assert found.converged
    far = np.abs(found.vector[:3] - PUBLISHED) / ERRORS
    note("means by nuts, in published errors", far.max())
    assert far.max() < 1 / np.sqrt(PEOPLE)
    wide = np.sqrt(np.diag(found.covariance))[:3] / ERRORS
    note("widest posterior, in published errors", wide.max())
    assert ((wide > 1.0) & (wide < 1.4)).all()


@pytest.mark.slow
def test_vi_is_too_sure_by_as_much_as_the_docs_say(fits, note):
    """Means are off by less than 4 errors of Monte Carlo, spreads by up to a fifth.

    Of about 1,000 draws each, a mean has an error of 0.045 deviations and a ratio of
    deviations one of 3 %.
    """
    nuts, vi = (fits[name] for name in ("nuts", "vi"))
    spread = np.sqrt(np.diag(nuts.covariance))
    far = np.abs(vi.vector - nuts.vector) / spread
    ratio = np.sqrt(np.diag(vi.covariance)) / spread
    note("means by VI less those by nuts, in deviations", far.max())
    note("narrowest deviation by VI, to that by nuts", ratio.min())
    note("widest", ratio.max())
    assert far.max() < 0.18
    assert ratio.min() > 0.8
    assert ratio.max() < 1.06
    assert ratio.mean() < 1.0

"""Assurance of plans: closed forms, and power averaged over the prior."""

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import multivariate_normal

from vtrial.design.sequential import (
    GroupSequential,
    assurance,
    boundaries,
    crossing,
)
from vtrial.errors import ProtocolError


@pytest.mark.parametrize(("mean", "sd"), [(3.0, 2.0), (1.5, 0.3), (-1.0, 4.0)])
def test_one_look_is_the_closed_form(mean, sd):
    """O'Hagan, Stevens and Campbell (2005); the joint probability is bivariate."""
    bounds = boundaries(GroupSequential((1.0,)))
    found = assurance(bounds, prior_mean=mean, prior_sd=sd)
    z, spread = float(bounds.upper[0]), np.sqrt(1 + sd**2)
    assert found.assurance == pytest.approx(ndtr((mean - z) / spread), abs=1e-10)
    assert found.conditional == pytest.approx(ndtr(mean - z), abs=1e-12)
    both = multivariate_normal([-mean, -mean], [[sd**2, sd**2], [sd**2, 1 + sd**2]])
    joint = both.cdf([0.0, -z])
    assert found.works * found.where_it_works == pytest.approx(joint, abs=1e-6)
    parts = found.works * found.where_it_works + (1 - found.works) * found.where_not
    assert parts == pytest.approx(found.assurance, abs=1e-12)


def test_a_plan_with_looks_is_averaged_over_the_prior():
    bounds = boundaries(GroupSequential((0.5, 1.0)))
    found = assurance(bounds, prior_mean=2.5, prior_sd=1.0)
    drift = np.linspace(-6.5, 11.5, 4001)
    weight = np.exp(-((drift - 2.5) ** 2) / 2)
    power = crossing(bounds.information, bounds.upper, -np.inf, drift).upper.sum(-1)
    assert found.assurance == pytest.approx(power @ weight / weight.sum(), abs=1e-9)
    narrow = assurance(bounds, prior_mean=2.5, prior_sd=1e-3)
    assert narrow.assurance == pytest.approx(found.conditional, abs=1e-5)


def test_a_prior_has_a_spread():
    with pytest.raises(ProtocolError, match="positive"):
        assurance(boundaries(GroupSequential((1.0,))), prior_mean=2.0, prior_sd=0.0)

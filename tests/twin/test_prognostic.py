"""Prognostic scores, and the size of a trial that adjusts for them."""

import numpy as np
import pytest

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

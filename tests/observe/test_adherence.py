"""Habits of taking doses have the moments that arithmetic says."""

import numpy as np
import pytest

from tests.observe.ruled import rows
from vtrial.types import Given

MANY = 8000


def stationary(first, second):
    """Return the share of doses taken, and the correlation of one with the next."""
    return second / (1 - first + second), first - second


@pytest.mark.parametrize(
    ("first", "second", "mean", "variance"),
    [
        # Trough of a drug that halves between doses; p rho/(1-rho) and its variance.
        (0.961, 0.648, 0.943231, 0.024472),
        (0.75, 0.75, 0.75, 0.0625),
    ],
)
def test_troughs_have_the_moments_of_a_chain(tmp_path, first, second, mean, variance):
    share, memory = stationary(first, second)
    rho = 0.5
    assert mean == pytest.approx(share * rho / (1 - rho), abs=1e-6)
    chain = f"[[{first}, {1 - first}], [{second}, {1 - second}]]"
    body = 'arms: {a: {dose: "1 mg every 24 h x 60", adherence: {states: [take, miss], '
    body += f"transitions: {chain}}}}}}}\n"
    body += "visits: {v: {at: day 59, measure: [level]}}\n"
    found = rows(tmp_path, body, subjects=MANY)
    trough = found["arms/a/measurements/measured"][:, 0, 0]
    error = np.sqrt(variance / MANY)
    assert abs(trough.mean() - mean) < 3 * error
    assert abs(trough.var() - variance) < 0.15 * variance
    reasons = found["arms/a/doses/reason"]
    taken = (reasons == Given.PLANNED)[:, 20:]
    spread = np.sqrt(share * (1 - share) * (1 + memory) / (1 - memory) / taken.size)
    assert abs(taken.mean() - share) < 3 * spread

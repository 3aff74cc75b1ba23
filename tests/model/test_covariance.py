"""What does not vary, or varies as another, is sound; what cannot be is refused."""

import numpy as np
import pytest

from vtrial.model.covariance import flaw, settled


@pytest.mark.parametrize(
    "triangle",
    [
        [[0.0]],
        [[0.09], [0.0, 0.0]],
        [[0.0], [0.0, 0.09]],
        [[0.0], [0.0, 0.0]],
        [[0.09], [0.09, 0.09]],
        [[0.09], [-0.06, 0.04]],
        [[0.09], [0.0, 0.0], [0.03, 0.0, 0.0625]],
        [[1.0], [1.0, 1.0], [1.0, 1.0, 1.0]],
        [[1.0], [0.5, 1.0], [-0.5, 0.5, 1.0]],  # the third is the second less the first
    ],
)
def test_semi_definite_is_taken_as_it_stands(triangle):
    found = np.array(settled(triangle))
    np.testing.assert_array_equal(np.tril(found), np.tril(found.T))
    assert [list(row[: i + 1]) for i, row in enumerate(found.tolist())] == triangle


def test_what_rounding_made_indefinite_becomes_the_nearest():
    """0.313^2, 0.313*0.437 and 0.437^2 with two digits: a correlation of 1.016."""
    found = np.array(settled([[0.10], [0.14, 0.19]]))
    assert np.diag(found) == pytest.approx([0.10, 0.19])
    assert found[0, 1] == pytest.approx(np.sqrt(0.10 * 0.19))
    assert abs(found[0, 1] - 0.14) < 0.005
    assert np.linalg.eigvalsh(found)[0] > -1e-12


@pytest.mark.parametrize(
    ("triangle", "why"),
    [
        ([[0.09], [0.1, 0.09]], "a correlation of 1.11"),
        ([[0.09], [-0.0902, 0.09]], "a correlation of -1"),
        ([[1.0], [2.0, 3.0]], "a correlation of 1.15"),
        ([[-0.01]], "a variance of -0.01"),
        ([[0.0], [0.001, 0.09]], "a variance of 0 beside"),
        ([[1.0], [0.9, 1.0], [-0.9, 0.9, 1.0]], "cannot all be"),
    ],
)
def test_what_cannot_be_is_none(triangle, why):
    assert settled(triangle) == ()
    assert why in flaw(triangle)

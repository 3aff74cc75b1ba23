"""Elimination with zeros left out is elimination."""

import jax.numpy as jnp
import numpy as np
import pytest

from vtrial.solver.factor import MOST, Factored, plan

LANES = 3


def matrix(pattern, seed=0):
    """Draw matrices that their diagonals dominate; zeros are where the pattern has."""
    rng = np.random.default_rng(seed)
    size = len(pattern)
    full = rng.normal(size=(LANES, size, size)) * pattern[None]
    full += np.eye(size)[None] * (2 + np.abs(full).sum(axis=2, keepdims=True))
    known = pattern | np.eye(size, dtype=bool)
    rows = [
        [jnp.asarray(full[:, i, j]) if known[i, j] else None for j in range(size)]
        for i in range(size)
    ]
    return full, rows


def ring(size):
    """A chain whose end acts on its beginning."""
    places = np.arange(size)
    return (places[:, None] - places[None, :]) % size == 1


def arrow(size):
    """One state that all others act on, and that acts on all others."""
    places = np.arange(size)
    return (places[:, None] == 0) | (places[None, :] == 0)


def scattered(size, share, seed=1):
    return np.random.default_rng(seed).random((size, size)) < share


@pytest.mark.parametrize(
    "pattern",
    [ring(2), ring(40), arrow(30), scattered(12, 0.3), scattered(24, 1.0), ring(1)],
    ids=["pair", "ring", "arrow", "scattered", "full", "single"],
)
def test_it_solves(pattern):
    full, rows = matrix(pattern)
    right = np.random.default_rng(4).normal(size=(LANES, len(pattern)))
    solved = Factored(rows).solve([jnp.asarray(column) for column in right.T])
    wanted = np.linalg.solve(full, right[..., None])[..., 0]
    np.testing.assert_allclose(np.stack(solved, axis=1), wanted, rtol=1e-12)


@pytest.mark.parametrize(("make", "each"), [(ring, 4), (arrow, 3)])
def test_what_is_sparse_stays_sparse(make, each):
    """The products of the natural order grow with the cube, or the square."""
    pattern = make(100) | np.eye(100, dtype=bool)
    found = plan(tuple(tuple(map(bool, row)) for row in pattern))
    assert sorted(found.order) == list(range(100))
    assert found.products <= each * 100
    assert found.is_written_out


def test_what_is_full_is_written_out_up_to_16_states():
    small, large = (plan(((True,) * size,) * size) for size in (16, 20))
    assert small.products == sum(k * (k + 1) for k in range(16)) <= MOST
    assert small.is_written_out
    assert not large.is_written_out

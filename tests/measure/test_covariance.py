"""Covariance structures: positive definite, as defined, and in one another."""

from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtrial.measure.covariance import Covariance, structure_of

NAMES = get_args(Covariance)


def distances(visits):
    at = jnp.arange(visits, dtype=float)
    return jnp.abs(at[:, None] - at[None, :])


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 10**6), visits=st.integers(1, 6))
@settings(max_examples=20, deadline=None)
def test_any_numbers_make_a_positive_definite_matrix(name, seed, visits):
    structure, rng = structure_of(name), np.random.default_rng(seed)
    free = jnp.asarray(rng.normal(0, 1.5, structure.size(visits)))
    natural = structure.natural(free, visits)
    matrix = np.asarray(structure.matrix(natural, distances(visits)))
    assert natural.shape == free.shape
    np.testing.assert_array_equal(matrix, matrix.T)
    assert np.linalg.eigvalsh(matrix).min() > 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("visits", [1, 2, 5])
def test_a_start_keeps_what_it_can_of_a_rough_matrix(name, visits):
    structure = structure_of(name)
    rough = 4.0 * (0.5 * jnp.ones((visits, visits)) + 0.5 * jnp.eye(visits))
    free = structure.start(rough, jnp.asarray(1.5))
    made = structure.matrix(structure.natural(free, visits), distances(visits))
    np.testing.assert_allclose(jnp.diag(made), 4.0, rtol=1e-12)
    if name in ("un", "cs", "csh"):
        np.testing.assert_allclose(made, rough, rtol=1e-12)
    elif visits > 1 and not name.startswith("sp"):
        np.testing.assert_allclose(made[0, 1], 2.0, rtol=1e-12)
    elif visits > 1:
        assert made[0, 1] > 0


VARIANCES = [1.0, 4.0, 9.0]
EXPECTED = {
    "un": ([1, 2, 5, 3, 6, 10], [[1, 2, 3], [2, 5, 6], [3, 6, 10]]),
    "cs": ([0.5, 1.5], [[2, 0.5, 0.5], [0.5, 2, 0.5], [0.5, 0.5, 2]]),
    "csh": ([*VARIANCES, 0.5], [[1, 1, 1.5], [1, 4, 3], [1.5, 3, 9]]),
    "ar1": ([4, 0.5], [[4, 2, 1], [2, 4, 2], [1, 2, 4]]),
    "ar1h": ([*VARIANCES, 0.5], [[1, 1, 0.75], [1, 4, 3], [0.75, 3, 9]]),
    "toep": ([4, 2, 0.5], [[4, 2, 0.5], [2, 4, 2], [0.5, 2, 4]]),
    "toeph": ([*VARIANCES, 0.5, 0.1], [[1, 1, 0.3], [1, 4, 3], [0.3, 3, 9]]),
    "ante1": ([*VARIANCES, 0.5, 0.2], [[1, 1, 0.3], [1, 4, 1.2], [0.3, 1.2, 9]]),
    "sp pow": ([4, 0.5], [[4, 2, 1], [2, 4, 2], [1, 2, 4]]),
    "sp exp": ([1, 1 / np.log(2)], [[1, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 1]]),
    "sp gau": (
        [1, np.log(2) ** -0.5],
        [[1, 0.5, 0.0625], [0.5, 1, 0.5], [0.0625, 0.5, 1]],
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_natural_parameters_mean_what_sas_prints(name):
    natural, matrix = EXPECTED[name]
    made = structure_of(name).matrix(jnp.array(natural, float), distances(3))
    np.testing.assert_allclose(made, matrix, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_natural_parameters_are_told_apart(name):
    structure = structure_of(name)
    free = jnp.linspace(-0.4, 0.5, structure.size(4))
    turn = jax.jacfwd(lambda x: structure.natural(x, 4))(free)
    assert np.linalg.matrix_rank(np.asarray(turn)) == len(free)
    natural = structure.natural(free, 4)
    slope = jax.jacfwd(structure.matrix)(natural, distances(4)).reshape(16, -1)
    assert np.linalg.matrix_rank(np.asarray(slope)) == len(free)


def test_partial_autocorrelations_give_autocorrelations():
    # Second order: r1 = p1, r2 = p2 (1 - p1^2) + p1^2 (Box and Jenkins, 3.2).
    natural = structure_of("toeph").natural(
        jnp.concatenate([jnp.zeros(3), jnp.arctanh(jnp.array([0.6, -0.3]))]), 3
    )
    np.testing.assert_allclose(natural[3:], [0.6, -0.3 * 0.64 + 0.36], rtol=1e-12)

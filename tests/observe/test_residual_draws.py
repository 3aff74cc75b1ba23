"""Residual errors that are correlated between outputs, and that remember."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vtrial.model.model import Model, Output, ResidualError
from vtrial.observe.observation_times import ObservationTimes
from vtrial.observe.residual_draws import remembered, residual_normals

SUBJECTS = 40_000
ERROR = 4 / np.sqrt(SUBJECTS)  # of a correlation near 0, and more than one elsewhere


class Plan(ObservationTimes):
    """Two visits' draws, by output and visit."""

    def __init__(self):
        pass

    def normals(self, keys, output):
        drawn = [
            jax.random.normal(jax.random.key(10 * ord(output) + visit), keys.shape)
            for visit in range(2)
        ]
        return jnp.stack(drawn, axis=1)


def test_errors_of_outputs_at_one_time_are_correlated_as_the_sheet_says():
    outputs = tuple(
        Output(name, name, error=ResidualError(additive=1.0)) for name in "abc"
    )
    matrix = ((1.0, 0.6, -0.3), (0.6, 1.0, 0.2), (-0.3, 0.2, 1.0))
    model = Model("m", (), outputs=outputs, error_names=("a", "b", "c"),
                  error_correlation=matrix)  # fmt: skip
    keys = jax.random.split(jax.random.key(0), SUBJECTS)
    drawn = [residual_normals(model, Plan(), keys, name) for name in "abc"]
    found = np.corrcoef(np.concatenate([np.asarray(one).T for one in drawn]))
    same = found[0::2, 0::2], found[1::2, 1::2]
    for part in same:
        np.testing.assert_allclose(part, matrix, atol=ERROR)
    np.testing.assert_allclose(found[0::2, 1::2], 0.0, atol=ERROR)
    alone = residual_normals(model, Plan(), keys, "a")
    np.testing.assert_array_equal(alone, Plan().normals(keys, "a"))


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]])
def test_errors_remember_by_the_time_between(order):
    """They are normal with correlation exp(-|t - s|/memory), in any order of visits."""
    times = np.array([1.0, 3.0, 3.5, 30.0])[order]
    fresh = jax.random.normal(jax.random.key(8), (SUBJECTS, 4))
    made = remembered(fresh, jnp.asarray(times)[None, :], 2.0)
    gaps = np.abs(times[:, None] - times[None, :])
    np.testing.assert_allclose(
        np.cov(np.asarray(made).T), np.exp(-gaps / 2.0), atol=2 * ERROR
    )


def test_two_errors_at_one_time_are_one():
    fresh = jax.random.normal(jax.random.key(8), (5, 3))
    made = remembered(fresh, jnp.asarray([[2.0, 2.0, 4.0]]), 1.0)
    np.testing.assert_array_equal(made[:, 0], made[:, 1])

"""Residual error: the right spread, and censoring below the limit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vtrial.model.error import censored, measured
from vtrial.model.model import Output, ResidualError

DRAWS = jax.random.normal(jax.random.key(3), (40_000,))


@pytest.mark.parametrize(
    ("error", "spread"),
    [
        (ResidualError(additive=0.5), 0.5),
        (ResidualError(proportional=0.2), 0.8),
        (ResidualError(additive=0.5, proportional=0.2), np.sqrt(0.25 + 0.64)),
        (ResidualError(), 0.0),
    ],
)
def test_spread(error, spread):
    values = measured(Output("y", "y", error=error), jnp.full(DRAWS.shape, 4.0), DRAWS)
    # The standard error of a standard deviation is sd/sqrt(2n); five of them are
    # passed by chance once in two million runs.
    tolerance = 5 * spread / np.sqrt(2 * DRAWS.size)
    assert float(jnp.std(values)) == pytest.approx(spread, abs=tolerance + 1e-12)
    assert float(jnp.mean(values)) == pytest.approx(4.0, abs=5 * spread / 200 + 1e-12)


def test_log_error_is_exact():
    output = Output("y", "y", error=ResidualError(log=0.3))
    found = measured(output, jnp.asarray([2.0, 0.0]), jnp.asarray([1.0, 1.0]))
    np.testing.assert_allclose(found, [2 * np.exp(0.3), 0.0])


def test_below_the_limit_is_half_of_it():
    output = Output("y", "y", lloq=1.0)
    values = jnp.asarray([0.99, 1.0, -3.0, jnp.nan])
    np.testing.assert_array_equal(censored(output, values), [0.5, 1.0, 0.5, np.nan])
    np.testing.assert_array_equal(
        measured(output, values, jnp.zeros(4)), [0.5, 1.0, 0.5, np.nan]
    )


def test_slope_is_finite_at_zero():
    output = Output("y", "y", error=ResidualError(additive=0.5, proportional=0.2))
    slope = jax.grad(lambda f: measured(output, f, jnp.asarray(1.0)))(0.0)
    assert np.isfinite(slope)

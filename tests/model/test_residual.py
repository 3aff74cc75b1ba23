"""Residual error: the right spread, and censoring below the limit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

from vtrial.errors import ModelError
from vtrial.model.model import Output, ResidualError
from vtrial.model.residual import censored, log_density, measured

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


ERRORS = {
    "additive": ResidualError(additive=0.5),
    "proportional": ResidualError(proportional=0.3),
    "combined": ResidualError(additive=0.4, proportional=0.2),
    "log": ResidualError(log=0.35),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("lloq", [0.0, 1.5])
def test_the_density_is_that_of_what_is_measured(name, lloq):
    """All values above the limit, and the probability to fall below it, make 1.

    Draws fall below any value as often as the density says.
    """
    output = Output("conc", "conc", error=ERRORS[name], lloq=lloq)
    true = jnp.asarray(2.0)
    lowest = lloq or (1e-6 if name == "log" else -10.0)
    grid = jnp.linspace(lowest, 30.0, 200_001)
    density = np.exp(log_density(output, jnp.full_like(grid, true), grid))
    below = float(jnp.exp(log_density(output, true, true * 0))) if lloq else 0.0
    whole = np.concatenate([[0.0], scipy.integrate.cumulative_simpson(density, x=grid)])
    assert whole[-1] + below == pytest.approx(1.0, abs=1e-6)
    normal = jax.random.normal(jax.random.key(3), (100_000,))
    drawn = np.asarray(measured(output, jnp.full(normal.shape, true), normal))
    for value in (1.6, 2.0, 2.5):
        share = below + np.interp(value, grid, whole)
        close = 4 * np.sqrt(share * (1 - share) / normal.size)
        assert np.mean(drawn < value) == pytest.approx(share, abs=close)


@pytest.mark.parametrize("name", ERRORS)
def test_the_density_has_derivatives_where_a_value_cannot_be(name):
    output = Output("conc", "conc", error=ERRORS[name], lloq=0.1)
    slope = jax.vmap(jax.grad(lambda true: log_density(output, true, jnp.asarray(1.0))))
    found = slope(jnp.asarray([0.0, 0.5, 2.0]))
    assert np.isfinite(found).all()


def test_an_output_without_error_has_no_density():
    with pytest.raises(ModelError, match=r"outputs\.conc\.error is none"):
        log_density(Output("conc", "conc"), jnp.ones(2), jnp.ones(2))

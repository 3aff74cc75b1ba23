"""Powers equal those of NumPy, at the edges too, and have slopes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vtrial.model.powers import power

EDGES = np.array([-np.inf, -3.0, -1.0, -0.5, 0.0, 1e-300, 0.3, 1.0, 7.0, np.inf])
EXPONENTS = np.array([-2.0, -1.5, -1.0, 0.0, 0.161, 1.0, 2.0, 3.0, 2.5])


def test_powers_equal_numpys():
    base, exponent = np.meshgrid(EDGES, EXPONENTS)
    found = power(jnp.asarray(base), jnp.asarray(exponent))
    with np.errstate(all="ignore"):
        wanted = np.power(base, exponent)
    infinite = np.isinf(base) & (exponent % 1 != 0) & (base < 0)
    np.testing.assert_allclose(
        np.where(infinite, 0, found), np.where(infinite, 0, wanted), rtol=1e-12
    )


@pytest.mark.parametrize("exponent", [0.0, 0.161, 1.0, 2.0, 3.5])
@pytest.mark.parametrize("base", [0.0, 0.3, 2.0])
def test_slopes_equal_those_of_jax(base, exponent):
    if base == 0.0 and exponent < 1.0:
        return  # there is none, or it is infinite
    at = (jnp.asarray(base), jnp.asarray(exponent))
    found = jax.grad(power, argnums=(0, 1))(*at)
    wanted = jax.grad(jnp.power, argnums=(0, 1))(*at)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(jax.jacfwd(power)(*at), wanted[0], rtol=1e-12)


def test_32_bits_stay():
    found = power(jnp.asarray([2.0], jnp.float32), jnp.asarray([0.5], jnp.float32))
    assert found.dtype == jnp.float32

"""What JAX is told before it starts: 64 bits, whoever imports first."""

import os
import subprocess
import sys

import pytest

PRINT = "import jax.numpy as jnp; print(jnp.ones(()).dtype)"


@pytest.mark.parametrize("first", ["import vtrial", "import jax; import vtrial"])
@pytest.mark.parametrize("before", ["", "0"])
def test_numbers_have_64_bits(first, before):
    done = subprocess.run(
        [sys.executable, "-c", f"{first}; {PRINT}"],
        env={**os.environ, "JAX_ENABLE_X64": before} if before else os.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "float64"

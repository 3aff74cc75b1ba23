"""What JAX must be told before it starts."""

import os
import sys


def prepare() -> None:
    """Turn float64 on, in this process and those it starts."""
    os.environ["JAX_ENABLE_X64"] = "1"
    if "jax" in sys.modules:
        sys.modules["jax"].config.update("jax_enable_x64", True)

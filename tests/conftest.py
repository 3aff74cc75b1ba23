"""Strict arithmetic for every test: float64, no silent promotion of ranks or types.

Hundreds of programs are compiled in one process here, unlike in a run. They are dropped
after each file, and none is written to the cache on disk, so that tests neither depend
on what earlier ones left nor pile it up.
"""

import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_enable_compilation_cache", False)


@pytest.fixture(scope="module", autouse=True)
def _drop_programs():
    yield
    jax.clear_caches()


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the slow tests too")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="slow: run with --slow or `make test-all`")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)

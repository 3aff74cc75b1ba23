"""Compile the solver's programs with the settings that are for them alone."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax.core import Tracer

from vtrial.program_cache import Kept, is_keeping
from vtrial.xla_flags import options_of_solver

MAKERS = ("xla_flags.py", "types.py", "model", "dosing", "solver")
NESTED = "top-level"  # JAX says that options may be passed only to such a program


def compiled(
    function: Callable[..., Any], *, static: int, kept: bool = False
) -> Callable[..., Any]:
    """Compile a function whose first `static` arguments are no arrays.

    JAX takes a program's own compiler options only where it is called by itself.
    Inside another, as under `jax.jit`, it is part of that one and compiled as it is.
    What is traced is `kept` for the next process if compiled code is.
    """
    fixed = tuple(range(static))
    inside = jax.jit(function, static_argnums=fixed)
    options = options_of_solver()
    alone = jax.jit(function, static_argnums=fixed, compiler_options=options or None)
    stored = Kept(function, static=static, makers=MAKERS, options=options)

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        leaves = jax.tree.leaves(arguments[static:])
        if any(isinstance(leaf, Tracer) for leaf in leaves):
            return inside(*arguments)
        try:
            return (stored if kept and is_keeping() else alone)(*arguments)
        except ValueError as error:  # nothing is traced, but another program is
            if NESTED not in str(error):
                raise
            return inside(*arguments)

    call.programs = (alone, inside)  # pyright: ignore[reportAttributeAccessIssue]
    call.stored = stored  # pyright: ignore[reportAttributeAccessIssue]
    return call

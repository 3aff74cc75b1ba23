"""Compile the solver's programs with the settings that are for them alone."""

from collections.abc import Callable
from typing import Any

from vtrial.program_cache import Compiled
from vtrial.xla_flags import options_of_solver

MAKERS = ("xla_flags.py", "types.py", "keys.py", "model", "dosing", "solver")


def compiled(
    function: Callable[..., Any],
    *,
    static: int,
    kept: bool = False,
    beside: tuple[str, ...] = (),
) -> Compiled:
    """Compile a function of the solver; what is traced is `kept` if it is asked for.

    `beside` are the files and folders whose code it traces beside the solver's.
    """
    makers = (*MAKERS, *beside) if kept else ()
    options = options_of_solver()
    return Compiled(function, static=static, makers=makers, options=options)

"""The methods of solution, by the names that a protocol uses."""

import functools
from collections.abc import Callable
from typing import Any, get_args

from vtrial.solver.algebra import Algebra
from vtrial.solver.closed import ClosedForm
from vtrial.solver.delayed import Delayed
from vtrial.solver.explicit import Explicit
from vtrial.solver.exponential import MatrixExponential
from vtrial.solver.method import AbstractMethod
from vtrial.solver.stiff import Stiff
from vtrial.solver.tableau import tableau_of
from vtrial.types import Method


def _diffrax(*given: Any, solver: str = "Kvaerno5") -> AbstractMethod:
    """Make a diffrax method; that takes a second to load and is seldom asked for."""
    from vtrial.solver.diffrax_method import Diffrax

    return Diffrax(*given, solver=solver)


def _explicit(*given: Any, solver: str) -> AbstractMethod:
    """Make an explicit method of one of diffrax's tableaux."""
    return Explicit(*given, tableau=tableau_of(solver))


def _brownian(*given: Any) -> AbstractMethod:
    """Make the method for noise, which needs diffrax, too."""
    from vtrial.solver.brownian import Brownian

    return Brownian(*given)


METHODS: dict[str, Callable[..., AbstractMethod]] = {
    "algebra": Algebra,
    "closed form": ClosedForm,
    "matrix exponential": MatrixExponential,
    "explicit": Explicit,
    "stiff": Stiff,
    "hybrid explicit": functools.partial(Explicit, hybrid=True),
    "hybrid stiff": functools.partial(Stiff, hybrid=True),
    "diffrax": _diffrax,
    "brownian": _brownian,
    "method of steps": Delayed,
} | {
    name: functools.partial(make, solver=name.removeprefix(f"{door} "))
    for door, make in (("diffrax", _diffrax), ("explicit", _explicit))
    for name in get_args(Method)
    if name.startswith(f"{door} ")
}

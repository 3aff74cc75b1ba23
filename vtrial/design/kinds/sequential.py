"""Group sequential tests: boundaries that keep the type I error over all looks."""

import functools

import numpy as np

from vtrial.design.kind import Kind, Verdict, View, shares_of
from vtrial.design.sequential.boundary import Boundaries, boundaries
from vtrial.design.sequential.plan import NONE, ON_Z, GroupSequential
from vtrial.protocol.enactment import Adaptation, Enactment

USUAL = "O'Brien-Fleming spending"


def plan_of(adaptation: Adaptation, enactment: Enactment) -> GroupSequential:
    """Return the plan of the looks at which an adaptation acts.

    Raises
    ------
    ProtocolError
        If it is not known which share of the information a look has, or if families
        and looks do not fit.
    """
    futility, parameter = adaptation.option("futility"), None
    if isinstance(futility, tuple):
        futility, parameter = ON_Z, futility
    elif futility is not None:
        parameter = adaptation.option("futility parameter")
    efficacy = adaptation.option("efficacy") or USUAL
    return GroupSequential(
        shares_of(enactment, adaptation.looks),
        alpha=adaptation.number("alpha", 0.025),
        beta=1.0 - adaptation.number("power", 0.9),
        sides=int(adaptation.number("sides", 1.0)),
        efficacy=str(efficacy),
        efficacy_parameter=adaptation.option("parameter"),  # type: ignore[arg-type]
        futility=str(futility or NONE),
        futility_parameter=parameter,  # type: ignore[arg-type]
        binding=bool(adaptation.option("binding")),
    )


@functools.lru_cache(maxsize=64)
def _bounds(plan: GroupSequential) -> Boundaries:
    return boundaries(plan)


def _decide(adaptation: Adaptation, view: View) -> Verdict:
    """Hold each comparison's statistic to the look's bounds."""
    bounds = _bounds(plan_of(adaptation, view.enactment))
    at = adaptation.looks.index(view.place)
    last = at == len(adaptation.looks) - 1
    success, futile = {}, {}
    for name in adaptation.on:
        z = view.z(name, adaptation)
        size = np.abs(z) if bounds.sides == 2 else z
        success[name] = size >= bounds.upper[at]
        low = size < bounds.inner[at] if bounds.sides == 2 else z <= bounds.lower[at]
        futile[name] = ~success[name] & (low | last)
    return Verdict(success, futile)


def _check(adaptation: Adaptation, enactment: Enactment) -> None:
    """Refuse a plan that has no boundaries."""
    _bounds(plan_of(adaptation, enactment))


KINDS = (Kind("group sequential", 10, _decide, _check),)

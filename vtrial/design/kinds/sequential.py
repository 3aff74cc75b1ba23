"""Group sequential tests: boundaries that keep the type I error over all looks."""

import functools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from vtrial.design.kind import Kind, Verdict, View, shares_of
from vtrial.design.sequential.actual import bounds_seen
from vtrial.design.sequential.boundary import Boundaries, boundaries
from vtrial.design.sequential.plan import NONE, ON_Z, SPENDERS, GroupSequential
from vtrial.errors import ProtocolError
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
    shares = _planned(adaptation, enactment)
    futility, parameter = adaptation.option("futility"), None
    if isinstance(futility, tuple):
        futility, parameter = ON_Z, futility
    elif futility is not None:
        parameter = adaptation.option("futility parameter")
    efficacy = adaptation.option("efficacy") or USUAL
    return GroupSequential(
        shares,
        alpha=adaptation.number("alpha", 0.025),
        beta=1.0 - adaptation.number("power", 0.9),
        sides=int(adaptation.number("sides", 1.0)),
        efficacy=str(efficacy),
        efficacy_parameter=adaptation.option("parameter"),  # type: ignore[arg-type]
        futility=str(futility or NONE),
        futility_parameter=parameter,  # type: ignore[arg-type]
        binding=bool(adaptation.option("binding")),
    )


def _planned(adaptation: Adaptation, enactment: Enactment) -> tuple[float, ...]:
    """Return the planned shares of the information at the looks.

    Where errors are spent at what looks really have, and nothing else depends on the
    plan, looks of which the sheet does not say it are taken to be evenly apart.
    """
    looks = [enactment.looks[place] for place in adaptation.looks]
    known = all(look.information is not None for look in looks)
    free = adaptation.option("efficacy") in (None, *SPENDERS) and not isinstance(
        adaptation.option("futility"), str
    )
    if adaptation.option("information") is None or known or not free:
        return shares_of(enactment, adaptation.looks)
    return tuple((place + 1) / len(looks) for place in range(len(looks)))


def seen_by(
    adaptation: Adaptation, counted: Mapping[str, np.ndarray]
) -> Float[np.ndarray, "trial look"]:
    """Return the share of full information at an adaptation's looks so far.

    `counted` has who is known, and who had events, at all looks of the trial so far.
    """
    words = adaptation.option("information")
    assert isinstance(words, str), "the caller has looked"
    number, counter = words.split()
    values = counted[counter]
    looks = [place for place in adaptation.looks if place < values.shape[1]]
    return values[:, looks] / float(number)


@functools.lru_cache(maxsize=64)
def _bounds(plan: GroupSequential) -> Boundaries:
    return boundaries(plan)


def _decide(adaptation: Adaptation, view: View) -> Verdict:
    """Hold each comparison's statistic to the look's bounds."""
    plan = plan_of(adaptation, view.enactment)
    at = adaptation.looks.index(view.place)
    last = at == len(adaptation.looks) - 1
    upper, lower, inner = _limits(adaptation, plan, view, at)
    success, futile = {}, {}
    for name in adaptation.on:
        z = view.z(name, adaptation)
        size = np.abs(z) if plan.sides == 2 else z
        success[name] = size >= upper
        low = size < inner if plan.sides == 2 else z <= lower
        futile[name] = ~success[name] & (low | last)
    return Verdict(success, futile)


def _limits(
    adaptation: Adaptation, plan: GroupSequential, view: View, at: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the bounds of a look: upper, lower and inner, alike or by trial."""
    if adaptation.option("information") is None:
        bounds = _bounds(plan)
        return bounds.upper[at], bounds.lower[at], bounds.inner[at]
    shares = seen_by(adaptation, view.counted)
    given = isinstance(adaptation.option("futility"), tuple)
    if given:
        plan = replace(plan, futility=NONE, futility_parameter=None)
    many, last = len(shares), at == len(adaptation.looks) - 1
    upper, lower = np.full(many, np.inf), np.full(many, -np.inf)
    inner = np.zeros(many)
    for group in bounds_seen(plan, shares, np.full(many, last)):
        if group.looks[-1] == at:
            place = len(group.looks) - 1
            upper[group.trials] = group.bounds.upper[:, place]
            lower[group.trials] = group.bounds.lower[:, place]
            inner[group.trials] = group.bounds.inner[:, place]
    if given and not last:
        futility = adaptation.option("futility")
        assert isinstance(futility, tuple), "it was looked at"
        lower = np.where(np.isfinite(upper), futility[at], -np.inf)
    return upper, lower, inner


def _check(adaptation: Adaptation, enactment: Enactment) -> None:
    """Refuse a plan that has no boundaries."""
    plan = plan_of(adaptation, enactment)
    if adaptation.option("information") is not None and plan.binding:
        raise ProtocolError(
            at="binding",
            found="with `information`",
            allowed="left out: bounds at the information that a look has do not bind",
            write="",
        )
    _bounds(plan)


KINDS = (Kind("group sequential", 10, _decide, _check),)

"""Stopping by probabilities: of the effect, and of a significant end."""

from collections.abc import Iterator

import numpy as np
from scipy import special

from vtrial.design.kind import Kind, Verdict, View, shares_of
from vtrial.design.sight import Effects
from vtrial.protocol.enactment import Adaptation, Enactment


def _posterior(adaptation: Adaptation, view: View) -> Verdict:
    """Hold the posterior probability of an effect beyond the margin to its limits.

    After a flat prior the effect (the logarithm of a ratio) is normal about its
    estimate. Where an arm has a past, or subgroups may be alike, that is heard, too.
    """
    higher = adaptation.better == "higher"
    success, futile, told = {}, {}, {}
    for name, beyond, effects in _believed(adaptation, view):
        chance = beyond if higher else 1.0 - beyond
        if effects is not None:
            told[name] = effects
        with np.errstate(invalid="ignore"):
            success[name] = chance >= adaptation.number("success", 1.0)
            less = adaptation.number("futility", -1.0)
            futile[name] = (chance < less) | (view.last & ~success[name])
    return Verdict(success, futile, told=told)


def _believed(
    adaptation: Adaptation, view: View
) -> Iterator[tuple[str, np.ndarray, Effects | None]]:
    """Yield how probable each effect above the margin is, and what else is believed."""
    margin = adaptation.option("margin")
    assert margin is None or isinstance(margin, float), "the loader has looked"
    if adaptation.option("alike") is not None:
        from vtrial.design.informed import shared

        first = adaptation.on[0]
        least = 0.0 if margin is None else view.sight.scaled(first, margin)
        for name, one in shared(adaptation, view, least).items():
            yield name, one.beyond, one.effects
        return
    for name in adaptation.on:
        if view.enactment.borrowed_for(name):
            from vtrial.design.informed import heard

            one = heard(name, view, margin)
            assert one is not None, "something is borrowed"
            yield name, one.beyond, one.effects
            continue
        found = view.effects(name)
        least = 0.0 if margin is None else view.sight.scaled(name, margin)
        with np.errstate(invalid="ignore", divide="ignore"):
            yield name, special.ndtr((found.estimate - least) / found.error), None


def _predictive(adaptation: Adaptation, view: View) -> Verdict:
    """Give up where the predictive power is too low; test at the end.

    With a share t of the information the last statistic is, after a flat prior,
    normal about Z/sqrt(t) with variance (1 - t)/t (Spiegelhalter DJ et al., Control
    Clin Trials 1986;7:8-17).
    """
    limit = -special.ndtri(adaptation.number("alpha", 0.025))
    success, futile = {}, {}
    for name in adaptation.on:
        z = view.z(name, adaptation)
        if view.last:
            success[name] = z > limit
            futile[name] = ~success[name]
            continue
        (share,) = shares_of(view.enactment, [view.place])
        with np.errstate(invalid="ignore"):
            power = special.ndtr((z - limit * np.sqrt(share)) / np.sqrt(1.0 - share))
            futile[name] = power < adaptation.number("futility", 0.0)
    return Verdict(success, futile)


def _check(adaptation: Adaptation, enactment: Enactment) -> None:
    """Refuse looks before the end of which it is not known how much they know."""
    last = len(enactment.looks) - 1
    shares_of(enactment, [place for place in adaptation.looks if place < last])


KINDS = (
    Kind("posterior probability", 20, _posterior),
    Kind("predictive power", 30, _predictive, _check),
)

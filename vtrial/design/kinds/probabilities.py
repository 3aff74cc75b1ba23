"""Stopping by probabilities: of the effect, and of a significant end."""

import numpy as np
from scipy import special

from vtrial.design.kind import Kind, Verdict, View, shares_of
from vtrial.protocol.enactment import Adaptation, Enactment


def _posterior(adaptation: Adaptation, view: View) -> Verdict:
    """Hold the posterior probability of an effect beyond the margin to its limits.

    After a flat prior the effect (the logarithm of a ratio) is normal about its
    estimate.
    """
    higher = adaptation.better == "higher"
    success, futile = {}, {}
    for name in adaptation.on:
        found = view.effects(name)
        margin = adaptation.option("margin")
        beyond = found.estimate
        if margin is not None:
            assert isinstance(margin, float)
            beyond = beyond - view.sight.scaled(name, margin)
        with np.errstate(invalid="ignore", divide="ignore"):
            chance = special.ndtr((beyond if higher else -beyond) / found.error)
        success[name] = chance >= adaptation.number("success", 1.0)
        less = adaptation.number("futility", -1.0)
        futile[name] = (chance < less) | (view.last & ~success[name])
    return Verdict(success, futile)


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

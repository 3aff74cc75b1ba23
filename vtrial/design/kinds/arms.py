"""Adaptations of the allocation: arms that do well get more subjects, others none."""

import numpy as np

from vtrial.design.kind import Kind, Verdict, View
from vtrial.design.posterior import believed, best
from vtrial.protocol.enactment import Adaptation


def _chances(adaptation: Adaptation, view: View) -> np.ndarray:
    """Return how probable it is that each arm is the best of those open."""
    seen = view.sight.seen(adaptation.on[0], view.lock)
    belief = believed(seen, view.lock.arm, len(view.base))
    return best(belief, higher=adaptation.better == "higher", among=view.among)


def _respond(adaptation: Adaptation, view: View) -> Verdict:
    """Weigh arms by the probability of being the best, or by its square root.

    Below the floor an arm gets the floor, and the others share the rest. With the
    square root allocation is less extreme (Thall and Wathen 2007, Eur J Cancer
    43:859-866).
    """
    weights = _chances(adaptation, view)
    if adaptation.option("rule") == "square root":
        weights = np.sqrt(weights)
    weights = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
    floor = adaptation.number("floor", 0.0)
    return Verdict(weights=_floored(weights, view.among, floor))


def _floored(weights: np.ndarray, among: np.ndarray, floor: float) -> np.ndarray:
    """Lift open arms to the floor; the others keep their proportions to each other."""
    lifted, made = np.zeros_like(among), weights
    for _ in range(weights.shape[1]):
        rest = 1.0 - floor * lifted.sum(axis=1, keepdims=True)
        free = np.where(lifted, 0.0, weights)
        total = free.sum(axis=1, keepdims=True)
        made = np.where(lifted, floor, free * rest / np.where(total > 0, total, 1.0))
        low = among & ~lifted & (made < floor)
        if not low.any():
            break
        lifted |= low
    return np.where(among, made, 0.0)


def _drop(adaptation: Adaptation, view: View) -> Verdict:
    """Close arms that are too improbably the best; the probably best one goes on."""
    chance = _chances(adaptation, view)
    close = chance < adaptation.number("below", 0.0)
    kept = adaptation.option("keep") or ()
    assert isinstance(kept, tuple)
    close[:, [int(one) for one in kept]] = False
    close[np.arange(len(close)), np.where(view.among, chance, -1.0).argmax(axis=1)] = (
        False
    )
    return Verdict(among=view.among & ~close)


KINDS = (
    Kind("response adaptive", 50, _respond),
    Kind("drop arms", 60, _drop),
)

"""P-values of several hypotheses, adjusted in each of many trials.

All functions take (replicate, hypothesis) p-values and give adjusted ones: a hypothesis
is rejected at a family-wise error rate where its adjusted p-value is not above it. A
p-value that is NaN counts as 1 for the others and stays NaN.
"""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

PValues = Float[np.ndarray, "replicate hypothesis"]
Weights = Float[np.ndarray, " hypothesis"]
Transitions = Float[np.ndarray, "hypothesis hypothesis"]

Adjustment = Literal["Bonferroni", "Holm", "Hochberg", "Hommel", "fixed sequence"]


def adjust(method: Adjustment, p: PValues) -> PValues:
    """Return p-values adjusted by a named procedure.

    Parameters
    ----------
    method
        `Holm` and `Bonferroni` hold under any dependence, `Hochberg` and `Hommel` for
        independent and positively dependent tests. `fixed sequence` tests in the
        order of the hypotheses and stops at the first that is not rejected.

    References
    ----------
    Holm S (1979) Scand J Stat 6:65-70.
    Hochberg Y (1988) Biometrika 75:800-802.
    Hommel G (1988) Biometrika 75:383-386.
    Wright SP (1992) Biometrics 48:1005-1013 (adjusted p-values).
    Maurer W, Hothorn LA, Lehmacher W (1995) in: Biometrie in der
    chemisch-pharmazeutischen Industrie 6:3-18 (fixed sequence).
    """
    filled = np.where(np.isnan(p), 1.0, p)
    count = p.shape[1]
    if method == "Bonferroni":
        made = count * filled
    elif method == "fixed sequence":
        made = np.maximum.accumulate(filled, axis=1)
    else:
        order = np.argsort(filled, axis=1, kind="stable")
        ordered = np.take_along_axis(filled, order, axis=1)
        steps = _STEPS[method](ordered)
        made = np.empty_like(filled)
        np.put_along_axis(made, order, steps, axis=1)
    return np.where(np.isnan(p), np.nan, np.minimum(made, 1.0))


def _holm(p: PValues) -> PValues:
    """Adjust ordered p-values from the smallest on."""
    count = p.shape[1]
    return np.maximum.accumulate((count - np.arange(count)) * p, axis=1)


def _hochberg(p: PValues) -> PValues:
    """Adjust ordered p-values from the largest on."""
    count = p.shape[1]
    raised = (count - np.arange(count)) * p
    return np.minimum.accumulate(raised[:, ::-1], axis=1)[:, ::-1]


def _hommel(p: PValues) -> PValues:
    """Adjust ordered p-values by Simes's test of every intersection (Wright, p. 1011).

    Of all intersections of m hypotheses that hold a given one, only that with the
    largest of the others counts.
    """
    count = p.shape[1]
    made = p.copy()
    for size in range(count, 1, -1):
        least = count - size + 1  # these many first ones are tested with the last ones
        divisors = np.arange(2, size + 1)
        tail = (size * p[:, least:] / divisors).min(axis=1, keepdims=True)
        own = np.minimum(size * p[:, :least], tail)
        made[:, :least] = np.maximum(made[:, :least], own)
        made[:, least:] = np.maximum(made[:, least:], own[:, -1:])
    return made


_STEPS = {"Holm": _holm, "Hochberg": _hochberg, "Hommel": _hommel}


def adjust_by_graph(p: PValues, weights: Weights, transitions: Transitions) -> PValues:
    """Return p-values adjusted by a graph of hypotheses.

    Each hypothesis holds a share of the error rate; a rejected one hands its share on
    along its outgoing edges, which are then drawn anew. Holm's procedure, the fixed
    sequence, fallback and gatekeeping procedures are such graphs.

    Parameters
    ----------
    weights
        Shares of the error rate; not negative, their sum at most 1.
    transitions
        Row by row, what part of its share a hypothesis hands to each other one when
        it is rejected; not negative, the sum of a row at most 1, the diagonal 0.

    Raises
    ------
    ValueError
        If weights or transitions are not such shares.

    References
    ----------
    Bretz F, Maurer W, Brannath W, Posch M (2009) Stat Med 28:586-604, algorithms 1
    and 2.
    """
    _check_graph(weights, transitions)
    filled = np.where(np.isnan(p), 1.0, p)
    replicates, count = p.shape
    share = np.tile(weights, (replicates, 1))
    edges = np.tile(transitions, (replicates, 1, 1))
    open_ = np.ones(p.shape, bool)
    made, highest = np.ones(p.shape), np.zeros(replicates)
    row = np.arange(replicates)
    for _ in range(count):
        asked = np.where(open_ & (share > 0), filled, np.inf)
        asked = asked / np.where(share > 0, share, 1.0)
        taken = asked.argmin(axis=1)
        # Where no open hypothesis has a share, none can be rejected any more.
        highest = np.maximum(highest, np.minimum(asked[row, taken], 1.0))
        taken = np.where(np.isfinite(asked[row, taken]), taken, open_.argmax(axis=1))
        made[row, taken] = highest
        open_[row, taken] = False
        share, edges = _without(taken, share, edges, open_)
    return np.where(np.isnan(p), np.nan, made)


def _without(
    taken: np.ndarray, share: np.ndarray, edges: np.ndarray, left: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Hand on a rejected hypothesis's share, and draw its edges anew."""
    row = np.arange(len(taken))
    out, into = edges[row, taken, :], edges[row, :, taken]
    share = np.where(left, share + share[row, taken][:, None] * out, 0.0)
    back = 1 - into * out  # what does not return at once by way of the rejected one
    through = edges + into[:, :, None] * out[:, None, :]
    sound = back > 1e-15
    edges = np.where(
        sound[:, :, None], through / np.where(sound, back, 1.0)[:, :, None], 0.0
    )
    both = left[:, :, None] & left[:, None, :]
    return share, np.where(both & ~np.eye(share.shape[1], dtype=bool), edges, 0.0)


def _check_graph(weights: Weights, transitions: Transitions) -> None:
    """Refuse a graph whose weights or transitions are not shares of 1."""
    slack = 1e-12
    if (weights < 0).any() or weights.sum() > 1 + slack:
        raise ValueError("weights must not be negative, and their sum at most 1")
    if (transitions < 0).any() or (transitions.sum(axis=1) > 1 + slack).any():
        raise ValueError("transitions must not be negative, a row's sum at most 1")
    if np.diagonal(transitions).any():
        raise ValueError("a hypothesis hands nothing on to itself: the diagonal is 0")


def rejected(
    adjusted: PValues, alpha: float
) -> Bool[np.ndarray, "replicate hypothesis"]:
    """Return which hypotheses are rejected at a family-wise error rate."""
    return adjusted <= alpha

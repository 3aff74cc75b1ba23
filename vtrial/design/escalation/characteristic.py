"""Operating characteristics of escalation trials, with their Monte Carlo errors."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vtrial.design.escalation.enact import Escalated

Shares = Float[np.ndarray, " dose"]


@dataclass(frozen=True)
class Characteristics:
    """What a method of escalation does on average; errors are Monte Carlo errors.

    Parameters
    ----------
    selected, selected_error
        Share of trials that select each dose.
    none, none_error
        Share of trials that select none.
    treated, treated_error
        Mean number of subjects at each dose.
    toxic, toxic_error
        Mean number of toxicities at each dose.
    size, size_error
        Mean number of subjects.
    stopped, stopped_error
        Share of trials that the method ended before all subjects were enrolled.
    overdosed, overdosed_error
        Mean share of a trial's subjects at doses that are more toxic than the target;
        NaN without the true probabilities.
    correct, correct_error
        Share of trials that select a dose whose true probability is nearest to the
        target; NaN without.
    """

    selected: Shares
    selected_error: Shares
    none: float
    none_error: float
    treated: Shares
    treated_error: Shares
    toxic: Shares
    toxic_error: Shares
    size: float
    size_error: float
    stopped: float
    stopped_error: float
    overdosed: float
    overdosed_error: float
    correct: float
    correct_error: float


def characteristics(
    made: Escalated,
    *,
    probabilities: Shares | None = None,
    target: float | None = None,
) -> Characteristics:
    """Return what escalation trials did on average.

    Parameters
    ----------
    made
        From `enact_escalation`.
    probabilities, target
        True probabilities of toxicity by dose, and the one that is aimed at, which say
        what overdosing is and which selection is correct.
    """
    doses = np.arange(made.treated.shape[1])
    picked = made.selected[:, None] == doses
    over, right = np.full((2, len(made.selected)), np.nan)
    if probabilities is not None and target is not None:
        truth = np.asarray(probabilities)
        above = truth > target + 1e-12
        over = (made.treated * above).sum(axis=1) / made.size
        distance = np.abs(truth - target)
        nearest = distance <= distance.min() + 1e-12
        right = (picked & nearest).any(axis=1)
    parts = (picked, made.selected < 0, made.treated, made.toxic, made.size)
    found: list = []
    for part in (*parts, made.stopped, over, right):
        found += _mean(np.asarray(part, float))
    return Characteristics(*found)


def _mean(values: np.ndarray) -> list:
    """Return the mean over trials and its error, as numbers where they are."""
    mean = values.mean(axis=0)
    error = values.std(axis=0) / np.sqrt(len(values))
    return [one if one.ndim else float(one) for one in (mean, error)]

"""MCP-Mod: test for a dose-response, then model it and find the dose that is enough.

References
----------
Bretz F, Pinheiro JC, Branson M (2005) Biometrics 61:738-748.
Buckland ST, Burnham KP, Augustin NH (1997) Biometrics 53:603-618 (averaging).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from vtrial.design.dose_response.contrast import (
    ContrastTest,
    multiple_contrast_test,
    optimal_contrasts,
)
from vtrial.design.dose_response.fit import Fitted, fit_shape
from vtrial.design.dose_response.registry import shapes
from vtrial.design.dose_response.shape import PLACE, Candidate, Doses
from vtrial.errors import ProtocolError

FINE = 401  # doses from placebo to the highest, between which a line is drawn
TOGETHER = 1000  # trials whose curves are drawn at once


@dataclass(frozen=True)
class McpMod:
    """MCP-Mod in each of many trials.

    Parameters
    ----------
    test
        The multiple contrast test.
    shown
        Whether there is a dose-response.
    fits
        The fitted shapes, each once, though it may have several candidates.
    weights
        Of the fits, 0 for shapes that are not significant: one has all of it if one is
        chosen. All are 0 where no dose-response is shown.
    target
        The lowest dose whose effect over placebo is as large as was asked for; NaN
        where there is none.
    """

    test: ContrastTest
    shown: Bool[np.ndarray, " replicate"]
    fits: tuple[Fitted, ...]
    weights: Float[np.ndarray, "replicate fit"]
    target: Float[np.ndarray, " replicate"]

    def at(self, doses: Doses) -> Float[np.ndarray, "replicate dose"]:
        """Return the chosen or averaged curve at doses; NaN where none is shown."""
        curves = np.stack([fit.at(doses) for fit in self.fits], axis=1)
        found = np.einsum("rf,rfd->rd", self.weights, curves)
        return np.where(self.weights.sum(axis=1, keepdims=True) > 0, found, np.nan)


def _targets(made: McpMod, dose: np.ndarray, effect: float | int) -> np.ndarray:
    """Return where each curve first comes to an effect; NaN where it does not."""
    curve = made.at(dose)
    rise = curve - curve[:, :1]
    there = rise >= effect
    first = np.maximum(np.argmax(there, axis=1), 1)
    row = np.arange(len(rise))
    low, high = rise[row, first - 1], rise[row, first]
    part = (effect - low) / np.where(high > low, high - low, 1.0)
    found = dose[first - 1] + part * (dose[first] - dose[first - 1])
    return np.where(there.any(axis=1), found, np.nan)


def _some(made: McpMod, rows: slice) -> McpMod:
    """Return some of the trials, without their tests."""
    fits = tuple(
        replace(
            fit,
            linear=fit.linear[rows],
            theta=fit.theta[rows],
            loss=fit.loss[rows],
            criterion=fit.criterion[rows],
        )
        for fit in made.fits
    )
    parts = (made.shown[rows], fits, made.weights[rows], made.target[rows])
    return McpMod(made.test, *parts)


def mcp_mod(
    candidates: Sequence[Candidate],
    doses: Doses,
    estimate: Float[np.ndarray, "replicate dose"],
    covariance: Float[np.ndarray, "dose dose"],
    *,
    effect: float | int,
    choose: Literal["AIC", "average", "statistic"] = "AIC",
    scale: Float[np.ndarray, " replicate"] | None = None,
    freedom: float | int = np.inf,
    level: float = 0.025,
    contrasts: Float[np.ndarray, "candidate dose"] | None = None,
) -> McpMod:
    """Test, model and find the target dose in each trial.

    Parameters
    ----------
    candidates
        From `candidate`; more is better, so that falling responses change their sign
        first.
    doses
        Of the trial, the placebo first.
    estimate
        At each dose.
    covariance
        Of the estimates, of all trials alike.
    effect
        Over placebo, that the target dose is to have.
    choose
        Of the significant shapes that can be fitted, by the least `AIC` or the largest
        `statistic`; or their `average` by AIC.
    scale, freedom, level
        As in `multiple_contrast_test`.
    contrasts
        Of the candidates; the optimal ones for this covariance if not given.

    Raises
    ------
    ProtocolError
        As in `optimal_contrasts` and `fit_shape`; or if the effect is not positive or
        the way to choose has another name.

    Examples
    --------
    >>> from vtrial.design.dose_response import candidate
    >>> doses = np.array([0.0, 12.5, 25, 50, 100])
    >>> mean = np.array([[1.243, 1.317, 1.333, 1.374, 1.385]])
    >>> candidates = [candidate("emax", 12.5), candidate("linear")]
    >>> made = mcp_mod(candidates, doses, mean, 0.015**2 * np.eye(5), effect=0.1)
    >>> made.weights.tolist(), made.target.round(1).tolist()
    ([[1.0, 0.0]], [26.2])
    """
    if not effect > 0:
        allowed = "positive: more is better"
        raise ProtocolError(f"{PLACE}.effect", f"{effect:g}", allowed, "")
    if choose not in ("AIC", "average", "statistic"):
        allowed = "AIC, average or statistic"
        raise ProtocolError(f"{PLACE}.choose", repr(choose), allowed, "choose: AIC")
    doses = np.asarray(doses, float)
    if contrasts is None:
        contrasts = optimal_contrasts(candidates, doses, covariance=covariance)
    test = multiple_contrast_test(
        estimate, contrasts, covariance, scale=scale, freedom=freedom, level=level
    )
    known = shapes()
    words = list(dict.fromkeys(one.word for one in candidates))
    words = [word for word in words if known[word].bounds or known[word].linear]
    fits = tuple(fit_shape(word, doses, estimate, covariance) for word in words)
    weights = _weights(choose, candidates, words, fits, test)
    fine = np.linspace(doses.min(), doses.max(), FINE)
    any_ = np.asarray(test.significant.any(axis=1))
    made = McpMod(test, any_, fits, weights, np.full(len(weights), np.nan))
    pieces = range(0, len(weights), TOGETHER)
    targets = [
        _targets(_some(made, slice(at, at + TOGETHER)), fine, effect) for at in pieces
    ]
    return replace(made, target=np.concatenate(targets))


def _weights(
    choose: str,
    candidates: Sequence[Candidate],
    words: list[str],
    fits: tuple[Fitted, ...],
    test: ContrastTest,
) -> np.ndarray:
    """Return how much each fit counts in each trial."""
    of = np.array([[one.word == word for word in words] for one in candidates])
    open_ = (test.significant[:, :, None] & of).any(axis=1)
    if choose == "statistic":
        each = np.where(of, test.statistic[:, :, None], -np.inf)
        worth = each.max(axis=1)
    else:
        worth = -np.stack([fit.criterion for fit in fits], axis=1) / 2
    worth = np.where(open_, worth, -np.inf)
    best = worth.max(axis=1, keepdims=True)
    any_ = np.isfinite(best)
    if choose == "average":
        weight = np.exp(worth - np.where(any_, best, 0.0))
        return weight / np.where(any_, weight.sum(axis=1, keepdims=True), 1.0)
    first = np.argmax(worth, axis=1)[:, None] == np.arange(len(words))
    return (first & any_).astype(float)

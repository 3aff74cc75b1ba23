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

from vtrial.errors import ProtocolError
from vtrial.measure.dose_response.contrast import (
    ContrastTest,
    multiple_contrast_test,
    optimal_contrasts,
)
from vtrial.measure.dose_response.fit import Fitted, fit_shape
from vtrial.measure.dose_response.registry import shapes
from vtrial.measure.dose_response.shape import PLACE, Candidate, Doses

FINE = 401  # doses from placebo to the highest, between which a line is drawn
TOGETHER = 1000  # trials whose curves are drawn at once

Choice = Literal["AIC", "average", "statistic"]


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
        return curves_at(self.fits, self.weights, doses)


def curves_at(
    fits: Sequence[Fitted], weights: Float[np.ndarray, "replicate fit"], doses: Doses
) -> Float[np.ndarray, "replicate dose"]:
    """Return the chosen or averaged curves at doses; NaN where none is shown."""
    found = np.zeros((len(weights), len(doses)))
    for fit, weight in zip(fits, weights.T, strict=True):
        found = found + np.where(weight > 0, weight, 0.0)[:, None] * fit.at(doses)
    return np.where(weights.sum(axis=1, keepdims=True) > 0, found, np.nan)


def target_doses(
    fits: Sequence[Fitted],
    weights: Float[np.ndarray, "replicate fit"],
    doses: Doses,
    effect: float | int,
) -> Float[np.ndarray, " replicate"]:
    """Return the lowest dose whose effect over the lowest is as large as asked for.

    A negative effect is one below it. NaN where no dose up to the highest has it, or
    no dose-response is shown.
    """
    doses = np.asarray(doses, float)
    fine = np.linspace(doses.min(), doses.max(), FINE)
    parts = []
    for at in range(0, len(weights), TOGETHER):
        rows = slice(at, at + TOGETHER)
        curve = curves_at([_some(fit, rows) for fit in fits], weights[rows], fine)
        parts.append(_reached(curve, fine, float(effect)))
    return np.concatenate(parts) if parts else np.empty(0)


def _reached(curve: np.ndarray, dose: np.ndarray, effect: float) -> np.ndarray:
    """Return where each curve first comes to an effect; NaN where it does not."""
    rise = (curve - curve[:, :1]) * np.sign(effect)
    there = rise >= abs(effect)
    first = np.maximum(np.argmax(there, axis=1), 1)
    row = np.arange(len(rise))
    low, high = rise[row, first - 1], rise[row, first]
    part = (abs(effect) - low) / np.where(high > low, high - low, 1.0)
    found = dose[first - 1] + part * (dose[first] - dose[first - 1])
    return np.where(there.any(axis=1), found, np.nan)


def _some(fit: Fitted, rows: slice) -> Fitted:
    """Return some of the trials."""
    parts = ("linear", "theta", "loss", "criterion")
    return replace(fit, **{name: getattr(fit, name)[rows] for name in parts})


def mcp_mod(
    candidates: Sequence[Candidate],
    doses: Doses,
    estimate: Float[np.ndarray, "replicate dose"],
    covariance: Float[np.ndarray, "dose dose"],
    *,
    effect: float | int,
    choose: Choice = "AIC",
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
    >>> from vtrial.measure.dose_response import candidate
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
    fits, weights = modelled(
        candidates,
        doses,
        estimate,
        covariance,
        statistic=test.statistic,
        significant=test.significant,
        choose=choose,
    )
    any_ = np.asarray(test.significant.any(axis=1))
    made = McpMod(test, any_, fits, weights, np.full(len(weights), np.nan))
    return replace(made, target=target_doses(fits, weights, doses, effect))


def modelled(
    candidates: Sequence[Candidate],
    doses: Doses,
    estimate: Float[np.ndarray, "replicate dose"],
    covariance: Float[np.ndarray, "*replicate dose dose"],
    *,
    statistic: Float[np.ndarray, "replicate candidate"],
    significant: Bool[np.ndarray, "replicate candidate"],
    choose: Choice = "AIC",
) -> tuple[tuple[Fitted, ...], Float[np.ndarray, "replicate fit"]]:
    """Fit each shape that can be fitted once, and weigh the significant ones.

    Returns
    -------
    The fits, and how much each counts, as in `McpMod`.
    """
    known = shapes()
    words = list(dict.fromkeys(one.word for one in candidates))
    words = [word for word in words if known[word].bounds or known[word].linear]
    fits = tuple(fit_shape(word, doses, estimate, covariance) for word in words)
    of = np.array([[one.word == word for word in words] for one in candidates])
    of = of.reshape(len(candidates), len(words))
    return fits, _weights(choose, of, fits, statistic, significant)


def _weights(
    choose: Choice,
    of: np.ndarray,
    fits: tuple[Fitted, ...],
    statistic: np.ndarray,
    significant: np.ndarray,
) -> np.ndarray:
    """Return how much each fit counts in each trial."""
    if not fits:
        return np.zeros((len(statistic), 0))
    open_ = (significant[:, :, None] & of).any(axis=1)
    if choose == "statistic":
        each = np.where(of, statistic[:, :, None], -np.inf)
        worth = each.max(axis=1)
    else:
        worth = -np.stack([fit.criterion for fit in fits], axis=1) / 2
    worth = np.where(open_, worth, -np.inf)
    best = worth.max(axis=1, keepdims=True)
    any_ = np.isfinite(best)
    if choose == "average":
        weight = np.exp(worth - np.where(any_, best, 0.0))
        return weight / np.where(any_, weight.sum(axis=1, keepdims=True), 1.0)
    first = np.argmax(worth, axis=1)[:, None] == np.arange(len(fits))
    return (first & any_).astype(float)

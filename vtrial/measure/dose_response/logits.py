r"""Logits of responses at doses, of many trials, with their covariance.

Each trial has a logistic regression with a level for each dose and slopes of
covariates. A dose's logit is that of the mean probability if all subjects had the dose,

$$ \mu_d = \operatorname{logit}\Big(\frac1n \sum_i
   \operatorname{expit}(\hat\alpha_d + x_i^T \hat\beta)\Big), $$

and its covariance follows by the delta method. Where a dose has no response, or nothing
else, half a response and half a failure are added to each dose of that trial.

References
----------
Pinheiro J, Bornkamp B, Glimm E, Bretz F (2014) Stat Med 33:1646-1661.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit, logit

from vtrial.measure.dose_response.trial import Means, members, taking_part
from vtrial.measure.groups import Values
from vtrial.measure.newton import SETTLED, Likelihood, climb, inverse

HALF = 0.5  # of a response, and of a failure, that are added


class _Responses(NamedTuple):
    """Data of the likelihood: columns (replicate, subject, column), and weights."""

    columns: np.ndarray
    value: np.ndarray
    weight: np.ndarray

    def rows(self, chosen: np.ndarray) -> "_Responses":
        """Return some of the trials."""
        return _Responses(*(part[chosen] for part in self))

    def at(self, slopes: np.ndarray) -> Likelihood:
        """Return the logistic log-likelihood."""
        predictor = np.einsum("rsc,rc->rs", self.columns, slopes)
        share = expit(predictor)
        each = self.value * predictor - np.logaddexp(0.0, predictor)
        off = self.weight * (self.value - share)
        bent = self.weight * share * (1 - share)
        return Likelihood(
            (self.weight * each).sum(axis=1),
            np.einsum("rsc,rs->rc", self.columns, off),
            np.einsum(
                "rsc,rsd,rs->rcd", self.columns, self.columns, bent, optimize=True
            ),
        )


def logits_by_dose(
    value: Values,
    place: Int[np.ndarray, "replicate subject"],
    doses: int,
    *,
    covariates: Float[np.ndarray, "replicate subject covariate"] | None = None,
) -> Means:
    """Return each trial's logits of the share of responses at the doses.

    Parameters
    ----------
    value
        1 or 0; NaN for whoever has none.
    place
        Of each subject's dose; below 0 for whoever takes no part.
    doses
        How many there are.
    covariates
        What is adjusted for; who lacks one is left out.

    Returns
    -------
    As of means, with a variance of 1 and infinite freedom: `inverse` is the covariance.
    NaN where a trial lacks a dose, or its regression does not settle.
    """
    seen = taking_part(value, place, covariates)
    member = members(place, seen, doses)
    count = member.sum(axis=1)
    events = np.einsum("rsd,rs->rd", member, np.where(seen, value, 0.0))
    added = HALF * ((events == 0) | (events == count)).any(axis=1)
    whole = (count > 0).all(axis=1)
    events, missed = events + added[:, None], count - events + added[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = np.log(events) - np.log(missed)
        spread = np.eye(doses) * (1 / events + 1 / missed)[:, None]
    if covariates is not None:
        adjusted, spread, settled = _adjusted(
            np.where(seen, value, 0.0), member, covariates, added, estimate
        )
        whole, estimate = whole & settled, adjusted
    level = np.where(whole, 1.0, np.nan)
    spread = np.where(whole[:, None, None], spread, np.eye(doses))
    return Means(
        np.where(whole[:, None], estimate, np.nan), spread, level, np.inf * level
    )


def _adjusted(
    value: np.ndarray,
    member: np.ndarray,
    covariates: np.ndarray,
    added: np.ndarray,
    start: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return adjusted logits, their covariance, and which regressions settled."""
    doses = member.shape[2]
    seen = member.sum(axis=2)
    number = np.maximum(seen.sum(axis=1), 1.0)[:, None, None]
    own = np.where(seen[..., None] > 0, covariates, 0.0)
    centred = np.where(seen[..., None] > 0, own - own.sum(1, keepdims=True) / number, 0)
    spread = np.sqrt((centred**2).sum(axis=1, keepdims=True) / number)
    centred = centred / np.where(spread > 0, spread, 1.0)
    # Responses and failures that are added stand at the mean of the covariates.
    more = np.zeros((len(value), 2 * doses, doses + centred.shape[2]))
    more[:, :, :doses] = np.tile(np.eye(doses), (2, 1))
    columns = np.concatenate([np.concatenate([member, centred], axis=2), more], axis=1)
    extra = np.broadcast_to(np.repeat([1.0, 0.0], doses), more.shape[:2])
    weight = np.concatenate([seen, np.ones(more.shape[:2]) * added[:, None]], axis=1)
    problem = _Responses(columns, np.concatenate([value, extra], axis=1), weight)
    begin = np.zeros((len(value), columns.shape[2]))
    begin[:, :doses] = np.where(np.isfinite(start), start, 0.0)
    fit = climb(problem, begin)
    covariance = inverse(fit.at.information)
    beside = np.einsum("rsc,rc->rs", centred, fit.slopes[:, doses:])
    share = expit(fit.slopes[:, None, :doses] + beside[..., None]) * seen[..., None]
    mean = share.sum(axis=1) / number[:, 0]
    bent = share * (1 - share)
    scale = (number[:, 0] * mean * (1 - mean))[..., None]
    level = np.eye(doses) * bent.sum(axis=1)[:, None]
    slope = np.einsum("rsd,rsc->rdc", bent, centred)
    gradient = np.concatenate([level, slope], axis=2) / scale
    made = gradient @ covariance @ gradient.transpose(0, 2, 1)
    settled = (fit.step < np.sqrt(SETTLED)).all(axis=1)
    return logit(mean), (made + made.transpose(0, 2, 1)) / 2, settled

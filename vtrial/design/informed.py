"""What a comparison shows once earlier trials, or other subgroups, are heard, too."""

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

from vtrial.design.borrowing.basket import exchange
from vtrial.design.borrowing.conjugate import Fitted, fit_mixture
from vtrial.design.borrowing.contrast import contrast_moments, probability_beyond
from vtrial.design.borrowing.mixture import (
    Mixture,
    robust,
    with_mean,
    with_responses,
)
from vtrial.design.borrowing.predict import Predicted, predict_mean, predict_rate
from vtrial.design.borrowing.weighted import power_prior_of_mean, power_prior_of_rate
from vtrial.design.kind import View
from vtrial.design.sight import Effects, Seen
from vtrial.protocol.borrowing import Borrowing
from vtrial.protocol.enactment import Adaptation

Each = Float[np.ndarray, " trial"]
VAGUE = 2.0  # deviation of the prior of a common logit


class Heard(NamedTuple):
    """The probability of an effect above the margin, and the effect that is believed.

    Ratios stand as their logarithms, as in `Effects`.
    """

    beyond: Each
    effects: Effects


class Prior(NamedTuple):
    """A prior from earlier trials, and how it was made.

    Fields
    ------
    mixture
        The prior itself.
    fitted, predicted
        What MAP predicts, and the mixture in its place; None of a power prior.
    unit
        The standard deviation of one subject's value; 0 of a rate.
    about
        The mean of a vague component.
    """

    mixture: Mixture
    fitted: Fitted | None
    predicted: Predicted | None
    unit: float
    about: float


@functools.lru_cache(maxsize=64)
def prior_of(borrowing: Borrowing) -> Prior:
    """Return the prior that earlier trials make.

    MAP of a rate starts from logits about 0 with deviation 2; of a mean from one about
    the mean of all earlier subjects that is worth one subject, as is its vague
    component. That of a rate is uniform.
    """
    made = _of_rates(borrowing) if borrowing.binary else _of_means(borrowing)
    if not borrowing.robust > 0:
        return made
    vague = robust(made.mixture, borrowing.robust, middle=made.about, spread=made.unit)
    return made._replace(mixture=vague)


def _of_rates(borrowing: Borrowing) -> Prior:
    """Return the prior of a rate, without a vague component."""
    count, events = np.array(borrowing.past).T
    if borrowing.by != "MAP":
        made = power_prior_of_rate(events, count, _weight(borrowing))
        return Prior(made, None, None, 0.0, 0.5)
    scale = borrowing.heterogeneity or 1.0
    predicted = predict_rate(events, count, heterogeneity=scale, spread=VAGUE)
    fitted = fit_mixture(predicted)
    return Prior(fitted.mixture, fitted, predicted, 0.0, 0.5)


def _of_means(borrowing: Borrowing) -> Prior:
    """Return the prior of a mean, without a vague component."""
    count, mean, sd = np.array(borrowing.past).T
    unit = float(np.sqrt((count * sd**2).sum() / count.sum()))
    about = float((count * mean).sum() / count.sum())
    errors, base = unit / np.sqrt(count), {"centre": about, "spread": unit}
    if borrowing.by != "MAP":
        made = power_prior_of_mean(mean, errors, _weight(borrowing), **base)
        return Prior(made, None, None, unit, about)
    scale = borrowing.heterogeneity or unit / 2
    predicted = predict_mean(mean, errors, heterogeneity=scale, **base)
    fitted = fit_mixture(predicted)
    return Prior(fitted.mixture, fitted, predicted, unit, about)


def _weight(borrowing: Borrowing) -> float | None:
    """Return the weight of a power prior; None where the data tell."""
    return borrowing.weight if borrowing.weight >= 0 else None


def heard(comparison: str, view: View, margin: float | None) -> Heard | None:
    """Return what a comparison shows with what arms showed before; None without that.

    Rates of arms without a past start from a uniform prior, means from a flat one; the
    standard error of a mean counts as known.
    """
    found = view.enactment.borrowed_for(comparison)
    if not found:
        return None
    scale = dict(found[0].compared)[comparison]
    assert scale in ("difference", "ratio", "odds"), "the loader has looked"
    lock = view.lock_of(comparison)
    seen = view.sight.seen(found[0].endpoint, lock)
    priors = {one.arm: prior_of(one).mixture for one in found}
    names = view.sight.names()
    arm, reference = (
        _learnt(seen, lock.arm == side, priors.get(names[side]))
        for side in view.sight.sides(comparison)
    )
    null = 0.0 if scale == "difference" else 1.0
    mean, deviation = contrast_moments(arm, reference, scale=scale)
    above = np.asarray(probability_beyond(arm, reference, null, scale=scale))
    beyond = above
    if margin is not None and margin != null:
        beyond = np.asarray(probability_beyond(arm, reference, margin, scale=scale))
    return Heard(beyond, _effects(np.asarray(mean), np.asarray(deviation), above))


def _learnt(
    seen: Seen, inside: Bool[np.ndarray, "trial subject"], prior: Mixture | None
) -> Mixture:
    """Return what is believed of an arm: its prior, or a flat one, and its subjects."""
    known = np.isfinite(seen.value) & inside
    count = known.sum(axis=1)
    total = np.where(known, seen.value, 0.0).sum(axis=1)
    if seen.binary:
        flat = Mixture("beta", *np.ones((3, 1)))
        return with_responses(prior or flat, total, count)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / count
        about = np.where(known, seen.value - mean[:, None], 0.0) ** 2
        error = np.sqrt(about.sum(axis=1) / (count - 1) / count)
    if prior is not None:
        return with_mean(prior, mean, error)
    alone = (np.ones_like(mean), mean, np.where(count > 1, error, np.nan))
    return Mixture("normal", *(part[:, None] for part in alone))


def shared(adaptation: Adaptation, view: View, margin: float) -> dict[str, Heard]:
    """Return what subgroups show as far as they are alike, by comparison."""
    names = adaptation.on
    found = [view.effects(name) for name in names]
    estimate, error = (
        np.stack([getattr(one, part) for one in found], axis=1)
        for part in ("estimate", "error")
    )
    given = {
        name: adaptation.number(name, 1.0)
        for name in ("alike", "heterogeneity", "spread")
    }
    made = exchange(estimate, error, margin=margin, **given)
    above = made if margin == 0 else exchange(estimate, error, **given)
    told = {}
    for i, name in enumerate(names):
        known = np.isfinite(estimate[:, i] + error[:, i])
        beyond, over = (
            np.where(known, one.beyond[:, i], np.nan) for one in (made, above)
        )
        believed = _effects(made.mean[:, i], made.deviation[:, i], over)
        told[name] = Heard(beyond, believed)
    return told


def _effects(mean: Each, deviation: Each, above: Each) -> Effects:
    """Return a belief as effects: z has the probability of an effect above none."""
    z = special.ndtri(above)
    return Effects(mean, deviation, 2 * special.ndtr(-np.abs(z)), z)

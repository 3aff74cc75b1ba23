"""Rates of recurrent events in each of many trials at once."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from vtrial.measure.contrast import Contrast, contrast_of, normal_effect
from vtrial.measure.newton import SETTLED, Likelihood, NewtonFit, climb, inverse, told
from vtrial.measure.statistic import Values

Family = Literal["Poisson", "negative binomial"]

MOST = 12.0  # no logarithm of a rate ratio is larger: an arm has no event
TREATMENT = 1  # the place of its coefficient; the intercept is at 0


class _Counts(NamedTuple):
    """Data of the likelihood of counts.

    `columns` are (column, replicate, subject), standardised, 0 for whoever is left out;
    `exposure` is NaN there. `above` (replicate, count) says how many subjects had more
    events than each count from 0.
    """

    columns: np.ndarray
    events: np.ndarray
    exposure: np.ndarray
    above: np.ndarray

    def rows(self, chosen: np.ndarray) -> "_Counts":
        """Return some of the trials."""
        rest = (part[chosen] for part in self[1:])
        return _Counts(self.columns[:, chosen], *rest)

    def expected(self, slopes: np.ndarray) -> np.ndarray:
        """Return the mean number of events of every subject; 0 for those left out."""
        predictor = np.einsum("crs,rc->rs", self.columns, slopes)
        return np.exp(predictor) * np.nan_to_num(self.exposure)

    def at(self, slopes: np.ndarray) -> Likelihood:
        """Return the Poisson log-likelihood."""
        mean = self.expected(slopes)
        predictor = np.einsum("crs,rc->rs", self.columns, slopes)
        value = (self.events * predictor - mean).sum(axis=1)
        score = np.einsum("crs,rs->rc", self.columns, self.events - mean)
        return Likelihood(value, score, _gram(self.columns, mean))


class _Overdispersed(NamedTuple):
    """The same counts with a variance of mean + dispersion * mean**2.

    The last coefficient is the logarithm of the dispersion.
    """

    counts: _Counts

    def rows(self, chosen: np.ndarray) -> "_Overdispersed":
        """Return some of the trials."""
        return _Overdispersed(self.counts.rows(chosen))

    def at(self, slopes: np.ndarray) -> Likelihood:
        """Return the negative binomial (NB2) log-likelihood."""
        columns, events, _, above = self.counts
        dispersion = np.exp(slopes[:, -1:])
        mean = self.counts.expected(slopes[:, :-1])
        predictor = np.einsum("crs,rc->rs", columns, slopes[:, :-1])
        number = np.arange(above.shape[1])[None, :]
        grown = 1 + dispersion * mean
        rise = np.log1p(dispersion * mean) / dispersion
        steps = 1 + dispersion * number
        value = (above * np.log1p(dispersion * number)).sum(axis=1)
        value += (events * (predictor - np.log(grown)) - rise).sum(axis=1)
        off = (events - mean) / grown
        score = np.einsum("crs,rs->rc", columns, off)
        weight = mean * (1 + dispersion * events) / grown**2
        cross = np.einsum("crs,rs->rc", columns, mean * off / grown)
        # In the logarithm of the dispersion derivatives gain a factor of it.
        first = (above * number / steps).sum(axis=1, keepdims=True)
        lost = (events + 1 / dispersion) * mean / grown
        first += (rise / dispersion - lost).sum(axis=1, keepdims=True)
        second = (above * (number / steps) ** 2).sum(axis=1, keepdims=True)
        bent = 2 * (rise / dispersion - mean / grown / dispersion) / dispersion
        bent -= lost * mean / grown
        second += bent.sum(axis=1, keepdims=True)
        size = len(columns)
        information = np.empty((len(mean), size + 1, size + 1))
        information[:, :size, :size] = _gram(columns, weight)
        information[:, :size, size] = information[:, size, :size] = cross * dispersion
        information[:, size, size] = (dispersion**2 * second - dispersion * first)[:, 0]
        score = np.concatenate([score, dispersion * first], axis=1)
        return Likelihood(value, score, information)


def _gram(columns: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the sums of products of columns over each trial's subjects."""
    return np.einsum("irs,jrs,rs->rij", columns, columns, weight, optimize=True)


def rate_ratio(
    value: Values,
    exposure: Values,
    treated: Bool[np.ndarray, "replicate subject"],
    *,
    covariates: Float[np.ndarray, "replicate subject covariate"] | None = None,
    family: Family = "negative binomial",
    level: float = 0.95,
) -> Contrast:
    """Return the ratio of the rates of events by regression on their logarithm.

    Maximum likelihood by Newton's method, the interval and test are Wald's with the
    observed information. For the negative binomial law (variance m + a m**2) the
    dispersion a is estimated together with the rates; where the counts vary no more
    than Poisson's it is 0, and the fit is Poisson's.

    Parameters
    ----------
    value
        The number of events of each subject. A trial with a number that is not whole
        or negative has no estimate.
    exposure
        How long each was under observation; whoever was not is left out.
    covariates
        Adjusted for; a subject without one is left out.

    Returns
    -------
    The rate of the treated over that of the others; NaN where an arm has no event.

    References
    ----------
    Lawless JF (1987) Can J Stat 15:209-225.
    Keene ON et al. (2007) Pharm Stat 6:89-97.
    """
    counts, scale, sound = _counts_of(value, exposure, treated, covariates)
    plain = _poisson(counts)
    fit, size = plain, len(counts.columns)
    spread = inverse(plain.at.information)[:, TREATMENT, TREATMENT]
    slope, step = fit.slopes[:, TREATMENT], fit.step[:, TREATMENT]
    if family == "negative binomial":
        mean = counts.expected(plain.slopes)
        off = np.where(np.isfinite(counts.exposure), counts.events - mean, 0.0)
        surplus = (off**2).sum(axis=1) - counts.events.sum(axis=1)
        wide = np.flatnonzero(sound & (surplus > 0))
        guess = surplus / np.maximum((mean**2).sum(axis=1), 1e-300)
        start = np.concatenate([plain.slopes[wide], np.log(guess[wide, None])], axis=1)
        fit = climb(_Overdispersed(counts.rows(wide)), start)
        slope[wide], step[wide] = fit.slopes[:, TREATMENT], fit.step[:, TREATMENT]
        made = inverse(fit.at.information)[:, :size, :size]
        spread[wide] = made[:, TREATMENT, TREATMENT]
    slope = slope / scale
    settled = sound & (step < np.sqrt(SETTLED)) & (np.abs(slope) < MOST)
    settled &= told(plain.at.information, TREATMENT)
    slope, error = (
        np.where(settled, part, np.nan) for part in (slope, np.sqrt(spread) / scale)
    )
    return contrast_of(normal_effect(slope, error), ratio=True, level=level)


def _poisson(counts: _Counts) -> NewtonFit:
    """Fit Poisson regression, from the common rate."""
    exposure = np.nansum(counts.exposure, axis=1)
    events = counts.events.sum(axis=1)
    start = np.zeros((len(events), len(counts.columns)))
    start[:, 0] = np.log(np.maximum(events, 0.5) / np.maximum(exposure, 1e-300))
    return climb(counts, start)


def _counts_of(
    value: Values,
    exposure: Values,
    treated: np.ndarray,
    covariates: np.ndarray | None,
) -> tuple[_Counts, np.ndarray, np.ndarray]:
    """Lay out counts and columns; return the scale of treatment and which are sound."""
    columns = treated[None].astype(float)
    if covariates is not None:
        columns = np.concatenate([columns, np.moveaxis(covariates, 2, 0)])
    with np.errstate(invalid="ignore"):
        seen = np.isfinite(value) & (exposure > 0) & np.isfinite(columns).all(axis=0)
    events = np.where(seen, value, 0.0)
    sound = ((events >= 0) & (events == np.floor(events))).all(axis=1)
    events = np.where(sound[:, None], events, 0.0)
    number = np.maximum(seen.sum(axis=1), 1)[:, None]
    columns = np.where(seen, columns, 0.0)
    size = np.abs(columns).max(axis=2, initial=0.0)[:, :, None]
    mean = columns.sum(axis=2)[:, :, None] / number
    centred = np.where(seen, columns - mean, 0.0)
    spread = np.sqrt((centred**2).sum(axis=2)[:, :, None] / number)
    varies = spread > 1e-12 * size
    scale = np.where(varies, spread, 1.0)
    centred = np.where(varies, centred / scale, 0.0)
    laid = np.concatenate([seen[None].astype(float), centred])
    exposure = np.where(seen, exposure, np.nan)
    return _Counts(laid, events, exposure, _above(events)), scale[0, :, 0], sound


def _above(events: np.ndarray) -> np.ndarray:
    """Count each trial's subjects with more than 0, 1, 2, ... events."""
    most = int(events.max(initial=0)) + 1
    flat = np.arange(len(events))[:, None] * most + events.astype(int)
    counted = np.bincount(flat.ravel(), minlength=len(events) * most)
    counted = counted.reshape(len(events), most)
    upwards = np.cumsum(counted[:, ::-1], axis=1)[:, ::-1]
    return (upwards - counted).astype(float)

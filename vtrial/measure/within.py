"""Treatments within the same persons: crossovers, and pairs of periods.

The analysis of variance with fixed persons, periods and treatments, which regulators
ask for of a crossover, and the mixed model with random persons, to which periods of
persons who lack others tell something, too. The effect of a sequence is one of its
persons, and is told by what persons have on average.
"""

from typing import NamedTuple

import numpy as np
from scipy import special

from vtrial.measure.groups import Crossed, Effect, Numbers
from vtrial.measure.least_squares import least_squares
from vtrial.measure.random_intercept import RandomIntercept, fit_random_intercept
from vtrial.measure.statistic import logarithms


class Variance(NamedTuple):
    """An analysis of variance of every trial.

    Fields
    ------
    effect
        Of the treatment over its reference.
    residual
        The variance within persons.
    period, sequence
        p-values of the effects of periods (F) and of sequences (F, between persons);
        NaN where there are none.
    """

    effect: Effect
    residual: Numbers
    period: Numbers
    sequence: Numbers


def crossed_effect(crossed: Crossed, *, ratio: bool = False) -> Effect:
    """Return the effect of a treatment within persons; of logarithms for a ratio."""
    return analysis_of_variance(crossed, ratio=ratio).effect


def analysis_of_variance(crossed: Crossed, *, ratio: bool = False) -> Variance:
    r"""Fit persons, periods and treatments to all values of a crossover.

    $$ y_{ij} = s_i + \pi_j + \tau_{t(i, j)} + \varepsilon_{ij} $$

    Persons are taken off by their means, so that those with one value tell nothing.
    Where values are compared within pairs of periods alone, each person has an $s$ for
    every pair, and there are no $\pi$.

    Notes
    -----
    With two treatments in two periods it is `crossover_effect`, and with everything
    there also what a random effect of persons gives. What cannot be told apart has
    NaN.

    References
    ----------
    EMA (2011) Questions & Answers: Positions on specific questions addressed to the
    Pharmacokinetics Working Party, EMA/618604/2008 Rev. 3 (method A).
    Chow SC, Liu JP (2009) Design and Analysis of Bioavailability and Bioequivalence
    Studies, 3rd ed, ch. 9.
    """
    trials, rows = crossed.value.shape
    units = (trials, rows // crossed.periods, crossed.periods)
    value = crossed.value
    value = (logarithms(value) if ratio else value).reshape(units)
    place = crossed.place.reshape(units)
    seen = np.isfinite(value)
    columns = _treatments(place, crossed)
    count = columns.shape[-1]
    if not crossed.paired:
        times = np.arange(1, crossed.periods) == np.arange(crossed.periods)[:, None]
        times = np.broadcast_to(times, (*units, crossed.periods - 1))
        columns = np.concatenate([columns, times], axis=-1)
    columns = _within(columns.astype(float), seen).reshape(trials, rows, -1)
    outcome = _within(value[..., None], seen).reshape(trials, rows)
    many = (seen.sum(axis=2) > 0).sum(axis=1)
    spare = (seen.sum(axis=(1, 2)) - many).astype(float)
    whole = _fit(columns, outcome, spare)
    told = whole.rank > _fit(columns[:, :, 1:], outcome, spare).rank
    with np.errstate(invalid="ignore", divide="ignore"):
        residual = whole.rest / whole.freedom
        error = np.where(told, np.sqrt(residual * whole.variance), np.nan)
        effect = Effect(np.where(told, whole.first, np.nan), error, whole.freedom)
        period = np.full(trials, np.nan)
        if not crossed.paired:
            less = _fit(columns[:, :, :count], outcome, spare)
            period = _f_test(less.rest - whole.rest, whole.rank - less.rank, whole)
    return Variance(effect, residual, period, _of_sequences(crossed, value))


def random_persons(
    crossed: Crossed, *, ratio: bool = False, expected: bool = False
) -> RandomIntercept:
    r"""Fit sequences, periods, treatments and random persons to a crossover (REML).

    $$ y_{ij} = \mu + \tau_{t(i, j)} + \gamma_{s(i)} + \pi_j + b_i + \varepsilon_{ij} $$

    The second column of the design is the treatment over its reference.

    References
    ----------
    EMA (2011) EMA/618604/2008 Rev. 3 (method B).
    FDA (2001) Guidance for Industry: Statistical Approaches to Establishing
    Bioequivalence (unreplicated crossovers).
    """
    trials, rows = crossed.value.shape
    people, periods = crossed.sequence.shape[1], crossed.periods
    value = logarithms(crossed.value) if ratio else crossed.value
    treatments = _treatments(crossed.place, crossed)
    order = np.repeat(crossed.sequence, periods, axis=1)
    sequences = order[..., None] == np.arange(1, crossed.sequences)
    times = np.tile(np.arange(periods), people)[:, None] == np.arange(1, periods)
    columns = (
        np.ones((trials, rows, 1)),
        treatments,
        sequences,
        np.broadcast_to(times, (trials, *times.shape)),
    )
    person = np.broadcast_to(np.repeat(np.arange(people), periods), (trials, rows))
    design = np.concatenate(columns, axis=2).astype(float)
    return fit_random_intercept(value, design, person, expected=expected)


class _Fit(NamedTuple):
    """A least-squares fit: the first slope, what it varies by, and what is left."""

    first: Numbers
    variance: Numbers
    rest: Numbers
    rank: Numbers
    freedom: Numbers


def _treatments(place: np.ndarray, crossed: Crossed) -> np.ndarray:
    """Return a column for each treatment but the reference, the compared one first."""
    arm, reference = crossed.versus
    others = [t for t in range(crossed.treatments) if t not in crossed.versus]
    assert arm != reference, "the loader has looked"
    return np.stack([place == one for one in (arm, *others)], axis=-1)


def _within(columns: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Take each person's mean off; what is not seen has 0."""
    there = seen[..., None]
    columns = np.where(there, columns, 0.0)
    mean = columns.sum(axis=2) / np.maximum(there.sum(axis=2), 1)
    found = np.where(there, columns - mean[:, :, None], 0.0)
    size = np.abs(columns).max(axis=2, initial=0.0, keepdims=True)
    return np.where(np.abs(found) <= 1e-13 * size, 0.0, found)


def _fit(columns: np.ndarray, outcome: np.ndarray, spare: Numbers) -> _Fit:
    """Fit columns to the outcome; `spare` are the degrees of freedom without them."""
    fit = least_squares(columns, outcome)
    freedom = np.where(spare - fit.rank > 0, spare - fit.rank, np.nan)
    first = variance = np.full(len(outcome), np.nan)
    if columns.shape[2]:
        first, variance = fit.slope[:, 0], fit.inverse[:, 0, 0]
    return _Fit(first, variance, fit.rest, fit.rank, freedom)


def _f_test(squares: Numbers, number: Numbers, whole: _Fit) -> Numbers:
    """Return the p-value of so many effects together, against what is left."""
    mean = squares / np.where(number > 0, number, np.nan)
    return special.fdtrc(number, whole.freedom, mean / (whole.rest / whole.freedom))


def _of_sequences(crossed: Crossed, value: np.ndarray) -> Numbers:
    """Return the p-value of sequences: their means between persons, of whole ones."""
    mean = value.mean(axis=2)
    if crossed.paired:
        return np.full(len(mean), np.nan)
    known = np.isfinite(mean)
    squares, between, groups = (np.zeros(len(mean)) for _ in range(3))
    total = np.where(known, mean, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    for one in range(crossed.sequences):
        here = known & (crossed.sequence == one)
        number = here.sum(axis=1)
        middle = np.where(here, mean, 0.0).sum(axis=1) / np.maximum(number, 1)
        squares += (np.where(here, mean - middle[:, None], 0.0) ** 2).sum(axis=1)
        between += number * (middle - total) ** 2
        groups += number > 0
    left = known.sum(axis=1) - groups
    with np.errstate(invalid="ignore", divide="ignore"):
        score = between / (groups - 1) / (squares / np.where(left > 0, left, np.nan))
        return np.where(groups > 1, special.fdtrc(groups - 1, left, score), np.nan)

"""What a design is worth: power, bias, coverage, size, and where its spread is from."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from vtrial.analysis.contrast import Contrast
from vtrial.analysis.estimates import CONVERGENCE, OPERATING
from vtrial.analysis.multiplicity import adjust, adjust_by_graph, rejected
from vtrial.analysis.question import Truth
from vtrial.analysis.statistic import Numbers
from vtrial.protocol.protocol import RATIOS, Comparison, Multiplicity, Protocol

STEPS = 40  # points at which convergence is looked at
Row = tuple[str, str, float, float]


def operating_of(
    protocol: Protocol,
    contrasts: Mapping[int, Contrast],
    truths: Mapping[int, Truth],
    sizes: Mapping[int, Numbers],
) -> pd.DataFrame:
    """Return the operating characteristics of every comparison, over the trials.

    Parameters
    ----------
    contrasts, sizes
        By the comparison's place: what each trial found, and of how many subjects.
    truths
        The paired effect of each trial.

    Notes
    -----
    Effects that are ratios count as their logarithms. Bias and coverage are held
    against the mean paired effect of all trials; if parameters are drawn anew for each
    trial, against the trial's own, whose luck of the subjects it shares: coverage is
    then a little too high. The variance between trials is parted into that of the true
    effect (`by parameters`: the variance of the paired effects less their mean squared
    error) and the rest (`by chance`).
    """
    rows: list[Row] = []
    for place, comparison in enumerate(protocol.analysis):
        made = contrasts[place]
        if len(made.estimate) < 2:
            continue
        named = comparison.name
        rows += [
            (named, measure, value, error)
            for measure, value, error in _plain(comparison, made, sizes[place])
        ]
        if place in truths:
            against = _against_truth(
                comparison, made, truths[place], own=protocol.uncertainty
            )
            rows += [(named, *row) for row in against]
    if protocol.multiplicity is not None:
        rows += _family(protocol, protocol.multiplicity, contrasts)
    return pd.DataFrame(rows, columns=OPERATING)


def power_of(comparison: Comparison, p: Numbers) -> tuple[float, float]:
    """Return the share of trials that show what they were to, and its error.

    NaN if no trial has a p-value.
    """
    known = p[np.isfinite(p)]
    return _share(known < comparison.alpha) if len(known) else (np.nan, np.nan)


def convergence_of(
    protocol: Protocol, contrasts: Mapping[int, Contrast]
) -> pd.DataFrame:
    """Return each estimate and its Monte Carlo error after the first so many trials."""
    rows = []
    for place, comparison in enumerate(protocol.analysis):
        estimate = _scaled(comparison, contrasts[place].estimate)
        known = estimate[np.isfinite(estimate)]
        if len(known) < 2:
            continue
        counts = np.unique(np.geomspace(2, len(known), STEPS).astype(int))
        total, square = np.cumsum(known), np.cumsum((known - known[0]) ** 2)
        for count in counts:
            mean = total[count - 1] / count
            spread = square[count - 1] - count * (mean - known[0]) ** 2
            error = np.sqrt(max(spread, 0.0) / (count - 1) / count)
            if comparison.by in RATIOS:
                mean = np.exp(mean)
                error *= mean
            rows.append((comparison.name, int(count), float(mean), float(error)))
    return pd.DataFrame(rows, columns=CONVERGENCE)


def _plain(
    comparison: Comparison, made: Contrast, size: Numbers
) -> Iterator[tuple[str, float, float]]:
    """Yield what needs no truth."""
    power = power_of(comparison, made.p)
    if np.isfinite(power[0]):
        yield "power", *power
    yield "expected size", *_mean(size)
    estimate = _scaled(comparison, made.estimate)
    estimate = estimate[np.isfinite(estimate)]
    if len(estimate) > 1:
        sd = float(estimate.std(ddof=1))
        yield "standard deviation of one trial", sd, sd / np.sqrt(2 * len(estimate) - 2)


def _against_truth(
    comparison: Comparison,
    made: Contrast,
    truth: Truth,
    *,
    own: bool,
) -> Iterator[tuple[str, float, float]]:
    """Yield what is held against the paired effect."""
    effect, error, apart = truth
    effect = _scaled(comparison, effect)
    estimate, low, high = (
        _scaled(comparison, part) for part in (made.estimate, made.low, made.high)
    )
    known = np.isfinite(estimate) & np.isfinite(effect)
    if known.sum() < 2:
        return
    target = effect if own else np.full(len(effect), effect[known].mean())
    yield "bias", *_mean((estimate - target)[known])
    inside = (low <= target) & (target <= high)
    yield "coverage", *_share(inside[known])
    count = int(known.sum())
    whole = float(estimate[known].var(ddof=1))
    parameters = effect[known].var(ddof=1) - np.nanmean(error[known] ** 2)
    parameters = min(max(float(parameters), 0.0), whole) if own else 0.0
    doubt = 1 / np.sqrt(2 * count - 2)
    for name, part in (("parameters", parameters), ("chance", whole - parameters)):
        sd = np.sqrt(part)
        yield f"standard deviation by {name}", float(sd), float(sd * doubt)
    gain = np.nanmean(apart[known] ** 2) / np.nanmean(error[known] ** 2)
    if np.isfinite(gain):
        yield "precision by common numbers", float(gain), float(2 * gain * doubt)


def _family(
    protocol: Protocol, asked: Multiplicity, contrasts: Mapping[int, Contrast]
) -> list[Row]:
    """Say how often the hypotheses of a family are rejected."""
    places = [
        next(i for i, one in enumerate(protocol.analysis) if one.name == name)
        for name in asked.comparisons
    ]
    p = np.stack([_two_sided(protocol, i, contrasts[i].p) for i in places], axis=1)
    if len(p) < 2:
        return []
    if asked.method == "graph":
        made = adjust_by_graph(p, np.array(asked.weights), np.array(asked.transitions))
    else:
        made = adjust(asked.method, p)
    found = rejected(made, asked.alpha)
    measure = f"power, {asked.method}"
    rows = [
        (name, measure, *_share(found[:, i]))
        for i, name in enumerate(asked.comparisons)
    ]
    rows.append(("any of the family", measure, *_share(np.any(found, axis=1))))
    return [*rows, ("all of the family", measure, *_share(np.all(found, axis=1)))]


def _two_sided(protocol: Protocol, place: int, p: Numbers) -> Numbers:
    """Return two-sided p-values: one-sided ones doubled."""
    comparison = protocol.analysis[place]
    margin = comparison.above is not None or comparison.below is not None
    return np.minimum(2 * p, 1.0) if margin else p


def _scaled(comparison: Comparison, value: Numbers) -> Numbers:
    """Return effects on the scale on which they are averaged."""
    if comparison.by not in RATIOS:
        return value
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log(value)


def _share(true: Any) -> tuple[float, float]:
    """Return a share and its Monte Carlo error."""
    share = float(np.mean(true))
    return share, float(np.sqrt(share * (1 - share) / max(len(true), 1)))


def _mean(value: np.ndarray | Sequence[float]) -> tuple[float, float]:
    """Return a mean and its Monte Carlo error."""
    value = np.asarray(value, float)
    return float(value.mean()), float(value.std(ddof=1) / np.sqrt(len(value)))

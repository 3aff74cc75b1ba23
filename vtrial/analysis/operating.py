"""Operating characteristics: power, bias, coverage, size, and sources of variance."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from vtrial.analysis.estimates import CONVERGENCE, DETAILS, OPERATING
from vtrial.analysis.multiplicity import adjust, adjust_by_graph, rejected
from vtrial.analysis.replication import monte_carlo_margin
from vtrial.measure.contrast import Contrast
from vtrial.measure.groups import Pairs
from vtrial.measure.statistic import Numbers, normal_limit, wilson
from vtrial.protocol.analysis import Comparison, Multiplicity
from vtrial.protocol.protocol import Protocol

CHOSEN = ("chosen: ", "p < 0.05: ")  # what is a share of each trial
TAILS = (0.05, 0.95)  # between which 90 % of the trials lie
STEPS = 40  # points at which convergence is looked at


class Measured(NamedTuple):
    """One operating characteristic of a comparison.

    `low` and `high` are 95 % Monte Carlo limits.
    """

    value: float
    mc_error: float
    low: float
    high: float
    trials: int


Row = tuple[str, str, float, float, float, float, int]


def operating_of(
    protocol: Protocol,
    contrasts: Mapping[int, Contrast],
    truths: Mapping[int, Pairs],
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
    then a little too high, and the variance between trials is parted into that of the
    true effect (`by parameters`: the variance of the paired effects less their mean
    squared error) and the rest (`by chance`). Coverage is of the trials that have an
    interval.
    """
    rows: list[Row] = []
    for place, comparison in enumerate(protocol.analysis.comparisons):
        made = contrasts[place]
        if len(made.estimate) < 2:
            continue
        named = comparison.name
        found = [*_plain(comparison, made, sizes[place])]
        if place in truths:
            found += _against_truth(
                comparison, made, truths[place], own=protocol.uncertain
            )
        rows += [_row(named, measure, worth) for measure, worth in found]
    if protocol.analysis.multiplicity is not None:
        rows += _family(protocol, protocol.analysis.multiplicity, contrasts)
    return pd.DataFrame(rows, columns=OPERATING)


def _row(comparison: str, measure: str, worth: Measured) -> Row:
    """Return a row: one operating characteristic of a comparison."""
    return (
        *(comparison, measure, worth.value, worth.mc_error),
        *(worth.low, worth.high, worth.trials),
    )


def power_of(comparison: Comparison, p: Numbers) -> Measured:
    """Return the power: the proportion of trials that show what they were to.

    NaN if no trial has a p-value.
    """
    known = p[np.isfinite(p)]
    return proportion_of(known < comparison.alpha)


def told_of(
    protocol: Protocol, details: Mapping[tuple[int, str], Numbers]
) -> pd.DataFrame:
    """Return what comparisons say beside their effects, over the trials.

    `details` are by the comparison's place and by name. What not every trial has is a
    number: its mean, between which quantiles 90 % of the trials lie, and the share of
    trials that have it. What all have is a share.
    """
    rows: list[Row] = []
    for (place, name), values in details.items():
        asked = protocol.analysis.comparisons[place]
        named, whole = asked.name, asked.sites or protocol.crossover is not None
        known = np.isfinite(values)
        found = values[known]
        if len(found) < 2:
            value = float(found[0]) if len(found) else np.nan
            worth = Measured(value, np.nan, np.nan, np.nan, len(found))
        else:
            worth = mean_of(found)
        if not name.startswith(CHOSEN):
            if not (whole and known.all()):
                rows.append(_row(named, f"{name} found", proportion_of(known)))
            low, high = np.quantile(found, TAILS) if len(found) else (np.nan, np.nan)
            worth = worth._replace(low=float(low), high=float(high))
        rows.append(_row(named, name, worth))
    return pd.DataFrame(rows, columns=DETAILS)


def convergence_of(
    protocol: Protocol, contrasts: Mapping[int, Contrast]
) -> pd.DataFrame:
    """Return each estimate and its Monte Carlo error after the first so many trials."""
    rows = []
    for place, comparison in enumerate(protocol.analysis.comparisons):
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
            if comparison.measure.ratio:
                mean = np.exp(mean)
                error *= mean
            rows.append((comparison.name, int(count), float(mean), float(error)))
    return pd.DataFrame(rows, columns=CONVERGENCE)


def _plain(
    comparison: Comparison, made: Contrast, size: Numbers
) -> Iterator[tuple[str, Measured]]:
    """Yield the measures that need no true effect."""
    yield "power", power_of(comparison, made.p)
    yield "expected size", mean_of(size)
    estimate = _scaled(comparison, made.estimate)
    estimate = estimate[np.isfinite(estimate)]
    if len(estimate) > 1:
        sd = float(estimate.std(ddof=1))
        yield "standard deviation of one trial", _spread(sd, len(estimate))


def _against_truth(
    comparison: Comparison,
    made: Contrast,
    truth: Pairs,
    *,
    own: bool,
) -> Iterator[tuple[str, Measured]]:
    """Yield the measures against the true (paired) effect."""
    effect, error, apart = truth
    effect = _scaled(comparison, effect)
    estimate, low, high = (
        _scaled(comparison, part) for part in (made.estimate, made.low, made.high)
    )
    known = np.isfinite(estimate) & np.isfinite(effect)
    count = int(known.sum())
    if count < 2:
        return
    target = effect if own else np.full(len(effect), effect[known].mean())
    yield "bias", mean_of((estimate - target)[known])
    bounded = known & ~np.isnan(low) & ~np.isnan(high)
    yield "coverage", proportion_of(((low <= target) & (target <= high))[bounded])
    if own:
        whole = float(estimate[known].var(ddof=1))
        parameters = effect[known].var(ddof=1) - np.nanmean(error[known] ** 2)
        parameters = min(max(float(parameters), 0.0), whole)
        for name, part in (("parameters", parameters), ("chance", whole - parameters)):
            yield f"standard deviation by {name}", _spread(np.sqrt(part), count)
    if not np.isfinite(apart[known]).any():
        return  # of no two groups
    together = float(np.nanmean(error[known] ** 2))
    gain = float(np.nanmean(apart[known] ** 2)) / together if together else np.inf
    if np.isfinite(gain):
        yield "precision by common numbers", _spread(gain, count, twice=True)


def _family(
    protocol: Protocol, asked: Multiplicity, contrasts: Mapping[int, Contrast]
) -> list[Row]:
    """List the power of each hypothesis of a family, of any and of all of them."""
    known = [one.name for one in protocol.analysis.comparisons]
    places = [known.index(name) for name in asked.comparisons]
    p = np.stack([_two_sided(protocol, i, contrasts[i].p) for i in places], axis=1)
    if len(p) < 2:
        return []
    if asked.method == "graph":
        made = adjust_by_graph(p, np.array(asked.weights), np.array(asked.transitions))
    else:
        made = adjust(asked.method, p)
    found = rejected(made, asked.alpha)
    measure = f"power, {asked.method}"
    named = [(name, found[:, i]) for i, name in enumerate(asked.comparisons)]
    named += [
        ("any of the family", np.any(found, axis=1)),
        ("all of the family", np.all(found, axis=1)),
    ]
    return [_row(name, measure, proportion_of(shown)) for name, shown in named]


def _two_sided(protocol: Protocol, place: int, p: Numbers) -> Numbers:
    """Return two-sided p-values: one-sided ones doubled."""
    comparison = protocol.analysis.comparisons[place]
    margin = comparison.above is not None or comparison.below is not None
    return np.minimum(2 * p, 1.0) if margin else p


def _scaled(comparison: Comparison, value: Numbers) -> Numbers:
    """Return effects on the scale on which they are averaged."""
    if not comparison.measure.ratio:
        return value
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log(value)


def proportion_of(true: np.ndarray) -> Measured:
    """Return a proportion of trials with Wilson's limits; none of no trials.

    Where all or none of them are counted, its error is the half width of that interval
    over the normal quantile: three of three trials are no certainty.
    """
    trials = len(true)
    if not trials:
        return Measured(np.nan, np.nan, np.nan, np.nan, 0)
    events, count = np.array([float(np.sum(true))]), np.array([float(trials)])
    low, high = (float(end[0]) for end in wilson(events, count, level=0.95))
    share = float(events[0] / trials)
    error = float(np.sqrt(share * (1 - share) / trials))
    error = error or (high - low) / (2 * normal_limit(0.95))
    return Measured(share, error, low, high, trials)


def mean_of(value: np.ndarray) -> Measured:
    """Return a mean over trials with Student's limits, which one trial has none of."""
    trials, mean = len(value), float(value.mean())
    if trials < 2:
        return Measured(mean, np.nan, np.nan, np.nan, trials)
    error = float(value.std(ddof=1) / np.sqrt(trials))
    half = monte_carlo_margin(error, trials)
    return Measured(mean, error, mean - half, mean + half, trials)


def _spread(value: float, trials: int, *, twice: bool = False) -> Measured:
    """Return a standard deviation (or, twice as uncertain, a ratio of variances).

    Its limits are normal on the logarithm.
    """
    doubt = (2 if twice else 1) / np.sqrt(2 * trials - 2)
    swing = float(np.exp(normal_limit(0.95) * doubt))
    return Measured(value, float(value * doubt), value / swing, value * swing, trials)

"""What enacted trials did: operating characteristics of the design, as tables."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float

from vtrial.analysis.borrowed import borrowed_rows
from vtrial.analysis.escalated import escalated_table
from vtrial.analysis.estimates import (
    ALLOCATED,
    DECIDED,
    ENACTED_ROWS,
    ESCALATED,
    LOOKS,
    SITES,
)
from vtrial.analysis.operating import Measured, mean_of, proportion_of
from vtrial.analysis.reading import dataset
from vtrial.design.escalation.enact import Escalated
from vtrial.design.stopped import stopped
from vtrial.design.trials import Decision, Trials
from vtrial.dims import ENACTED
from vtrial.fingerprint import fingerprint
from vtrial.measure.statistic import normal_limit
from vtrial.protocol.analysis import Comparison, effect_kind, effect_unit
from vtrial.protocol.arrivals import enrolled_at
from vtrial.protocol.protocol import Protocol
from vtrial.protocol.stored import as_data

TRUTH = "truth"
TRIALS = 200  # of which sites are found together
MAKERS = ("keys.py", "design", "measure", "analysis/locked.py")  # of what is enacted


class Characteristics(NamedTuple):
    """Tables of enacted trials; times in hours. `Estimates` says what they hold."""

    enacted: pd.DataFrame
    looks: pd.DataFrame
    decided: pd.DataFrame
    allocated: pd.DataFrame
    sites: pd.DataFrame
    escalated: pd.DataFrame


NOTHING = Characteristics(
    pd.DataFrame(columns=ENACTED_ROWS),
    pd.DataFrame(columns=LOOKS),
    pd.DataFrame(columns=DECIDED),
    pd.DataFrame(columns=ALLOCATED),
    pd.DataFrame(columns=SITES),
    pd.DataFrame(columns=ESCALATED),
)


def enacted_name(protocol: Protocol, *, pooled: bool) -> str:
    """Name an enactment by all that decides it, the code included.

    How many trials there are is no part of it.
    """
    assert protocol.enactment is not None, "the caller has looked"
    said = [
        as_data(dataclasses.replace(protocol.enactment, trials=0)),
        *([as_data(one) for one in part] for part in _asked(protocol)),
        as_data(protocol.design),
        protocol.replicates if pooled else 0,
        fingerprint(*MAKERS),
    ]
    text = json.dumps(said, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _asked(protocol: Protocol) -> tuple[Sequence[Any], Sequence[Any]]:
    """Return what trials are asked: comparisons, and endpoints."""
    return protocol.analysis.comparisons, protocol.endpoints


Made = TypeVar("Made", Trials, Escalated)


def read_enacted(
    tree: xr.DataTree, name: str, kind: type[Made]
) -> tuple[Made, np.ndarray] | None:
    """Read enacted trials and the truth beside them; None if there are none."""
    paths = {group.strip("/") for group in tree.groups}
    if f"{ENACTED}/{name}" not in paths:
        return None
    found = dataset(tree, f"{ENACTED}/{name}")
    names = [field.name for field in dataclasses.fields(kind)]
    if any(one not in found for one in (*names, TRUTH)):
        return None
    made = kind(**{one: found[one].values for one in names})
    return made, found[TRUTH].values


def enacted_of(tree: xr.DataTree, protocol: Protocol) -> Characteristics:
    """Return the tables of the enactment that a record holds; empty ones of none.

    Of two, the one with more trials, whose subjects were drawn from all.
    """
    if protocol.enactment is None:
        return NOTHING
    for pooled in (True, False):
        name = enacted_name(protocol, pooled=pooled)
        if protocol.enactment.escalation is not None:
            climbed = read_enacted(tree, name, Escalated)
            if climbed is not None:
                table = escalated_table(*climbed, protocol)
                return NOTHING._replace(escalated=table)
        elif (held := read_enacted(tree, name, Trials)) is not None:
            return characteristics(*held, protocol)
    return NOTHING


def characteristics(
    trials: Trials, truth: np.ndarray, protocol: Protocol
) -> Characteristics:
    """Return the operating characteristics of enacted trials.

    `truth` has each comparison's paired effect over all subjects (ratios as their
    logarithms), and its Monte Carlo error; NaN where it is not known.
    """
    assert protocol.enactment is not None, "they were enacted"
    looks = [look.name for look in protocol.enactment.looks]
    rows = [*_whole(trials)]
    for place, comparison in enumerate(protocol.analysis.comparisons):
        rows += _compared(trials, truth, protocol, comparison, place)
    rows += borrowed_rows(protocol, protocol.enactment.borrowed)
    return Characteristics(
        pd.DataFrame(rows, columns=ENACTED_ROWS),
        pd.DataFrame(list(_looks(trials, looks)), columns=LOOKS),
        pd.DataFrame(list(_decided(trials, looks, protocol)), columns=DECIDED),
        pd.DataFrame(list(_allocated(trials, looks, protocol)), columns=ALLOCATED),
        pd.DataFrame(list(_sites(trials, protocol)), columns=SITES),
        NOTHING.escalated,
    )


def _row(of: str, measure: str, unit: str, worth: Measured) -> tuple[Any, ...]:
    return (
        *(of, measure, unit, worth.value, worth.mc_error),
        *(worth.low, worth.high, worth.trials),
    )


def _whole(trials: Trials) -> Iterator[tuple[Any, ...]]:
    """Yield what is of the whole trial: its size and how long it takes."""
    for measure, unit, values in (
        ("size", "1", trials.size.astype(float)),
        ("duration", "h", trials.duration),
    ):
        yield _row("", f"expected {measure}", unit, mean_of(values))
        for share in (0.05, 0.95):
            end = float(np.quantile(values, share))
            none = Measured(end, np.nan, np.nan, np.nan, len(values))
            yield _row("", f"{measure}, {100 * share:g} % of trials below", unit, none)
    if trials.at.shape[1] > 1:
        early = trials.ended < trials.at.shape[1] - 1
        yield _row("", "ended early", "share", proportion_of(early))


def _compared(
    trials: Trials,
    truth: np.ndarray,
    protocol: Protocol,
    comparison: Comparison,
    place: int,
) -> Iterator[tuple[Any, ...]]:
    """Yield what is of one comparison: power, and the estimate against the truth.

    Effects that are ratios are averaged as their logarithms. An interval is the usual
    one about the estimate, as if there had been one look.
    """
    name, ratio = comparison.name, comparison.measure.ratio
    unit = unit_of(protocol, comparison)
    yield _row(name, "shown", "share", proportion_of(trials.success[:, place]))
    estimate, error = trials.final[:, place], trials.final_error[:, place]
    known = np.isfinite(estimate)
    if known.sum() < 2:
        return
    worth = mean_of(estimate[known])
    yield _row(name, "estimate", unit, as_ratio(worth) if ratio else worth)
    effect, effect_error = truth[place]
    if not np.isfinite(effect):
        return
    plain = Measured(
        float(effect), float(effect_error), *_limits(effect, effect_error), known.sum()
    )
    yield _row(name, "true effect", unit, as_ratio(plain) if ratio else plain)
    scale = "logarithm" if ratio else unit
    yield _row(name, "bias", scale, mean_of(estimate[known] - effect))
    half = normal_limit(comparison.level) * error
    inside = np.abs(estimate - effect) <= half
    bounded = known & np.isfinite(error)
    yield _row(name, "coverage", "share", proportion_of(inside[bounded]))
    shown = known & trials.success[:, place]
    if shown.sum() > 1:
        worth = mean_of(estimate[shown] - effect)
        yield _row(name, "bias where shown", scale, worth)
    yield from _ordered(trials, protocol, comparison, place, float(effect))


def _ordered(
    trials: Trials,
    protocol: Protocol,
    comparison: Comparison,
    place: int,
    effect: float,
) -> Iterator[tuple[Any, ...]]:
    """Yield what estimates are worth that allow for stopping early.

    Only where a group sequential test alone decides on the comparison.
    """
    assert protocol.enactment is not None, "they were enacted"
    name = comparison.name
    made = stopped(protocol.enactment, trials, name, place, level=comparison.level)
    if made is None or np.isfinite(made.estimate).sum() < 2:
        return
    known = np.isfinite(made.estimate)
    off = made.estimate[known] - effect
    unit = "logarithm" if comparison.measure.ratio else unit_of(protocol, comparison)
    yield _row(name, "bias, median unbiased", unit, mean_of(off))
    yield _row(
        name, "above the truth, median unbiased", "share", proportion_of(off > 0)
    )
    for of, low, high in (
        ("final", made.low, made.high),
        ("repeated", made.repeated_low, made.repeated_high),
    ):
        bounded = ~(np.isnan(low) | np.isnan(high))
        inside = ((low <= effect) & (high >= effect))[bounded]
        yield _row(name, f"coverage, {of} interval", "share", proportion_of(inside))
    p = made.p[np.isfinite(made.p)]
    middle = Measured(float(np.median(p)), np.nan, np.nan, np.nan, len(p))
    yield _row(name, "stage-wise p, median", "1", middle)


def unit_of(protocol: Protocol, comparison: Comparison) -> str:
    """Return the unit of an effect's row: `points` of a difference of shares."""
    endpoint = protocol.endpoint(comparison.endpoint)
    if effect_kind(comparison.by, endpoint)[0] == "difference":
        return "points"
    return effect_unit(comparison.by, endpoint)


def _limits(value: float, error: float) -> tuple[float, float]:
    half = normal_limit(0.95) * error
    return float(value - half), float(value + half)


def as_ratio(worth: Measured) -> Measured:
    """Return a mean of logarithms as a ratio."""
    value = float(np.exp(worth.value))
    low, high = float(np.exp(worth.low)), float(np.exp(worth.high))
    return Measured(value, value * worth.mc_error, low, high, worth.trials)


def _looks(trials: Trials, looks: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yield when each look is held, and what is there by then."""
    for place, look in enumerate(looks):
        held = np.isfinite(trials.at[:, place])
        share = proportion_of(held)
        numbers = [
            float(values[held, place].mean()) if held.any() else np.nan
            for values in (trials.at, trials.enrolled, trials.known, trials.events)
        ]
        ended = proportion_of(trials.ended == place)
        yield (look, share.value, *numbers, ended.value, ended.mc_error, len(trials))


def _decided(
    trials: Trials, looks: Sequence[str], protocol: Protocol
) -> Iterator[tuple[Any, ...]]:
    """Yield the share of all trials in which each look decides a comparison."""
    for place, comparison in enumerate(protocol.analysis.comparisons):
        for look, name in enumerate(looks):
            made = trials.decision[:, look, place]
            for decision in (Decision.SUCCESS, Decision.FUTILE):
                worth = proportion_of(made == decision)
                yield (
                    *(comparison.name, name, decision.name.lower().replace("_", " ")),
                    *(worth.value, worth.mc_error, worth.low, worth.high, len(trials)),
                )


def _allocated(
    trials: Trials, looks: Sequence[str], protocol: Protocol
) -> Iterator[tuple[Any, ...]]:
    """Yield how many each arm gets, and with which probability after each look."""
    for place, arm in enumerate(protocol.arms):
        count = trials.allocated[:, place].astype(float)
        worth = mean_of(count)
        low, high = np.quantile(count, [0.05, 0.95])
        yield (arm.name, "", worth.value, worth.mc_error, low, high, len(trials))
        for look, name in enumerate(looks[:-1]):
            weights = trials.weights[:, look, place]
            weights = weights[np.isfinite(weights)]
            if len(weights) > 1:
                worth, ends = mean_of(weights), np.quantile(weights, [0.05, 0.95])
                yield (
                    *(arm.name, name, worth.value, worth.mc_error, *ends),
                    len(weights),
                )


def _sites(trials: Trials, protocol: Protocol) -> Iterator[tuple[Any, ...]]:
    """Yield how many each entry of sites enrols, and how many are full or empty."""
    assert protocol.enactment is not None, "they were enacted"
    accrual = protocol.enactment.accrual
    if not accrual.sites:
        return
    count = _enrolled(trials, protocol)
    caps = np.array([one.cap or np.inf for one in accrual.sites])
    for name in dict.fromkeys(one.of for one in accrual.sites):
        mine = [place for place, one in enumerate(accrual.sites) if one.of == name]
        own = count[:, mine]
        total = own.sum(axis=1)
        worth, ends = mean_of(total), np.quantile(total, [0.05, 0.95])
        yield (
            *(name, accrual.sites[mine[0]].region, len(mine)),
            *(worth.value, worth.mc_error, *ends),
            *((own >= caps[mine]).mean(), (own == 0).mean(), len(trials)),
        )


def _enrolled(trials: Trials, protocol: Protocol) -> Float[np.ndarray, "trial site"]:
    """Return how many subjects each site enrols in each trial."""
    assert protocol.enactment is not None, "they were enacted"
    accrual, parts = protocol.enactment.accrual, []
    sites, most = len(accrual.sites), int(trials.size.max(initial=1))
    for first in range(0, len(trials), TRIALS):
        size = trials.size[first : first + TRIALS, None]
        numbers = np.arange(first, first + len(size))
        found = enrolled_at(accrual, seed=protocol.seed, trials=numbers, subjects=most)
        row = np.arange(len(size))[:, None] * sites + found.site
        inside = np.arange(most) < size
        parts.append(np.bincount(row[inside], minlength=len(size) * sites))
    return np.concatenate(parts).reshape(len(trials), sites).astype(float)

"""Evaluate a record: what the trials would have seen, as tables."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from vtrial.analysis.bands import over_time
from vtrial.analysis.courses import courses_of
from vtrial.analysis.crossed import by_treatment
from vtrial.analysis.dosed import fitted_of
from vtrial.analysis.enacted import enacted_of
from vtrial.analysis.estimates import (
    CONTRASTS,
    DISTRIBUTIONS,
    ENDPOINTS,
    FAILURES,
    FALLBACK_COUNTS,
    FLOW,
    MISSING,
    Estimates,
)
from vtrial.analysis.gather import Bounds, Gathered, joined
from vtrial.analysis.ledger import ledger_of
from vtrial.analysis.lost import Lost
from vtrial.analysis.operating import (
    convergence_of,
    operating_of,
    power_of,
    told_of,
)
from vtrial.analysis.published import published_of
from vtrial.analysis.reading import check_record, chunks_of
from vtrial.analysis.replication import Scale, across, average
from vtrial.analysis.support import support_of, support_of_effect, support_seen
from vtrial.protocol.analysis import effect_unit
from vtrial.protocol.intercurrent import asks_of_stop, stopping_causes
from vtrial.protocol.periods import as_evaluated
from vtrial.protocol.protocol import Protocol
from vtrial.types import FALLBACKS, Missing, Status


def evaluate(tree: xr.DataTree, protocol: Protocol) -> Estimates:
    """Return what the trials of a record would have seen.

    The record is read some whole trials at a time, so that memory does not grow with
    the number of trials. Failed subjects and missing values take no part in any
    number and are counted beside it.

    Raises
    ------
    ProtocolError
        If the protocol asks for arms, endpoints or covariates that the record does
        not hold.
    StoreError
        If the record does not hold whole trials.
    """
    check_record(tree, protocol)
    seen, whole = Gathered(), protocol
    protocol = as_evaluated(whole)
    for chunk in chunks_of(tree, whole):
        seen.add(
            by_treatment(chunk, whole.crossover) if whole.crossover else chunk, protocol
        )
    endpoints, contrasts = _endpoints(seen, protocol), _contrasts(seen, protocol)
    found = {place: joined(parts) for place, parts in seen.contrasts.items()}
    truths = {place: joined(parts) for place, parts in seen.truths.items()}
    sizes = {place: np.concatenate(parts) for place, parts in seen.sizes.items()}
    details = {key: np.concatenate(parts) for key, parts in seen.details.items()}
    courses = over_time(tree, whole)
    return Estimates(
        flow=_flow(seen),
        endpoints=endpoints,
        contrasts=contrasts,
        bands=courses.bands,
        proportions=courses.proportions,
        distributions=_distributions(seen, protocol),
        failures=_failures(seen),
        fallbacks=_fallbacks(seen),
        departed=seen.departures.table(
            {a.name: whole.design.dropout.reasons(a.rules) for a in whole.arms}
        ),
        stopped=seen.stops.table(_stopping(whole)),
        published=published_of(seen, endpoints, contrasts, protocol),
        missing=_missing(seen),
        curves=seen.curves.table(protocol),
        operating=operating_of(protocol, found, truths, sizes),
        details=told_of(
            protocol, {key: one for key, one in details.items() if one.ndim == 1}
        ),
        fitted=fitted_of(
            protocol, {key: one for key, one in details.items() if one.ndim > 1}
        ),
        convergence=convergence_of(protocol, found),
        subgroups=seen.explained.subgroups(protocol),
        explained=seen.explained.table(),
        persons=seen.persons,
        predictive=seen.predictive.table(protocol),
        predictive_events=seen.predictive_events.table(protocol),
        predictive_shares=seen.predictive_shares.table(protocol),
        courses=courses_of(tree, whole),
        balance=seen.balance.table(),
        **ledger_of(tree, whole)._asdict(),
        **enacted_of(tree, whole)._asdict(),
    )


def _stopping(protocol: Protocol) -> dict[str, list[str]]:
    """Name by arm why treatment is stopped there; no arm where nobody asks."""
    if not asks_of_stop(protocol):
        return {}
    every = stopping_causes(protocol.arms)
    mine = {arm.name: stopping_causes([arm]) for arm in protocol.arms}
    return {
        name: [cause if cause in causes else "" for cause in every]
        for name, causes in mine.items()
    }


def _flow(seen: Gathered) -> pd.DataFrame:
    """Tabulate the flow of subjects by arm."""
    rows = [
        (
            arm,
            n.screened,
            n.enrolled,
            n.enrolled,
            n.simulated,
            n.failed,
            n.others,
            n.others_failed,
            seen.replicates,
        )
        for arm, n in seen.flow.items()
    ]
    return pd.DataFrame(rows, columns=FLOW)


def _failures(seen: Gathered) -> pd.DataFrame:
    """Tabulate the failed subjects by arm and Status; none of a kind, no row."""
    rows = [
        (arm, status.words, int(counted[status]))
        for arm, counted in seen.failures.items()
        for status in Status
        if counted[status]
    ]
    return pd.DataFrame(rows, columns=FAILURES)


def _fallbacks(seen: Gathered) -> pd.DataFrame:
    """Tabulate subjects solved by a fallback, by arm and method; none, no row."""
    rows = [
        (arm, method, int(counted[number]))
        for arm, counted in seen.fallbacks.items()
        for number, method in enumerate(FALLBACKS, start=1)
        if counted[number]
    ]
    return pd.DataFrame(rows, columns=FALLBACK_COUNTS)


def _missing(seen: Gathered) -> pd.DataFrame:
    """Tabulate why solved subjects have no number; none for a reason, no row."""
    rows = [
        (*key, reason.words, int(counted[reason]))
        for key, counted in seen.missing.items()
        for reason in Missing
        if counted[reason]
    ]
    return pd.DataFrame(rows, columns=MISSING)


def _endpoints(seen: Gathered, protocol: Protocol) -> pd.DataFrame:
    """Tabulate every statistic of every endpoint and arm."""
    rows = []
    for endpoint in protocol.endpoints:
        keys = [key for key in seen.summaries if key[1] == endpoint.name]
        for arm, name, statistic in sorted(keys, key=_by_statistic(protocol)):
            summary = joined(seen.summaries[arm, name, statistic])
            share = statistic == "share"
            n, missing, failed = (int(count) for count in seen.counts[arm, name])
            made = across(
                *summary,
                scale="share" if share else "plain",
                support=support_seen(
                    support_of(endpoint, statistic), n, seen.extremes[arm, name]
                ),
            )
            if statistic == "geometric mean" and n and not made.replicates:
                continue  # values that are not positive have none
            row = {
                "arm": arm,
                "endpoint": name,
                "statistic": statistic,
                "n": n,
                "missing": missing,
                "failed": failed,
                "unit": "1" if share else endpoint.unit,
            }
            key = (arm, name)
            bounds = seen.shares[key] if share and failed else []
            truth = _everybody(seen, arm, name, statistic)
            rows.append(row | made._asdict() | _bounds(bounds) | truth)
    return pd.DataFrame(rows, columns=ENDPOINTS)


def _everybody(
    seen: Gathered, arm: str, endpoint: str, statistic: str
) -> dict[str, float]:
    """Return a statistic of every subject under an arm; NaN if there is none."""
    parts = seen.everybody.get((arm, endpoint, statistic))
    if not parts:
        return {"truth": np.nan, "truth_error": np.nan}
    scale = "share" if statistic == "share" else "plain"
    made = across(*joined(parts), scale=scale)
    return {"truth": made.estimate, "truth_error": made.mc_error}


def _bounds(parts: Sequence[Bounds], *, scale: Scale = "plain") -> dict[str, float]:
    """Return the mean bounds of the trials; NaN where nobody failed."""
    if not parts:
        return {"least": np.nan, "most": np.nan}
    least, most = (np.concatenate(ends) for ends in zip(*parts, strict=True))
    return {
        "least": average(least, scale=scale),
        "most": average(most, scale=scale),
    }


def _by_statistic(
    protocol: Protocol,
) -> Callable[[tuple[str, str, str]], tuple[int, int]]:
    """Order an endpoint's rows by statistic, then by arm as the protocol has them."""
    arms = [arm.name for arm in protocol.arms]
    order = ("share", "mean", "sd", "median", "geometric mean")
    return lambda key: (order.index(key[2]), arms.index(key[0]))


def _contrasts(seen: Gathered, protocol: Protocol) -> pd.DataFrame:
    """Tabulate every comparison."""
    rows = []
    for place, comparison in enumerate(protocol.analysis.comparisons):
        made = joined(seen.contrasts[place])
        endpoint = protocol.endpoint(comparison.endpoint)
        ratio = comparison.measure.ratio
        scale = "ratio" if ratio else "plain"
        level = comparison.level
        estimate, low, high, p, error = made
        support = support_of_effect(comparison.by, endpoint)
        over = across(
            *(estimate, low, high, error), scale=scale, level=level, support=support
        )
        one = seen.replicates == 1
        power = None if one else power_of(comparison, p)
        row = {
            "comparison": comparison.name,
            "arm": comparison.arm,
            "reference": comparison.reference,
            "endpoint": comparison.endpoint,
            "by": comparison.by,
            "adjust": ", ".join(comparison.adjust),
            "ci_low": average(np.maximum(low, support[0]), scale=scale),
            "ci_high": average(np.minimum(high, support[1]), scale=scale),
            "p": float(p[0]) if one else np.nan,
            "power": power.value if power else np.nan,
            "power_low": power.low if power else np.nan,
            "power_high": power.high if power else np.nan,
            "level": level,
            "unit": effect_unit(comparison.by, endpoint),
        }
        counts = np.sum(seen.lost[place], axis=0).tolist()
        row |= dict(zip(Lost._fields, counts, strict=True))
        fails = row["failed"] + row["reference_failed"]
        row |= _bounds(seen.effects[place] if fails else [], scale=scale)
        rows.append(row | over._asdict() | _truth(seen, place, scale=scale))
    return pd.DataFrame(rows, columns=CONTRASTS)


def _truth(seen: Gathered, place: int, *, scale: str) -> dict[str, float]:
    """Return the paired effect over all trials; NaN where it was not asked for."""
    if place not in seen.truths:
        return {"truth": np.nan, "truth_error": np.nan}
    effect, error, _ = joined(seen.truths[place])
    none = np.full(len(effect), np.nan)
    made = across(effect, none, none, error, scale=scale)  # type: ignore[arg-type]
    return {"truth": made.estimate, "truth_error": made.mc_error}


def _distributions(seen: Gathered, protocol: Protocol) -> pd.DataFrame:
    """Tabulate the histograms; a response's bins are the points 0 and 1."""
    frames = []
    for (arm, name), counted in seen.bars.items():
        endpoint, edges = protocol.endpoint(name), seen.edges[name]
        points = np.array([0.0, 1.0])
        frame = pd.DataFrame(
            {
                "arm": arm,
                "endpoint": name,
                "unit": "1" if endpoint.binary else endpoint.unit,
                "low": points if endpoint.binary else edges[:-1],
                "high": points if endpoint.binary else edges[1:],
                "count": counted,
                "share": counted / max(counted.sum(), 1),
            }
        )
        frames.append(frame)
    if not frames:
        return pd.DataFrame(columns=DISTRIBUTIONS)
    return pd.concat(frames, ignore_index=True)

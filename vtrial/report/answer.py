"""The answer in one paragraph: headline numbers, misses and failures in words."""

from typing import Any, NamedTuple

import pandas as pd

from vtrial.analysis.estimates import MISS, UNDECIDED, WITHIN, centre_of
from vtrial.protocol.protocol import Protocol
from vtrial.report.caveats import undefined_effect, undefined_endpoint
from vtrial.report.design import arm_title, endpoint_title, size_in_words
from vtrial.report.flow import Flow
from vtrial.report.frames import each_row
from vtrial.report.tables import (
    contrast_kind,
    contrast_unit,
    endpoint_kind,
)
from vtrial.report.words import amount, count, interval, listing, number

MOST_ENDPOINTS = 3
MOST_CONTRASTS = 2
MOST_MISSES = 6
MOST_UNDEFINED = 3


class Sentence(NamedTuple):
    """A sentence of the answer, and whether it must not be missed."""

    words: str
    strong: bool = False


def answer_in_words(
    protocol: Protocol,
    endpoints: pd.DataFrame,
    contrasts: pd.DataFrame,
    published: pd.DataFrame,
    *,
    flow: Flow,
) -> list[Sentence]:
    """Return the sentences of the answer, the most important first."""
    arms = len(protocol.arms)
    compared = f" under {count(arms)} arms" if arms > 1 else ""
    size = size_in_words(protocol)
    verb = "was" if protocol.replicates == 1 else "were"
    shown = _headlines(protocol, endpoints)
    told = [
        f"{_capital(size)} {verb} simulated{compared}.",
        *_endpoints(protocol, shown),
        *_contrasts(protocol, contrasts),
    ]
    warned = [*_undefined(protocol, shown, contrasts), *_published(published)]
    return [
        *(Sentence(words) for words in told),
        *(Sentence(words, strong=True) for words in warned),
        *_failed(protocol, flow),
    ]


def _headlines(protocol: Protocol, frame: pd.DataFrame) -> list[pd.DataFrame]:
    """Choose the endpoints that are compared or published first, and a statistic."""
    chosen = []
    asked = {
        point.endpoint
        for point in (*protocol.evidence.published, *protocol.analysis.comparisons)
    }
    names = sorted(dict.fromkeys(frame["endpoint"]), key=lambda name: name not in asked)
    for name in names[:MOST_ENDPOINTS]:
        rows = frame[frame["endpoint"] == name]
        event = any(point.name == name and point.event for point in protocol.endpoints)
        statistic = centre_of(list(rows["statistic"]), event=event)
        chosen.append(rows[rows["statistic"] == statistic])
    return chosen


def _endpoints(protocol: Protocol, shown: list[pd.DataFrame]) -> list[str]:
    """Say the chosen endpoints, all arms of each."""
    sentences = []
    for rows in shown:
        name, statistic = rows["endpoint"].iloc[0], rows["statistic"].iloc[0]
        kind = endpoint_kind(protocol, name, statistic)
        parts = [
            amount(row.estimate, (row.high - row.low) / 2, kind, row.unit)
            + (f" ({arm_title(protocol, row.arm)})" if len(protocol.arms) > 1 else "")
            for row in each_row(rows)
        ]
        said = "" if kind == "share" else f", {statistic}"
        sentences.append(
            f"{_capital(endpoint_title(protocol, name))}{said}: {listing(parts)}."
        )
    return sentences


def _contrasts(protocol: Protocol, frame: pd.DataFrame) -> list[str]:
    """Say the first contrasts with their intervals."""
    sentences = []
    for row in each_row(frame.head(MOST_CONTRASTS)):
        kind = contrast_kind(protocol, row.endpoint, row.by)
        unit = contrast_unit(row.by, row.unit)
        value = amount(row.estimate, (row.high - row.low) / 2, kind, unit)
        sentences.append(
            f"{_capital(arm_title(protocol, row.arm))} with "
            f"{arm_title(protocol, row.reference)} on "
            f"{endpoint_title(protocol, row.endpoint)}: {row.by} {value} "
            f"({_holds(row)} {interval(row.low, row.high, kind, unit)})."
        )
    return sentences


def _holds(row: Any) -> str:
    """Say what a contrast's interval holds."""
    level = f"{number(100 * row.level, 4)}\u202f%"
    single = row.interval == "confidence"
    return f"{level} confidence interval" if single else f"{level} of single trials:"


def _undefined(
    protocol: Protocol, shown: list[pd.DataFrame], contrasts: pd.DataFrame
) -> list[str]:
    """Warn of numbers that do not stand on all trials, the worst first."""
    found: list[tuple[float, str]] = []
    for row in (row for rows in shown for row in each_row(rows)):
        what = f"{row.statistic} of {endpoint_title(protocol, row.endpoint)}"
        arm = f" ({arm_title(protocol, row.arm)})" if len(protocol.arms) > 1 else ""
        why = undefined_endpoint(protocol, row)
        found.append((row.undefined, _stands(row, what + arm, why)))
    for row in each_row(contrasts):
        arms = (arm_title(protocol, arm) for arm in (row.arm, row.reference))
        what = f"{row.by} of {' with '.join(arms)} on "
        what += endpoint_title(protocol, row.endpoint)
        found.append((row.undefined, _stands(row, what, undefined_effect(row.by))))
    found = sorted((one for one in found if one[0] > 0), key=lambda one: -one[0])
    words = [said for _, said in found[:MOST_UNDEFINED]]
    if len(found) > MOST_UNDEFINED:
        more = len(found) - MOST_UNDEFINED
        words.append(f"{more} more number{'s'[: more > 1]} stand on some trials only.")
    return words


def _stands(row: Any, what: str, why: str) -> str:
    """Say on how many trials a number stands."""
    total = row.replicates + row.undefined
    where = f"{count(row.undefined)} of {count(total)} trials"
    if total == 1:
        return f"The {what} is undefined: {why}."
    if not row.replicates:
        return f"The {what} is undefined in all {count(total)} trials: {why}."
    rest = f"from the other {count(row.replicates)}"
    return f"The {what} is undefined in {where}, where {why}; the number is {rest}."


def _published(frame: pd.DataFrame) -> list[str]:
    """Say how many published numbers were met, and name the misses."""
    if not len(frame):
        return []
    total, inside = len(frame), int((frame["verdict"] == WITHIN).sum())
    unverified = int((~frame["verified"].astype(bool)).sum())
    doubt = f" ({unverified} unverified)" if unverified else ""
    lead = f"Of {total} published number{'s'[: total > 1]}{doubt} {inside or 'none'}"
    verb = "is" if inside == 1 else "are"
    if inside == total:
        lead = f"All {total} published numbers{doubt}"
        lead = lead if total > 1 else f"The published number{doubt}"
    words = [f"{lead} {verb} met within the stated margin."]
    if inside < total:
        lead = {MISS: "Missed", UNDECIDED: "Undecided within Monte Carlo error"}
        for verdict, head in lead.items():
            rows = frame[frame["verdict"] == verdict]
            named = [_missed(row) for row in each_row(rows)]
            more = len(named) - MOST_MISSES
            said = "; ".join(named[:MOST_MISSES])
            said += f"; and {more} more" if more > 0 else ""
            words += [f"{head}: {said}."] if named else []
    return words


def _missed(row: Any) -> str:
    """Say what was missed, and by what numbers."""
    simulated = amount(row.simulated, row.mc_error, row.kind, row.unit)
    published = amount(row.published, (row.high - row.low) / 2, row.kind, row.unit)
    return f"{row.words} ({simulated}, published {published})"


def _failed(protocol: Protocol, flow: Flow) -> list[Sentence]:
    """Say how many solutions failed, and warn where arms differ in that."""
    lost = [arm.lost for arm in flow.arms]
    failed, total = sum(one for one, _ in lost), sum(of for _, of in lost)
    if not failed:
        return [Sentence("No subject's equations failed to solve.")]
    said = [
        Sentence(
            f"The equations of {count(failed)} subject{'s'[: failed != 1]} "
            f"({_percent(failed, total)}) could not be solved; they are counted, not "
            "imputed."
        )
    ]
    if len({one / max(of, 1.0) for one, of in lost}) > 1:
        parts = [
            f"{count(one)} of {count(of)} ({_percent(one, of)}) under "
            f"{arm_title(protocol, arm.name)}"
            for arm, (one, of) in zip(flow.arms, lost, strict=True)
        ]
        words = (
            f"Arms differ in that: {listing(parts)}. Comparisons leave them out and "
            "may be biased; the tables say by how much at most, where it can be said."
        )
        said.append(Sentence(words, strong=True))
    return said


def _percent(part: float, whole: float) -> str:
    """Write a share of subjects in per cent."""
    share = 100 * part / max(whole, 1.0)
    words = number(share, 2) if share >= 0.01 or not part else "under 0.01"
    return f"{words}\u202f%"


def _capital(text: str) -> str:
    """Begin a sentence."""
    return text[:1].upper() + text[1:]

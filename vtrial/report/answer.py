"""The answer in one paragraph: headline numbers, misses and failures in words."""

from typing import Any, NamedTuple

import pandas as pd

from vtrial.protocol.protocol import Protocol
from vtrial.report.design import arm_title, endpoint_title, size_in_words
from vtrial.report.frames import each_row
from vtrial.report.tables import contrast_kind, contrast_unit, endpoint_kind
from vtrial.report.words import amount, count, interval, listing, number

MOST_ENDPOINTS = 3
MOST_CONTRASTS = 2
MOST_MISSES = 6
_FIRST_CHOICE = ("share", "mean", "geometric mean", "median")


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
    failed: float,
    simulated: float,
) -> list[Sentence]:
    """Return the sentences of the answer, the most important first."""
    arms = len(protocol.arms)
    compared = f" under {count(arms)} arms" if arms > 1 else ""
    size = size_in_words(protocol)
    verb = "was" if protocol.replicates == 1 else "were"
    told = [
        f"{_capital(size)} {verb} simulated{compared}.",
        *_endpoints(protocol, endpoints),
        *_contrasts(protocol, contrasts),
    ]
    return [
        *(Sentence(words) for words in told),
        *(Sentence(words, strong=True) for words in _published(published)),
        Sentence(_failed(failed, simulated)),
    ]


def _endpoints(protocol: Protocol, frame: pd.DataFrame) -> list[str]:
    """Say the endpoints that are compared or published first, all arms of each."""
    sentences = []
    asked = {point.endpoint for point in (*protocol.published, *protocol.analysis)}
    names = sorted(dict.fromkeys(frame["endpoint"]), key=lambda name: name not in asked)
    for name in names[:MOST_ENDPOINTS]:
        rows = frame[frame["endpoint"] == name]
        event = any(point.name == name and point.event for point in protocol.endpoints)
        first = ("median", *_FIRST_CHOICE) if event else _FIRST_CHOICE
        ranked = [s for s in first if s in set(rows["statistic"])]
        statistic = ranked[0] if ranked else rows["statistic"].iloc[0]
        rows = rows[rows["statistic"] == statistic]
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
            f"({interval(row.low, row.high, kind, unit)})."
        )
    return sentences


def _published(frame: pd.DataFrame) -> list[str]:
    """Say how many published numbers were met, and name the misses."""
    if not len(frame):
        return []
    within = frame["within"].astype(bool)
    total, inside = len(frame), int(within.sum())
    unverified = int((~frame["verified"].astype(bool)).sum())
    doubt = f" ({unverified} unverified)" if unverified else ""
    lead = f"Of {total} published number{'s'[: total > 1]}{doubt} {inside or 'none'}"
    verb = "is" if inside == 1 else "are"
    if inside == total:
        lead = f"All {total} published numbers{doubt}"
        lead = lead if total > 1 else f"The published number{doubt}"
    words = [f"{lead} {verb} met within the stated margin."]
    if inside < total:
        missed = [_missed(row) for row in each_row(frame[~within])]
        named = "; ".join(missed[:MOST_MISSES])
        more = len(missed) - MOST_MISSES
        words.append(f"Missed: {named}{f'; and {more} more' if more > 0 else ''}.")
    return words


def _missed(row: Any) -> str:
    """Say what was missed, and by what numbers."""
    simulated = amount(row.simulated, row.mc_error, row.kind, row.unit)
    published = amount(row.published, (row.high - row.low) / 2, row.kind, row.unit)
    return f"{row.words} ({simulated}, published {published})"


def _failed(failed: float, simulated: float) -> str:
    """Say how many subjects could not be solved."""
    if not failed:
        return "No subject's equations failed to solve."
    share = 100 * failed / max(failed + simulated, 1.0)
    words = number(share, 2) if share >= 0.01 else "under 0.01"
    return (
        f"The equations of {count(failed)} subject{'s'[: failed != 1]} "
        f"({words}\u202f%) could not be solved; they are counted, not imputed."
    )


def _capital(text: str) -> str:
    """Begin a sentence."""
    return text[:1].upper() + text[1:]

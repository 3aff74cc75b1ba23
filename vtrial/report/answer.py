"""The answer in one sentence, and what stands against it: misses, failures."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from vtrial.analysis.estimates import MISS, UNDECIDED, WITHIN
from vtrial.protocol.protocol import Protocol
from vtrial.report.answer_table import MOST_ENDPOINTS, ordered_endpoints, told_by
from vtrial.report.caveats import undefined_effect, undefined_endpoint
from vtrial.report.design import (
    arm_title,
    effect_words,
    endpoint_title,
    size_in_words,
)
from vtrial.report.flow import Flow
from vtrial.report.frames import each_row
from vtrial.report.tables import (
    contrast_kind,
    contrast_unit,
    endpoint_kind,
)
from vtrial.report.words import (
    amount,
    as_given,
    capital,
    count,
    interval,
    listing,
    number,
    subject_words,
)

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
    """Return the answer in one sentence, then what stands against it."""
    names = ordered_endpoints(protocol, endpoints)[:MOST_ENDPOINTS]
    shown = [told_by(protocol, endpoints, name) for name in names]
    warned = [*_undefined(protocol, shown, contrasts), *_published(published)]
    return [
        Sentence(_answer(protocol, endpoints, contrasts)),
        *(Sentence(words, strong=True) for words in warned),
        *_failed(protocol, flow),
    ]


def _answer(
    protocol: Protocol, endpoints: pd.DataFrame, contrasts: pd.DataFrame
) -> str:
    """Return the first comparison in a sentence; or the first endpoint, or the size."""
    for row in each_row(contrasts.head(1)):
        return _effect(protocol, endpoints, row)
    names = ordered_endpoints(protocol, endpoints)
    if names:
        lead, parts = _by_arm(protocol, endpoints, names[0], [])
        return f"{lead}: {listing(parts)}."
    verb = "was" if protocol.replicates == 1 else "were"
    return f"{capital(size_in_words(protocol))} {verb} simulated."


def _by_arm(
    protocol: Protocol, endpoints: pd.DataFrame, endpoint: str, arms: Sequence[str]
) -> tuple[str, list[str]]:
    """Return an endpoint's title, and its numbers under some arms, or all."""
    rows = told_by(protocol, endpoints, endpoint)
    statistic = str(rows["statistic"].iloc[0]) if len(rows) else ""
    kind = endpoint_kind(protocol, endpoint, statistic)
    numbers = {
        row.arm: amount(row.estimate, row.mc_error, kind, row.unit)
        for row in each_row(rows)
    }
    many = len(protocol.arms) > 1
    parts = [
        numbers[arm] + (f" under {arm_title(protocol, arm)}" if many else "")
        for arm in (arms or numbers)
        if arm in numbers
    ]
    title = capital(endpoint_title(protocol, endpoint))
    return (title if kind == "share" else f"{title} ({statistic})"), parts


def _effect(protocol: Protocol, endpoints: pd.DataFrame, row: Any) -> str:
    """Return what a comparison found in one sentence."""
    pair = [row.arm, row.reference]
    lead, parts = _by_arm(protocol, endpoints, row.endpoint, pair)
    kind = contrast_kind(protocol, row.endpoint, row.by)
    unit = contrast_unit(row.by, row.unit)
    value = amount(row.estimate, row.mc_error, kind, unit)
    spread = interval(row.low, row.high, kind, unit, error=row.mc_error)
    effect = effect_words(row.by)
    article = "an" if effect[0] in "aeiou" else "a"
    if not parts:
        arms = " with ".join(arm_title(protocol, arm) for arm in pair)
        return f"{lead}, {arms}: {effect} {value} ({_holds(row)} {spread})."
    told = f"{article} {effect} of {value} ({_holds(row)} {spread})"
    return f"{lead}: {listing(parts)}, {told}."


def _holds(row: Any) -> str:
    """Return what a contrast's interval holds."""
    level = f"{number(100 * row.level, 4)}\u202f%"
    single = row.interval == "confidence"
    return f"{level} confidence interval" if single else f"{level} of single trials:"


def _undefined(
    protocol: Protocol, shown: list[pd.DataFrame], contrasts: pd.DataFrame
) -> list[str]:
    """Return which numbers that do not stand on all trials, the worst first."""
    found: list[tuple[float, str]] = []
    for row in (row for rows in shown for row in each_row(rows)):
        what = f"{row.statistic} of {endpoint_title(protocol, row.endpoint)}"
        arm = f" ({arm_title(protocol, row.arm)})" if len(protocol.arms) > 1 else ""
        why = undefined_endpoint(protocol, row)
        found.append((row.undefined, _stands(row, what + arm, why)))
    for row in each_row(contrasts):
        arms = (arm_title(protocol, arm) for arm in (row.arm, row.reference))
        what = f"{effect_words(row.by)} of {' with '.join(arms)} on "
        what += endpoint_title(protocol, row.endpoint)
        found.append((row.undefined, _stands(row, what, undefined_effect(row.by))))
    found = sorted((one for one in found if one[0] > 0), key=lambda one: -one[0])
    words = [said for _, said in found[:MOST_UNDEFINED]]
    if len(found) > MOST_UNDEFINED:
        more = len(found) - MOST_UNDEFINED
        words.append(f"{more} more number{'s'[: more > 1]} stand on some trials only.")
    return words


def _stands(row: Any, what: str, why: str) -> str:
    """Return on how many trials a number stands."""
    total = row.replicates + row.undefined
    where = f"{count(row.undefined)} of {count(total)} trials"
    if total == 1:
        return f"The {what} is undefined: {why}."
    if not row.replicates:
        return f"The {what} is undefined in all {count(total)} trials: {why}."
    rest = f"from the other {count(row.replicates)}"
    return f"The {what} is undefined in {where}, where {why}; the number is {rest}."


def _published(frame: pd.DataFrame) -> list[str]:
    """Return how many published numbers were met, and which were not."""
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
    """Return what was missed, and by what numbers."""
    simulated = amount(row.simulated, row.mc_error, row.kind, row.unit)
    published = as_given(row.published, row.kind, row.unit)
    return f"{row.words} ({simulated}, published {published})"


def _failed(protocol: Protocol, flow: Flow) -> list[Sentence]:
    """Return how many solutions failed, and whether arms differ in that."""
    lost = [arm.lost for arm in flow.arms]
    failed, total = sum(one for one, _ in lost), sum(of for _, of in lost)
    unit = protocol.model.unit
    if not failed and protocol.model.flow is not None:
        return [Sentence(f"No {subject_words(unit)} failed.")]
    if not failed:
        return [Sentence(f"No {subject_words(unit)}'s equations failed to solve.")]
    said = [
        Sentence(
            f"The equations of {count(failed)} {subject_words(unit, failed)} "
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

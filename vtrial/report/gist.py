"""What a page shows first: the figure that answers, and what folded sections hold."""

from collections.abc import Mapping, Sequence
from typing import SupportsFloat

import pandas as pd

from vtrial.analysis.estimates import MISS, UNDECIDED, WITHIN
from vtrial.protocol.protocol import Protocol
from vtrial.report.answer_table import ordered_endpoints
from vtrial.report.gallery import Shown
from vtrial.report.words import count, slug, subject_words

Drawn = Mapping[str, Sequence[Shown]]


def answering_figure(
    protocol: Protocol, endpoints: pd.DataFrame, drawn: Drawn
) -> tuple[list[Shown], dict[str, list[Shown]]]:
    """Choose the figure that answers, and return the others by section.

    Of the first endpoint it is the survival curve, or the response by dose; where
    there is neither, the first forest of comparisons, or of published numbers, or the
    shares of responders.
    """
    first = next(iter(ordered_endpoints(protocol, endpoints)), "")
    names = {
        "survival": slug(f"survival {first}"),
        "dose": slug(f"dose response {first}"),
        "contrasts": "",
        "published": "",
        "distributions": "responders",
    }
    for section, name in names.items():
        found = [one for one in drawn[section] if name in ("", one.name)][:1]
        if found:
            rest = {key: list(shown) for key, shown in drawn.items()}
            rest[section] = [one for one in rest[section] if one.name != found[0].name]
            return found, rest
    return [], {key: list(shown) for key, shown in drawn.items()}


def gists_of(
    frames: Mapping[str, pd.DataFrame], protocol: Protocol, *, sources: int
) -> dict[str, str]:
    """Return what lies in a folded section, in a few words each."""
    verdicts = list(frames["published"]["verdict"])
    named = {WITHIN: "within", UNDECIDED: "undecided", MISS: "missed"}
    met = [
        f"{verdicts.count(verdict)} {words}"
        for verdict, words in named.items()
        if verdict in verdicts
    ]
    failed = (
        float(frames["failures"]["count"].sum()) if len(frames["failures"]) else 0.0
    )
    trials = f"{count(protocol.replicates)} trials"
    thing = subject_words(protocol.model.unit)
    return {
        "published": ", ".join(met) or "nothing",
        "endpoints": _counted(frames["endpoints"]["endpoint"].nunique(), "endpoint"),
        "operating": trials if protocol.replicates > 1 else "one trial",
        "failures": _counted(failed, thing) if failed else "none",
        "sources": _counted(sources, "source") if sources else "none",
    }


def _counted(number: SupportsFloat, thing: str) -> str:
    """Write a number of things."""
    return f"{count(number)} {thing}{'s'[: float(number) != 1]}"

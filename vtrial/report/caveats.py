"""What stands against a number: trials without one, subjects without a solution."""

import math
from typing import Any

from vtrial.protocol.protocol import Protocol
from vtrial.report.words import Kind, amount, count, interval


def caveats(row: Any, kind: Kind, unit: str, why: str) -> list[str]:
    """Say of how many trials a number is, and what others would make of it."""
    said = []
    if row.undefined > 0:
        total = row.replicates + row.undefined
        stands = f"from {count(row.replicates)} of {count(total)} trials"
        said.append(f"{stands}: in the others {why}" if row.replicates else why)
    if math.isfinite(row.least):
        ends = interval(row.least, row.most, kind, unit)
        said.append(f"{ends} whatever the unsolved had shown")
    if math.isfinite(row.truth) and hasattr(row, "statistic"):
        said.append(f"everybody {amount(row.truth, row.truth_error, kind, unit)}")
    return said


def undefined_endpoint(protocol: Protocol, row: Any) -> str:
    """Say why a statistic of an arm is undefined in some trials."""
    event = any(p.name == row.endpoint and p.event for p in protocol.endpoints)
    if row.statistic == "median" and event:
        return "it is not reached"
    if row.statistic == "geometric mean":
        return "a value is not positive"
    return "there are too few values"


_UNDEFINED = {
    "ratio of geometric means": "a value is not positive",
    "MMRM": "the model has not converged",
    "rate ratio": "an arm has no event, or the fit has not converged",
    "Poisson rate ratio": "an arm has no event",
    "hazard ratio": "the likelihood has no maximum, as without events in an arm",
    "log-rank": "no event tells",
    "difference of restricted means": "an arm's last time is censored too early",
    "ratio of restricted means": "an arm's last time is censored too early",
    "milestone difference": "an arm's last time is censored too early",
    "win ratio": "there are no wins, or no losses",
    "win odds": "there are no wins, or no losses",
}


def undefined_effect(by: str) -> str:
    """Say why an effect is undefined in some trials."""
    return _UNDEFINED.get(by, "an arm has too few values")

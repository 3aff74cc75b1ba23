"""What stands against a number: trials without one, subjects without a solution."""

import math
from typing import Any

from vtrial.measure.registry import measures
from vtrial.protocol.protocol import Protocol
from vtrial.report.words import Kind, amount, count, interval


def caveats(row: Any, kind: Kind, unit: str, why: str) -> list[str]:
    """Return of how many trials a number is, and what others would make of it."""
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
    """Return why a statistic of an arm is undefined in some trials."""
    event = any(p.name == row.endpoint and p.event for p in protocol.endpoints)
    if row.statistic == "median" and event:
        return "it is not reached"
    if row.statistic == "geometric mean":
        return "a value is not positive"
    return "there are too few values"


def undefined_effect(by: str) -> str:
    """Return why an effect is undefined in some trials."""
    return measures()[by].lacks

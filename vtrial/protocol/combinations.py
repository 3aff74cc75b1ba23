"""Combinations of two drugs that a sheet escalates: a grid of arms, row by row."""

from collections import Counter
from collections.abc import Sequence

from vtrial.protocol.faults import Faults
from vtrial.sheets.sheet import Path_

LEAST = 2  # levels of a drug


def read_combinations(
    rows: Sequence[Sequence[str]], arms: Sequence[str], path: Path_, faults: Faults
) -> tuple[str, ...]:
    """Return the arms of a grid, row by row; note what keeps it from being one.

    A row is a level of the first drug, with the levels of the second one in it, each
    from the lowest on.
    """
    _shaped(rows, path, faults)
    times = Counter(name for row in rows for name in row)
    seen: set[str] = set()
    for place, row in enumerate(rows):
        for column, name in enumerate(row):
            at = (*path, place, column)
            if name not in arms:
                faults.unknown(at, name, arms, "arm")
            elif name in seen:
                faults.add(
                    at,
                    found=f"`{name}`, which stands there {times[name]} times",
                    allowed="each arm once: every combination is an arm of its own",
                )
            seen.add(name)
    return tuple(name for row in rows for name in row)


def _shaped(rows: Sequence[Sequence[str]], path: Path_, faults: Faults) -> None:
    """Note rows that make no grid."""
    if len(rows) < LEAST or len(rows[0]) < LEAST:
        faults.add(
            path,
            found=f"{len(rows)} x {len(rows[0]) if rows else 0} combinations",
            allowed="at least two rows of two arms; for one drug alone, `doses` with "
            "a method such as BOIN",
        )
        return
    for place, row in enumerate(rows):
        if len(row) != len(rows[0]):
            faults.add(
                (*path, place),
                found=f"{len(row)} arms, where the first row has {len(rows[0])}",
                allowed=f"{len(rows[0])} arms: all levels of the second drug with "
                "each of the first",
            )

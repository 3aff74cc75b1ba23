"""Write the docs' table of what `take` may say: `python -m tests.kind_tables`.

What stands in it is what the files of `vtrial/endpoint/kinds/` declare;
`endpoint/test_kinds.py` holds them against each other.
"""

import re
import sys
from pathlib import Path

from vtrial.endpoint.kind import Kind
from vtrial.endpoint.registry import kinds

PAGE = Path(__file__).parents[1] / "docs" / "protocol.md"
HEAD = "| `take` | the number | its unit | needs |\n|---|---|---|---|\n"
COUNTED = ("", "", "two values", "three values", "four values")


def take_table() -> str:
    """Return the table, a row for each kind."""
    rows = [
        f"| `{kind.word}` | {kind.says} | {kind.unit} | {_needs(kind)} |\n"
        for kind in kinds().values()
    ]
    return HEAD + "".join(rows)


def _needs(kind: Kind) -> str:
    """Say which limits, and how many values, a kind must have."""
    limits = [key for key in ("low", "high") if getattr(kind, key) == "must"]
    either = kind.low == kind.high == "either"
    given = "`low` or `high`" if either else " and ".join(f"`{key}`" for key in limits)
    parts = (given, COUNTED[kind.needs], "a baseline" if kind.baseline else "")
    return ", ".join(part for part in parts if part)


def page_with(table: str) -> str:
    """Return the page with another table in the place of its own."""
    own = re.compile(r"^\| `take` \| the number.*?\n(?=\n)", re.M | re.S)
    return own.sub(lambda _: table, PAGE.read_text(), count=1)


if __name__ == "__main__":
    PAGE.write_text(page_with(take_table()))
    sys.stdout.write(f"{PAGE}: {len(kinds())} kinds\n")

"""Write the docs' tables of `take` and `by` anew: `python -m tests.kind_tables`.

What stands in them is what the files of `vtrial/endpoint/kinds/` and
`vtrial/measure/kinds/` declare; `test_kinds.py` beside the rooms' tests holds them
against each other.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from vtrial.endpoint.kind import Kind
from vtrial.endpoint.registry import kinds
from vtrial.measure.registry import measures

PAGE = Path(__file__).parents[1] / "docs" / "protocol.md"
TAKE = "| `take` | the number | its unit | needs |\n|---|---|---|---|\n"
BY = "| `by` | of | may have |\n|---|---|---|\n"
COUNTED = ("", "", "two values", "three values", "four values")


def take_table() -> str:
    """Return the table of kinds of endpoints, a row each."""
    rows = [
        f"| `{kind.word}` | {kind.says} | {kind.unit} | {_needs(kind)} |\n"
        for kind in kinds().values()
    ]
    return TAKE + "".join(rows)


def by_table() -> str:
    """Return the table of measures, a row each."""
    repeated = _words(word for word, kind in kinds().items() if kind.repeated)
    of = {
        "numbers": "numbers",
        "visits": f"measured {repeated}",
        "doses": "numbers",
        "counts": _words(word for word, kind in kinds().items() if kind.count),
        "responses": "responses",
        "dosed responses": "responses",
        "times": "times to an event",
        "tiers": "a list of endpoints",
    }
    rows = [
        f"| `{one.word}`{one.says and f': {one.says}'} | {of[one.of]} "
        f"| {_words(one.options)} |\n"
        for one in measures().values()
    ]
    return BY + "".join(rows)


def _needs(kind: Kind) -> str:
    """Say which limits, and how many values, a kind must have."""
    keys = ("low", "high", "share")
    limits = [key for key in keys if getattr(kind, key) == "must"]
    either = kind.low == kind.high == "either"
    given = "`low` or `high`" if either else " and ".join(f"`{key}`" for key in limits)
    parts = (given, COUNTED[kind.needs], "a baseline" if kind.baseline else "")
    return ", ".join(part for part in parts if part)


def _words(words: Iterable[str]) -> str:
    """Write words as a sheet has them."""
    return ", ".join(f"`{word}`" for word in words)


def page_with(*tables: str) -> str:
    """Return the page with other tables in the place of those with the same head."""
    page = PAGE.read_text()
    for table in tables:
        head = re.escape(table.partition("|---")[0])
        own = re.compile(rf"^{head}.*?\n(?=\n)", re.M | re.S)
        assert len(own.findall(page)) == 1, "the page has one such table"
        page = own.sub(lambda _, table=table: table, page)
    return page


if __name__ == "__main__":
    PAGE.write_text(page_with(take_table(), by_table()))
    sys.stdout.write(f"{PAGE}: {len(kinds())} kinds, {len(measures())} measures\n")

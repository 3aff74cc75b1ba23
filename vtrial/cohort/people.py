"""The cohort sheet that takes up people who stand in a table."""

import json
from collections.abc import Mapping, Sequence
from typing import Literal


def people_sheet(
    columns: Mapping[str, Mapping[str, str]],
    *,
    head: str,
    name: str,
    file: str,
    title: str = "",
    draw: Literal["with replacement", "in order"] = "in order",
    effects: Sequence[str] = (),
) -> str:
    """Write a cohort sheet over a table beside it.

    `columns` are those to take, each with a `unit` and, where there is one, a `title`;
    `head` is a line of comment, `file` the table's plain name; `effects` names those
    columns that hold random effects.

    Examples
    --------
    >>> columns = {"WT": {"unit": "kg"}}
    >>> print(people_sheet(columns, head="# Who?", name="a", file="a.csv"))
    # Who?
    cohort: "a"
    table:
      file: a.csv
      draw: in order
      columns:
        WT: {"unit": "kg"}
    <BLANKLINE>
    """
    lines = [head, f"cohort: {json.dumps(name)}"]
    lines += [f"title: {json.dumps(title)}"] if title else []
    lines += ["table:", f"  file: {file}", f"  draw: {draw}", "  columns:"]
    lines += [
        f"    {column}: {json.dumps(dict(told), ensure_ascii=False)}"
        for column, told in columns.items()
    ]
    lines += [f"  effects: [{', '.join(effects)}]"] if effects else []
    return "\n".join(lines) + "\n"

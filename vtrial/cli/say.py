"""Words, tables and JSON on a terminal."""

import json
import math
import os
import shutil
import sys
import textwrap
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import vtrial as vt

if TYPE_CHECKING:
    import pandas as pd

NAMED = 20  # persons whose numbers are printed


def say(text: str) -> None:
    """Write a line to standard output."""
    sys.stdout.write(f"{_legible(text)}\n")


def warn(text: str) -> None:
    """Write lines to standard error, wrapped between words on a terminal."""
    lines = _legible(text).split("\n")
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        lines = [_wrapped(line, width) for line in lines]
    sys.stderr.write("\n".join(lines) + "\n")


def print_json(value: object) -> None:
    """Write JSON; what is not a number is null."""
    say(json.dumps(_clean(value), indent=2, default=str))


def print_table(table: object, *, title: str) -> None:
    """Write a data frame as a table that fits the terminal."""
    from rich.console import Console
    from rich.table import Table

    drawn = Table(title=vt.printable(title), title_justify="left")
    for name in table.columns:  # type: ignore[attr-defined]
        drawn.add_column(vt.printable(str(name)), overflow="fold")
    for row in table.itertuples(index=False):  # type: ignore[attr-defined]
        drawn.add_row(*(_cell(value) for value in row))
    width = None if sys.stdout.isatty() else 160
    Console(width=width).print(drawn, markup=False)


def print_people(table: "pd.DataFrame", title: str) -> None:
    """Write the rows of the first persons, by their ID."""
    people = list(dict.fromkeys(table["ID"]))
    print_table(table[table["ID"].isin(people[:NAMED])], title=title)
    if len(people) > NAMED:
        say(f"and {len(people) - NAMED:,} persons more; --out writes all.")


def write_csv(table: object, path: Path) -> None:
    """Write a data frame as CSV, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        table.to_csv(draft, index=False, lineterminator="\n")  # type: ignore[attr-defined]
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def open_page(page: Path) -> None:
    """Open a report in the browser, where there is a screen to show it on."""
    screens = ("DISPLAY", "WAYLAND_DISPLAY")
    screen = sys.platform != "linux" or any(os.environ.get(name) for name in screens)
    try:
        opened = screen and webbrowser.open(page.resolve().as_uri())
    except webbrowser.Error:
        opened = False
    if not opened:
        say(f"No browser here: open {page} in one.")


def _wrapped(line: str, width: int) -> str:
    """Break a line between words; what goes on is indented."""
    return textwrap.fill(
        line,
        max(width, 40),
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _cell(value: object) -> str:
    """Write a number with four significant digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return vt.printable(str(value))


def _legible(text: str) -> str:
    """Keep lines, and nothing else that a terminal would obey."""
    return "\n".join(vt.printable(line) for line in text.split("\n"))


def _clean(value: object) -> object:
    """Turn numbers that JSON lacks into null, and arrays into lists."""
    if isinstance(value, Mapping):
        return {str(k): _clean(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_clean(v) for v in value]
    if hasattr(value, "item"):
        value = value.item()  # type: ignore[attr-defined]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

"""Words for a terminal: tables, JSON that every parser reads, and no surprises."""

import json
import math
import webbrowser

import numpy as np
import pandas as pd

from vtrial.cli.say import open_page, print_json, print_table, say, warn


def test_json_has_no_nan_and_no_numpy(capsys):
    print_json({"a": math.nan, "b": np.float64(2.5), "c": [np.int64(3), math.inf]})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": 2.5, "c": [3, None]}


def test_tables_keep_brackets_and_round_numbers(capsys):
    table = pd.DataFrame({"what": ["[bold]x[/bold]"], "value": [1.23456789]})
    print_table(table, title="t")
    printed = capsys.readouterr().out
    assert "[bold]x[/bold]" in printed
    assert "1.235" in printed


def test_no_text_browser_takes_the_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(webbrowser, "open", lambda address: 1 / 0)
    open_page(tmp_path / "report.html")
    assert "No browser here" in capsys.readouterr().out


def test_a_terminal_is_told_nothing_but_words(capsys):
    hostile = "\x1b[31mred\x07\u202e"
    table = pd.DataFrame({hostile: [hostile]})
    print_table(table, title=hostile)
    say(f"{hostile}\nnext")
    warn(f"{hostile}\nnext")
    printed, told = capsys.readouterr()
    for text in (printed, told):
        assert r"\x1b[31mred\x07\u202e" in text
        assert all(c == "\n" or c.isprintable() for c in text)
    assert printed.endswith("\nnext\n")

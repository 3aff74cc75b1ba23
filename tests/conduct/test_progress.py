"""Long work shows how far it is: a bar on a terminal, plain lines in a log."""

import re

from vtrial.conduct import progress
from vtrial.conduct.progress import Bar, Lines


def test_a_log_gets_a_line_now_and_then_and_one_at_the_end(monkeypatch, capsys):
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    with Lines(1000, done=200, words="trial") as shown:
        for _ in range(8):
            shown.advance(100)
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 5, "not a line a block"
    assert re.fullmatch(
        r"trial: [\d,]+ of 1,000 subjects, \d+ subjects/s, \d+ s left", lines[0]
    )
    assert lines[-1].startswith("trial: 1,000 of 1,000 subjects")


def test_a_terminal_gets_a_bar_with_rate(capsys):
    with Bar(1000, done=200, words="trial") as shown:
        shown.advance(800)
    said = capsys.readouterr().err
    assert "1000/1000" in said
    assert "subjects/s" in said


def test_which_one_depends_on_where_errors_go(monkeypatch):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    with progress.progress(2, done=0, words="trial") as advance:
        assert isinstance(advance.__self__, Bar)
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: False, raising=False)
    with progress.progress(2, done=0, words="trial") as advance:
        assert isinstance(advance.__self__, Lines)

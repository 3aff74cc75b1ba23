"""README, docs and docstrings are true: sheets load, code and commands run."""

import contextlib
import doctest
import importlib
import io
import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from tests.notebook import NOTEBOOK, notebook
from vtrial.cli.app import app
from vtrial.conduct.check import check_sheet
from vtrial.conduct.glossary import SHAPES

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
# Each takes more than 20 s: by default its sheets are checked, its commands understood.
DEAR = (
    *("design.md", "design_borrowing.md", "federated.md", "fit.md", "jobs.md"),
    *("model.md", "optimise.md", "python.md", "twin.md"),
)
FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.M | re.S)
KIND = re.compile(rf"^({'|'.join(SHAPES)}): *([\w.-]+)$", re.M)
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in ROOT.glob("vtrial/**/*.py")
    if ">>> " in path.read_text()
)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(p, id=p.name, marks=[pytest.mark.slow] * (p.name in DEAR))
        for p in PAGES
    ],
)
def test_page_runs_as_written(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for language, body in FENCE.findall(page.read_text()):
        if language == "yaml":
            _use_sheet(body)
        elif language == "csv":
            name = body.splitlines()[0].removeprefix("# ").strip()
            Path(name).write_text(body.split("\n", 1)[1])
        elif language == "python":
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(body, page.name, "exec"), names)
        elif language == "console":
            for line in body.splitlines():
                _use_command(line)


@pytest.mark.parametrize("name", DEAR)
def test_page_is_in_order(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for language, body in FENCE.findall((ROOT / "docs" / name).read_text()):
        if language == "yaml" and "FIT" not in body:  # which a command would make
            _use_sheet(body)
        elif language == "python":
            compile(body, name, "exec")
        elif language == "console":
            for line in body.splitlines():
                if line.startswith("$ vtrial "):
                    _understand(shlex.split(line, comments=True)[2:])


def _understand(arguments):
    """Read a command's arguments as it would, without doing anything."""
    whole = get_command(app)
    with whole.make_context("vtrial", arguments[:1]) as context:
        name, command, rest = whole.resolve_command(context, arguments)
        command.make_context(name, rest, parent=context)


def _use_sheet(body):
    """Write a whole sheet where later commands find it, and check it."""
    first = next(line for line in body.splitlines() if line and line[0] != "#")
    if found := KIND.match(first):
        path = Path(f"{found[2]}.yaml")
        path.write_text(body)
        assert check_sheet(path)[0] == found[1]


def _use_command(line):
    """Run `$ vtrial ...`; hold `$ make ...` against the Makefile."""
    if not line.startswith("$ "):
        return
    program, *arguments = shlex.split(line[2:], comments=True)
    if program == "make":
        assert f"\n{arguments[0]}:" in (ROOT / "Makefile").read_text()
    elif program == "vtrial":
        with contextlib.redirect_stdout(io.StringIO()):
            code = app(arguments, standalone_mode=False)
        assert code in (0, None), line


def test_the_notebook_is_the_page():
    assert NOTEBOOK.read_text() == notebook(), "python -m tests.notebook"


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    results = doctest.testmod(importlib.import_module(name))
    assert results.failed == 0


def test_shipped_sheets_are_in_order():
    for path in [*ROOT.glob("protocols/*.yaml"), *ROOT.glob("cohorts/*.yaml")]:
        assert check_sheet(path)

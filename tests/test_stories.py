"""Every promise names its risk and the tests that hold it to its word."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STORIES = tomllib.loads((ROOT / "tests" / "stories.toml").read_text())["promise"]


def test_every_promise_of_the_house_is_there():
    page = (ROOT / "CONTRIBUTING.md").read_text()
    section = page.split("## Promises")[1].split("\n## ")[0]
    promised = len(re.findall(r"^\d+\. ", section, re.M))
    assert [story["number"] for story in STORIES] == list(range(1, promised + 1))
    assert all(story["words"] and story["risk"] for story in STORIES)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["words"])
def test_every_promise_has_tests_that_exist(story):
    assert story["tests"]
    for name in story["tests"]:
        path, function = name.split("::")
        tree = ast.parse((ROOT / "tests" / path).read_text())
        names = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
        assert function in names, name

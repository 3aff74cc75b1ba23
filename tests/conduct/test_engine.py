"""What an engine is called by."""

import ast
from pathlib import Path

import vtrial
from vtrial.conduct.engine import _MAKERS

PACKAGE = Path(vtrial.__file__).parent
ASIDE = {"conduct/engine.py"}  # it names the engine, and makes no number


def test_all_code_that_makes_numbers_is_counted():
    """Whatever a counted file of these two rooms imports of them is counted, too."""
    counted = {maker for maker in _MAKERS if maker.startswith(("analysis", "conduct"))}
    for maker in counted:
        for node in ast.walk(ast.parse((PACKAGE / maker).read_text())):
            if not isinstance(node, ast.ImportFrom) or node.module is None:
                continue
            place = "/".join(node.module.split(".")[1:]) + ".py"
            if place.startswith(("analysis/", "conduct/")):
                assert place in counted | ASIDE, f"{maker} imports {place}"

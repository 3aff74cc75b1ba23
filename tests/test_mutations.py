"""The list of mutations fits the tree: each can be put in, and its test is there."""

import ast
from pathlib import Path

import pytest

from tests.mutations import MUTATIONS, mutated

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_can_be_put_in_and_a_quick_test_looks_for_it(mutation):
    text = (ROOT / mutation.file).read_text()
    ast.parse(mutated(text, mutation))
    path, name = mutation.test.split("::")
    tree = ast.parse((ROOT / "tests" / path).read_text())
    (found,) = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == name
    ]
    marks = [ast.unparse(mark) for mark in found.decorator_list]
    assert "pytest.mark.slow" not in marks

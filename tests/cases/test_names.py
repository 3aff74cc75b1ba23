"""Every case has one test that is called as it, wherever that stands."""

import ast
from collections import Counter
from pathlib import Path

CASES = (
    *("broken-tables", "carried-columns", "date-column", "hostile", "ids-as-text"),
    *("infusion-duration-column", "nca-below-quantification", "observed-nonmem-file"),
    *("occasion-column", "pump-by-clock", "spreadsheets", "states-that-cross-zero"),
    *("steady-state-not-finite", "steady-state-tad", "tiny-amounts"),
    *("visits-at-occasions", "zero-variance"),
)


def test_every_case_is_a_test():
    count = Counter(
        node.name.removeprefix("test_").replace("_", "-")
        for path in Path(__file__).parents[1].glob("*/test_*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
    )
    assert {case: count[case] for case in CASES} == dict.fromkeys(CASES, 1)

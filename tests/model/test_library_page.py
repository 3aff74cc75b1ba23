"""The page that lists the library is what the library is.

`python -m tests.model.test_library_page` writes it anew.
"""

from pathlib import Path

import pytest

from vtrial.diagnose.catalogue import library_solved
from vtrial.model.sheet import load_model

PAGE = Path(__file__).parents[2] / "docs" / "library.md"
HEAD = """# The library

{count} models, each a sheet with its sources; `vtrial model NAME` prints one with its
equations and parameters, and how it is solved. A protocol names one of them, or a sheet
of your own.

| model | what it is | states | solved by |
|---|---|---|---|
"""
FEWEST = 40


def written():
    """Write the page."""
    rows = []
    for one in library_solved():
        model = load_model(one.model)
        doi = next((s.doi for s in model.sources if s.doi), "")
        name = f"[`{one.model}`](https://doi.org/{doi})" if doi else f"`{one.model}`"
        rows.append(f"| {name} | {model.title} | {one.states} | {one.method} |")
    return HEAD.format(count=len(rows)) + "\n".join(rows) + "\n"


@pytest.mark.slow
def test_the_page_lists_the_library():
    assert PAGE.read_text() == written()
    assert len(library_solved()) >= FEWEST


if __name__ == "__main__":
    PAGE.write_text(written())

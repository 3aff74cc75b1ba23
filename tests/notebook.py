"""Write the notebook of the page on Python: `python -m tests.notebook`."""

import json
import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
PAGE, NOTEBOOK = DOCS / "python.md", DOCS / "python.ipynb"
_CODE = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)


def notebook() -> str:
    """Return the page as a notebook: a cell a block of code, and of words between."""
    cells = []
    for place, part in enumerate(_CODE.split(PAGE.read_text())):
        text = part.strip("\n")
        if not text:
            continue
        code = place % 2 == 1
        cell = {
            "cell_type": "code" if code else "markdown",
            "id": f"cell-{len(cells)}",
            "metadata": {},
            "source": text.splitlines(keepends=True),
        }
        cells.append(cell | ({"execution_count": None, "outputs": []} if code else {}))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": cells, "metadata": {"kernelspec": kernel}}
    whole |= {"nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    NOTEBOOK.write_text(notebook())

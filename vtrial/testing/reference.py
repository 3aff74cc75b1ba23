"""Where other software's numbers lie."""

import os
from pathlib import Path

VARIABLE = "VTRIAL_REFERENCE"


def reference_folder(name: str) -> Path | None:
    """Return a folder of reference numbers, or None where this machine has none.

    The environment variable `VTRIAL_REFERENCE` names the collection; without it, one
    is looked for in `shared/reference` beside the checkout.
    """
    beside = Path(__file__).parents[3] / "shared" / "reference"
    folder = Path(os.environ.get(VARIABLE, beside)) / name
    return folder if folder.is_dir() else None

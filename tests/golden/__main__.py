"""Write the table of numbers anew: `python -m tests.golden`.

To be done when a change of numbers is meant; the difference shows what it did.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from tests.golden.measure import TABLE, THINNED, measured


def main() -> None:
    """Run every protocol; write nothing if a subject failed."""
    tables, lost = [], 0
    with TemporaryDirectory() as folder:
        for name in THINNED:
            table, failed = measured(name, Path(folder) / name)
            sys.stderr.write(f"{name}: {len(table)} numbers, {failed} failed\n")
            tables.append(table)
            lost += failed
    if lost:
        sys.exit(f"{lost} solutions failed, so that {TABLE.name} is left as it is")
    pd.concat(tables).to_csv(TABLE, index=False, float_format="%.9g")


if __name__ == "__main__":
    main()

"""Any table of a CSV file, by the rules that all of vtrial's tables are read by."""

from pathlib import Path

import pandas as pd

from vtrial.sheets.csv_table import Rows


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a CSV file: a column is of numbers where all of it is.

    Raises
    ------
    DataError
        If it is no table, or has no rows.
    """
    rows = Rows(path)
    rows.refuse()
    return rows.table()

"""Main numbers of the shipped protocols, thinned, and who could not be solved.

Seeds are the sheets' own, so that a run draws the same people anywhere.
"""

from pathlib import Path

import pandas as pd

import vtrial as vt

TABLE = Path(__file__).with_name("numbers.csv")
COLUMNS = ["protocol", "of", "what", "value", "tolerance"]
TOLERANCE = 1e-4  # a hundred times the solver's, for errors add up along a course
THINNED = {
    "alzheimer-progression": {"replicates": 2},
    "busulfan-auc": {"replicates": 1, "subjects": 60},
    "docetaxel-adaptive": {"replicates": 1, "subjects": 60},
    "docetaxel-dose": {"replicates": 2},
    "docetaxel-label": {"replicates": 1, "subjects": 60},
    "docetaxel-optimal": {"replicates": 1, "subjects": 60},
    "ed-rota": {"replicates": 1, "subjects": 80},
    "first-in-human": {"replicates": 2},
    "hf-remote": {"replicates": 1, "subjects": 80},
    "hf-remote-twin": {"replicates": 1, "subjects": 12},
    "highrif": {"replicates": 1, "subjects": 60},
    "lung-twin": {"replicates": 1, "subjects": 60},
    "monet-1": {"replicates": 1, "subjects": 120},
    "icu-glucose": {"replicates": 1, "subjects": 40},
    "icu-sepsis": {"replicates": 1, "subjects": 80},
    "mri-service": {"replicates": 1, "subjects": 300},
    "outbreak": {},
    "stroke-rehab": {"replicates": 10},
    "surmount-1": {"replicates": 1, "subjects": 100},
    "surmount-1-composition": {"replicates": 1, "subjects": 100},
    "t1d-basal-bolus": {"replicates": 1, "subjects": 24},
    "theophylline-single-dose": {"replicates": 10},
    "vancomycin-auc": {"replicates": 1, "subjects": 60},
    "warfarin-adherence": {"replicates": 1, "subjects": 60},
    "warfarin-genotype": {"replicates": 1, "subjects": 100},
}


def measured(name: str, folder: Path) -> tuple[pd.DataFrame, int]:
    """Run a protocol, thinned; return its numbers and how many solutions failed."""
    protocol = vt.load_protocol(name, changes=THINNED[name])
    record = vt.run(protocol, out=folder, workers=0)
    found = vt.evaluate(record.tree(), protocol)
    rows = [
        *_rows(found.endpoints, "arm", ("endpoint", "statistic")),
        *_rows(found.contrasts, "comparison", ("by",)),
    ]
    table = pd.DataFrame(
        [(name, of, what, value, TOLERANCE) for of, what, value in rows],
        columns=COLUMNS,
    )
    return table, int(found.flow[["failed", "others_failed"]].sum().sum())


def _rows(table: pd.DataFrame, of: str, what: tuple[str, ...]) -> list[tuple]:
    """Take the estimates of a table."""
    return [
        (row[of], " ".join(str(row[word]) for word in what), row["estimate"])
        for _, row in table.iterrows()
    ]

"""A model whose posterior is known in closed form, and tables of what was measured."""

import pytest

from vtrial.model.sheet import load_model

VARIANCE, ERROR = 0.09, 0.2  # of log clearance, and of the log of its measurement
SHEET = {
    "model": "known",
    "equations": """
CL = tvCL * exp(eta.CL)
d/dt(central) = -CL/V*central
conc = central/V
cleared = CL
""",
    "parameters": {
        "tvCL": {"value": 4.0, "unit": "L/h"},
        "V": {"value": 20.0, "unit": "L"},
    },
    "random": [{"of": "CL", "variance": VARIANCE}],
    "outputs": {
        "conc": {"unit": "mg/L", "error": {"proportional": 0.1}},
        "cleared": {"unit": "L/h", "error": {"log": ERROR}},
    },
}


@pytest.fixture(scope="session")
def known():
    return load_model(SHEET)


def written(folder, rows, header="ID,TIME,AMT,EVID,DV,DVID", name="person.csv"):
    """Write rows as a table, and return where."""
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n")
    return path

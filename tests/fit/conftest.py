"""A small study, made by vtrial itself, and the model it is of."""

import numpy as np
import pytest

from vtrial.fit.calibration import calibrate
from vtrial.model.sheet import load_model

SHEET = {
    "model": "oral",
    "equations": """
KA = tvKA * exp(eta.KA)
CL = tvCL * exp(eta.CL)
V = tvV * exp(eta.V)
d/dt(depot) = -KA*depot
d/dt(central) = KA*depot - CL/V*central
conc = central/V
""",
    "parameters": {
        "tvKA": {"value": 1.5, "unit": "1/h"},
        "tvCL": {"value": 2.7, "unit": "L/h"},
        "tvV": {"value": 31.0, "unit": "L"},
    },
    "random": [
        {"of": "KA", "variance": 0.4},
        {"of": ["CL", "V"], "covariance": [[0.07], [0.01, 0.02]]},
    ],
    "outputs": {
        "conc": {"unit": "mg/L", "error": {"additive": 0.2, "proportional": 0.1}}
    },
}
TIMES = (0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0)


def altered(**parts):
    """Return the sheet with other parts."""
    return {**SHEET, **parts}


def written(folder, rows, header="ID,TIME,AMT,EVID,DV", name="study.csv"):
    """Write rows as a table, and return where."""
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.fixture(scope="session")
def model():
    return load_model(SHEET)


@pytest.fixture(scope="session")
def study_file(tmp_path_factory):
    """Twelve people after 320 mg, by the closed form, with errors drawn."""
    draw = np.random.default_rng(7)
    rows, at = [], np.array(TIMES)
    for number in range(1, 13):
        ka, cl, v = np.array([1.5, 2.7, 31.0]) * np.exp(
            draw.normal(size=3) * np.sqrt([0.4, 0.07, 0.02])
        )
        k = cl / v
        conc = 320 / v * ka / (ka - k) * (np.exp(-k * at) - np.exp(-ka * at))
        conc = conc + draw.normal(size=at.size) * np.hypot(0.2, 0.1 * conc)
        rows.append(f"{number},0,320,1,.")
        rows += [f"{number},{t:g},.,0,{c:.4f}" for t, c in zip(at, conc, strict=True)]
    return written(tmp_path_factory.mktemp("study"), rows)


@pytest.fixture(scope="session")
def fit(model, study_file, tmp_path_factory):
    """The study's fit by FOCEI, and its folder."""
    into = tmp_path_factory.mktemp("fit") / "FIT"
    return calibrate(model, study_file, into=into), into

"""Power, spending and characteristics of plans against rpact.

The tolerance is a unit of the last digit that is printed, or a few of rpact's own 1e-7.
"""

import json

import numpy as np
import pytest

from tests.design.sequential import rpact
from vtrial.design.sequential import boundaries, characteristics

ROWS = rpact.table("characteristics.csv.gz")


def _ours(call, kind):
    """Return rpact's fields of a design, or of its characteristics."""
    plan = rpact.design(call)
    bounds = boundaries(plan)
    side = bounds.lower if bounds.sides == 1 else bounds.inner
    if kind == "design":
        fields = {
            "criticalValues": bounds.upper,
            "alphaSpent": bounds.alpha_spent,
            "stageLevels": bounds.stage_levels,
            "futilityBounds": side[:-1],
        }
        if np.isfinite(bounds.drift):
            fields["power"] = np.cumsum(bounds.rejection(bounds.drift))
            fields["betaSpent"] = np.cumsum(bounds.futility(bounds.drift))
        return fields
    found = characteristics(plan, bounds)
    return {
        "nFixed": found.fixed**2,
        "shift": found.drift**2,
        "inflationFactor": found.inflation,
        "information": found.drift**2 * bounds.information,
        "power": np.cumsum(found.rejection),
        "rejectionProbabilities": found.rejection,
        "futilityProbabilities": found.futility[:-1],
        "averageSampleNumber1": found.mean_h1,
        "averageSampleNumber01": found.mean_h01,
        "averageSampleNumber0": found.mean_h0,
    }


@pytest.mark.parametrize("call", sorted({row["call"] for row in ROWS}))
def test_characteristics(call):
    made = {}
    for row in (row for row in ROWS if row["call"] == call):
        kind = row["kind"]
        if kind not in made:
            made[kind] = _ours(call, kind)
        text = json.loads(row["expected"])
        expected = np.ravel([0.0 if x is None else x for x in np.ravel(text)])
        found = np.ravel(made[kind][row["field"]])
        np.testing.assert_allclose(
            found, expected.astype(float), rtol=3e-7, atol=1.2e-7, err_msg=row["field"]
        )

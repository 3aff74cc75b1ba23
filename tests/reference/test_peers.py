"""Five workloads on which other software was run, against accurate solutions."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.workloads import (
    WORKLOADS,
    Crowd,
    model_of,
    read_reference,
    relative_error,
    schedule_of,
)
from vtrial.solver.choice import choose
from vtrial.solver.host import simulate
from vtrial.testing import reference_folder
from vtrial.types import Numerics

HERE = Path(__file__).parent / "peers"
FOLDERS = [
    HERE,
    pytest.param(
        reference_folder("peers"),
        marks=[
            pytest.mark.slow,
            pytest.mark.skipif(
                reference_folder("peers") is None,
                reason="no reference solutions: set VTRIAL_REFERENCE to their folder",
            ),
        ],
    ),
]
NUMERICS = Numerics(rtol=1e-8, atol=1e-10)

CASES = {  # method, tolerance
    "W1": ("closed form", 1e-12),
    "W2": ("hybrid explicit", 1e-5),
    "W3": ("stiff", 1e-5),
    "W4": ("matrix exponential", 1e-9),
    "W5": ("closed form", 1e-12),
}


@pytest.mark.parametrize("folder", FOLDERS, ids=["excerpt", "all"])
@pytest.mark.parametrize("name", list(CASES))
def test_workload(folder, name, note):
    """Errors are relative, with a floor of a thousandth of the subject's peak."""
    method, close = CASES[name]
    model = model_of(name)
    known, work = read_reference(name, folder), WORKLOADS[name]
    group = Crowd(known.values, work.doses[None], known.times[None])
    given = schedule_of(name, group)
    solved = simulate(model, known.values, *given, numerics=NUMERICS)
    assert (solved.status == 0).all()
    assert choose(model, NUMERICS).method == method
    for output, exact in known.outputs.items():
        error = relative_error(exact, np.asarray(solved.outputs[output]))
        note(f"{name}, {output}", error)
        assert error < close


def test_concentration_after_a_dose_is_on_its_other_side():
    """W3 reports both sides of each dose."""
    wanted = pd.read_csv(HERE / "W3_ref.csv")
    first = wanted[(wanted.time == 0)]
    values = pd.read_csv(HERE / "W3_params.csv")
    np.testing.assert_allclose(first.CP_POST, 500.0 / values.V1, rtol=1e-12)

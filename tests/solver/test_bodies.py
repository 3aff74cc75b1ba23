"""Random bodies and event tables: none lost, none silently wrong, all near the truth.

The truth is SciPy's at 1e-10 or better, of equations written once more in plain Python
(`benchmarks.families` and those beside it), or a sum of exponentials
(`benchmarks.records`). Errors are in tolerances, as `benchmarks.bodies` counts them.
`python -m benchmarks.bodies --family NAME --body N` shows who failed.
"""

import numpy as np
import pytest

from benchmarks import bodies, tables
from vtrial.types import Numerics, Status

COUNT, TABLES = 10, 24
EXACT, STEPPED = 0.1, 5.0  # limits of event tables, held to 1e-10 and 1e-6
LIMIT = 5.0  # tolerances
FARTHER = {  # nearby solutions part from each other, or turn within a moment
    "van der Pol": 100.0,
    "Lorenz": 300.0,
    "killing by a root of the drug": 100.0,
    "a flame": 50.0,
    "a chemical clock": 100.0,
    "a pendulum that is pushed": 100.0,
    "Roessler": 30.0,
    "a nerve cell": 20.0,
    "indirect response 3": 20.0,
}
QUICK = [
    ("saturable", "auto"),
    ("neutrophils as logarithms", "auto"),
    ("pump by the clock", "auto"),
    ("rhythm of production", "auto"),
    ("absorption by a gamma density", "auto"),
    ("a vessel that drains", "stiff"),
]
SLOW = [
    pytest.param(name, method, marks=pytest.mark.slow)
    for name, family in bodies.FAMILIES.items()
    for method in ("auto", *family.others)
    if (name, method) not in QUICK
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "method"), [*QUICK, *SLOW])
def test_nobody_is_lost_and_nobody_far_off(name, method, tmp_path):
    family, numerics = bodies.FAMILIES[name], Numerics(method=method)
    found = bodies.measure(family, COUNT, numerics, dense=False, folder=tmp_path)
    lost = np.flatnonzero(found.status != Status.SOLVED)
    assert not np.isnan(found.error).any(), "SciPy gave up"
    assert lost.size == 0, f"bodies {lost.tolist()} are lost"
    worst = int(np.argmax(found.error))
    assert found.error[worst] <= FARTHER.get(name, LIMIT), f"body {worst}"


TABLED = [("3 compartments, oral", "auto"), ("saturable", "auto")]
ALSO = [
    pytest.param(name, method, marks=pytest.mark.slow)
    for name, structure in tables.STRUCTURES.items()
    for method in ("auto", "matrix exponential", "explicit", "stiff")
    if (name, method) not in TABLED
    and not (structure.saturable and method == "matrix exponential")
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "method"), [*TABLED, *ALSO])
def test_event_tables_mean_what_their_records_say(name, method):
    structure, numerics = tables.STRUCTURES[name], Numerics(method=method)
    drawn = tables.draw(structure, range(TABLES))
    truth = [tables.truth_of(structure, table) for table in drawn]
    exact = not structure.saturable and method in ("auto", "matrix exponential")
    held, limit = (1e-10, EXACT) if exact else (numerics.rtol, STEPPED)
    found = tables.measure(structure, drawn, truth, numerics, held)
    lost = np.flatnonzero(found.status != Status.SOLVED)
    assert lost.size == 0, f"tables {lost.tolist()} are lost"
    worst = int(np.argmax(found.error))
    assert found.error[worst] <= limit, f"table {worst}"


@pytest.mark.slow
def test_a_steady_state_of_infusions_that_overlap_many_times():
    """Table 73 has the steady state of an infusion that outlasts 96 intervals."""
    structure = tables.STRUCTURES["1 compartment, oral"]
    drawn = tables.draw(structure, [73])
    truth = [tables.truth_of(structure, table) for table in drawn]
    found = tables.measure(structure, drawn, truth, Numerics(), 1e-10)
    assert found.status[0] == Status.SOLVED
    assert found.error[0] <= EXACT

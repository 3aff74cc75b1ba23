"""Infusions that end leave nothing running, and the shortest of them are doses."""

import numpy as np
import pytest

from vtrial.dosing.doses import times
from vtrial.solver.events import FINEST
from vtrial.solver.host import simulate
from vtrial.types import Numerics, Status

CURVED = """
conc = central/V
d/dt(central) = -CL/V*central
d/dt(response) = KIN*(1 + EMAX*conc^HILL/(EC50^HILL + conc^HILL)) - KOUT*response
init(response) = KIN/KOUT
"""
NUMBERS = {
    "CL": 20.8,
    "V": 7.46,
    "KIN": 0.103,
    "KOUT": 0.804,
    "EMAX": 1.56,
    "EC50": 0.7,
    "HILL": 0.89,
}
BEGUN, RATES = (
    [1.0, 2.0, 3.0, 4.0],
    [2.46, 788.48, 0.1, 3.3],
)  # no sum of these is exact
GIVEN = [6.15, 1576.96, 0.7, 9.9]
END = 13.0  # [h] the last has ended


@pytest.mark.parametrize("method", ["auto", "explicit", "stiff", "diffrax"])
def test_nothing_runs_when_all_infusions_have_ended(made, method):
    model = made.model(CURVED, outputs=("response",), **NUMBERS)
    doses = made.doses(BEGUN, GIVEN, rate=RATES)
    found = simulate(
        model,
        model.typical(),
        doses,
        times([END, 60.0, 200.0]),
        numerics=Numerics(method=method),
    )
    assert found.status[0] == Status.SOLVED
    assert np.all(np.asarray(found.end.rates) == 0.0)
    assert np.all(np.asarray(found.end.running) == 0)
    rest = NUMBERS["KIN"] / NUMBERS["KOUT"]
    np.testing.assert_allclose(found.outputs["response"][0, 1:], rest, rtol=1e-5)


def test_linear_bodies_end_at_rest(made):
    model = made.models["oral"]
    doses = made.doses(BEGUN, GIVEN, rate=RATES)
    found = simulate(model, model.typical(), doses, times([2000.0]), until=2000.0)
    assert np.all(np.asarray(found.end.rates) == 0.0)
    assert np.all(np.asarray(found.end.running) == 0)
    assert 0.0 <= found.outputs["conc"][0, 0] < 1e-60


@pytest.mark.slow
def test_infusions_are_counted_over_the_end_of_a_stage(made):
    model = made.models["oral"]
    doses = made.doses(BEGUN, GIVEN, rate=RATES)
    first = simulate(model, model.typical(), doses, times([3.6]), until=3.6)
    assert np.asarray(first.end.running).tolist() == [[2, 0]]
    rest = simulate(
        model,
        model.typical(),
        doses,
        times([20.0]),
        start=first.end,
        until=30.0,
    )
    whole = simulate(model, model.typical(), doses, times([20.0]), until=30.0)
    assert np.all(np.asarray(rest.end.rates) == 0.0)
    conc = [found.outputs["conc"] for found in (rest, whole)]
    np.testing.assert_allclose(*conc, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["auto", "explicit", "stiff"])
def test_what_would_enter_within_the_finest_time_enters_at_once(made, method):
    model = made.models["oral"]
    amount, since = 5.0, [0.5, 4.0, 20.0]
    seen = times(1000.0 + np.array(since))
    how = {"numerics": Numerics(method=method)}
    found = [
        simulate(
            model,
            model.typical(),
            made.doses([1000.0], [amount], rate=rate),
            seen,
            **how,
        ).outputs["conc"]
        for rate in ([0.0], [4 * amount / FINEST])
    ]
    np.testing.assert_allclose(*found, rtol=1e-9)
    assert found[0][0, 0] > 0

"""The contract of every way of solving, run on each of ours."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtrial.dosing.doses import times
from vtrial.model.grammar import parse_model
from vtrial.model.model import Model, Output, Parameter
from vtrial.model.sheet import load_model
from vtrial.solver.host import simulate
from vtrial.testing import SimulateContract, bodies, individuals, schedules
from vtrial.types import Numerics, Status

BODY = load_model("two-compartment-oral")
BINDING = """
d/dt(central) = -CL/V*central - bound
d/dt(target) = KDEG*(R0 - target) - bound
d/dt(complex) = bound - KINT*complex
bound = KON*central/V*target - KOFF*complex
init(target) = R0
conc = central/V
"""
TYPICAL = {
    "CL": 0.2,
    "V": 3,
    "KDEG": 0.1,
    "R0": 10,
    "KON": 4,
    "KOFF": 0.4,
    "KINT": 0.05,
}
TARGET = Model(
    name="fast-binding-to-a-target",
    statements=parse_model(BINDING),
    parameters=tuple(Parameter(name, float(v)) for name, v in TYPICAL.items()),
    outputs=(Output("conc", "conc"), Output("target", "target")),
)


class TestClosedForm(SimulateContract):
    model = BODY
    numerics = Numerics(method="closed form")
    tolerance = 1e-9


@pytest.mark.slow
class TestMatrixExponential(SimulateContract):
    model = BODY
    numerics = Numerics(method="matrix exponential")
    tolerance = 1e-9


@pytest.mark.slow
class TestExplicit(SimulateContract):
    model = BODY
    numerics = Numerics(method="explicit")


@pytest.mark.slow
class TestExplicitInfusions(SimulateContract):
    model = load_model("three-compartment-iv")
    numerics = Numerics(method="explicit")
    duration = 30.0  # longer than the interval: infusions overlap


@pytest.mark.slow
class TestStiff(SimulateContract):
    model = TARGET
    numerics = Numerics(method="stiff")
    duration = 1.0
    spread = 0.05


@pytest.mark.slow
class TestDiffrax(SimulateContract):
    model = BODY
    numerics = Numerics(method="diffrax", rtol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["explicit", "matrix exponential"])
@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_any_body_is_solved_alike(method, data):
    body = data.draw(bodies())
    inputs = data.draw(individuals(body))
    doses = data.draw(schedules())
    grid = times(np.linspace(0.0, 60.0, 13))
    exact = simulate(body, inputs, doses, grid)
    other = simulate(body, inputs, doses, grid, numerics=Numerics(method=method))
    assert (exact.status == Status.SOLVED).all()
    peak = float(np.max(exact.outputs["conc"]))
    np.testing.assert_allclose(
        other.outputs["conc"], exact.outputs["conc"], rtol=1e-5, atol=1e-6 * peak
    )

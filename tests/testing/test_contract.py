"""The contract of every way of solving, run on each of ours."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtrial.dosing.doses import times
from vtrial.model.sheet import load_model
from vtrial.solver.simulate import simulate
from vtrial.testing import SimulateContract, bodies, individuals, schedules
from vtrial.types import Numerics, Status

BODY = load_model("two-compartment-oral")


class TestClosedForm(SimulateContract):
    model = BODY
    numerics = Numerics(method="closed form")
    tolerance = 1e-9


class TestMatrixExponential(SimulateContract):
    model = BODY
    numerics = Numerics(method="matrix exponential")
    tolerance = 1e-9


class TestExplicit(SimulateContract):
    model = BODY
    numerics = Numerics(method="explicit")


class TestExplicitInfusions(SimulateContract):
    model = load_model("three-compartment-iv")
    numerics = Numerics(method="explicit")
    duration = 30.0  # longer than the interval: infusions overlap


class TestStiff(SimulateContract):
    model = load_model("docetaxel-neutropenia")
    numerics = Numerics(method="stiff")
    duration = 1.0
    spread = 0.05


class TestDiffrax(SimulateContract):
    model = BODY
    numerics = Numerics(method="diffrax", rtol=1e-8)


@pytest.mark.parametrize("method", ["explicit", "matrix exponential"])
@settings(max_examples=6, deadline=None)
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

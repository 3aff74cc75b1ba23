"""States that a body drives and that still have a closed form."""

import numpy as np
import pytest

from vtrial.dosing.doses import times
from vtrial.solver.choice import choose
from vtrial.solver.host import simulate
from vtrial.types import Numerics

BODY = """
d/dt(depot) = -KA*depot
d/dt(central) = KA*depot - (CL + Q)/V*central + Q/V2*rim
d/dt(rim) = Q/V*central - Q/V2*rim
conc = central/V
"""
TUMOUR = """
d/dt(size) = KL*size - KD*exp(-LAMBDA*t)*conc*size
init(size) = SIZE0
"""
AREA = "d/dt(area) = conc\n"
KNOWN = {
    **{"KA": 1.0, "CL": 5.0, "V": 20.0, "Q": 8.0, "V2": 60.0},
    **{"KL": 0.01, "KD": 0.05, "LAMBDA": 0.02, "SIZE0": 70.0},
}
GRID = np.array([0.0, 1.0, 5.0, 12.0, 13.0, 30.0, 80.0])


def both(model, inputs, doses, **how):
    """Solve by closed form and by steps."""
    assert choose(model, Numerics()).method == "closed form"
    exact = simulate(model, inputs, doses, times(GRID), keep_states=True, **how)
    numerics = Numerics(method="stiff", rtol=1e-10, atol=1e-12)
    stepped = simulate(
        model, inputs, doses, times(GRID), numerics=numerics, keep_states=True, **how
    )
    assert (exact.status == 0).all()
    return exact.states, stepped.states


@pytest.mark.slow
@pytest.mark.parametrize("fading", [0.02, 0.0, 0.25])
def test_growth_equals_steps(made, fading):
    """With infusions and boluses; a fading as fast as a rate constant, or none."""
    model = made.model(BODY + TUMOUR + AREA, outputs=("size", "area"), **KNOWN)
    doses = made.doses([0.0, 12.0, 13.0], [100.0, 60.0, 20.0], rate=[0.0, 12.0, 0.0])
    doses = doses._replace(compartment=np.array([[0, 1, 3]]))
    inputs = made.spread(model, 3) | {"LAMBDA": fading}
    exact, stepped = both(model, inputs, doses)
    np.testing.assert_allclose(exact, stepped, rtol=2e-8, atol=1e-8)


def test_an_area_without_elimination_is_a_triangle(made):
    """Where nothing leaves, the area under a bolus grows with time."""
    text = "d/dt(central) = -CL/V*central\nd/dt(area) = central/V"
    model = made.model(text, outputs=("area",), CL=0.0, V=20.0)
    doses = made.doses([0.0], [100.0])
    inputs = {"CL": np.array([0.0, 1e-9, 2.0]), "V": 20.0}
    found = simulate(model, inputs, doses, times(GRID)).outputs["area"]
    np.testing.assert_allclose(found[0], 5.0 * GRID, rtol=1e-13)
    np.testing.assert_allclose(found[1], 5.0 * GRID, rtol=1e-7)
    wanted = 50.0 * -np.expm1(-0.1 * GRID)
    np.testing.assert_allclose(found[2], wanted, rtol=1e-12)


def test_growth_without_any_drug(made):
    text = "d/dt(size) = KL*size*exp(-LAMBDA*t)\ninit(size) = 3"
    model = made.model(text, outputs=("size",), KL=0.1, LAMBDA=0.02)
    assert model.structure.driver is None
    found = simulate(model, model.typical(), made.doses([0.0], [0.0]), times(GRID))
    wanted = 3 * np.exp(0.1 / 0.02 * -np.expm1(-0.02 * GRID))
    np.testing.assert_allclose(found.outputs["size"][0], wanted, rtol=1e-13)


@pytest.mark.slow
def test_an_infusion_into_what_grows_by_its_size_is_stepped_through(made):
    model = made.model(BODY + TUMOUR, outputs=("size",), **KNOWN)
    doses = made.doses([0.0, 2.0], [100.0, 30.0], rate=[0.0, 10.0])
    doses = doses._replace(compartment=np.array([[0, 3]]))
    found = simulate(
        model,
        model.typical(),
        doses,
        times(GRID),
        numerics=Numerics(rtol=1e-10, atol=1e-12),
        keep_states=True,
    )
    numerics = Numerics(method="stiff", rtol=1e-10, atol=1e-12)
    wanted = simulate(
        model, model.typical(), doses, times(GRID), numerics=numerics, keep_states=True
    )
    np.testing.assert_allclose(found.states, wanted.states, rtol=2e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        (AREA, True),
        (TUMOUR, True),
        ("d/dt(x) = KL*x*exp(KD - LAMBDA*t)*conc - KL*x\n", True),
        ("d/dt(x) = KL*x*(1 - x/SIZE0)\n", False),
        ("d/dt(x) = KL*x*conc*central\n", False),
        ("d/dt(x) = KL*conc - KD*x\n", False),
        ("d/dt(x) = KL*x*conc/(KD + conc)\n", False),
        ("d/dt(x) = KL*x*exp(-tad)\n", False),
        ("d/dt(x) = KL*x*exp(-LAMBDA*t^2)\n", False),
    ],
)
def test_what_is_recognised(made, text, closed):
    model = made.model(BODY + text, **KNOWN)
    structure = model.structure
    assert structure.driver is not None
    assert structure.driver.words == "two compartments, first-order absorption"
    assert structure.is_closed == closed

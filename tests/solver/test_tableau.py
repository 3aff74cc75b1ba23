"""Explicit methods by their tableaux: conditions of order, at the end and inside."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vtrial.dosing.doses import times
from vtrial.solver.host import simulate
from vtrial.solver.tableau import TSIT5, tableau_of
from vtrial.types import Numerics

TABLEAUX = {"Tsit5": TSIT5} | {n: tableau_of(n) for n in ("Dopri5", "Dopri8", "Bosh3")}
INSIDE = {"Tsit5": 4, "Dopri5": 4, "Dopri8": 5, "Bosh3": 3}  # order of the course


@pytest.mark.parametrize("name", TABLEAUX)
def test_weights_integrate_powers(name):
    """A method of order p integrates polynomials of degree p - 1 exactly."""
    table, nodes = TABLEAUX[name], np.array([0.0, *TABLEAUX[name].nodes])
    end = np.array([*table.stages[-1], 0.0])
    for power in range(table.order):
        assert end @ nodes**power == pytest.approx(1 / (power + 1), abs=1e-13)
    parts = np.linspace(0.0, 1.0, 7)
    inside = np.polynomial.polynomial.polyval(parts, np.array(table.inside).T)
    for power in range(INSIDE[name]):
        exact = parts ** (power + 1) / (power + 1)
        np.testing.assert_allclose(parts * (inside.T @ nodes**power), exact, atol=1e-12)
    assert sum(table.error) == pytest.approx(0.0, abs=1e-13)


def test_tsitouras_method_is_that_of_diffrax():
    known = diffrax.Tsit5.tableau
    np.testing.assert_allclose(TSIT5.nodes, known.c, rtol=1e-13)
    np.testing.assert_allclose(TSIT5.stages[-1], known.a_lower[-1], rtol=1e-13)
    np.testing.assert_allclose(np.abs(TSIT5.error), np.abs(known.b_error), rtol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Dopri5", "Dopri8", "Bosh3"])
def test_methods_agree_and_cost_as_their_order_says(made, name):
    """At a tight tolerance a higher order takes fewer steps; all find the same."""
    model = made.models["friberg"]
    doses, grid = made.doses([0.0], [100.0]), times(np.linspace(1.0, 480.0, 60))
    values = made.spread(model, 2)

    def solved(method, rtol):
        numerics = Numerics(method=method, rtol=rtol, atol=rtol / 100)
        found = simulate(model, values, doses, grid, numerics=numerics)
        return np.asarray(found.outputs["circ"]), int(found.steps.max())

    best, _ = solved("explicit", 1e-12)
    found, steps = solved(f"explicit {name}", 1e-8)
    np.testing.assert_allclose(found, best, rtol=2e-6)
    _, usual = solved("explicit", 1e-8)
    assert {"Dopri5": 0.5, "Dopri8": 0.0, "Bosh3": 2.0}[name] * usual < steps
    assert steps < {"Dopri5": 2.0, "Dopri8": 0.7, "Bosh3": 40.0}[name] * usual


@pytest.mark.slow
def test_it_has_derivatives(made):
    model = made.models["friberg"]
    values = made.spread(model, 1)
    numerics = Numerics(method="explicit Dopri8", rtol=1e-9, atol=1e-11)

    def nadir(amount):
        doses = made.doses([0.0], [100.0])._replace(amount=amount.reshape(1, 1))
        found = simulate(model, values, doses, times([240.0]), numerics=numerics)
        return found.outputs["circ"][0, 0]

    dose, step = jnp.asarray(100.0), 1e-2
    slope = jax.grad(nadir)(dose)
    by_hand = (nadir(dose + step) - nadir(dose - step)) / (2 * step)
    assert slope == pytest.approx(float(by_hand), rel=1e-5)

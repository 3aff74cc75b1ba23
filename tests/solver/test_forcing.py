"""A body in closed form while it drives: values and slopes, wherever its rates lie."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

from vtrial.dosing.doses import times
from vtrial.errors import SolverError
from vtrial.solver.choice import choose
from vtrial.solver.differences import mean_of_decay
from vtrial.solver.forcing import Driver
from vtrial.solver.host import simulate
from vtrial.solver.linear_pk import body_of
from vtrial.types import Numerics

TIMES = np.array([0.0, 1e-3, 0.3, 4.0, 50.0])
ORAL = """
d/dt(depot) = -KA*depot
d/dt(central) = KA*depot - (KE + K12)*central + K21*rim
d/dt(rim) = K12*central - K21*rim
conc = central
"""
RATES = {"KE": 0.2, "K12": 0.3, "K21": 0.1}


def slowest_and_fastest():
    total = sum(RATES.values())
    root = np.sqrt(total**2 - 4 * RATES["KE"] * RATES["K21"])
    return (total - root) / 2, (total + root) / 2


@pytest.mark.parametrize("exponent", [1e-9, 1e-3, 0.0299, 0.0301, 1.0, 30.0])
def test_the_mean_of_a_decay_keeps_its_digits(exponent):
    found = mean_of_decay(jnp.array(exponent), jnp.exp(-exponent))
    assert float(found) == pytest.approx(-np.expm1(-exponent) / exponent, rel=1e-13)


def test_what_has_left_is_next_to_nothing_where_infusions_may_run(made):
    """Amounts keep their digits down to 1e-40, for a root of them may still act."""
    model = made.model("d/dt(x) = -K*x\nd/dt(y) = x^0.1 - y", outputs=("x",), K=3.0)
    shape = model.structure.driver
    assert shape is not None
    body = jax.tree.map(lambda v: v[:, 0], body_of(model, {"K": jnp.full((1, 1), 3.0)}))
    driver = Driver(shape, forced=True)
    course = driver.course(body, (jnp.full(1, 200.0),), (jnp.zeros(1),))
    for time in (0.1, 5.0, 30.0):
        (found,) = driver.at(course, jnp.full(1, time))
        assert float(found[0]) == pytest.approx(200 * np.exp(-3.0 * time), rel=1e-12)


@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize("apart", [0.0, 1e-12, 1e-7, 1e-3, 1.0])
@pytest.mark.parametrize("which", [0, 1])
def test_amounts_equal_the_matrix_exponential(made, forced, apart, which):
    """Absorption as fast as, or nearly as fast as, a phase of disposition."""
    values = RATES | {"KA": slowest_and_fastest()[which] * (1 + apart)}
    model = made.model(ORAL, **values)
    shape = model.structure.driver
    assert shape is not None
    body = body_of(model, {k: jnp.full((1, 1), v) for k, v in values.items()})
    body = jax.tree.map(lambda value: value[:, 0], body)
    driver = Driver(shape, forced)
    amounts, rates = np.array([10.0, 3.0, 5.0]), np.array([1.0, 2.0, 0.0])
    matrix = np.zeros((4, 4))
    ka, ke, out, back = values["KA"], values["KE"], values["K12"], values["K21"]
    matrix[:3, :3] = [[-ka, 0, 0], [ka, -ke - out, back], [0, out, -back]]
    matrix[:3, 3] = rates * forced
    course = driver.course(
        body,
        tuple(jnp.full((1,), a) for a in amounts),
        tuple(jnp.full((1,), r) for r in rates),
    )
    for time in TIMES:
        found = [float(a[0]) for a in driver.at(course, jnp.full((1,), time))]
        wanted = (expm(matrix * time) @ np.append(amounts, 1.0))[:3]
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_slopes_are_right_where_rates_coincide(made):
    text = ORAL + "d/dt(effect) = KIN/(1 + conc) - KOUT*effect\ninit(effect) = 2\n"
    known = RATES | {"KA": slowest_and_fastest()[1], "KIN": 0.4, "KOUT": 0.2}
    model = made.model(text, outputs=("effect",), **known)
    numerics = Numerics(method="hybrid explicit", rtol=1e-10, atol=1e-12)
    doses = made.doses([0.0], [10.0])

    @jax.jit
    def effect(entry):
        inputs = known | {"KA": entry}
        found = simulate(model, inputs, doses, times([6.0]), numerics=numerics)
        return found.outputs["effect"][0, 0]

    at, step = jnp.asarray(known["KA"]), 1e-3
    near = effect(at + step) - effect(at - step)
    far = effect(at + 2 * step) - effect(at - 2 * step)
    wanted = (8 * near - far) / (12 * step)
    np.testing.assert_allclose(jax.jacfwd(effect)(at), wanted, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["explicit", "stiff"])
def test_a_hybrid_equals_what_it_replaces(made, method):
    model = made.models["friberg"]
    doses = made.doses([0.0, 12.0], [100.0, 60.0], rate=[0.0, 12.0])
    grid = times(np.array([1.0, 12.0, 15.0, 60.0, 200.0]))
    tight = {"rtol": 1e-9, "atol": 1e-11}
    solved = [
        simulate(
            model,
            made.spread(model, 3),
            doses,
            grid,
            numerics=Numerics(method=name, **tight),
            keep_states=True,
        )
        for name in (method, f"hybrid {method}")
    ]
    near = {"rtol": 3e-7, "atol": 1e-8}
    np.testing.assert_allclose(solved[1].states, solved[0].states, **near)


def test_a_hybrid_needs_a_driver(made):
    alone = made.model("d/dt(x) = -VMAX*x/(1 + x)", outputs=("x",), VMAX=1.0)
    for model in (alone, made.models["oral"]):
        with pytest.raises(SolverError, match="driven by linear compartments"):
            choose(model, Numerics(method="hybrid explicit"))

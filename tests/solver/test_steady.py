"""Steady states of nonlinear models: right, told apart from none, and differentiable.

A bolus D into saturable elimination, dx/dt = -VMAX x / (KM + x), repeated every T, has
a steady state in closed form: an interval takes away what was given, so that trough x
and peak x + D satisfy KM log((x + D) / x) + D = VMAX T.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vtrial.dosing.doses import times
from vtrial.solver.host import simulate
from vtrial.types import Numerics, Status

SATURABLE = "d/dt(x) = -VMAX*x/(KM + x)"
RECEPTOR = """
d/dt(x) = -KEL*x - KON*x*free + KOFF*bound
d/dt(free) = -KON*x*free + KOFF*bound
d/dt(bound) = KON*x*free - KOFF*bound
init(free) = TOTAL
"""
DAY, DOSE = 24.0, 10.0
OWN = ["explicit", "stiff"]


def trough(vmax, km, dose=DOSE, interval=DAY):
    return dose / jnp.expm1((vmax * interval - dose) / km)


def troughs(model, inputs, doses, *, state=0, at=DAY, **how):
    found = simulate(
        model, inputs, doses, times([at]), numerics=Numerics(**how), keep_states=True
    )
    return found.states[:, 0, state], found


@pytest.fixture(scope="module")
def daily(made):
    return made.doses([0.0], [DOSE], steady=1, interval=DAY)


@pytest.fixture(scope="module")
def saturable(made):
    return made.model(SATURABLE, outputs=("x",), VMAX=1.0, KM=4.0)


@pytest.mark.slow
@pytest.mark.parametrize("method", [*OWN, "diffrax"])
def test_saturable_elimination_settles_where_input_is_output(saturable, daily, method):
    vmax = np.array([0.9, 0.6, 0.45, 0.42])
    found, _ = troughs(saturable, {"VMAX": vmax, "KM": 4.0}, daily, method=method)
    np.testing.assert_allclose(found, trough(vmax, 4.0), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", OWN)
def test_who_is_given_more_than_can_leave_has_none_and_harms_nobody(
    saturable, daily, method
):
    vmax = np.array([0.9, 0.41, 0.2, 0.6])
    found, whole = troughs(saturable, {"VMAX": vmax, "KM": 4.0}, daily, method=method)
    none = Status.UNSETTLED
    assert whole.status.tolist() == [Status.SOLVED, none, none, Status.SOLVED]
    assert np.isnan(found[1:3]).all()
    alone, _ = troughs(
        saturable, {"VMAX": np.full(4, 0.9), "KM": 4.0}, daily, method=method
    )
    assert found[0] == alone[0]


@pytest.mark.slow
@pytest.mark.parametrize("method", OWN)
def test_half_lives_of_a_thousand_intervals_are_no_excuse(
    made, saturable, daily, method
):
    """Within ten tolerances, where a change from day to day is a thousandth."""
    linear = made.model("d/dt(x) = -K*x", outputs=("x",), K=0.1)
    lives = np.array([0.1, 1.0, 30.0, 1000.0])
    rate = np.log(2) / DAY / lives
    found, _ = troughs(linear, {"K": rate}, daily, method=method)
    wanted = DOSE / np.expm1(rate * DAY)
    numerics = Numerics()
    allowed = 10 * (numerics.atol + numerics.rtol * wanted)
    assert (np.abs(found - wanted) < allowed).all()
    km = 1e4
    vmax = (DOSE + km * np.log(2) / 1000) / DAY
    found, _ = troughs(saturable, {"VMAX": vmax, "KM": km}, daily, method=method)
    wanted = float(trough(vmax, km))
    assert abs(float(found[0]) / wanted - 1) < 10 * numerics.rtol


@pytest.mark.slow
def test_few_intervals_are_solved(saturable, daily):
    """Plain repetition would need thousands where little leaves."""
    vmax = (DOSE + 40.0 * np.log(2) / 100) / DAY
    _, whole = troughs(saturable, {"VMAX": vmax, "KM": 40.0}, daily, method="stiff")
    once, alone = troughs(
        saturable,
        {"VMAX": vmax, "KM": 40.0},
        daily._replace(steady=0 * daily.steady),
        method="stiff",
    )
    assert np.isfinite(once).all()
    assert whole.steps[0] < 40 * alone.steps[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "inputs"),
    [
        ("d/dt(x) = -VMAX*x/(1 + x)\nd/dt(area) = x", {"VMAX": 2.0}),
        ("d/dt(x) = RATE*(x - 1)\ninit(x) = 1", {"RATE": 0.01}),
        ("d/dt(x) = x*(x - 5)*RATE\ninit(x) = 4", {"RATE": 0.001}),
    ],
    ids=["accumulates", "grows", "runs away from its fixed point"],
)
def test_what_repetition_does_not_lead_to_is_no_steady_state(made, daily, text, inputs):
    model = made.model(text, outputs=("x",), **inputs)
    how = {"method": "stiff", "max_steps": 20_000}
    _, whole = troughs(model, inputs, daily, **how)
    assert whole.status[0] != Status.SOLVED


@pytest.mark.slow
@pytest.mark.parametrize("method", OWN)
def test_what_is_neither_made_nor_lost_stays(made, daily, method):
    """Receptors in two forms: their sum has no equilibrium of its own."""
    values = {"KEL": 0.1, "KON": 0.5, "KOFF": 0.2}
    model = made.model(RECEPTOR, outputs=("x", "free"), TOTAL=3.0, **values)
    inputs = values | {"TOTAL": np.array([3.0, 1.0])}
    _, whole = troughs(model, inputs, daily, at=12.0, method=method)
    states = np.asarray(whole.states[:, 0])
    np.testing.assert_allclose(states[:, 1:].sum(1), inputs["TOTAL"], rtol=1e-8)
    many = made.doses(DAY * np.arange(40), [DOSE] * 40)
    tight = {"method": "stiff", "rtol": 1e-10, "atol": 1e-12}
    _, slow = troughs(model, inputs, many, at=39 * DAY + 12.0, **tight)
    np.testing.assert_allclose(states, slow.states[:, 0], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", OWN)
def test_infusions_that_overlap_lead_where_repetition_does(made, method):
    model = made.models["saturable"]
    inputs = {"VMAX": np.array([16.0, 30.0]), "KA": 1.0, "KM": 2.0, "V": 20.0}
    how = {"rate": 4.0, "compartment": 1}
    once = made.doses([0.0], [100.0], steady=1, interval=12.0, **how)
    many = made.doses(12.0 * np.arange(80), [100.0] * 80, **how)
    found, _ = troughs(model, inputs, once, state=1, at=7.0, method=method)
    tight = {"method": "stiff", "rtol": 1e-10, "atol": 1e-12}
    wanted, _ = troughs(model, inputs, many, state=1, at=79 * 12.0 + 7.0, **tight)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", [OWN[0], pytest.param(OWN[1], marks=pytest.mark.slow)]
)
def test_slopes_are_those_of_the_closed_form(saturable, daily, method):
    """By every number of the regimen, forward and in reverse."""
    tight = Numerics(method=method, rtol=1e-11, atol=1e-13)

    @jax.jit
    def ours(vmax, km, dose, interval):
        inputs = {"VMAX": vmax, "KM": km}
        doses = daily._replace(amount=dose[None, None], interval=interval[None, None])
        seen = times(interval[None, None])
        found = simulate(saturable, inputs, doses, seen, numerics=tight)
        return jnp.sum(jnp.log(found.outputs["x"]))

    def exact(*numbers):
        return jnp.sum(jnp.log(trough(*numbers)))

    at = jnp.array([0.9, 0.6, 0.45]), *map(jnp.asarray, (4.0, DOSE, DAY))
    every = (0, 1, 2, 3)
    wanted = jax.grad(exact, every)(*at)
    for direction in (jax.grad, jax.jacfwd):
        for ours_one, exact_one in zip(
            direction(ours, every)(*at), wanted, strict=True
        ):
            np.testing.assert_allclose(ours_one, exact_one, rtol=1e-7)


@pytest.mark.slow
def test_a_slope_by_what_stays_for_ever(made, daily):
    values = {"KEL": 0.1, "KON": 0.5, "KOFF": 0.2}
    model = made.model(RECEPTOR, outputs=("x", "bound"), TOTAL=3.0, **values)
    numerics = Numerics(method="stiff", rtol=1e-10, atol=1e-12)

    @jax.jit
    def bound(total):
        inputs = values | {"TOTAL": total}
        found = simulate(model, inputs, daily, times([7.0]), numerics=numerics)
        return found.outputs["bound"][0, 0]

    step, at = 1e-3, jnp.asarray(3.0)
    wanted = (bound(at + step) - bound(at - step)) / (2 * step)
    np.testing.assert_allclose(jax.grad(bound)(at), wanted, rtol=1e-5)
    np.testing.assert_allclose(jax.jacfwd(bound)(at), wanted, rtol=1e-5)

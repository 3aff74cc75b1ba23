"""Derivatives in either direction, against differences and other software."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from vtrial.dosing.doses import no_doses, times
from vtrial.solver.host import simulate
from vtrial.types import Numerics

TEXT = """
lag(depot) = LAG
F(depot) = BIO
duration(central) = D
d/dt(depot) = -KA*depot
d/dt(central) = KA*depot - VMAX*central/V/(KM + central/V)
conc = central/V
"""
TYPICAL = {
    **{"LAG": 0.4, "BIO": 0.8, "D": 2.0, "KA": 1.1},
    **{"VMAX": 10.0, "V": 20.0, "KM": 2.0},
}
OWN = ["explicit", "stiff"]
WAYS = ["explicit", "stiff", "hybrid explicit", "hybrid stiff"]
SLOW = pytest.mark.slow
GRID = np.array([1.5, 4.0, 9.0])


def solver_of(made, method):
    """Return a scalar function of everything that may be differentiated."""
    model = made.model(TEXT, **TYPICAL)
    doses = made.doses([0.0, 3.0], [100.0, 60.0], rate=[0.0, -2.0])
    doses = doses._replace(compartment=np.array([[0, 1]]))
    numerics = Numerics(method=method, rtol=1e-11, atol=1e-12)

    @jax.jit
    def total(what):
        given = doses._replace(
            amount=what["amount"][None], time=what["dose time"][None]
        )
        inputs = {name: what[name] for name in TYPICAL}
        seen = times(what["seen"])
        found = simulate(model, inputs, given, seen, numerics=numerics)
        return jnp.sum(found.outputs["conc"] * jnp.array([[1.0, 0.7, 2.0]]))

    at = {name: jnp.asarray(value) for name, value in TYPICAL.items()}
    at |= {
        "amount": jnp.array([100.0, 60.0]),
        "dose time": jnp.array([0.0, 3.0]),
        "seen": jnp.asarray(GRID),
    }
    return total, at


def differences(total, at):
    """Differentiate by central differences of order 4."""
    slopes = {}
    for name, value in at.items():
        flat = np.atleast_1d(np.asarray(value))
        found = np.zeros(flat.shape)
        for place in range(flat.size):
            step = 2e-3 * max(abs(flat[place]), 1.0)

            def shifted(by, name=name, value=value, flat=flat, place=place):
                moved = flat.copy()
                moved[place] += by
                new = moved.reshape(np.shape(value))
                return float(total(at | {name: jnp.asarray(new)}))

            near = shifted(step) - shifted(-step)
            far = shifted(2 * step) - shifted(-2 * step)
            found[place] = (8 * near - far) / (12 * step)
        slopes[name] = found.reshape(np.shape(value))
    return slopes


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", [*WAYS[1:3], *(pytest.param(way, marks=SLOW) for way in WAYS[::3])]
)
def test_gradients_by_everything(made, method, cell):
    """Parameters, lag, F, duration, amounts, times of doses and of observations."""
    total, at = solver_of(made, method)
    back = jax.grad(total)(at)
    ahead = jax.jacfwd(total)(at)
    wanted = differences(total, at)
    scale = max(float(np.abs(v).max()) for v in wanted.values())
    for name, slope in wanted.items():
        floor = 1e-3 * scale
        error = np.abs(np.asarray(back[name]) - slope) / (np.abs(slope) + floor)
        cell("slopes, against differences, by", name, method, error.max())
        assert error.max() < 1e-5, name
        np.testing.assert_allclose(back[name], ahead[name], rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_gradients_agree_with_diffrax_and_its_adjoint():
    """One bolus into saturable elimination, differentiated by other software."""
    from vtrial.model.grammar import parse_model
    from vtrial.model.model import Model, Output, Parameter

    text = "d/dt(central) = -VMAX*central/V/(KM + central/V)\nconc = central/V"
    names = ("VMAX", "KM", "V")
    model = Model(
        "saturable",
        parse_model(text),
        parameters=tuple(Parameter(name, 1.0) for name in names),
        outputs=(Output("conc", "conc"),),
    )
    whole = np.zeros((1, 1), int)
    from vtrial.dosing.doses import Doses

    flat = np.zeros((1, 1))
    doses = Doses(flat, flat + 100.0, whole, flat, flat, whole, whole + 1, whole + 1)
    numerics = Numerics(method="stiff", rtol=1e-10, atol=1e-12)

    def ours(values):
        inputs = dict(zip(names, values, strict=True))
        found = simulate(model, inputs, doses, times([6.0]), numerics=numerics)
        return found.outputs["conc"][0, 0]

    def theirs(values):
        vmax, km, v = values
        solved = diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, y, args: -vmax * y / v / (km + y / v)),  # noqa: ARG005
            diffrax.Tsit5(),
            t0=0.0,
            t1=6.0,
            dt0=None,
            y0=jnp.asarray(100.0),
            stepsize_controller=diffrax.PIDController(rtol=1e-11, atol=1e-12),
            adjoint=diffrax.RecursiveCheckpointAdjoint(),
        )
        assert solved.ys is not None
        return solved.ys[0] / v

    at = jnp.array([10.0, 2.0, 20.0])
    np.testing.assert_allclose(ours(at), theirs(at), rtol=1e-8)
    np.testing.assert_allclose(jax.grad(ours)(at), jax.grad(theirs)(at), rtol=1e-7)


@pytest.mark.slow
def test_every_subject_has_its_own_slope_in_one_pass(made):
    """Under `vmap` of nothing: a sum over subjects keeps them apart."""
    model = made.models["saturable"]
    inputs = {k: jnp.asarray(v) for k, v in made.spread(model, 70).items()}
    doses = made.doses([0.0], [100.0])

    def total(clear):
        found = simulate(model, inputs | {"VMAX": clear}, doses, times([5.0]))
        return jnp.sum(found.outputs["conc"])

    slopes = jax.grad(total)(inputs["VMAX"])
    alone = {k: v[:3] for k, v in inputs.items()}

    def few(clear):
        found = simulate(model, alone | {"VMAX": clear}, doses, times([5.0]))
        return jnp.sum(found.outputs["conc"])

    np.testing.assert_allclose(slopes[:3], jax.grad(few)(alone["VMAX"]), rtol=1e-10)


@pytest.mark.slow
def test_a_nonlinear_steady_state_has_exact_slopes(made):
    """By the implicit function theorem, in both directions."""
    model = made.models["saturable"]
    doses = made.doses([0.0], [60.0], steady=1, interval=12.0)
    numerics = Numerics(method="stiff", rtol=1e-10, atol=1e-12)
    values = {k: jnp.asarray(v) for k, v in model.typical().items()}

    @jax.jit
    def trough(fastest):
        given = values | {"VMAX": fastest}
        found = simulate(model, given, doses, times([12.0]), numerics=numerics)
        return found.outputs["conc"][0, 0]

    at = jnp.asarray(10.0)
    step = 1e-3
    near = trough(at + step) - trough(at - step)
    far = trough(at + 2 * step) - trough(at - 2 * step)
    wanted = (8 * near - far) / (12 * step)
    np.testing.assert_allclose(jax.grad(trough)(at), wanted, rtol=1e-5)
    np.testing.assert_allclose(jax.jacfwd(trough)(at), wanted, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", OWN)
def test_slopes_are_right_where_the_solution_rests(made, method):
    """Steps that suit a body at its baseline must suit a change of that, too."""
    text = "d/dt(r) = KIN - KOUT*r\ninit(r) = BASE"
    model = made.model(text, outputs=("r",), KIN=2.0, KOUT=1.0, BASE=2.0)
    numerics = Numerics(method=method)

    def level(kout, base):
        inputs = {"KIN": 2.0, "KOUT": kout, "BASE": base}
        found = simulate(model, inputs, no_doses(), times([24.0]), numerics=numerics)
        return found.outputs["r"][0, 0]

    for direction in (jax.grad, jax.jacfwd):
        by_kout, by_base = direction(level, (0, 1))(1.0, 2.0)
        np.testing.assert_allclose(by_kout, -2.0, rtol=1e-6)
        np.testing.assert_allclose(by_base, np.exp(-24.0), atol=1e-6)


@pytest.mark.parametrize("method", OWN)
@pytest.mark.slow
def test_linear_models_have_the_slopes_of_their_closed_form(made, method):
    """Also by the State that a stage begins with, and through the one that it ends."""
    model = made.models["oral"]
    inputs = {k: jnp.asarray(v) for k, v in made.spread(model, 2).items()}
    doses = made.doses([0.0, 12.0], [100.0, 60.0], rate=[0.0, 12.0])

    def total(numerics, inputs):
        how = {"until": jnp.array([7.0]), "numerics": numerics}
        first = simulate(model, inputs, doses, times([7.0]), **how)
        how = {"start": first.end, "numerics": numerics}
        then = simulate(model, inputs, doses, times([13.0, 20.0]), **how)
        return jnp.sum(jnp.log(then.outputs["conc"]))

    tight = Numerics(method=method, rtol=1e-11, atol=1e-13)
    found = jax.grad(total, 1)(tight, inputs)
    wanted = jax.grad(total, 1)(Numerics(method="closed form"), inputs)
    for name, slope in wanted.items():
        np.testing.assert_allclose(found[name], slope, rtol=1e-8)


@pytest.mark.slow
def test_every_way_of_asking_gives_the_same(made):
    """Under `jit`, `vmap` inside and out, `scan`, and twice in either direction."""
    model = made.models["saturable"]
    doses = made.doses([0.0], [100.0])
    tight = Numerics(method="stiff", rtol=1e-9, atol=1e-12)

    @jax.jit
    def total(clear):
        inputs = model.typical() | {"VMAX": clear}
        found = simulate(model, inputs, doses, times([5.0]), numerics=tight)
        return jnp.sum(found.outputs["conc"] ** 2)

    at = jnp.array([9.0, 11.0])
    many = jnp.stack([at, 1.1 * at])
    wanted = jax.grad(total)(at)
    mapped = jax.jit(jax.vmap(jax.grad(total)))(many)
    np.testing.assert_allclose(mapped[0], wanted, rtol=1e-7)

    def inside(many):
        return jnp.sum(jax.vmap(total)(many))

    def scanned(many):
        return lax.scan(lambda so_far, one: (so_far + total(one), None), 0.0, many)[0]

    for whole in (inside, scanned):
        np.testing.assert_allclose(jax.grad(whole)(many), mapped, rtol=1e-7)
    step = jnp.array([1e-3, 0.0])
    second = (jax.grad(total)(at + step) - jax.grad(total)(at - step))[0] / 2e-3
    for outer in (jax.jacfwd, jax.jacrev):
        found = outer(jax.jacrev(total))(at)
        np.testing.assert_allclose(found[0, 0], second, rtol=1e-4)
        np.testing.assert_allclose(found[0, 1], 0.0, atol=1e-9)


@pytest.mark.slow
def test_many_doses_are_followed_in_blocks(made):
    """Forty amounts, as the closed form has them."""
    model = made.models["oral"]
    doses = made.doses(np.arange(40.0), np.full(40, 10.0))

    def last(amount, numerics):
        given, seen = doses._replace(amount=amount), times([45.0])
        found = simulate(model, model.typical(), given, seen, numerics=numerics)
        return found.outputs["conc"][0, 0]

    at = jnp.full((1, 40), 10.0)
    found = jax.grad(last)(at, Numerics(method="explicit", rtol=1e-10, atol=1e-12))
    wanted = jax.grad(last)(at, Numerics(method="closed form"))
    np.testing.assert_allclose(found, wanted, rtol=1e-7)


@pytest.mark.slow
def test_a_threshold_has_no_slope_but_its_branches_have(made):
    """What decides between branches is a constant to a derivative."""
    text = "d/dt(x) = if(x < LEVEL, -SLOW*x, -FAST*x)\ninit(x) = 10"
    model = made.model(text, outputs=("x",), LEVEL=5.0, SLOW=0.1, FAST=0.3)
    numerics = Numerics(method="explicit", rtol=1e-8, atol=1e-10)

    def level(values):
        found = simulate(model, values, no_doses(), times([2.0]), numerics=numerics)
        return found.outputs["x"][0, 0]

    slopes = jax.grad(level)({"LEVEL": 5.0, "SLOW": 0.1, "FAST": 0.3})
    assert slopes["LEVEL"] == 0
    assert slopes["SLOW"] == 0
    np.testing.assert_allclose(slopes["FAST"], -20.0 * np.exp(-0.6), rtol=1e-6)

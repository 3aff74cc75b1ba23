"""All ways of solving agree, with each other and with other software."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import wrightomega

from vtrial.dosing.doses import AFTER_DOSE, times
from vtrial.errors import SolverError
from vtrial.solver.choice import choose
from vtrial.solver.host import simulate
from vtrial.solver.methods import METHODS
from vtrial.types import Numerics, Status

GRID = np.array([0.0, 0.5, 2.0, 6.0, 12.0, 12.5, 24.0, 60.0])
STEPPING = [m for m in METHODS if m.startswith(("explicit", "stiff", "diffrax"))]
TIGHT = {"rtol": 1e-9, "atol": 1e-11}


def reference(made, model, values, doses, grid):
    """Integrate piece by piece with SciPy's order-8 method."""
    individual = model.individual(values)

    def slopes(t, y):
        return [float(s) for s in model.derivative(t, list(y), individual)]

    forced = np.zeros(len(model.states))
    state = np.array([float(s) for s in model.initial(individual)])
    changes = []
    for t, a, r in zip(doses.time[0], doses.amount[0], doses.rate[0], strict=True):
        changes += [(t, 0.0, r), (t + a / r, 0.0, -r)] if r else [(t, a, 0.0)]
    changes.sort()
    now, found = 0.0, []
    for stop in grid:
        while changes and changes[0][0] < stop:
            when, amount, rate = changes.pop(0)
            state = made.integrate(
                lambda t, y: np.array(slopes(t, y)) + forced, state, now, when
            )
            state[0], forced[0], now = state[0] + amount, forced[0] + rate, when
        state = made.integrate(
            lambda t, y: np.array(slopes(t, y)) + forced, state, now, stop
        )
        now = stop
        found.append(state.copy())
    return np.array(found)


@pytest.mark.parametrize("method", STEPPING)
@pytest.mark.parametrize("name", ["saturable", "friberg"])
def test_adaptive_methods_agree_with_other_software(made, name, method):
    model = made.models[name]
    doses = made.doses([0.0, 12.0], [100.0, 60.0], rate=[0.0, 12.0])
    values = made.spread(model, 1)
    wanted = reference(made, model, {k: v[0] for k, v in values.items()}, doses, GRID)
    solved = simulate(
        model,
        values,
        doses,
        times(GRID),
        numerics=Numerics(method=method, **TIGHT),
        keep_states=True,
    )
    assert solved.status[0] == Status.SOLVED
    np.testing.assert_allclose(solved.states[0], wanted, rtol=3e-7, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", ["matrix exponential", "explicit", "stiff", "diffrax"]
)
def test_all_methods_agree_on_a_linear_model(made, method):
    model = made.models["three"]
    doses = made.doses(
        [0.0, 1.0, 12.0], [100.0, 40.0, 50.0], rate=[0.0, 10.0, 25.0]
    )._replace(compartment=np.array([[0, 1, 2]]))
    values = made.spread(model, 3)
    exact = simulate(model, values, doses, times(GRID), keep_states=True)
    assert choose(model, Numerics()).method == "closed form"
    solved = simulate(
        model,
        values,
        doses,
        times(GRID),
        numerics=Numerics(method=method, **TIGHT),
        keep_states=True,
    )
    close = 1e-11 if method == "matrix exponential" else 2e-7
    np.testing.assert_allclose(solved.states, exact.states, rtol=close, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "order"), [("explicit", 5), ("stiff", 5)])
def test_error_follows_tolerance(made, method, order):
    """A tenth of the tolerance means less error, and few more steps for the order."""
    model = made.models["friberg"]
    doses = made.doses([0.0], [100.0])
    values = made.spread(model, 2)
    grid = times([24.0, 240.0])

    def solved(rtol):
        numerics = Numerics(method=method, rtol=rtol, atol=rtol / 100)
        found = simulate(model, values, doses, grid, numerics=numerics)
        return found.outputs["circ"], np.asarray(found.steps)

    best, _ = solved(1e-12)
    rough, few = solved(1e-5)
    fine, more = solved(1e-8)
    coarse, close = np.abs(rough - best).max(), np.abs(fine - best).max()
    assert coarse < 1e-3
    assert close < 1e-6
    assert close < coarse / 30
    ratio = (more / few).max()
    assert ratio < 1.6 * 1000 ** (1 / order), "steps grow as the order says"


@pytest.mark.parametrize("method", ["explicit", "stiff"])
def test_equations_may_look_at_the_clock(made, method):
    """x' = cos(t) x has the solution exp(sin t); the time after a dose likewise."""
    model = made.model(
        "d/dt(x) = cos(t)*x\ninit(x) = A\nd/dt(y) = exp(-tad)\nsince = tad",
        outputs=("x", "y", "since"),
        A=1.0,
    )
    grid = np.array([1.0, 4.0, 4.5, 9.0])
    doses = made.doses([0.0, 4.0], [0.0, 0.0])
    solved = simulate(
        model,
        {"A": 1.0},
        doses,
        times(grid),
        numerics=Numerics(method=method, rtol=1e-10, atol=1e-12),
    )
    np.testing.assert_allclose(solved.outputs["x"][0], np.exp(np.sin(grid)), rtol=1e-7)
    one = 1 - np.exp(-np.minimum(grid, 4.0))
    two = np.where(grid > 4.0, 1 - np.exp(-(grid - 4.0)), 0.0)
    np.testing.assert_allclose(solved.outputs["y"][0], one + two, rtol=1e-7)
    np.testing.assert_allclose(solved.outputs["since"][0], [1.0, 4.0, 0.5, 5.0])


def test_a_stiff_model_is_told_from_one_that_is_not(made):
    slow = choose(made.models["saturable"], Numerics())
    assert slow.method == "hybrid explicit"
    assert "per hour" in slow.reason
    fast = made.model(
        "d/dt(a) = -KON*a*b\nd/dt(b) = KIN - KON*a*b - KOUT*b\ninit(b) = KIN/KOUT",
        outputs=("a",),
        KON=500.0,
        KIN=0.01,
        KOUT=0.02,
    )
    assert choose(fast, Numerics()).method == "stiff"
    algebra = made.model("y = A*t", outputs=("y",), A=2.0)
    assert choose(algebra, Numerics()).method is None
    assert choose(algebra, Numerics()).words.startswith("algebra")


@pytest.mark.parametrize("method", ["closed form", "matrix exponential"])
def test_a_method_that_does_not_fit_is_refused(made, method):
    with pytest.raises(SolverError, match="method: auto"):
        choose(made.models["saturable"], Numerics(method=method))


@pytest.mark.slow
def test_a_large_linear_model_goes_by_matrix_exponential(made):
    """Six states in a row: a chain that no closed form is kept for."""
    names = ["a", "b", "c", "d", "e", "f"]
    lines = ["d/dt(a) = -K*a"]
    lines += [
        f"d/dt({new}) = K*{old} - K*{new}"
        for old, new in zip(names, names[1:], strict=False)
    ]
    chain = made.model("\n".join(lines), outputs=("f",), K=0.7)
    choice = choose(chain, Numerics())
    assert choice.method == "matrix exponential"
    solved = simulate(chain, {"K": 0.7}, made.doses([0.0], [10.0]), times([3.0, 3.0]))
    wanted = 10 * 2.1**5 / 120 * np.exp(-2.1)
    np.testing.assert_allclose(solved.outputs["f"][0], wanted, rtol=1e-12)


def test_a_model_may_be_algebra_only(made):
    model = made.model("y = A*t + tad", outputs=("y",), A=2.0)
    values = {"A": np.array([1.0, 2.0, np.nan])}
    solved = simulate(model, values, made.doses([3.0], [1.0]), times([2.0, 5.0]))
    np.testing.assert_allclose(solved.outputs["y"][:2], [[2.0, 7.0], [4.0, 12.0]])
    assert jnp.isnan(solved.outputs["y"][2]).all()
    assert solved.status.tolist() == [0, 0, int(Status.MISSING_INPUT)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", ["closed form", "matrix exponential", "explicit", "stiff", "diffrax"]
)
def test_slopes_agree_with_finite_differences(made, method):
    """By a parameter, and by the amount of a dose."""
    model = made.models["oral"]
    numerics = Numerics(method=method, rtol=1e-10, atol=1e-12)
    values = {k: jnp.asarray(v) for k, v in model.typical().items()}
    doses = made.doses([0.0, 12.0], [100.0, 50.0])

    def concentration(clearance, amount):
        given = doses._replace(amount=jnp.stack([amount, 50.0 * amount / amount])[None])
        found = simulate(
            model, values | {"CL": clearance}, given, times([20.0]), numerics=numerics
        )
        return found.outputs["conc"][0, 0]

    at = (jnp.asarray(5.0), jnp.asarray(100.0))
    found = jax.jacfwd(concentration, argnums=(0, 1))(*at)
    for place, slope in enumerate(found):
        step = 1e-4 * at[place]
        up = [a + step * float(i == place) for i, a in enumerate(at)]
        down = [a - step * float(i == place) for i, a in enumerate(at)]
        rough = (concentration(*up) - concentration(*down)) / (2 * step)
        np.testing.assert_allclose(slope, rough, rtol=2e-5)
    if method in ("closed form", "matrix exponential"):
        back = jax.grad(concentration, argnums=(0, 1))(*at)
        np.testing.assert_allclose(back, found, rtol=1e-9)


@pytest.mark.parametrize("method", ["closed form", "explicit", "stiff"])
def test_32_bits_are_honoured(made, method):
    model = made.models["oral"]
    doses, grid = made.doses([0.0, 504.0], [100.0, 100.0]), times([2.0, 506.0])
    exact = simulate(model, model.typical(), doses, grid)
    rough = simulate(
        model,
        model.typical(),
        doses,
        grid,
        numerics=Numerics(method=method, precision=32, rtol=1e-5, atol=1e-6),
    )
    assert rough.outputs["conc"].dtype == jnp.float32
    np.testing.assert_allclose(rough.outputs["conc"], exact.outputs["conc"], rtol=3e-4)


def test_before_and_after_a_dose(made):
    model = made.models["oral"]
    doses = made.doses([4.0], [100.0])
    for rank, wanted in ((0, 0.0), (AFTER_DOSE, 100.0)):
        solved = simulate(
            model, model.typical(), doses, times([4.0], rank=rank), keep_states=True
        )
        assert float(solved.states[0, 0, 0]) == wanted


@pytest.mark.slow
def test_a_step_of_no_estimated_error_is_no_accurate_one(made):
    """Nothing until 0.25 h, then an infusion: one step over it all is accepted."""
    model = made.model(
        "d/dt(x) = -VMAX*x/(KM + x)", outputs=("x",), VMAX=27.44375, KM=5.52369645
    )
    doses = made.doses([0.25, 0.25], [1.0, 9.0], rate=[1 / 6, 18.0])
    values = model.typical()
    rough, fine = (
        simulate(
            model,
            values,
            doses,
            times([0.75]),
            numerics=Numerics(method="explicit", rtol=rtol, atol=rtol / 100),
        ).outputs["x"]
        for rtol in (1e-5, 1e-9)
    )
    np.testing.assert_allclose(rough, fine, rtol=1e-3)


@pytest.mark.parametrize("method", ["explicit", "stiff"])
def test_no_step_leaps_over_the_end_of_a_saturated_elimination(made, method):
    """It is a straight line down to KM: estimated errors are nothing until below -KM.

    The reference is the implicit solution, by Lambert's function (Schnell, Mendoza
    (1997) J. theor. Biol. 187:207).
    """
    model = made.model(
        "d/dt(x) = -VMAX*x/(KM + x)", outputs=("x",), VMAX=29.57, KM=0.1435
    )
    amount = np.geomspace(5.0, 500.0, 64)[:, None]
    doses = made.doses(np.zeros_like(amount), amount)
    values = {name: np.full(64, v) for name, v in model.typical().items()}
    at = np.array([0.1, 1.0, 8.0, 40.0])
    solved = simulate(
        model,
        values,
        doses,
        times(at),
        numerics=Numerics(method=method, rtol=1e-3, atol=1e-5),
    ).outputs["x"]
    km, vmax = values["KM"][:, None], values["VMAX"][:, None]
    log = np.log(amount / km) + (amount - vmax * at) / km
    exact = km * np.real(wrightomega(log))
    np.testing.assert_allclose(np.asarray(solved), exact, rtol=0.05, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["explicit", "stiff"])
@pytest.mark.parametrize("rtol", [1e-3, 1e-5])
def test_errors_follow_the_tolerance_where_elimination_saturates(made, method, rtol):
    """Of a thousand bodies as different as can be, none is far off at any time.

    The worst is where an amount runs out: what is left there is the small difference
    of large ones.
    """
    model = made.model("d/dt(x) = -VMAX*x/(KM + x)", outputs=("x",), VMAX=10.0, KM=2.0)
    rng = np.random.default_rng(11)
    values = made.spread(model, 1000, width=1.2)
    time = np.sort(rng.uniform(0, 30, (1000, 5)), axis=1)
    amount = np.exp(rng.normal(2, 1.5, time.shape))
    lasting = amount / rng.uniform(0.1, 4, time.shape)
    rate = np.where(rng.random(time.shape) < 0.6, lasting, 0.0)
    doses = made.doses(time, amount, rate=rate)
    at = times(np.sort(rng.uniform(0, 40, 8)))
    rough, fine = (
        np.asarray(
            simulate(
                model,
                values,
                doses,
                at,
                numerics=Numerics(method=how, rtol=close, atol=close / 100),
            ).outputs["x"]
        )
        for how, close in ((method, rtol), ("explicit", 1e-11))
    )
    assert (np.abs(rough - fine) <= 100 * rtol * (np.abs(fine) + 0.01)).all()
